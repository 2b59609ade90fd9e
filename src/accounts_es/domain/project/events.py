"""The facts of a project. Storage format: read `accounts_es.domain.event` before you change a line."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from accounts_es.domain.event import Event, JSONObject, Personal, Upcaster

PlatformKind: TypeAlias = Literal["web", "apple", "android", "windows", "linux"]
SmtpSecurity: TypeAlias = Literal["", "tls", "ssl"]
"""Nothing, a connection that turns to TLS (STARTTLS), or TLS from the first byte."""
WebhookFormat: TypeAlias = Literal["appwrite", "cloudevents-binary", "cloudevents-structured"]
"""The payload alone, encoded as Appwrite does, or CloudEvents 1.0 in one of its two HTTP modes."""


DetailKind: TypeAlias = Literal["origins", "refusals"]
"""What is kept for a while only."""


class ProjectCreated(Event, topic="project.created"):
    """A project came to be."""

    project_id: str
    name: str


class ProjectRenamed(Event, topic="project.renamed"):
    """People call the project something else."""

    name: str


class LabelsReplaced(Event, topic="project.labels_replaced"):
    """The operator's words for the project, all of them."""

    labels: tuple[str, ...]


class ApiKeyCreated(Event, topic="project.api_key_created"):
    """A server got a key. ``secret_hash`` is the SHA-256 (hex) of the whole key text."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    secret_hash: str
    expires_at: datetime | None = None


class ApiKeyUpdated(Event, topic="project.api_key_updated"):
    """A key is called something else, or may do something else, or until another day. All of it is said again."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None


class ApiKeyUsed(Event, topic="project.api_key_used"):
    """A key came along, with a program that calls itself ``sdk``: recorded once a day at most."""

    key_id: str
    sdk: str = ""


class ApiKeyDeleted(Event, topic="project.api_key_deleted"):
    """A key no longer opens anything."""

    key_id: str


def _was_a_web_platform(fields: JSONObject) -> JSONObject:
    hostname = fields.pop("hostname")
    return {**fields, "kind": "web", "name": hostname, "identifier": hostname}


class PlatformAdded(Event, topic="project.platform_added", version=2):
    """Pages of a host (``*.`` for any below it), or an app with this identifier, may call the project."""

    upcasters: ClassVar[Mapping[int, Upcaster]] = {1: _was_a_web_platform}

    platform_id: str
    kind: PlatformKind
    name: str
    identifier: str


class PlatformChanged(Event, topic="project.platform_changed"):
    """A platform has another name, or is another host or app."""

    platform_id: str
    name: str
    identifier: str


class PlatformRemoved(Event, topic="project.platform_removed"):
    """The platform's pages or app may no longer call the project."""

    platform_id: str


class PolicyChanged(Event, topic="project.policy_changed"):
    """A rule of the project for its accounts: ``policy`` is a field of `Policies`; settings not named stay."""

    policy: str
    settings: JSONObject


class AuthMethodSwitched(Event, topic="project.auth_method_switched"):
    """A way to sign in was switched on or off for people; servers are not held to it."""

    method: str
    enabled: bool


class ServiceSwitched(Event, topic="project.service_switched"):
    """People may call a service of the project, or none of it; servers are not held to it."""

    service: str
    enabled: bool


class ProtocolSwitched(Event, topic="project.protocol_switched"):
    """People may reach the project by a protocol, or not; servers are not held to it."""

    protocol: str
    enabled: bool


class MockPhoneAdded(Event, topic="project.mock_phone_added"):
    """A number that gets no messages and always the same code."""

    number: str
    otp: Personal[str]


class MockPhoneChanged(Event, topic="project.mock_phone_changed"):
    """The number's code is another one."""

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


class SmtpConfigured(Event, topic="project.smtp_configured"):
    """The project's mail leaves by this server and in this name, if ``enabled``. All of it is said again."""

    enabled: bool
    host: str = ""
    port: int = 587
    security: SmtpSecurity = ""
    username: Personal[str] = ""
    password: Personal[str] = ""
    sender_name: str = ""
    sender_email: Personal[str] = ""
    reply_to_name: str = ""
    reply_to_email: Personal[str] = ""


class SmtpTested(Event, topic="project.smtp_tested"):
    """A mail was sent to so many addresses to see whether it arrives."""

    recipients: int


class EmailTemplateChanged(Event, topic="project.email_template_changed"):
    """What one kind of mail says in one language, all of it. What is empty is as it would be without a template."""

    template: str
    locale: str
    subject: str = ""
    message: str = ""
    sender_name: str = ""
    sender_email: Personal[str] = ""
    reply_to_name: str = ""
    reply_to_email: Personal[str] = ""


class WebhookAdded(Event, topic="project.webhook_added"):
    """Somebody is told, by HTTP, of events of these names that come after a position of the log.

    The secret signs what they are told; a name and a password are shown to them if both are set.
    """

    webhook_id: str
    name: str
    url: Personal[str]
    events: tuple[str, ...]
    secret: Personal[str]
    position: int
    enabled: bool = True
    tls: bool = True
    auth_username: Personal[str] = ""
    auth_password: Personal[str] = ""
    format: WebhookFormat = "appwrite"


class WebhookChanged(Event, topic="project.webhook_changed"):
    """They are told of other events, elsewhere or otherwise. All of it is said again but for the secret."""

    webhook_id: str
    name: str
    url: Personal[str]
    events: tuple[str, ...]
    enabled: bool = True
    tls: bool = True
    auth_username: Personal[str] = ""
    auth_password: Personal[str] = ""
    format: WebhookFormat = "appwrite"


class WebhookSecretRotated(Event, topic="project.webhook_secret_rotated"):
    """What they are told is signed with another secret from now on."""

    webhook_id: str
    secret: Personal[str]


class WebhookRewound(Event, topic="project.webhook_rewound"):
    """They are told again, or only, what came after this position of the log."""

    webhook_id: str
    position: int


class WebhookDisabled(Event, topic="project.webhook_disabled"):
    """They did not take an event so many times that they are told nothing until somebody enables them again."""

    webhook_id: str
    attempts: int


class WebhookRemoved(Event, topic="project.webhook_removed"):
    """They are told nothing any more."""

    webhook_id: str


class DetailsForgotten(Event, topic="project.details_forgotten"):
    """It was time: the keys are destroyed of what came before a day (YYYY-MM-DD).

    ``origins``: IP addresses and user agents of all events; ``refusals``: what was typed, and from where, when somebody
    was refused.
    """

    destroys: ClassVar[bool] = True

    kind: DetailKind
    before: str


ProjectEvent: TypeAlias = (
    ProjectCreated
    | ProjectRenamed
    | LabelsReplaced
    | ApiKeyCreated
    | ApiKeyUpdated
    | ApiKeyUsed
    | ApiKeyDeleted
    | PlatformAdded
    | PlatformChanged
    | PlatformRemoved
    | PolicyChanged
    | DetailsForgotten
    | AuthMethodSwitched
    | ServiceSwitched
    | ProtocolSwitched
    | MockPhoneAdded
    | MockPhoneChanged
    | MockPhoneRemoved
    | ProviderConfigured
    | SmtpConfigured
    | SmtpTested
    | EmailTemplateChanged
    | WebhookAdded
    | WebhookChanged
    | WebhookSecretRotated
    | WebhookRewound
    | WebhookDisabled
    | WebhookRemoved
)
