"""Whoever proves an address is alone in the account: nobody waits in it who made it before (docs/decisions/0015)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts_es.domain.account import commands
from accounts_es.domain.account.events import (
    AccountEvent,
    AuthenticatorAdded,
    AuthenticatorRemoved,
    AuthenticatorVerified,
    IdentityLinked,
    IdentityRemoved,
    MfaSwitchedOff,
    MfaSwitchedOn,
    PasswordChanged,
    PasswordRevoked,
    PhoneChanged,
    RecoveryCodesGenerated,
    SessionCreated,
    SessionDeleted,
    TargetAdded,
    TargetRemoved,
    TokenIssued,
    TokenPurpose,
    TokenRedeemed,
    VerifiedEmail,
    VerifiedPhone,
)
from tests.support.examples import DIGEST, NOON, signed_up
from tests.support.given_when_then import account

LATER = NOON + timedelta(days=1)
WALTERS = signed_up.model_copy(update={"phone": None})


def session(session_id: str) -> SessionCreated:
    return SessionCreated(
        session_id=session_id, secret_hash=DIGEST, provider="email", factors=("password",), expires_at=LATER
    )


def identity(identity_id: str, email: str, *, verified: bool) -> IdentityLinked:
    return IdentityLinked(
        identity_id=identity_id, provider="github", provider_uid=identity_id, provider_email=email,
        provider_email_verified=verified, access_token="", refresh_token="", access_token_expires_at=None,
    )  # fmt: skip


def token(purpose: TokenPurpose) -> TokenIssued:
    return TokenIssued(token_id="t", purpose=purpose, secret_hash="digest", expires_at=LATER)


MADE_BEFORE: tuple[AccountEvent, ...] = (
    session("a"),
    session("b"),
    PhoneChanged(phone="+4930901820"),
    VerifiedPhone(),
    TargetAdded(target_id="sms", provider_type="sms", identifier="+4930901820", name="", provider_id=None),
    identity("mallory", "mallory@example.org", verified=True),
    identity("said", "walter@example.org", verified=False),
    identity("walter", "walter@example.org", verified=True),
    AuthenticatorAdded(secret="seed"),
    AuthenticatorVerified(step=1),
    RecoveryCodesGenerated(codes=("one", "two")),
)
GONE: tuple[AccountEvent, ...] = (
    PasswordRevoked(),
    SessionDeleted(session_id="a", reason="address_proved"),
    SessionDeleted(session_id="b", reason="address_proved"),
    IdentityRemoved(identity_id="mallory"),
    IdentityRemoved(identity_id="said"),
    PhoneChanged(phone=None),
    TargetRemoved(target_id="sms"),
    AuthenticatorRemoved(),
    RecoveryCodesGenerated(codes=()),
)
OPENING: dict[str, Any] = {"secret_hash": "digest", "now": NOON, "session_id": "s", "session_secret_hash": DIGEST}


def opened(decided: Any) -> tuple[AccountEvent, ...]:
    return tuple(each for each in decided if not isinstance(each, SessionCreated))


def sign_in(*facts: AccountEvent, purpose: TokenPurpose = "magic-url", **more: Any) -> Any:
    story = account.given(WALTERS, *facts, token(purpose))
    return story.when(commands.sign_in_with_token, **OPENING, expires_at=LATER, **more)


def facts_of(decision: Any) -> tuple[AccountEvent, ...]:
    return opened(decision.decide(decision.story.state))


REDEEMED = TokenRedeemed(token_id="t")


@pytest.mark.parametrize("purpose", ["magic-url", "email-otp"])
def test_who_signs_in_by_mail_first_has_the_account_alone(purpose: TokenPurpose) -> None:
    assert facts_of(sign_in(*MADE_BEFORE, purpose=purpose, limit=1)) == (REDEEMED, *GONE, VerifiedEmail())


def test_the_owner_chooses_a_password_without_the_one_that_was_there() -> None:
    story = account.given(WALTERS, PasswordRevoked(), VerifiedEmail())
    assert story.state.password_hash is None
    story.when(commands.change_password, password_hash="mine", by_owner=True).then(
        PasswordChanged(password_hash="mine")
    )


def test_nothing_is_taken_from_who_verified_the_address_before() -> None:
    assert facts_of(sign_in(*MADE_BEFORE, VerifiedEmail())) == (REDEEMED,)


def test_what_does_not_prove_the_address_takes_nothing_away() -> None:
    assert facts_of(sign_in(*MADE_BEFORE, purpose="custom")) == (REDEEMED,)
    assert facts_of(sign_in(*MADE_BEFORE, purpose="phone")) == (REDEEMED,)
    verifying = account.given(WALTERS, *MADE_BEFORE, token("verification"))
    verifying.when(commands.verify_email_with_token, purpose="verification", secret_hash="digest", now=NOON).then(
        REDEEMED, VerifiedEmail()
    )


def test_where_a_second_factor_is_asked_for_mail_alone_takes_nothing_away() -> None:
    assert facts_of(sign_in(*MADE_BEFORE, MfaSwitchedOn())) == (REDEEMED, VerifiedEmail())


def test_a_second_factor_that_could_never_be_asked_for_is_none() -> None:
    assert facts_of(sign_in(MfaSwitchedOn())) == (REDEEMED, PasswordRevoked(), MfaSwitchedOff(), VerifiedEmail())


def test_a_server_may_leave_it_as_it_was() -> None:
    assert facts_of(sign_in(*MADE_BEFORE, evict=False)) == (REDEEMED, VerifiedEmail())


@pytest.mark.parametrize("end_sessions", [True, False])
def test_recovery_proves_the_address_as_well_and_leaves_sessions_where_the_project_does(*, end_sessions: bool) -> None:
    story = account.given(WALTERS, *MADE_BEFORE, token("recovery"))
    left = () if end_sessions else ("a", "b")
    gone = [each for each in GONE if getattr(each, "session_id", None) not in left]
    story.when(
        commands.recover_password, purpose="recovery", secret_hash="digest", now=NOON, password_hash="new",
        end_sessions=end_sessions,
    ).then(REDEEMED, *gone, VerifiedEmail(), PasswordChanged(password_hash="new"))  # fmt: skip


def follow(session_id: str | None, expires_at: datetime | None = LATER) -> Any:
    return account.given(WALTERS, *MADE_BEFORE).when(
        commands.follow_invitation,
        way="email", address="walter@example.org", session_id=session_id, secret_hash=DIGEST, expires_at=expires_at,
    )  # fmt: skip


def test_an_invitation_that_lets_somebody_in_does_and_one_to_somebody_signed_in_does_not() -> None:
    assert facts_of(follow("s")) == (*GONE, VerifiedEmail())
    assert facts_of(follow(None)) == (VerifiedEmail(),)
