"""What a project decides."""

from accounts_es.domain.project.commands.keys import create_api_key, delete_api_key, note_key_use, update_api_key
from accounts_es.domain.project.commands.mail import change_email_template, configure_smtp, try_smtp
from accounts_es.domain.project.commands.platforms import add_platform, change_platform, remove_platform
from accounts_es.domain.project.commands.projects import create_project, rename_project, replace_project_labels
from accounts_es.domain.project.commands.settings import (
    add_mock_phone,
    adjust_provider,
    change_mock_phone,
    change_policy,
    configure_provider,
    forget_details,
    remove_mock_phone,
    switch_auth_method,
    switch_protocol,
    switch_service,
)
from accounts_es.domain.project.commands.webhooks import (
    add_webhook,
    change_webhook,
    disable_webhook,
    remove_webhook,
    rewind_webhook,
    rotate_webhook_secret,
)

__all__ = [
    "add_mock_phone",
    "add_platform",
    "add_webhook",
    "adjust_provider",
    "change_email_template",
    "change_mock_phone",
    "change_platform",
    "change_policy",
    "change_webhook",
    "configure_provider",
    "configure_smtp",
    "create_api_key",
    "create_project",
    "delete_api_key",
    "disable_webhook",
    "forget_details",
    "note_key_use",
    "remove_mock_phone",
    "remove_platform",
    "remove_webhook",
    "rename_project",
    "replace_project_labels",
    "rewind_webhook",
    "rotate_webhook_secret",
    "switch_auth_method",
    "switch_protocol",
    "switch_service",
    "try_smtp",
    "update_api_key",
]
