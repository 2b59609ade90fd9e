"""The rules a project has for its accounts, each with its default (contract: account, 1.8; cross-cutting, 15)."""

from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accounts_es.domain.event import JSONObject
from accounts_es.domain.values import MAX_SESSIONS, SESSION_SECONDS


class Policy(BaseModel):
    """One rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Switch(Policy):
    """A rule that holds or not."""

    enabled: bool = False


class Total(Policy):
    """A limit; 0: none."""

    total: int = Field(default=0, ge=0)


class Duration(Policy):
    """In seconds."""

    duration: int = Field(default=SESSION_SECONDS, ge=60, le=31_536_000)


class PasswordStrength(Policy):
    """What a new password must have."""

    min: int = Field(default=8, ge=8, le=256)
    uppercase: bool = False
    lowercase: bool = False
    number: bool = False
    symbols: bool = False


class MembershipPrivacy(Policy):
    """What members see of each other."""

    user_id: bool = False
    user_email: bool = False
    user_phone: bool = False
    user_name: bool = False
    user_mfa: bool = False
    user_accessed_at: bool = False


class MfaFactors(Policy):
    """The second factors that can be asked for."""

    totp: bool = True
    email: bool = True
    phone: bool = True
    custom: bool = False


class Retention(Policy):
    """After how many days something goes by itself; 0: never."""

    deleted_accounts: int = Field(default=0, ge=0, le=36_500)
    """Accounts are erased so long after their deletion."""
    refusals: int = Field(default=0, ge=0, le=36_500)
    """What was typed and where from, of refused sign-ins and denied requests."""
    origins: int = Field(default=0, ge=0, le=36_500)
    """IP addresses and user agents of all events."""


class Policies(BaseModel):
    """All rules. The wire calls them by the same names with hyphens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_limit: Total = Total()
    session_limit: Total = Total(total=MAX_SESSIONS)
    session_duration: Duration = Duration()
    session_alert: Switch = Switch()
    session_invalidation: Switch = Switch(enabled=True)
    password_history: Total = Total()
    password_dictionary: Switch = Switch()
    password_personal_data: Switch = Switch()
    password_strength: PasswordStrength = PasswordStrength()
    membership_privacy: MembershipPrivacy = MembershipPrivacy()
    mfa_factors: MfaFactors = MfaFactors()
    deny_aliased_email: Switch = Switch()
    deny_disposable_email: Switch = Switch()
    deny_free_email: Switch = Switch()
    deny_corporate_email: Switch = Switch()
    retention: Retention = Retention()

    def after(self, policy: str, settings: JSONObject) -> "Policies":
        """The rules with these settings of one of them changed; unchanged if there are no such settings (any more)."""
        now = self.model_dump(mode="json")
        try:
            return self.model_validate({**now, policy: {**now.get(policy, {}), **settings}})
        except ValidationError:
            return self


AuthMethod = Literal["email-password", "magic-url", "email-otp", "anonymous", "invites", "jwt", "phone"]
AUTH_METHODS: Final[tuple[str, ...]] = get_args(AuthMethod)
"""The ways to authenticate that can be switched off (contract: cross-cutting, 15)."""

SERVICES: Final = (
    "account",
    "avatars",
    "databases",
    "tablesdb",
    "locale",
    "health",
    "project",
    "storage",
    "teams",
    "users",
    "vcs",
    "sites",
    "functions",
    "proxy",
    "graphql",
    "migrations",
    "messaging",
    "advisor",
    "oauth2",
)
"""The services that can be switched off, also those that are not ours: clients list all of them."""
PROTOCOLS: Final = ("rest", "graphql", "websocket")
"""The ways to reach a project that can be switched off."""
