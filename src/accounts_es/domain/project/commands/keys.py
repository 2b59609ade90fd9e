"""API keys."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from accounts_es.domain.errors import KeyAlreadyExists, KeyNotFound
from accounts_es.domain.project.aggregate import Project
from accounts_es.domain.project.commands.projects import ensure_exists
from accounts_es.domain.project.events import ApiKeyCreated, ApiKeyDeleted, ProjectEvent


def create_api_key(
    project: Project,
    *,
    key_id: str,
    name: str,
    scopes: Sequence[str],
    secret_hash: str,
    expires_at: datetime | None = None,
) -> Iterator[ProjectEvent]:
    """Give a server a key. Raises `KeyAlreadyExists`."""
    ensure_exists(project)
    if key_id in project.keys:
        raise KeyAlreadyExists
    yield ApiKeyCreated(key_id=key_id, name=name, scopes=tuple(scopes), secret_hash=secret_hash, expires_at=expires_at)


def delete_api_key(project: Project, *, key_id: str) -> Iterator[ProjectEvent]:
    """Take a key back. Raises `KeyNotFound`."""
    ensure_exists(project)
    if key_id not in project.keys:
        raise KeyNotFound
    yield ApiKeyDeleted(key_id=key_id)
