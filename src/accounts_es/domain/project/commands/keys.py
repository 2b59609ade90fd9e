"""API keys."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from accounts_es.domain.errors import KeyAlreadyExists, KeyCreationDenied, KeyNotFound
from accounts_es.domain.project.aggregate import Project
from accounts_es.domain.project.commands.projects import ensure_exists
from accounts_es.domain.project.events import ApiKeyCreated, ApiKeyDeleted, ApiKeyUpdated, ApiKeyUsed, ProjectEvent
from accounts_es.domain.project.grants import Grant

USED_EVERY: Final = timedelta(days=1)
"""Contract: cross-cutting, 3.3: the use of a key is noted this often at most."""


def create_api_key(
    project: Project,
    *,
    key_id: str,
    name: str,
    scopes: Sequence[str],
    secret_hash: str,
    expires_at: datetime | None = None,
    granter: Grant | None = None,
) -> Iterator[ProjectEvent]:
    """Give a server a key; a ``granter`` gives no more than it has. Raises `KeyAlreadyExists`, `KeyCreationDenied`."""
    ensure_exists(project)
    if granter is not None and not Grant.of(scopes, expires_at).within(granter):
        raise KeyCreationDenied
    if key_id in project.keys:
        raise KeyAlreadyExists
    yield ApiKeyCreated(key_id=key_id, name=name, scopes=tuple(scopes), secret_hash=secret_hash, expires_at=expires_at)


def update_api_key(
    project: Project,
    *,
    key_id: str,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
    granter: Grant | None = None,
) -> Iterator[ProjectEvent]:
    """Change a key. A ``granter`` makes it no wider than the key was or than itself is.

    Raises `KeyNotFound`, `KeyCreationDenied`.
    """
    ensure_exists(project)
    if key_id not in project.keys:
        raise KeyNotFound
    key = project.keys[key_id]
    asked = Grant.of(scopes, expires_at)
    if granter is not None and not (asked.within(granter) or asked.within(Grant.of(key.scopes, key.expires_at))):
        raise KeyCreationDenied
    if (key.name, key.scopes, key.expires_at) != (name, tuple(scopes), expires_at):
        yield ApiKeyUpdated(key_id=key_id, name=name, scopes=tuple(scopes), expires_at=expires_at)


def note_key_use(project: Project, *, key_id: str, sdk: str, now: datetime) -> Iterator[ProjectEvent]:
    """Note that a key is in use; a key that is gone meanwhile, or was noted lately, is no event."""
    key = project.keys.get(key_id)
    if key is not None and (key.used_at is None or now - key.used_at >= USED_EVERY):
        yield ApiKeyUsed(key_id=key_id, sdk=sdk)


def delete_api_key(project: Project, *, key_id: str) -> Iterator[ProjectEvent]:
    """Take a key back. Raises `KeyNotFound`."""
    ensure_exists(project)
    if key_id not in project.keys:
        raise KeyNotFound
    yield ApiKeyDeleted(key_id=key_id)
