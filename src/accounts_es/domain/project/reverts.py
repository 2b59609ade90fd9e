"""How the facts of a project are undone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from accounts_es.domain.event import Event
from accounts_es.domain.project import events
from accounts_es.domain.project.aggregate import PROJECT, ApiKey, MockPhone, Project, Provider, Webhook
from accounts_es.domain.project.commands.settings import MAX_MOCK_PHONES
from accounts_es.domain.project.events import EmailTemplateChanged, ProjectEvent
from accounts_es.domain.project.grants import Grant
from accounts_es.domain.reverts import Field, Irreversible, Kept, Permitted, Reverts

_POLICIES: Final = "project.policies.write"


def _name(_now: Project, then: Project, _of: str) -> Iterator[ProjectEvent]:
    yield events.ProjectRenamed(name=then.name)


def _labels(_now: Project, then: Project, _of: str) -> Iterator[ProjectEvent]:
    yield events.LabelsReplaced(labels=then.labels)


def _key_of(project: Project, key_id: str) -> ApiKey | None:
    """Without the trace of its use."""
    known = project.keys.get(key_id)
    return replace(known, used_at=None) if known is not None else None


def _key(now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    known, wanted = now.keys.get(of), then.keys.get(of)
    if wanted is None:
        yield events.ApiKeyDeleted(key_id=of)
        return
    said: dict[str, Any] = {"key_id": of, "name": wanted.name, "scopes": wanted.scopes, "expires_at": wanted.expires_at}
    if known is None:
        yield events.ApiKeyCreated(**said, secret_hash=wanted.secret_hash)
    elif known.secret_hash != wanted.secret_hash:
        raise Irreversible("another key has this id by now")
    else:
        yield events.ApiKeyUpdated(**said)


def _shown_key(key: ApiKey) -> dict[str, Any]:
    expire = key.expires_at.isoformat() if key.expires_at is not None else None
    return {"name": key.name, "scopes": list(key.scopes), "expire": expire}


def _platform_of(project: Project, platform_id: str) -> tuple[events.PlatformKind, str, str] | None:
    known = project.platforms.get(platform_id)
    return (known.kind, known.name, known.identifier) if known is not None else None


def _platform(now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    known, wanted = _platform_of(now, of), _platform_of(then, of)
    if known is not None and (wanted is None or wanted[0] != known[0]):
        yield events.PlatformRemoved(platform_id=of)
        known = None
    if wanted is None:
        return
    kind, name, identifier = wanted
    if known is None:
        yield events.PlatformAdded(platform_id=of, kind=kind, name=name, identifier=identifier)
    else:
        yield events.PlatformChanged(platform_id=of, name=name, identifier=identifier)


def _policy_of(project: Project, policy: str) -> Any:
    known = getattr(project.policies, policy, None)
    return known.model_dump(mode="json") if known is not None else None


def _policy(_now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    yield events.PolicyChanged(policy=of, settings=_policy_of(then, of))


def _method(_now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    yield events.AuthMethodSwitched(method=of, enabled=of not in then.methods_off)


def _service(_now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    yield events.ServiceSwitched(service=of, enabled=of not in then.services_off)


def _protocol(_now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    yield events.ProtocolSwitched(protocol=of, enabled=of not in then.protocols_off)


def _code_of(project: Project, number: str) -> str | None:
    known: MockPhone | None = project.mock_phones.get(number)
    return known.otp if known is not None else None


def _mock_phone(now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    wanted = _code_of(then, of)
    if wanted is None:
        yield events.MockPhoneRemoved(number=of)
    elif of in now.mock_phones:
        yield events.MockPhoneChanged(number=of, otp=wanted)
    elif len(now.mock_phones) >= MAX_MOCK_PHONES:
        raise Irreversible("the project has as many mock phones as it may")
    else:
        yield events.MockPhoneAdded(number=of, otp=wanted)


def _provider_of(project: Project, provider: str) -> Provider:
    """One that was never configured is switched off, with nothing in it."""
    return project.providers.get(provider) or Provider(provider, False, "", False, (), {})


def _provider(_now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    wanted = _provider_of(then, of)
    yield events.ProviderConfigured(
        provider=of,
        enabled=wanted.enabled,
        client_id=wanted.client_id,
        native_enabled=wanted.native_enabled,
        native_client_ids=wanted.native_client_ids,
        settings=wanted.settings,
    )


def _shown_provider(provider: Provider) -> dict[str, Any]:
    return {"enabled": provider.enabled, "clientId": provider.client_id, "nativeEnabled": provider.native_enabled}


def _smtp(_now: Project, then: Project, _of: str) -> Iterator[ProjectEvent]:
    yield then.smtp


def _template_of(project: Project, of: str) -> EmailTemplateChanged:
    """One that was never changed says nothing of its own."""
    template, _, locale = of.partition("/")
    return project.templates.get((template, locale)) or EmailTemplateChanged(template=template, locale=locale)


def _template(_now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    yield _template_of(then, of)


_TOLD: Final = {"webhook_id", "name", "url", "events", "enabled", "tls", "auth_username", "auth_password", "format"}


def _webhook_of(project: Project, webhook_id: str) -> Mapping[str, Any] | None:
    """Without the secret it signs with."""
    known: Webhook | None = project.webhooks.get(webhook_id)
    return {name: getattr(known, name) for name in sorted(_TOLD)} if known is not None else None


def _webhook(now: Project, then: Project, of: str) -> Iterator[ProjectEvent]:
    wanted = _webhook_of(then, of)
    if wanted is None:
        yield events.WebhookRemoved(webhook_id=of)
    elif of not in now.webhooks:
        raise Irreversible("what it signed with is a secret, and secrets do not come back: add another one")
    else:
        yield events.WebhookChanged(**wanted)


def _only(*names: str) -> Callable[[Any], dict[str, Any]]:
    def show(value: Any) -> dict[str, Any]:
        found: Mapping[str, Any] = value.model_dump(mode="json") if isinstance(value, Event) else value
        return {name: found[name] for name in names}

    return show


def within(grant: Grant | None) -> Permitted:
    """Whoever gives a key back what it could do gives no more than they or the key have; ``None`` has everything."""

    def permitted(field: Field, now: Any, after: Any) -> str | None:
        if grant is None or field.name != "key" or field.of not in after.keys:
            return None
        wanted, known = after.keys[field.of], now.keys.get(field.of)
        asked = Grant.of(wanted.scopes, wanted.expires_at)
        if asked.within(grant) or (known is not None and asked.within(Grant.of(known.scopes, known.expires_at))):
            return None
        return "a key gives no more than it has: the key could do more than the caller"

    return permitted


_WROTE: Final = "what was sent was sent"

PROJECT_REVERTS: Final[Reverts[Project, ProjectEvent]] = Reverts(
    decider=PROJECT,
    fields={
        "name": Kept("project.write", lambda project, _: project.name, _name),
        "labels": Kept("project.write", lambda project, _: project.labels, _labels, list),
        "key": Kept("keys.write", _key_of, _key, _shown_key),
        "platform": Kept(
            "platforms.write",
            _platform_of,
            _platform,
            lambda value: dict(zip(("kind", "name", "identifier"), value, strict=True)),
        ),
        "policy": Kept(_POLICIES, _policy_of, _policy),
        "method": Kept(_POLICIES, lambda project, method: method not in project.methods_off, _method),
        "service": Kept("project.write", lambda project, service: service not in project.services_off, _service),
        "protocol": Kept("project.write", lambda project, protocol: protocol not in project.protocols_off, _protocol),
        "mockPhone": Kept("mocks.write", _code_of, _mock_phone, lambda _: {"exists": True}),
        "provider": Kept("project.oauth2.write", _provider_of, _provider, _shown_provider),
        "smtp": Kept(
            "project.write", lambda project, _: project.smtp, _smtp, _only("enabled", "host", "port", "sender_email")
        ),
        "template": Kept("templates.write", _template_of, _template, _only("subject", "message", "sender_name")),
        "webhook": Kept("webhooks.write", _webhook_of, _webhook, _only("name", "enabled", "format")),
    },
    sets={
        events.ProjectRenamed: ("name", ""),
        events.LabelsReplaced: ("labels", ""),
        events.ApiKeyCreated: ("key", "key_id"),
        events.ApiKeyUpdated: ("key", "key_id"),
        events.ApiKeyDeleted: ("key", "key_id"),
        events.PlatformAdded: ("platform", "platform_id"),
        events.PlatformChanged: ("platform", "platform_id"),
        events.PlatformRemoved: ("platform", "platform_id"),
        events.PolicyChanged: ("policy", "policy"),
        events.AuthMethodSwitched: ("method", "method"),
        events.ServiceSwitched: ("service", "service"),
        events.ProtocolSwitched: ("protocol", "protocol"),
        events.MockPhoneAdded: ("mockPhone", "number"),
        events.MockPhoneChanged: ("mockPhone", "number"),
        events.MockPhoneRemoved: ("mockPhone", "number"),
        events.ProviderConfigured: ("provider", "provider"),
        events.SmtpConfigured: ("smtp", ""),
        events.EmailTemplateChanged: ("template", "template locale"),
        events.WebhookAdded: ("webhook", "webhook_id"),
        events.WebhookChanged: ("webhook", "webhook_id"),
        events.WebhookDisabled: ("webhook", "webhook_id"),
        events.WebhookRemoved: ("webhook", "webhook_id"),
    },
    never={
        events.ProjectCreated: "a project cannot end",
        events.ApiKeyUsed: "a trace of use changes nothing",
        events.DetailsForgotten: "the keys are destroyed: nothing brings them back",
        events.SmtpTested: _WROTE,
        events.WebhookRewound: _WROTE,
        events.WebhookSecretRotated: "a secret does not come back: rotate it again",
    },
    traces=frozenset({events.ApiKeyUsed}),
)
