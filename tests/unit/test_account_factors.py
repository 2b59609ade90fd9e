"""What an account decides about second factors."""

from datetime import timedelta

import pytest

from accounts_es.domain.account import commands
from accounts_es.domain.account.events import (
    AuthenticatorAdded,
    AuthenticatorRemoved,
    AuthenticatorUsed,
    AuthenticatorVerified,
    ChallengeCreated,
    ChallengePassed,
    Factor,
    MfaSwitchedOff,
    MfaSwitchedOn,
    RecoveryCodesGenerated,
    RecoveryCodeUsed,
    SessionCreated,
    SessionFactorAdded,
    SignedUp,
    VerifiedEmail,
)
from accounts_es.domain.errors import (
    Refusal,
    UserAuthenticatorAlreadyVerified,
    UserAuthenticatorNotFound,
    UserChallengeRequired,
    UserEmailNotFound,
    UserEmailNotVerified,
    UserInvalidToken,
    UserPhoneNotFound,
    UserPhoneNotVerified,
    UserRecoveryCodesAlreadyExists,
    UserRecoveryCodesNotFound,
    UserSessionNotFound,
)
from tests.support.examples import DIGEST, YEAR, signed_up
from tests.support.given_when_then import Decision, Story, account
from tests.support.metadata import NOON

LATER = NOON + YEAR
SESSION = SessionCreated(
    session_id="laptop", secret_hash=DIGEST, provider="email", factors=("password",), expires_at=LATER
)
SEED = AuthenticatorAdded(secret="JBSWY3DPEHPK3PXP")
SHOWN = AuthenticatorVerified(step=100)
CODES = RecoveryCodesGenerated(codes=("aaaaaaaaaa", "bbbbbbbbbb"))


def challenge(factor: Factor, code_hash: str = "") -> ChallengeCreated:
    return ChallengeCreated(
        challenge_id="c", factor=factor, code_hash=code_hash, expires_at=NOON + timedelta(minutes=15)
    )


def test_the_session_that_switches_it_on_keeps_what_is_verified() -> None:
    story = account.given(signed_up, SESSION, VerifiedEmail(), SEED, SHOWN)
    on = story.when(commands.switch_mfa, on=True, session_id="laptop").then(
        MfaSwitchedOn(),
        SessionFactorAdded(session_id="laptop", factor="totp"),
        SessionFactorAdded(session_id="laptop", factor="email"),
    )
    assert on.state.sessions["laptop"].factors == ("password", "totp", "email")
    on.when(commands.switch_mfa, on=False).then(MfaSwitchedOff())


def test_an_authenticator_counts_once_a_code_was_shown() -> None:
    story = account.given(signed_up, SESSION)
    story.when(commands.verify_authenticator, steps=[1], session_id="laptop").then_refused(UserAuthenticatorNotFound)
    added = story.when(commands.add_authenticator, secret="JBSWY3DPEHPK3PXP").then(SEED)
    added.when(commands.add_authenticator, secret="OTHER").then(AuthenticatorAdded(secret="OTHER"))
    added.when(commands.verify_authenticator, steps=[], session_id="laptop").then_refused(UserInvalidToken)
    added.when(commands.verify_authenticator, steps=[100], session_id="gone").then_refused(UserSessionNotFound)
    verified = added.when(commands.verify_authenticator, steps=[100], session_id="laptop").then(
        SHOWN, SessionFactorAdded(session_id="laptop", factor="totp")
    )
    verified.when(commands.add_authenticator, secret="OTHER").then_refused(UserAuthenticatorAlreadyVerified)
    verified.when(commands.verify_authenticator, steps=[101], session_id="laptop").then_refused(
        UserAuthenticatorAlreadyVerified
    )


def answer(story: Story, **shown: object) -> Decision:
    return story.when(commands.pass_challenge, challenge_id="c", session_id="laptop", **{"now": NOON, **shown})


def test_T13_a_code_of_an_authenticator_is_good_once_for_each_step() -> None:
    story = account.given(signed_up, SESSION, SEED, SHOWN, challenge("totp"))
    answer(story, steps=[99, 100]).then_refused(UserInvalidToken)
    passed = answer(story, steps=[100, 101]).then(
        AuthenticatorUsed(step=101), ChallengePassed(challenge_id="c", session_id="laptop", factor="totp")
    )
    assert passed.state.sessions["laptop"].factors == ("password", "totp")
    answer(passed.given(challenge("totp")), steps=[101]).then_refused(UserInvalidToken)
    answer(passed, steps=[102]).then_refused(UserInvalidToken)


def test_a_recovery_code_is_good_once() -> None:
    story = account.given(signed_up, SESSION, CODES, challenge("recoveryCode"))
    answer(story, recovery_code="cccccccccc").then_refused(UserInvalidToken)
    answer(story, recovery_code="").then_refused(UserInvalidToken)
    passed = answer(story, recovery_code="bbbbbbbbbb").then(
        RecoveryCodeUsed(number=1), ChallengePassed(challenge_id="c", session_id="laptop", factor="recoveryCode")
    )
    answer(passed.given(challenge("recoveryCode")), recovery_code="bbbbbbbbbb").then_refused(UserInvalidToken)


@pytest.mark.parametrize("factor", ["email", "phone", "custom"])
def test_a_code_that_was_sent_answers_its_challenge_once_and_in_time(factor: Factor) -> None:
    story = account.given(signed_up, SESSION, challenge(factor, "digest"))
    answer(story, code_hash="other").then_refused(UserInvalidToken)
    answer(story, code_hash="digest", now=NOON + timedelta(minutes=15)).then_refused(UserInvalidToken)
    passed = answer(story, code_hash="digest").then(
        ChallengePassed(challenge_id="c", session_id="laptop", factor=factor)
    )
    answer(passed, code_hash="digest").then_refused(UserInvalidToken)


def test_a_challenge_without_a_code_is_not_answered_by_none() -> None:
    answer(account.given(signed_up, SESSION, challenge("email")), code_hash="").then_refused(UserInvalidToken)


@pytest.mark.parametrize(
    ("before", "factor", "refusal"),
    [
        (SignedUp(account_id="a"), "email", UserEmailNotFound),
        (signed_up, "email", UserEmailNotVerified),
        (SignedUp(account_id="a"), "phone", UserPhoneNotFound),
        (signed_up, "phone", UserPhoneNotVerified),
    ],
)
def test_a_challenge_goes_only_to_addresses_that_are_verified(
    before: SignedUp, factor: Factor, refusal: type[Refusal]
) -> None:
    account.given(before).when(
        commands.create_challenge, challenge_id="c", factor=factor, expires_at=LATER
    ).then_refused(refusal)


def test_no_challenge_goes_to_an_address_that_changed_meanwhile() -> None:
    account.given(signed_up, VerifiedEmail()).when(
        commands.create_challenge, challenge_id="c", factor="email", expires_at=LATER, sent_to="old@example.org"
    ).then_refused(UserEmailNotFound)


def test_T14_an_authenticator_is_removed_after_a_fresh_factor() -> None:
    story = account.given(signed_up, SESSION, SEED, SHOWN)
    story.when(commands.remove_authenticator, now=NOON, session_id="laptop").then_refused(UserChallengeRequired)
    fresh = story.given(challenge("totp"), ChallengePassed(challenge_id="c", session_id="laptop", factor="totp"))
    fresh.when(commands.remove_authenticator, now=NOON + timedelta(minutes=31), session_id="laptop").then_refused(
        UserChallengeRequired
    )
    removed = fresh.when(commands.remove_authenticator, now=NOON, session_id="laptop").then(AuthenticatorRemoved())
    removed.when(commands.remove_authenticator, now=NOON, session_id="laptop").then_refused(UserAuthenticatorNotFound)
    story.when(commands.remove_authenticator, now=NOON, by_owner=False).then(AuthenticatorRemoved())


def test_recovery_codes_are_made_once_and_made_again_after_a_fresh_factor() -> None:
    story = account.given(signed_up, SESSION)
    story.when(commands.regenerate_recovery_codes, codes=["x"], now=NOON, by_owner=False).then_refused(
        UserRecoveryCodesNotFound
    )
    made = story.when(commands.generate_recovery_codes, codes=CODES.codes).then(CODES)
    made.when(commands.generate_recovery_codes, codes=["x"]).then_refused(UserRecoveryCodesAlreadyExists)
    made.when(commands.regenerate_recovery_codes, codes=["x"], now=NOON, session_id="laptop").then_refused(
        UserChallengeRequired
    )
    made.when(commands.regenerate_recovery_codes, codes=["x"], now=NOON, by_owner=False).then(
        RecoveryCodesGenerated(codes=("x",))
    )
    spent = made.given(RecoveryCodeUsed(number=0), RecoveryCodeUsed(number=1))
    spent.when(commands.generate_recovery_codes, codes=["y"]).then(RecoveryCodesGenerated(codes=("y",)))
