"""The state of a project and how each fact changes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar, assert_never

from accounts_es.domain.decider import Decider
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project.events import (
    ApiKeyCreated,
    ApiKeyDeleted,
    ApiKeyUpdated,
    ApiKeyUsed,
    AuthMethodSwitched,
    DetailsForgotten,
    EmailTemplateChanged,
    LabelsReplaced,
    MockPhoneAdded,
    MockPhoneChanged,
    MockPhoneRemoved,
    PlatformAdded,
    PlatformChanged,
    PlatformKind,
    PlatformRemoved,
    PolicyChanged,
    ProjectCreated,
    ProjectEvent,
    ProjectRenamed,
    ProtocolSwitched,
    ProviderConfigured,
    ServiceSwitched,
    SmtpConfigured,
    SmtpTested,
    WebhookAdded,
    WebhookChanged,
    WebhookDisabled,
    WebhookFormat,
    WebhookRemoved,
    WebhookRewound,
    WebhookSecretRotated,
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
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Platform:
    """A host whose pages may call the project, or an app that may."""

    platform_id: str
    kind: PlatformKind
    name: str
    identifier: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class MockPhone:
    """A number that gets no messages, and its code."""

    number: str
    otp: str
    created_at: datetime
    updated_at: datetime


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
class Webhook:
    """Who is told of what, and how."""

    webhook_id: str
    name: str
    url: str
    events: tuple[str, ...]
    secret: str
    enabled: bool
    tls: bool
    auth_username: str
    auth_password: str
    format: WebhookFormat


@dataclass(frozen=True, slots=True)
class Project:
    """What is true of a project after its events."""

    exists: bool = False
    project_id: str = ""
    name: str = ""
    labels: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    keys: Mapping[str, ApiKey] = field(default_factory=dict[str, ApiKey])
    platforms: Mapping[str, Platform] = field(default_factory=dict[str, Platform])
    forgotten: Mapping[str, str] = field(default_factory=dict[str, str])
    """Kind of detail to the day before which it is gone."""
    policies: Policies = field(default_factory=Policies)
    methods_off: frozenset[str] = frozenset()
    services_off: frozenset[str] = frozenset()
    protocols_off: frozenset[str] = frozenset()
    mock_phones: Mapping[str, MockPhone] = field(default_factory=dict[str, MockPhone])
    providers: Mapping[str, Provider] = field(default_factory=dict[str, Provider])
    smtp: SmtpConfigured = field(default_factory=lambda: SmtpConfigured(enabled=False))
    templates: Mapping[tuple[str, str], EmailTemplateChanged] = field(
        default_factory=dict[tuple[str, str], EmailTemplateChanged]
    )
    """By kind of mail and language."""
    webhooks: Mapping[str, Webhook] = field(default_factory=dict[str, Webhook])


V = TypeVar("V")


def _without(known: Mapping[str, V], key: str) -> Mapping[str, V]:
    return {k: v for k, v in known.items() if k != key}


def _with(known: Mapping[str, V], key: str, change: Callable[[V], V]) -> Mapping[str, V]:
    return {**known, key: change(known[key])} if key in known else known


def _switched(off: frozenset[str], name: str, *, on: bool) -> frozenset[str]:
    return off - {name} if on else off | {name}


def evolve(project: Project, event: ProjectEvent, at: datetime) -> Project:
    """The project after one more fact."""
    match event:
        case ApiKeyUsed() | SmtpTested() | WebhookRewound() | WebhookDisabled():
            return _evolve(project, event, at)
        case _:
            return replace(_evolve(project, event, at), updated_at=at)


def _evolve(project: Project, event: ProjectEvent, at: datetime) -> Project:
    match event:
        case ProjectCreated():
            return replace(project, exists=True, project_id=event.project_id, name=event.name, created_at=at)
        case ProjectRenamed():
            return replace(project, name=event.name)
        case LabelsReplaced():
            return replace(project, labels=event.labels)
        case ApiKeyCreated():
            key = ApiKey(event.key_id, event.name, event.scopes, event.secret_hash, event.expires_at)
            return replace(project, keys={**project.keys, event.key_id: key})
        case ApiKeyUpdated():
            said: dict[str, Any] = {"name": event.name, "scopes": event.scopes, "expires_at": event.expires_at}
            return replace(project, keys=_with(project.keys, event.key_id, lambda key: replace(key, **said)))
        case ApiKeyUsed():
            return replace(project, keys=_with(project.keys, event.key_id, lambda key: replace(key, used_at=at)))
        case ApiKeyDeleted():
            return replace(project, keys=_without(project.keys, event.key_id))
        case PlatformAdded():
            platform = Platform(event.platform_id, event.kind, event.name, event.identifier, at, at)
            return replace(project, platforms={**project.platforms, event.platform_id: platform})
        case PlatformChanged():
            said = {"name": event.name, "identifier": event.identifier, "updated_at": at}
            return replace(
                project, platforms=_with(project.platforms, event.platform_id, lambda known: replace(known, **said))
            )
        case PlatformRemoved():
            return replace(project, platforms=_without(project.platforms, event.platform_id))
        case PolicyChanged():
            return replace(project, policies=project.policies.after(event.policy, event.settings))
        case DetailsForgotten():
            return replace(project, forgotten={**project.forgotten, event.kind: event.before})
        case AuthMethodSwitched():
            return replace(project, methods_off=_switched(project.methods_off, event.method, on=event.enabled))
        case ServiceSwitched():
            return replace(project, services_off=_switched(project.services_off, event.service, on=event.enabled))
        case ProtocolSwitched():
            return replace(project, protocols_off=_switched(project.protocols_off, event.protocol, on=event.enabled))
        case MockPhoneAdded():
            phone = MockPhone(event.number, event.otp, at, at)
            return replace(project, mock_phones={**project.mock_phones, event.number: phone})
        case MockPhoneChanged():
            said = {"otp": event.otp, "updated_at": at}
            return replace(
                project, mock_phones=_with(project.mock_phones, event.number, lambda known: replace(known, **said))
            )
        case MockPhoneRemoved():
            return replace(project, mock_phones=_without(project.mock_phones, event.number))
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
        case SmtpConfigured():
            return replace(project, smtp=event)
        case SmtpTested():
            return project
        case EmailTemplateChanged():
            return replace(project, templates={**project.templates, (event.template, event.locale): event})
        case WebhookAdded():
            webhook = Webhook(**event.model_dump(exclude={"position"}))
            return replace(project, webhooks={**project.webhooks, event.webhook_id: webhook})
        case WebhookChanged() | WebhookSecretRotated():
            said = event.model_dump()
            return replace(
                project, webhooks=_with(project.webhooks, event.webhook_id, lambda known: replace(known, **said))
            )
        case WebhookDisabled():
            return replace(
                project, webhooks=_with(project.webhooks, event.webhook_id, lambda known: replace(known, enabled=False))
            )
        case WebhookRewound():
            return project
        case WebhookRemoved():
            return replace(project, webhooks=_without(project.webhooks, event.webhook_id))
        case _:
            assert_never(event)


PROJECT: Decider[Project, ProjectEvent] = Decider(category="project", initial=Project(), evolve=evolve)


def project_stream(project_id: str) -> str:
    """The stream of a project. Its id names it for ever, so it needs no claim."""
    return f"project-{project_id}"
