"""How an account begins."""

import copy
from collections.abc import Iterator, Sequence
from datetime import datetime

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.events import (
    AccountBlocked,
    AccountEvent,
    LabelAdded,
    PrefsUpdated,
    SessionCreated,
    SignedUp,
    TargetAdded,
    VerifiedEmail,
    VerifiedPhone,
)
from accounts_es.domain.errors import UserAlreadyExists
from accounts_es.domain.event import JSONObject


def sign_up(
    account: Account,
    *,
    account_id: str,
    email: str | None = None,
    phone: str | None = None,
    name: str = "",
    password_hash: str | None = None,
    email_target_id: str = "",
    phone_target_id: str = "",
    email_verified: bool = False,
) -> Iterator[AccountEvent]:
    """Begin an account; each address given becomes a target as well (contract: account, 2.1)."""
    if account.exists:
        raise UserAlreadyExists
    yield SignedUp(account_id=account_id, email=email, phone=phone, name=name, password_hash=password_hash)
    if email:
        yield TargetAdded(target_id=email_target_id, provider_type="email", identifier=email)
    if phone:
        yield TargetAdded(target_id=phone_target_id, provider_type="sms", identifier=phone)
    if email_verified:
        yield VerifiedEmail()


def bring_along(
    account: Account,
    *,
    account_id: str,
    email: str | None = None,
    phone: str | None = None,
    name: str = "",
    password_hash: str | None = None,
    email_target_id: str = "",
    phone_target_id: str = "",
    email_verified: bool = False,
    phone_verified: bool = False,
    active: bool = True,
    labels: Sequence[str] = (),
    prefs: JSONObject | None = None,
) -> Iterator[AccountEvent]:
    """Begin an account as another system knew it; one that is here already is no event."""
    if account.exists:
        return
    yield from sign_up(
        account,
        account_id=account_id,
        email=email,
        phone=phone,
        name=name,
        password_hash=password_hash,
        email_target_id=email_target_id,
        phone_target_id=phone_target_id,
        email_verified=email_verified,
    )
    if phone_verified:
        yield VerifiedPhone()
    for label in dict.fromkeys(labels):
        yield LabelAdded(label=label)
    if prefs:
        yield PrefsUpdated(prefs=copy.deepcopy(prefs))
    if not active:
        yield AccountBlocked()


def sign_up_anonymously(
    account: Account, *, account_id: str, session_id: str, secret_hash: str, expires_at: datetime
) -> Iterator[AccountEvent]:
    """Begin an account that is nothing but a session (contract: account, 2.2)."""
    if account.exists:
        raise UserAlreadyExists
    yield SignedUp(account_id=account_id)
    yield SessionCreated(
        session_id=session_id,
        secret_hash=secret_hash,
        provider="anonymous",
        factors=("anonymous",),
        expires_at=expires_at,
    )
