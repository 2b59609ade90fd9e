"""The facts of a project. Storage format: read `accounts_es.domain.event` before you change a line."""

from datetime import datetime
from typing import TypeAlias

from accounts_es.domain.event import Event


class ProjectCreated(Event, topic="project.created"):
    """A project came to be."""

    project_id: str
    name: str


class ApiKeyCreated(Event, topic="project.api_key_created"):
    """A server got a key. ``secret_hash`` is the SHA-256 (hex) of the whole key text."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    secret_hash: str
    expires_at: datetime | None = None


class ApiKeyDeleted(Event, topic="project.api_key_deleted"):
    """A key no longer opens anything."""

    key_id: str


class PlatformAdded(Event, topic="project.platform_added"):
    """Pages of this host (``*.`` for any below it) may call the project from a browser."""

    platform_id: str
    hostname: str


class PlatformRemoved(Event, topic="project.platform_removed"):
    """Pages of the platform's host may no longer call the project."""

    platform_id: str


ProjectEvent: TypeAlias = ProjectCreated | ApiKeyCreated | ApiKeyDeleted | PlatformAdded | PlatformRemoved
