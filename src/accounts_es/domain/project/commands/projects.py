"""How a project begins."""

from collections.abc import Iterator

from accounts_es.domain.errors import ProjectAlreadyExists, ProjectNotFound
from accounts_es.domain.project.aggregate import Project
from accounts_es.domain.project.events import ProjectCreated, ProjectEvent


def ensure_exists(project: Project) -> None:
    """Raises `ProjectNotFound`."""
    if not project.exists:
        raise ProjectNotFound


def create_project(project: Project, *, project_id: str, name: str) -> Iterator[ProjectEvent]:
    """Begin a project. Raises `ProjectAlreadyExists`."""
    if project.exists:
        raise ProjectAlreadyExists
    yield ProjectCreated(project_id=project_id, name=name)
