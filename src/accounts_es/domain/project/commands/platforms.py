"""The pages and apps that may call a project."""

from collections.abc import Iterator

from accounts_es.domain.errors import PlatformAlreadyExists, PlatformMethodUnsupported, PlatformNotFound
from accounts_es.domain.project.aggregate import Project
from accounts_es.domain.project.commands.projects import ensure_exists
from accounts_es.domain.project.events import (
    PlatformAdded,
    PlatformChanged,
    PlatformKind,
    PlatformRemoved,
    ProjectEvent,
)


def add_platform(
    project: Project, *, platform_id: str, kind: PlatformKind = "web", name: str = "", identifier: str
) -> Iterator[ProjectEvent]:
    """Let the pages of a host, or an app, call the project. Raises `PlatformAlreadyExists`."""
    ensure_exists(project)
    if platform_id in project.platforms:
        raise PlatformAlreadyExists
    yield PlatformAdded(platform_id=platform_id, kind=kind, name=name or identifier, identifier=identifier)


def change_platform(
    project: Project, *, platform_id: str, kind: PlatformKind, name: str, identifier: str
) -> Iterator[ProjectEvent]:
    """Change a platform of this kind. Raises `PlatformNotFound`, `PlatformMethodUnsupported`."""
    ensure_exists(project)
    platform = project.platforms.get(platform_id)
    if platform is None:
        raise PlatformNotFound
    if platform.kind != kind:
        raise PlatformMethodUnsupported
    if (platform.name, platform.identifier) != (name, identifier):
        yield PlatformChanged(platform_id=platform_id, name=name, identifier=identifier)


def remove_platform(project: Project, *, platform_id: str) -> Iterator[ProjectEvent]:
    """Take a platform off the list. Raises `PlatformNotFound`."""
    ensure_exists(project)
    if platform_id not in project.platforms:
        raise PlatformNotFound
    yield PlatformRemoved(platform_id=platform_id)
