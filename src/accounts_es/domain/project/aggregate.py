"""The state of a project and how each fact changes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from accounts_es.domain.decider import Decider
from accounts_es.domain.project.events import (
    ApiKeyCreated,
    ApiKeyDeleted,
    PlatformAdded,
    PlatformRemoved,
    ProjectCreated,
    ProjectEvent,
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What a key may do, and until when (``None``: no end)."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    secret_hash: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Platform:
    """A host whose pages may call the project."""

    platform_id: str
    hostname: str


@dataclass(frozen=True, slots=True)
class Project:
    """What is true of a project after its events."""

    exists: bool = False
    project_id: str = ""
    name: str = ""
    keys: Mapping[str, ApiKey] = field(default_factory=dict[str, ApiKey])
    platforms: Mapping[str, Platform] = field(default_factory=dict[str, Platform])


def evolve(project: Project, event: ProjectEvent, _at: datetime) -> Project:
    """The project after one more fact."""
    match event:
        case ProjectCreated():
            return replace(project, exists=True, project_id=event.project_id, name=event.name)
        case ApiKeyCreated():
            key = ApiKey(event.key_id, event.name, event.scopes, event.secret_hash, event.expires_at)
            return replace(project, keys={**project.keys, event.key_id: key})
        case ApiKeyDeleted():
            return replace(project, keys={k: v for k, v in project.keys.items() if k != event.key_id})
        case PlatformAdded():
            platform = Platform(event.platform_id, event.hostname)
            return replace(project, platforms={**project.platforms, event.platform_id: platform})
        case PlatformRemoved():
            rest = {k: v for k, v in project.platforms.items() if k != event.platform_id}
            return replace(project, platforms=rest)
        case _:
            assert_never(event)


PROJECT: Decider[Project, ProjectEvent] = Decider(category="project", initial=Project(), evolve=evolve)


def project_stream(project_id: str) -> str:
    """The stream of a project. Its id names it for ever, so it needs no claim."""
    return f"project-{project_id}"
