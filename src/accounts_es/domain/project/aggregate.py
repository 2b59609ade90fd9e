"""The state of a project and how each fact changes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from accounts_es.domain.decider import Decider
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project.events import (
    ApiKeyCreated,
    ApiKeyDeleted,
    AuthMethodSwitched,
    MockPhoneAdded,
    MockPhoneRemoved,
    PlatformAdded,
    PlatformRemoved,
    PolicyChanged,
    ProjectCreated,
    ProjectEvent,
    ProviderConfigured,
)
from accounts_es.domain.project.policies import Policies


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
class Provider:
    """How people sign in with an OAuth2 provider; ``settings`` holds its secrets."""

    provider: str
    enabled: bool
    client_id: str
    native_enabled: bool
    native_client_ids: tuple[str, ...]
    settings: JSONObject


@dataclass(frozen=True, slots=True)
class Project:
    """What is true of a project after its events."""

    exists: bool = False
    project_id: str = ""
    name: str = ""
    keys: Mapping[str, ApiKey] = field(default_factory=dict[str, ApiKey])
    platforms: Mapping[str, Platform] = field(default_factory=dict[str, Platform])
    policies: Policies = field(default_factory=Policies)
    methods_off: frozenset[str] = frozenset()
    mock_phones: Mapping[str, str] = field(default_factory=dict[str, str])
    """Number to code."""
    providers: Mapping[str, Provider] = field(default_factory=dict[str, Provider])


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
        case PolicyChanged():
            return replace(project, policies=project.policies.after(event.policy, event.settings))
        case AuthMethodSwitched():
            without = project.methods_off - {event.method}
            return replace(project, methods_off=without if event.enabled else without | {event.method})
        case MockPhoneAdded():
            return replace(project, mock_phones={**project.mock_phones, event.number: event.otp})
        case MockPhoneRemoved():
            others = {number: otp for number, otp in project.mock_phones.items() if number != event.number}
            return replace(project, mock_phones=others)
        case ProviderConfigured():
            provider = Provider(
                event.provider,
                event.enabled,
                event.client_id,
                event.native_enabled,
                event.native_client_ids,
                event.settings,
            )
            return replace(project, providers={**project.providers, event.provider: provider})
        case _:
            assert_never(event)


PROJECT: Decider[Project, ProjectEvent] = Decider(category="project", initial=Project(), evolve=evolve)


def project_stream(project_id: str) -> str:
    """The stream of a project. Its id names it for ever, so it needs no claim."""
    return f"project-{project_id}"
