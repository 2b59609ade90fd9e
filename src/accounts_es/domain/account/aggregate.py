"""The state of an account and how each fact changes it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar, assert_never

from accounts_es.domain.account import events
from accounts_es.domain.account.events import AccountEvent, Factor, TokenPurpose
from accounts_es.domain.decider import Claim, Decider
from accounts_es.domain.errors import UserAlreadyExists, UserTargetAlreadyExists
from accounts_es.domain.event import JSONObject

MAX_PASSWORDS_KEPT = 20
"""Contract 1.8: the longest password history a project may ask for."""


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in that is still good until ``expires_at``."""

    session_id: str
    provider: str
    provider_uid: str
    factors: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    factor_shown_at: datetime | None = None
    """When a second factor was last shown in this session."""
    provider_access_token: str = ""
    provider_refresh_token: str = ""
    provider_access_token_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """An address the account can be reached at."""

    target_id: str
    provider_type: str
    identifier: str
    name: str = ""
    provider_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A one-time secret that was not shown yet."""

    token_id: str
    purpose: TokenPurpose
    secret_hash: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Challenge:
    """A second factor that is being asked for."""

    challenge_id: str
    factor: Factor
    code_hash: str
    code: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A source of time-based codes. Codes of ``used_step`` and before are spent."""

    secret: str
    verified: bool = False
    used_step: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """An account at a provider that opens this one."""

    identity_id: str
    provider: str
    provider_uid: str
    provider_email: str
    provider_email_verified: bool
    access_token: str
    refresh_token: str
    access_token_expires_at: datetime | None


_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class Account(NamedTuple):
    """What is true of an account after its events. ``exists`` is false before sign-up and after deletion.

    A tuple, unlike other states: every change of an account is folded once, and ``dataclasses.replace`` takes 7 us
    where ``_replace`` takes 1.
    """

    exists: bool = False
    deleted: bool = False
    held: bool = False
    """Whether a legal hold keeps it from being erased, before and after deletion."""
    erased: bool = False
    account_id: str = ""
    email: str | None = None
    phone: str | None = None
    name: str = ""
    password_hash: str | None = None
    passwords: tuple[str, ...] = ()
    """The hashes of the passwords it had, oldest first, the present one last."""
    password_chosen: bool = False
    """Whether its owner (or a server) ever set a password."""
    active: bool = True
    email_verified: bool = False
    phone_verified: bool = False
    labels: tuple[str, ...] = ()
    prefs: JSONObject = {}  # noqa: RUF012 - nobody changes it
    sessions: Mapping[str, Session] = _NONE
    targets: tuple[Target, ...] = ()
    tokens: Mapping[str, Token] = _NONE
    mfa: bool = False
    authenticator: Authenticator | None = None
    recovery_codes: tuple[str, ...] = ()
    recovery_codes_used: frozenset[int] = frozenset()
    challenges: Mapping[str, Challenge] = _NONE
    identities: Mapping[str, Identity] = _NONE
    impersonator: bool = False
    registered_at: datetime | None = None
    accessed_at: datetime | None = None

    @property
    def recovery_codes_left(self) -> tuple[str, ...]:
        """The recovery codes that are not spent."""
        return tuple(code for nth, code in enumerate(self.recovery_codes) if nth not in self.recovery_codes_used)


SENT_TO: Final[Mapping[TokenPurpose, str]] = {
    "magic-url": "email",
    "email-otp": "email",
    "recovery": "email",
    "recovery-otp": "email",
    "verification": "email",
    "verification-otp": "email",
    "phone": "phone",
}
"""The address a one-time secret proves. It is good for nothing once the account has another."""


K = TypeVar("K")
V = TypeVar("V")


def _without_secrets(account: Account, address: str) -> Account:
    """The account without the secrets that were sent to an address it no longer has."""
    return account._replace(
        tokens={key: token for key, token in account.tokens.items() if SENT_TO.get(token.purpose) != address},
        challenges={key: each for key, each in account.challenges.items() if each.factor != address},
    )


def evolve(account: Account, event: AccountEvent, at: datetime) -> Account:  # noqa: PLR0915 - one case per fact
    """The account after one more fact."""
    match event:
        case events.SignedUp():
            return Account(
                exists=True,
                account_id=event.account_id,
                email=event.email,
                phone=event.phone,
                name=event.name,
                password_hash=event.password_hash,
                passwords=(event.password_hash,) if event.password_hash else (),
                password_chosen=event.password_hash is not None,
                held=account.held,
                registered_at=at,
                accessed_at=at,
            )
        case events.NameChanged():
            return account._replace(name=event.name)
        case events.EmailChanged():
            return _without_secrets(account, "email")._replace(email=event.email, email_verified=False)
        case events.PhoneChanged():
            return _without_secrets(account, "phone")._replace(phone=event.phone, phone_verified=False)
        case events.PasswordChanged():
            kept = (*account.passwords, event.password_hash) if event.password_hash else account.passwords
            return account._replace(
                password_hash=event.password_hash,
                passwords=kept[-MAX_PASSWORDS_KEPT:],
                password_chosen=True,
            )
        case events.PasswordRevoked():
            return account._replace(password_hash=None, passwords=(), password_chosen=False)
        case events.PasswordRehashed():
            if event.password_hash is None:
                return account._replace(password_hash=None)
            passwords = (*account.passwords[:-1], event.password_hash)
            return account._replace(password_hash=event.password_hash, passwords=passwords)
        case events.PrefsUpdated():
            return account._replace(prefs=event.prefs)
        case events.LabelAdded():
            return account._replace(labels=(*account.labels, event.label))
        case events.LabelRemoved():
            return account._replace(labels=tuple(each for each in account.labels if each != event.label))
        case events.AccountBlocked():
            return account._replace(active=False)
        case events.AccountUnblocked():
            return account._replace(active=True)
        case events.VerifiedEmail():
            return account._replace(email_verified=True)
        case events.EmailVerificationRevoked():
            return account._replace(email_verified=False)
        case events.VerifiedPhone():
            return account._replace(phone_verified=True)
        case events.PhoneVerificationRevoked():
            return account._replace(phone_verified=False)
        case events.TargetAdded():
            added = Target(
                event.target_id, event.provider_type, event.identifier, event.name, event.provider_id, event.session_id
            )
            return account._replace(targets=(*account.targets, added))
        case events.TargetChanged():
            changed = tuple(
                replace(each, identifier=event.identifier, name=event.name, provider_id=event.provider_id)
                if each.target_id == event.target_id
                else each
                for each in account.targets
            )
            return account._replace(targets=changed)
        case events.TargetRemoved():
            return account._replace(targets=tuple(t for t in account.targets if t.target_id != event.target_id))
        case events.SessionCreated():
            session = Session(
                event.session_id,
                event.provider,
                event.provider_uid,
                event.factors,
                at,
                event.expires_at,
                None,
                event.provider_access_token,
                event.provider_refresh_token,
                event.provider_access_token_expires_at,
            )
            return account._replace(sessions={**account.sessions, event.session_id: session})
        case events.SessionExtended():
            return _with_session(account, event.session_id, expires_at=event.expires_at)
        case events.SessionTokensRenewed():
            return _with_tokens(account, event)
        case events.SessionDeleted():
            targets = tuple(each for each in account.targets if each.session_id != event.session_id)
            return account._replace(sessions=_without(account.sessions, event.session_id), targets=targets)
        case events.TokenIssued():
            token = Token(event.token_id, event.purpose, event.secret_hash, event.expires_at)
            # Those that nobody can redeem any more need not be carried along.
            fresh = {key: each for key, each in account.tokens.items() if each.expires_at > at}
            return account._replace(tokens={**fresh, event.token_id: token})
        case events.TokenRedeemed():
            return account._replace(tokens=_without(account.tokens, event.token_id))
        case events.MfaSwitchedOn():
            return account._replace(mfa=True)
        case events.MfaSwitchedOff():
            return account._replace(mfa=False)
        case events.AuthenticatorAdded():
            return account._replace(authenticator=Authenticator(event.secret))
        case events.AuthenticatorVerified():
            return _with_authenticator(account, verified=True, used_step=event.step)
        case events.AuthenticatorUsed():
            return _with_authenticator(account, used_step=event.step)
        case events.AuthenticatorRemoved():
            return account._replace(authenticator=None)
        case events.RecoveryCodesGenerated():
            return account._replace(recovery_codes=event.codes, recovery_codes_used=frozenset())
        case events.RecoveryCodeUsed():
            return account._replace(recovery_codes_used=account.recovery_codes_used | {event.number})
        case events.ChallengeCreated():
            challenge = Challenge(event.challenge_id, event.factor, event.code_hash, event.code, at, event.expires_at)
            open_ones = {key: each for key, each in account.challenges.items() if each.expires_at > at}
            return account._replace(challenges={**open_ones, event.challenge_id: challenge})
        case events.ChallengePassed():
            passed = account._replace(challenges=_without(account.challenges, event.challenge_id))
            return _with_factor(passed, event.session_id, event.factor, shown_at=at)
        case events.SessionFactorAdded():
            return _with_factor(account, event.session_id, event.factor)
        case events.IdentityLinked():
            identity = Identity(
                event.identity_id,
                event.provider,
                event.provider_uid,
                event.provider_email,
                event.provider_email_verified,
                event.access_token,
                event.refresh_token,
                event.access_token_expires_at,
            )
            return account._replace(identities={**account.identities, event.identity_id: identity})
        case events.IdentityRemoved():
            return account._replace(identities=_without(account.identities, event.identity_id))
        case events.ImpersonatorAppointed():
            return account._replace(impersonator=True)
        case events.ImpersonatorDismissed():
            return account._replace(impersonator=False)
        case events.Accessed():
            return account._replace(accessed_at=at)
        case events.AccountDeleted():
            return Account(deleted=True, held=account.held)
        case events.LegalHoldPlaced():
            return account._replace(held=True)
        case events.LegalHoldLifted():
            return account._replace(held=False)
        case events.AccountErased():
            return Account(deleted=True, erased=True)
        case _:
            assert_never(event)


def _without(mapping: Mapping[K, V], key: K) -> Mapping[K, V]:
    return {each: value for each, value in mapping.items() if each != key}


def _with_session(account: Account, session_id: str, *, expires_at: datetime) -> Account:
    session = account.sessions.get(session_id)
    if session is None:
        return account
    return account._replace(sessions={**account.sessions, session_id: replace(session, expires_at=expires_at)})


def _with_tokens(account: Account, event: events.SessionTokensRenewed) -> Account:
    session = account.sessions.get(event.session_id)
    if session is None:
        return account
    renewed = replace(
        session,
        provider_access_token=event.access_token,
        provider_refresh_token=event.refresh_token,
        provider_access_token_expires_at=event.access_token_expires_at,
    )
    return account._replace(sessions={**account.sessions, event.session_id: renewed})


def _with_factor(account: Account, session_id: str, factor: str, *, shown_at: datetime | None = None) -> Account:
    session = account.sessions.get(session_id)
    if session is None:
        return account
    factors = session.factors if factor in session.factors else (*session.factors, factor)
    stronger = replace(session, factors=factors, factor_shown_at=shown_at or session.factor_shown_at)
    return account._replace(sessions={**account.sessions, session_id: stronger})


def _with_authenticator(account: Account, *, used_step: int, verified: bool | None = None) -> Account:
    if account.authenticator is None:
        return account
    is_verified = account.authenticator.verified if verified is None else verified
    return account._replace(authenticator=replace(account.authenticator, verified=is_verified, used_step=used_step))


def identity_uid(provider: str, provider_uid: str) -> str:
    """The value an identity claims: nobody else may be the same person at the same provider."""
    return f"{provider}\x1f{provider_uid}"


def holding(
    account: Account,
) -> tuple[bool, str, str | None, str | None, tuple[Target, ...], Mapping[str, Identity]]:
    """What the claims of an account are made of, and nothing else."""
    return account.exists, account.account_id, account.email, account.phone, account.targets, account.identities


def claims(account: Account) -> frozenset[Claim]:
    """The values no other account of the project may hold.

    An e-mail address belongs to one account, be it as its own address or as that of one of its identities.
    """
    exists, account_id, email, phone, targets, identities = holding(account)
    if not exists:
        return frozenset()
    held = {Claim("account.id", account_id)}
    if email:
        held.add(Claim("account.email", email))
    if phone:
        held.add(Claim("account.phone", phone))
    for target in targets:
        held.add(Claim("account.target_id", target.target_id))
        held.add(Claim("account.target", target.identifier))
    for identity in identities.values():
        held.add(Claim("account.identity", identity_uid(identity.provider, identity.provider_uid)))
        if identity.provider_email:
            held.add(Claim("account.email", identity.provider_email))
    return frozenset(held)


ACCOUNT: Decider[Account, AccountEvent] = Decider(
    category="account",
    initial=Account(),
    evolve=evolve,
    claims=claims,
    holding=holding,
    taken={
        "account.id": UserAlreadyExists,
        "account.email": UserAlreadyExists,
        "account.phone": UserAlreadyExists,
        "account.target": UserTargetAlreadyExists,
        "account.target_id": UserTargetAlreadyExists,
        "account.identity": UserAlreadyExists,
    },
)
