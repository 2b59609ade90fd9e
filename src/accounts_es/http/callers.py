"""Who calls: guest, somebody with a session, or a server with a key (contract: cross-cutting, 3)."""

from dataclasses import dataclass
from typing import Final, Literal

from accounts_es.adapters.ids import fingerprint, now
from accounts_es.adapters.jwts import JwtBroken, JwtExpired, Jwts
from accounts_es.domain.errors import ProjectIdMissing, ProjectKeyExpired, UserJwtInvalid, UserUnauthorized
from accounts_es.domain.event import Actor
from accounts_es.domain.project import Grant
from accounts_es.eventstore.reads import Reads
from accounts_es.http.cookies import Credential
from projections import accounts, api_keys, sessions
from projections.accounts import AccountRow
from projections.api_keys import ApiKeyRow
from projections.sessions import SessionKey

GUEST_SCOPES: Final = frozenset({"global", "public", "sessions.write", "health.read", "access.read", "resources.read"})
USER_SCOPES: Final = GUEST_SCOPES | {
    "account",
    "teams.read",
    "teams.write",
    "targets.read",
    "targets.write",
    "resources.write",
}
KEY_SCOPES: Final = frozenset({"global", "health.read"})
"""What every key may do besides its own scopes."""

PERSONAL: Final = "events.read.personal"
"""What a key needs to see personal values in what happened, besides ``events.read``."""
ALL_KEY_SCOPES: Final = (
    "users.read",
    "users.write",
    "users.erase",
    "users.export",
    "sessions.read",
    "sessions.write",
    "teams.read",
    "teams.write",
    "targets.read",
    "targets.write",
    "keys.read",
    "keys.write",
    "project.read",
    "project.write",
    "project.policies.read",
    "project.policies.write",
    "project.oauth2.read",
    "project.oauth2.write",
    "policies.read",
    "policies.write",
    "platforms.read",
    "platforms.write",
    "mocks.read",
    "mocks.write",
    "templates.read",
    "templates.write",
    "webhooks.read",
    "webhooks.write",
    "resources.read",
    "resources.write",
    "access.read",
    "audit.read",
    "projections.read",
    "events.read",
    "reverts.write",
    PERSONAL,
    "health.read",
)
"""The scopes a key can be given. ``policies.*`` is the old name of ``project.policies.*``."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls and what they may do. An account comes with its session, or with a JWT and without one."""

    kind: Literal["guest", "session", "jwt", "key"]
    scopes: frozenset[str]
    actor: Actor
    account: AccountRow | None = None
    session: SessionKey | None = None
    key: ApiKeyRow | None = None
    """The key, or the one an ephemeral key was made with."""
    impersonator: AccountRow | None = None
    """Who really calls, when ``account`` is whom they act as."""
    grant: Grant | None = None
    """What a key may give to others: its own scopes, for as long as it is good."""

    @property
    def sees_personal(self) -> bool:
        """Whether events are shown to it with their personal values."""
        return PERSONAL in self.scopes

    def describe(self, project_id: str) -> str:
        """How the contract names a caller in a scope refusal (users-teams, 4.2)."""
        if self.kind == "key":
            return f"app.{project_id}@service (role: applications)"
        if self.account is not None:
            return f"{self.account.email or 'User'} (role: users)"
        return "User (role: guests)"


GUEST: Final = Caller("guest", GUEST_SCOPES, Actor(kind="guest"))


async def caller_with_session(reads: Reads, project_id: str, credential: Credential) -> Caller | None:
    """The caller a session credential stands for; nothing if it is unknown, expired or of another project."""
    by_secret = sessions.find_by_secret_hash(reads, fingerprint(credential.secret))
    by_id = accounts.find(reads, project_id, credential.account_id)
    session, account = await by_secret, await by_id
    if session is None or account is None or session.stream != account.stream or session.expires_at <= now():
        return None
    return Caller("session", USER_SCOPES, Actor(kind="account", id=account.stream), account, session)


async def caller_with_jwt(reads: Reads, project_id: str, jwts: Jwts, text: str) -> Caller:
    """The caller a JWT stands for; a guest when its session is gone. Raises `UserJwtInvalid`."""
    try:
        claims = jwts.read(project_id, text)
    except JwtBroken as broken:
        raise UserJwtInvalid(f"Failed to verify JWT. {broken}") from None
    account = await accounts.find(reads, project_id, claims.account_id)
    if account is None:
        return GUEST
    if claims.session_id:
        session = await sessions.find(reads, account.stream, claims.session_id)
        if session is None or session.expires_at <= now():
            return GUEST
    return Caller("jwt", USER_SCOPES, Actor(kind="account", id=account.stream), account)


async def caller_with_key(reads: Reads, project_id: str, jwts: Jwts, text: str, header_project: str | None) -> Caller:
    """The caller an API key stands for.

    Unknown kinds of keys and ephemeral keys of other projects are guests; an unknown standard key raises
    `UserUnauthorized`, an expired one `ProjectKeyExpired`, a key whose project was not named in the header
    `ProjectIdMissing`.
    """
    kind, underscore, token = text.partition("_")
    if underscore and kind in {"ephemeral", "dynamic"}:
        return await _caller_with_ephemeral_key(reads, project_id, jwts, token, header_project)
    if underscore and kind != "standard":
        return GUEST
    row = await api_keys.find_by_secret_hash(reads, fingerprint(text))
    if row is None or row.project_id != project_id:
        raise UserUnauthorized
    if row.expires_at is not None and row.expires_at <= now():
        raise ProjectKeyExpired
    if header_project != project_id:
        raise ProjectIdMissing
    return _key_caller(row, Grant.of(row.scopes, row.expires_at))


async def _caller_with_ephemeral_key(
    reads: Reads, project_id: str, jwts: Jwts, token: str, header_project: str | None
) -> Caller:
    """It opens nothing that the key it was made with does not open any more."""
    at = now()
    try:
        claims = jwts.read_key(project_id, token, at)
    except JwtExpired:
        raise ProjectKeyExpired from None
    except JwtBroken:
        return GUEST
    row = await api_keys.find(reads, project_id, claims.key_id)
    if row is None:
        return GUEST
    if row.expires_at is not None and row.expires_at <= at:
        raise ProjectKeyExpired
    if header_project != project_id:
        raise ProjectIdMissing
    return _key_caller(row, Grant.of(set(claims.scopes) & set(row.scopes), claims.expires_at))


def _key_caller(row: ApiKeyRow, grant: Grant) -> Caller:
    actor = Actor(kind="key", id=row.key_id)
    return Caller(
        "key", KEY_SCOPES | grant.scopes, actor, key=row, grant=grant._replace(scopes=KEY_SCOPES | grant.scopes)
    )
