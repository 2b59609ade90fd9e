"""What an operator may set: environment variables ``ACCOUNTS_*``, read here and nowhere else."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

SERVER_VERSION: Final = "1.9.6"
"""The level of the wire contract this server speaks; every error body says so."""


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        ip_network(value)
    return values


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
    log_level: str = "INFO"
