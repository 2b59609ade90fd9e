"""The facts of a project. Storage format: read `accounts_es.domain.event` before you change a line."""

from datetime import datetime
from typing import TypeAlias

from accounts_es.domain.event import Event, JSONObject, Personal


class ProjectCreated(Event, topic="project.created"):
    """A project came to be."""

    project_id: str
    name: str


class ApiKeyCreated(Event, topic="project.api_key_created"):
    """A server got a key. ``secret_hash`` is the SHA-256 (hex) of the whole key text."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    secret_hash: str
    expires_at: datetime | None = None


class ApiKeyDeleted(Event, topic="project.api_key_deleted"):
    """A key no longer opens anything."""

    key_id: str


class PlatformAdded(Event, topic="project.platform_added"):
    """Pages of this host (``*.`` for any below it) may call the project from a browser."""

    platform_id: str
    hostname: str


class PlatformRemoved(Event, topic="project.platform_removed"):
    """Pages of the platform's host may no longer call the project."""

    platform_id: str


class PolicyChanged(Event, topic="project.policy_changed"):
    """A rule of the project for its accounts: ``policy`` is a field of `Policies`; settings not named stay."""

    policy: str
    settings: JSONObject


class AuthMethodSwitched(Event, topic="project.auth_method_switched"):
    """A way to sign in was switched on or off for people; servers are not held to it."""

    method: str
    enabled: bool


class MockPhoneAdded(Event, topic="project.mock_phone_added"):
    """A number that gets no messages and always the same code."""

    number: str
    otp: Personal[str]


class MockPhoneRemoved(Event, topic="project.mock_phone_removed"):
    """The number is like any other again."""

    number: str


class ProviderConfigured(Event, topic="project.provider_configured"):
    """How people sign in with an OAuth2 provider. ``settings`` are the provider's own, secrets included, all of them.

    ``native_client_ids`` are those whose ID tokens are taken from apps, when ``native_enabled``.
    """

    provider: str
    enabled: bool
    client_id: str = ""
    native_enabled: bool = False
    native_client_ids: tuple[str, ...] = ()
    settings: Personal[JSONObject] = {}  # noqa: RUF012 - pydantic copies it


ProjectEvent: TypeAlias = (
    ProjectCreated
    | ApiKeyCreated
    | ApiKeyDeleted
    | PlatformAdded
    | PlatformRemoved
    | PolicyChanged
    | AuthMethodSwitched
    | MockPhoneAdded
    | MockPhoneRemoved
    | ProviderConfigured
)
