"""What an account decides about its addresses, its password, its one-time secrets, targets and identities."""

from datetime import timedelta
from typing import Any

import pytest

from accounts_es.domain.account import commands
from accounts_es.domain.account.events import (
    AccountBlocked,
    AccountEvent,
    EmailChanged,
    IdentityLinked,
    IdentityRemoved,
    PasswordChanged,
    PasswordRehashed,
    PhoneChanged,
    SessionCreated,
    SessionDeleted,
    SessionExtended,
    SignedUp,
    TargetAdded,
    TargetChanged,
    TargetRemoved,
    TokenIssued,
    TokenPurpose,
    TokenRedeemed,
    VerifiedEmail,
    VerifiedPhone,
)
from accounts_es.domain.errors import (
    PasswordRecentlyUsed,
    Refusal,
    UserBlocked,
    UserEmailAlreadyVerified,
    UserEmailNotFound,
    UserIdentityNotFound,
    UserInvalidCredentials,
    UserInvalidToken,
    UserNotFound,
    UserPhoneAlreadyVerified,
    UserPhoneNotFound,
    UserSessionNotFound,
    UserTargetAlreadyExists,
    UserTargetNotFound,
)
from tests.support.examples import DIGEST, HASH, YEAR, identity_linked, signed_up
from tests.support.given_when_then import Story, account
from tests.support.metadata import NOON

LATER = NOON + YEAR
MAIL = TargetAdded(target_id="mail", provider_type="email", identifier="walter@example.org")
NOBODY = SignedUp(account_id="guest")


def session(session_id: str, provider: str = "email", factors: tuple[str, ...] = ("password",)) -> SessionCreated:
    return SessionCreated(
        session_id=session_id, secret_hash=DIGEST, provider=provider, factors=factors, expires_at=LATER
    )


def token(purpose: TokenPurpose, secret_hash: str = "digest", token_id: str = "t") -> TokenIssued:
    return TokenIssued(
        token_id=token_id, purpose=purpose, secret_hash=secret_hash, expires_at=NOON + timedelta(minutes=15)
    )


# Addresses ------------------------------------------------------------------------------------------------------------


def test_another_address_is_unverified_and_moves_its_target() -> None:
    after = (
        account.given(signed_up, MAIL, VerifiedEmail())
        .when(commands.change_email, email="w@example.org", target_id="new", by_owner=True, checked_password_hash=HASH)
        .then(
            EmailChanged(email="w@example.org"),
            TargetChanged(target_id="mail", identifier="w@example.org"),
        )
    )
    assert not after.state.email_verified


def test_an_owner_shows_the_password_for_another_address() -> None:
    story = account.given(signed_up)
    story.when(
        commands.change_email, email="w@example.org", target_id="t", by_owner=True, checked_password_hash="other"
    ).then_refused(UserInvalidCredentials)
    story.when(
        commands.change_phone, phone="+4930901829", target_id="t", by_owner=True, checked_password_hash=None
    ).then_refused(UserInvalidCredentials)


def test_an_anonymous_account_becomes_a_permanent_one_by_an_address_and_a_password() -> None:
    after = (
        account.given(NOBODY, session("s", "anonymous"))
        .when(commands.change_email, email="w@example.org", target_id="new", by_owner=True, new_password_hash=HASH)
        .then(
            PasswordChanged(password_hash=HASH),
            EmailChanged(email="w@example.org"),
            TargetAdded(target_id="new", provider_type="email", identifier="w@example.org"),
        )
    )
    assert (after.state.password_chosen, list(after.state.sessions)) == (True, ["s"])


def test_no_address_any_more_takes_the_target_along() -> None:
    account.given(signed_up, MAIL).when(commands.change_email, email=None, target_id="t").then(
        EmailChanged(email=None), TargetRemoved(target_id="mail")
    )


def test_another_number_is_unverified() -> None:
    after = (
        account.given(signed_up, VerifiedPhone())
        .when(commands.change_phone, phone="+4930901829", target_id="new")
        .then(
            PhoneChanged(phone="+4930901829"),
            TargetAdded(target_id="new", provider_type="sms", identifier="+4930901829"),
        )
    )
    assert not after.state.phone_verified


# Password -------------------------------------------------------------------------------------------------------------


def test_an_owner_who_chose_a_password_shows_it_for_another() -> None:
    story = account.given(signed_up)
    story.when(commands.change_password, password_hash="new", by_owner=True).then_refused(UserInvalidCredentials)
    story.when(commands.change_password, password_hash="new", by_owner=True, checked_password_hash=HASH).then(
        PasswordChanged(password_hash="new")
    )


def test_an_owner_without_a_password_shows_none() -> None:
    account.given(NOBODY).when(commands.change_password, password_hash="new", by_owner=True).then(
        PasswordChanged(password_hash="new")
    )


def test_a_password_taken_away_by_a_server_does_not_let_anybody_choose_one_unasked() -> None:
    account.given(signed_up, PasswordChanged(password_hash=None)).when(
        commands.change_password, password_hash="new", by_owner=True
    ).then_refused(UserInvalidCredentials)


def test_another_password_ends_the_other_sessions_where_the_project_wants_it() -> None:
    account.given(signed_up, session("a"), session("b")).when(
        commands.change_password,
        password_hash="new",
        by_owner=True,
        checked_password_hash=HASH,
        keep_session="a",
        end_sessions=True,
    ).then(PasswordChanged(password_hash="new"), SessionDeleted(session_id="b", reason="password_changed"))


def test_a_history_that_grew_after_it_was_checked_is_checked_again() -> None:
    story = account.given(signed_up, PasswordChanged(password_hash="second"))
    story.when(commands.change_password, password_hash="new", history=[HASH], history_length=5).then_refused(
        PasswordRecentlyUsed
    )
    story.when(commands.change_password, password_hash="new", history=[HASH, "second"], history_length=5).then(
        PasswordChanged(password_hash="new")
    )
    story.when(commands.change_password, password_hash="new", history=["second"], history_length=1).then(
        PasswordChanged(password_hash="new")
    )


def test_a_stronger_hash_of_the_same_password_takes_the_place_of_the_old_one_in_the_history() -> None:
    after = (
        account.given(signed_up)
        .when(commands.rehash_password, password_hash="stronger", checked_password_hash=HASH)
        .then(PasswordRehashed(password_hash="stronger"))
    )
    assert after.state.passwords == ("stronger",)
    after.when(commands.rehash_password, password_hash="again", checked_password_hash=HASH).then_nothing()


# One-time secrets -----------------------------------------------------------------------------------------------------


def sign_in(story: Story, secret_hash: str = "digest", minutes: int = 0):
    return story.when(
        commands.sign_in_with_token,
        secret_hash=secret_hash,
        now=NOON + timedelta(minutes=minutes),
        session_id="s",
        session_secret_hash=DIGEST,
        expires_at=LATER,
        evict=False,
    )


@pytest.mark.parametrize(
    ("purpose", "provider", "factor", "verified"),
    [
        ("magic-url", "magic-url", "email", (VerifiedEmail(),)),
        ("email-otp", "token", "email", (VerifiedEmail(),)),
        ("phone", "phone", "phone", (VerifiedPhone(),)),
        ("custom", "token", "token", ()),
    ],
)
def test_T12_a_secret_opens_a_session_once_and_verifies_what_it_came_by(
    purpose: TokenPurpose, provider: str, factor: str, verified: tuple[AccountEvent, ...]
) -> None:
    after = sign_in(account.given(signed_up, token(purpose))).then(
        TokenRedeemed(token_id="t"), *verified, session("s", provider, (factor,))
    )
    sign_in(after).then_refused(UserInvalidToken)


@pytest.mark.parametrize("purpose", ["recovery", "recovery-otp", "verification", "verification-otp", "oauth2"])
def test_a_secret_for_something_else_opens_no_session(purpose: TokenPurpose) -> None:
    if purpose != "oauth2":
        sign_in(account.given(signed_up, token(purpose))).then_refused(UserInvalidToken)


def test_a_wrong_a_late_and_an_unasked_secret_open_nothing() -> None:
    story = account.given(signed_up, token("magic-url"))
    sign_in(story, "other").then_refused(UserInvalidToken)
    sign_in(story, minutes=15).then_refused(UserInvalidToken)
    sign_in(account.given(signed_up)).then_refused(UserInvalidToken)
    sign_in(account).then_refused(UserInvalidToken)


def test_a_blocked_account_does_not_spend_its_secret() -> None:
    sign_in(account.given(signed_up, token("magic-url"), AccountBlocked())).then_refused(UserBlocked)


def test_secrets_issued_before_stay_good() -> None:
    story = (
        account.given(signed_up, token("magic-url"))
        .when(
            commands.issue_token,
            token_id="u",
            purpose="magic-url",
            secret_hash="second",
            expires_at=NOON + timedelta(minutes=15),
        )
        .then(token("magic-url", "second", "u"))
    )
    for secret in ("digest", "second"):
        assert sign_in(story, secret).decide(story.state)


def test_an_address_is_verified_by_the_secret_that_was_sent_to_it() -> None:
    story = account.given(signed_up, token("verification"))
    verify = {"purpose": "verification", "now": NOON}
    story.when(commands.verify_email_with_token, secret_hash="other", **verify).then_refused(UserInvalidToken)
    verified = story.when(commands.verify_email_with_token, secret_hash="digest", **verify).then(
        TokenRedeemed(token_id="t"), VerifiedEmail()
    )
    verified.when(
        commands.issue_email_verification, token_id="u", purpose="verification", secret_hash="h", expires_at=LATER
    ).then_refused(UserEmailAlreadyVerified)


def test_a_secret_that_was_sent_to_the_old_address_does_not_verify_the_new_one() -> None:
    story = account.given(signed_up, token("verification"), EmailChanged(email="w@example.org"))
    story.when(commands.verify_email_with_token, secret_hash="digest", purpose="verification", now=NOON).then_refused(
        UserInvalidToken
    )


@pytest.mark.parametrize(
    ("command", "arguments", "refusal"),
    [
        (commands.issue_token, {"purpose": "magic-url", "sent_to": "old@example.org"}, UserNotFound),
        (commands.issue_token, {"purpose": "recovery", "sent_to": "old@example.org"}, UserNotFound),
        (commands.issue_token, {"purpose": "phone", "sent_to": "+4930000000"}, UserNotFound),
        (
            commands.issue_email_verification,
            {"purpose": "verification", "sent_to": "old@example.org"},
            UserEmailNotFound,
        ),
        (commands.issue_phone_verification, {"sent_to": "+4930000000"}, UserPhoneNotFound),
    ],
)
def test_no_secret_is_made_for_an_address_that_changed_while_it_was_asked_for(
    command: Any, arguments: dict[str, Any], refusal: type[Refusal]
) -> None:
    """Or else it would sign in to, or verify, what was never reached."""
    given = {"token_id": "t", "secret_hash": "h", "expires_at": LATER, **arguments}
    account.given(signed_up).when(command, **given).then_refused(refusal)


def test_a_number_is_verified_by_the_code_that_was_sent_to_it() -> None:
    verified = (
        account.given(signed_up, token("phone"))
        .when(commands.verify_phone_with_token, secret_hash="digest", now=NOON)
        .then(TokenRedeemed(token_id="t"), VerifiedPhone())
    )
    verified.when(commands.issue_phone_verification, token_id="u", secret_hash="h", expires_at=LATER).then_refused(
        UserPhoneAlreadyVerified
    )


def test_T14_recovery_changes_the_password_and_ends_all_sessions() -> None:
    account.given(signed_up, VerifiedEmail(), session("a"), token("recovery")).when(
        commands.recover_password, purpose="recovery", secret_hash="digest", now=NOON, password_hash="new"
    ).then(
        TokenRedeemed(token_id="t"),
        PasswordChanged(password_hash="new"),
        SessionDeleted(session_id="a", reason="password_changed"),
    )


def test_a_recovery_to_an_old_password_does_not_spend_the_token() -> None:
    account.given(signed_up, token("recovery")).when(
        commands.recover_password,
        purpose="recovery",
        secret_hash="digest",
        now=NOON,
        password_hash="new",
        history_length=1,
    ).then_refused(PasswordRecentlyUsed)


# Sessions, targets, identities ----------------------------------------------------------------------------------------


def test_a_session_is_extended() -> None:
    story = account.given(signed_up, session("a"))
    story.when(commands.extend_session, session_id="a", expires_at=LATER + YEAR).then(
        SessionExtended(session_id="a", expires_at=LATER + YEAR)
    )
    story.when(commands.extend_session, session_id="b", expires_at=LATER).then_refused(UserSessionNotFound)


PUSH = TargetAdded(target_id="tablet", provider_type="push", identifier="device", name="Tablet", session_id="a")


def test_a_push_target_ends_with_its_session() -> None:
    story = account.given(signed_up, MAIL, session("a"), PUSH, SessionDeleted(session_id="a", reason="signed_out"))
    assert [target.target_id for target in story.state.targets] == ["mail"]


def test_a_target_has_an_id_and_an_address_of_its_own() -> None:
    story = account.given(signed_up, MAIL, session("a"))
    story.when(
        commands.add_target,
        target_id="tablet",
        provider_type="push",
        identifier="device",
        name="Tablet",
        session_id="a",
    ).then(PUSH)
    for target_id, identifier in (("mail", "device"), ("tablet", "walter@example.org")):
        story.when(commands.add_target, target_id=target_id, provider_type="push", identifier=identifier).then_refused(
            UserTargetAlreadyExists
        )


def test_a_target_changes_by_what_is_given() -> None:
    story = account.given(signed_up, MAIL, session("a"), PUSH)
    story.when(commands.change_target, target_id="tablet", name="Old tablet").then(
        TargetChanged(target_id="tablet", identifier="device", name="Old tablet")
    )
    story.when(commands.change_target, target_id="tablet", name="Tablet").then_nothing()
    story.when(commands.change_target, target_id="tablet", identifier="walter@example.org").then_refused(
        UserTargetAlreadyExists
    )
    story.when(commands.change_target, target_id="mail", name="x", provider_type="push").then_refused(
        UserTargetNotFound
    )


def test_a_target_is_removed_once() -> None:
    story = account.given(signed_up, MAIL)
    without = story.when(commands.remove_target, target_id="mail").then(TargetRemoved(target_id="mail"))
    without.when(commands.remove_target, target_id="mail").then_refused(UserTargetNotFound)


def test_an_identity_linked_again_keeps_its_id_and_takes_the_newest_tokens() -> None:
    account.given(signed_up, identity_linked).when(
        commands.link_identity,
        identity_id="another",
        provider="google",
        provider_uid="1234567890",
        provider_email="walter@example.net",
        provider_email_verified=True,
        access_token="newer",
    ).then(
        IdentityLinked(
            identity_id="identity",
            provider="google",
            provider_uid="1234567890",
            provider_email="walter@example.net",
            provider_email_verified=True,
            access_token="newer",
        )
    )


def test_an_identity_is_removed_once() -> None:
    without = (
        account.given(signed_up, identity_linked)
        .when(commands.remove_identity, identity_id="identity")
        .then(IdentityRemoved(identity_id="identity"))
    )
    without.when(commands.remove_identity, identity_id="identity").then_refused(UserIdentityNotFound)


def test_a_session_that_takes_anothers_place_takes_its_devices_over() -> None:
    push = TargetAdded(target_id="phone", provider_type="push", identifier="device", session_id="a")
    account.given(signed_up, session("a"), push, session("b")).when(
        commands.create_session,
        session_id="c",
        secret_hash=DIGEST,
        provider="google",
        factors=("email", "oauth2"),
        expires_at=LATER,
        replaces="a",
        limit=2,
    ).then(
        SessionCreated(
            session_id="c",
            secret_hash=DIGEST,
            provider="google",
            factors=("email", "oauth2"),
            expires_at=LATER,
        ),
        SessionDeleted(session_id="a", reason="replaced"),
        TargetAdded(target_id="phone", provider_type="push", identifier="device", session_id="c"),
    )
