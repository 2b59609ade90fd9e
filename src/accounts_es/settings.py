"""What an operator may set: environment variables ``ACCOUNTS_*``, read here and nowhere else."""

import json
import re
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    SecretStr,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

SERVER_VERSION: Final = "1.9.6"
"""The level of the wire contract this server speaks; every error body says so."""


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        ip_network(value)
    return values


def _headers(value: SecretStr) -> SecretStr:
    try:
        TypeAdapter(dict[str, str]).validate_json(value.get_secret_value())
    except ValueError:
        raise ValueError("it is no JSON object of texts") from None  # the original says what was in it
    return value


def _body(value: str) -> str:
    if not {"{to}", "{message}"} <= set(re.findall(r"\{\w+\}", value)):
        raise ValueError("it must hold {to} and {message}")
    with suppress(ValueError):
        json.loads(value)
        return value
    if value.lstrip().startswith(("{", "[")):
        raise ValueError("it is neither JSON nor a form")
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Lists are comma-separated. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="ACCOUNTS_", frozen=True, extra="ignore")

    data: Path = Path(".data")
    """Folder of the embedded database, the keys and the first credentials."""
    database_url: str | None = None
    """A PostgreSQL of your own (15 or newer) instead of the embedded one."""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    public_url: str | None = None
    """Where clients reach the server, when a proxy stands in front of it."""
    trusted_hosts: Names = ("localhost",)
    """Hosts whose pages may call every project, besides the platforms of the project itself."""
    trusted_proxies: Annotated[Names, AfterValidator(_networks)] = ("127.0.0.0/8", "::1/128")
    """Networks whose ``X-Forwarded-*`` headers are believed."""
    reachable_networks: Annotated[Names, AfterValidator(_networks)] = ()
    """Networks that are not public and that what projects name (mail servers, OpenID providers, webhooks) may be in
    nevertheless."""
    hash_memory_kib: int = Field(default=19456, ge=7168)
    hash_iterations: int = Field(default=2, ge=1)
    hash_lanes: int = Field(default=1, ge=1)
    """Argon2id; the defaults are the floor of OWASP ASVS 5.0, appendix C (V11.4.2)."""
    hash_workers: int = Field(default=2, ge=1)
    """Passwords hashed at the same time by each worker; each takes ``hash_memory_kib``."""
    hash_patience: float = Field(default=10.0, gt=0)
    """How long a sign-in may wait for its turn before it is answered 503."""
    even_answers: float = Field(default=0.1, ge=0)
    """Answers that could tell by their time whether somebody has an account leave at the next multiple of this after
    their request came (ASVS V6.3.8). Longer than the work behind them; 0: as soon as they are ready."""
    rate_limits: bool = True
    """Whether requests are counted, and refused beyond the limits of their operations."""
    sockets: int = Field(default=10_000, ge=1)
    """Realtime sockets of each worker; more are answered 429 before they open."""
    sockets_per_address: int = Field(default=500, ge=1)
    sockets_per_account: int = Field(default=100, ge=1)
    """The same from one address (of IPv6: one network), and of one account."""
    reuse_port: bool = False
    """Whether servers on one machine share a port (SO_REUSEPORT), so that one can take over from another."""
    smtp_host: str | None = None
    """The server that takes mail. Without one, mail lands as files in the folder ``outbox`` of ``data``."""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca_file: FilePath | None = None
    """Certificates to trust besides those of the system."""
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout: float = Field(default=20.0, gt=0)
    mail_from: Annotated[str, Field(pattern=r"^[!-;=?A-~]+@[!-;=?A-~]+$")] = "accounts@localhost"
    mail_from_name: str = "accounts-es"
    mail_reply_to: str | None = None
    sms_url: str | None = Field(default=None, pattern="^https?://")
    """Where a provider takes text messages by HTTP. Without one, they land as files as well."""
    sms_method: Literal["POST", "PUT", "GET"] = "POST"
    sms_body: Annotated[str, AfterValidator(_body)] = '{"to": "{to}", "from": "{from}", "message": "{message}"}'
    """What is sent: JSON, or a form (``To={to}&From={from}&Body={message}``), with the values put in and escaped. With
    ``GET`` the same goes into the query of the URL."""
    sms_headers: Annotated[SecretStr, AfterValidator(_headers)] = SecretStr("{}")
    """A JSON object of headers, such as ``Authorization``."""
    sms_username: str | None = None
    sms_password: SecretStr | None = None
    """For providers that know us by basic authentication."""
    sms_from: str = ""
    sms_timeout: float = Field(default=20.0, gt=0)
    mock_providers: bool = False
    """Whether this server plays the OAuth2 providers ``mock`` and ``mock-unverified``. For tests only: they let anybody
    in."""
    provider_timeout: float = Field(default=5.0, gt=0)
    """How long an OAuth2 or OpenID provider may take for each answer."""
    tell_unknown: bool = False
    """Whether recovery says that nobody has an address (404, as Appwrite does) instead of answering alike. API keys are
    always told."""
    trust_unverified: bool = False
    """Whether somebody who is let in by a mail for the first time shares the account with whoever made it before (as in
    Appwrite), instead of having it alone."""
    private_sign_up: bool = False
    """Whether signing up with somebody's address looks as if it had worked, instead of being refused (409, as Appwrite
    does): then nobody learns who has an account."""
    jwt_algorithm: Literal["HS256", "ES256"] = "HS256"
    """How ``createJWT`` signs: as Appwrite does, or so that other services can check it with the project's public keys.
    Both are taken."""
    checkpoint_seconds: float = Field(default=10.0, gt=0)
    """The log is signed as it grows, at most once in this time."""
    checkpoint_url: str | None = Field(default=None, pattern="^https?://")
    """Where signed checkpoints are posted as well, besides the folder ``checkpoints`` of ``data``."""
    checkpoint_mail: str | None = Field(default=None, pattern=r"^[!-;=?A-~]+@[!-;=?A-~]+$")
    """Whom the newest checkpoint is mailed to, by the server of ``smtp_host``."""
    checkpoint_mail_seconds: float = Field(default=86_400.0, gt=0)
    """At most one such mail in this time, and none when nothing happened."""
    webhook_timeout: float = Field(default=15.0, gt=0)
    """How long a webhook may take for an answer."""
    webhook_attempts: int = Field(default=10, ge=1)
    """Attempts in a row that a webhook may let fail before it is disabled."""
    webhook_pause: float = Field(default=5.0, gt=0)
    """How long is waited after the first of them; the next pauses double, up to a quarter of an hour."""
    erasure_folder: Path | None = None
    """Where certificates of erasure are kept, outside of the database and its backups: a restored backup erases those
    again who are named there. The folder ``erasures`` of ``data`` unless given."""
    refusals_recorded: int = Field(default=300, ge=1)
    """Refusals of one kind that are recorded one by one for each project, minute and worker; more are counted."""
    metrics_token: SecretStr | None = Field(default=None, min_length=16)
    """Who may read ``/metrics`` sends it as a bearer token. Without it there are none."""
    log_level: str = "INFO"

    @property
    def certificates(self) -> Path:
        """Where certificates of erasure are kept."""
        return self.erasure_folder if self.erasure_folder is not None else self.data / "erasures"

    @property
    def issuer(self) -> str:
        """Who signs, in the tokens that others may check: where clients reach the server, as far as settings tell."""
        return (self.public_url or f"http://{self.host}:{self.port}/v1").rstrip("/")

    @field_validator("checkpoint_mail")
    @classmethod
    def _can_be_mailed(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("smtp_host") is None:
            raise ValueError("checkpoints are mailed by ACCOUNTS_SMTP_HOST, which is not set")
        return value

    @property
    def own_hosts(self) -> tuple[str, ...]:
        """The hosts whose pages may call every project: those set, and the server's own."""
        own = urlsplit(self.public_url).hostname if self.public_url is not None else None
        return (*self.trusted_hosts, own) if own is not None else self.trusted_hosts
