"""What a project decides."""

from accounts_es.domain.project.commands.keys import create_api_key, delete_api_key
from accounts_es.domain.project.commands.platforms import add_platform, remove_platform
from accounts_es.domain.project.commands.projects import create_project

__all__ = ["add_platform", "create_api_key", "create_project", "delete_api_key", "remove_platform"]
