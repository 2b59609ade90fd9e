"""How a project begins."""

from collections.abc import Iterator, Sequence

from accounts_es.domain.errors import ProjectAlreadyExists, ProjectNotFound
from accounts_es.domain.project.aggregate import Project
from accounts_es.domain.project.events import LabelsReplaced, ProjectCreated, ProjectEvent, ProjectRenamed


def ensure_exists(project: Project) -> None:
    """Raises `ProjectNotFound`."""
    if not project.exists:
        raise ProjectNotFound


def create_project(project: Project, *, project_id: str, name: str) -> Iterator[ProjectEvent]:
    """Begin a project. Raises `ProjectAlreadyExists`."""
    if project.exists:
        raise ProjectAlreadyExists
    yield ProjectCreated(project_id=project_id, name=name)


def rename_project(project: Project, *, name: str) -> Iterator[ProjectEvent]:
    """Call a project something else."""
    ensure_exists(project)
    if name != project.name:
        yield ProjectRenamed(name=name)


def replace_project_labels(project: Project, *, labels: Sequence[str]) -> Iterator[ProjectEvent]:
    """Replace the project's labels; one said twice counts once."""
    ensure_exists(project)
    wanted = tuple(dict.fromkeys(labels))
    if wanted != project.labels:
        yield LabelsReplaced(labels=wanted)
