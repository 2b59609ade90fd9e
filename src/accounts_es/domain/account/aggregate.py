"""The state of an account and how each fact changes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from pydantic import JsonValue

from accounts_es.domain.account.events import (
    Accessed,
    AccountDeleted,
    AccountEvent,
    EmailVerificationRevoked,
    LabelAdded,
    LabelRemoved,
    NameChanged,
    PrefsUpdated,
    SessionCreated,
    SessionDeleted,
    SignedUp,
    TargetAdded,
    VerifiedEmail,
)
from accounts_es.domain.decider import Claim, Decider
from accounts_es.domain.errors import UserAlreadyExists
from accounts_es.domain.event import JSONObject


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in that is still good until ``expires_at``."""

    session_id: str
    provider: str
    provider_uid: str
    factors: tuple[str, ...]
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """An address the account can be reached at."""

    target_id: str
    provider_type: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Account:
    """What is true of an account after its events. ``exists`` is false before sign-up and after deletion."""

    exists: bool = False
    account_id: str = ""
    email: str | None = None
    phone: str | None = None
    name: str = ""
    password_hash: str | None = None
    active: bool = True
    email_verified: bool = False
    labels: tuple[str, ...] = ()
    prefs: JSONObject = field(default_factory=dict[str, JsonValue])
    sessions: Mapping[str, Session] = field(default_factory=dict[str, Session])
    targets: tuple[Target, ...] = ()
    registered_at: datetime | None = None
    accessed_at: datetime | None = None


def evolve(account: Account, event: AccountEvent, at: datetime) -> Account:
    """The account after one more fact."""
    match event:
        case SignedUp():
            return Account(
                exists=True,
                account_id=event.account_id,
                email=event.email,
                phone=event.phone,
                name=event.name,
                password_hash=event.password_hash,
                registered_at=at,
                accessed_at=at,
            )
        case TargetAdded():
            target = Target(event.target_id, event.provider_type, event.identifier)
            return replace(account, targets=(*account.targets, target))
        case SessionCreated():
            session = Session(event.session_id, event.provider, event.provider_uid, event.factors, at, event.expires_at)
            return replace(account, sessions={**account.sessions, event.session_id: session})
        case SessionDeleted():
            rest = {key: each for key, each in account.sessions.items() if key != event.session_id}
            return replace(account, sessions=rest)
        case NameChanged():
            return replace(account, name=event.name)
        case PrefsUpdated():
            return replace(account, prefs=event.prefs)
        case LabelAdded():
            return replace(account, labels=(*account.labels, event.label))
        case LabelRemoved():
            return replace(account, labels=tuple(each for each in account.labels if each != event.label))
        case VerifiedEmail():
            return replace(account, email_verified=True)
        case EmailVerificationRevoked():
            return replace(account, email_verified=False)
        case Accessed():
            return replace(account, accessed_at=at)
        case AccountDeleted():
            return Account()
        case _:
            assert_never(event)


def claims(account: Account) -> frozenset[Claim]:
    """The values no other account of the project may hold."""
    if not account.exists:
        return frozenset()
    held = {Claim("account.id", account.account_id)}
    if account.email:
        held.add(Claim("account.email", account.email))
    if account.phone:
        held.add(Claim("account.phone", account.phone))
    return frozenset(held)


ACCOUNT: Decider[Account, AccountEvent] = Decider(
    category="account",
    initial=Account(),
    evolve=evolve,
    claims=claims,
    taken={
        "account.id": UserAlreadyExists,
        "account.email": UserAlreadyExists,
        "account.phone": UserAlreadyExists,
    },
)
