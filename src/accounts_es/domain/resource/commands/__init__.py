"""What a protected resource decides."""

from accounts_es.domain.resource.commands.resources import protect, release, replace_permissions

__all__ = ["protect", "release", "replace_permissions"]
