"""The hosts whose pages may call a project."""

from collections.abc import Iterator

from accounts_es.domain.project.aggregate import Project
from accounts_es.domain.project.commands.projects import ensure_exists
from accounts_es.domain.project.events import PlatformAdded, PlatformRemoved, ProjectEvent


def add_platform(project: Project, *, platform_id: str, hostname: str) -> Iterator[ProjectEvent]:
    """Let the pages of a host call the project; a host that may already is no event."""
    ensure_exists(project)
    if hostname not in {platform.hostname for platform in project.platforms.values()}:
        yield PlatformAdded(platform_id=platform_id, hostname=hostname)


def remove_platform(project: Project, *, platform_id: str) -> Iterator[ProjectEvent]:
    """Take a host off the list; an unknown one is no event."""
    ensure_exists(project)
    if platform_id in project.platforms:
        yield PlatformRemoved(platform_id=platform_id)
