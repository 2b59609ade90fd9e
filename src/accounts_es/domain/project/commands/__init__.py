"""What a project decides."""

from accounts_es.domain.project.commands.keys import create_api_key, delete_api_key
from accounts_es.domain.project.commands.platforms import add_platform, remove_platform
from accounts_es.domain.project.commands.projects import create_project
from accounts_es.domain.project.commands.settings import (
    add_mock_phone,
    change_policy,
    configure_provider,
    remove_mock_phone,
    switch_auth_method,
)

__all__ = [
    "add_mock_phone",
    "add_platform",
    "change_policy",
    "configure_provider",
    "create_api_key",
    "create_project",
    "delete_api_key",
    "remove_mock_phone",
    "remove_platform",
    "switch_auth_method",
]
