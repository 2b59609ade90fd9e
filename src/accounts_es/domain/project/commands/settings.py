"""The rules and switches of a project."""

from collections.abc import Iterator
from datetime import date
from typing import Final

from accounts_es.domain.errors import MockNumberAlreadyExists, MockNumberLimitExceeded, MockNumberNotFound
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project.aggregate import Project, Provider
from accounts_es.domain.project.commands.projects import ensure_exists
from accounts_es.domain.project.events import (
    AuthMethodSwitched,
    DetailKind,
    DetailsForgotten,
    MockPhoneAdded,
    MockPhoneChanged,
    MockPhoneRemoved,
    PolicyChanged,
    ProjectEvent,
    ProtocolSwitched,
    ProviderConfigured,
    ServiceSwitched,
)

MAX_MOCK_PHONES: Final = 10
"""Contract: cross-cutting, 15."""
SECRET: Final = "client_secret"  # noqa: S105 - the name of one
"""The setting every provider's secret is kept as, whatever the provider calls it."""
_SHOWN_TO: Final = ("endpoint", "domain", "well_known_url", "token_url")
"""The settings that say which server is shown the secret, of providers whose server is not always the same."""


def change_policy(project: Project, *, policy: str, settings: JSONObject) -> Iterator[ProjectEvent]:
    """Change settings of one policy, a field of `Policies`; those not named stay as they are."""
    ensure_exists(project)
    if project.policies.after(policy, settings) != project.policies:
        yield PolicyChanged(policy=policy, settings=settings)


def forget_details(project: Project, *, kind: DetailKind, before: date) -> Iterator[ProjectEvent]:
    """Let nobody read what came before a day any more."""
    ensure_exists(project)
    if before.isoformat() > project.forgotten.get(kind, ""):
        yield DetailsForgotten(kind=kind, before=before.isoformat())


def switch_auth_method(project: Project, *, method: str, enabled: bool) -> Iterator[ProjectEvent]:
    """Let people authenticate this way, or not."""
    ensure_exists(project)
    if enabled == (method in project.methods_off):
        yield AuthMethodSwitched(method=method, enabled=enabled)


def switch_service(project: Project, *, service: str, enabled: bool) -> Iterator[ProjectEvent]:
    """Let people call a service, or not."""
    ensure_exists(project)
    if enabled == (service in project.services_off):
        yield ServiceSwitched(service=service, enabled=enabled)


def switch_protocol(project: Project, *, protocol: str, enabled: bool) -> Iterator[ProjectEvent]:
    """Let people reach the project by a protocol, or not."""
    ensure_exists(project)
    if enabled == (protocol in project.protocols_off):
        yield ProtocolSwitched(protocol=protocol, enabled=enabled)


def add_mock_phone(project: Project, *, number: str, otp: str) -> Iterator[ProjectEvent]:
    """Send nothing to a number, and take this code from it.

    Raises `MockNumberAlreadyExists`, `MockNumberLimitExceeded`.
    """
    ensure_exists(project)
    if number in project.mock_phones:
        raise MockNumberAlreadyExists
    if len(project.mock_phones) >= MAX_MOCK_PHONES:
        raise MockNumberLimitExceeded
    yield MockPhoneAdded(number=number, otp=otp)


def change_mock_phone(project: Project, *, number: str, otp: str) -> Iterator[ProjectEvent]:
    """Take another code from a number. Raises `MockNumberNotFound`."""
    ensure_exists(project)
    if number not in project.mock_phones:
        raise MockNumberNotFound
    if project.mock_phones[number].otp != otp:
        yield MockPhoneChanged(number=number, otp=otp)


def remove_mock_phone(project: Project, *, number: str) -> Iterator[ProjectEvent]:
    """Treat a number like any other again. Raises `MockNumberNotFound`."""
    ensure_exists(project)
    if number not in project.mock_phones:
        raise MockNumberNotFound
    yield MockPhoneRemoved(number=number)


def configure_provider(
    project: Project,
    *,
    provider: str,
    enabled: bool,
    client_id: str = "",
    native_enabled: bool = False,
    native_client_ids: tuple[str, ...] = (),
    settings: JSONObject,
) -> Iterator[ProjectEvent]:
    """Say how people sign in with an OAuth2 provider, all of it."""
    ensure_exists(project)
    configured = ProviderConfigured(
        provider=provider,
        enabled=enabled,
        client_id=client_id,
        native_enabled=native_enabled,
        native_client_ids=native_client_ids,
        settings=settings,
    )
    known = project.providers.get(provider)
    if known is None or (
        known.enabled,
        known.client_id,
        known.native_enabled,
        known.native_client_ids,
        known.settings,
    ) != (enabled, client_id, native_enabled, native_client_ids, settings):
        yield configured


def adjust_provider(
    project: Project,
    *,
    provider: str,
    enabled: bool | None = None,
    client_id: str | None = None,
    native_enabled: bool | None = None,
    native_client_ids: tuple[str, ...] | None = None,
    settings: JSONObject,
) -> Iterator[ProjectEvent]:
    """Change what is named of a provider's configuration; ``None`` and settings not named stay as they are.

    A secret that is not said again goes to no other server, whose owner would be shown it.
    """
    known = project.providers.get(provider) or Provider(provider, False, "", False, (), {})
    after = {**known.settings, **settings}
    if SECRET not in settings and any(after.get(each) != known.settings.get(each) for each in _SHOWN_TO):
        after.pop(SECRET, None)
    yield from configure_provider(
        project,
        provider=provider,
        enabled=known.enabled if enabled is None else enabled,
        client_id=known.client_id if client_id is None else client_id,
        native_enabled=known.native_enabled if native_enabled is None else native_enabled,
        native_client_ids=known.native_client_ids if native_client_ids is None else native_client_ids,
        settings=after,
    )
