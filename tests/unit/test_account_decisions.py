"""What an account decides, command by command."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_es.domain.account import commands
from accounts_es.domain.account.events import (
    Accessed,
    AccountBlocked,
    AccountDeleted,
    AccountEvent,
    AccountUnblocked,
    EmailVerificationRevoked,
    ImpersonatorAppointed,
    ImpersonatorDismissed,
    LabelAdded,
    LabelRemoved,
    NameChanged,
    PhoneVerificationRevoked,
    PrefsUpdated,
    SessionCreated,
    SessionDeleted,
    SignedUp,
    TargetAdded,
    VerifiedEmail,
    VerifiedPhone,
)
from accounts_es.domain.account.profiles import Profile, ProviderTokens
from accounts_es.domain.errors import (
    UserAlreadyExists,
    UserBlocked,
    UserInvalidCredentials,
    UserNotFound,
    UserSessionNotFound,
)
from accounts_es.domain.event import JSONObject
from accounts_es.domain.values import MAX_SESSIONS
from tests.support.examples import DIGEST, HASH, YEAR, account_deleted, signed_up
from tests.support.given_when_then import account
from tests.support.metadata import NOON

LATER = NOON + YEAR


def session(session_id: str) -> SessionCreated:
    return SessionCreated(
        session_id=session_id,
        secret_hash=DIGEST,
        provider="email",
        provider_uid="walter@example.org",
        factors=("password",),
        expires_at=LATER,
    )


def labelled(*labels: str) -> list[AccountEvent]:
    return [LabelAdded(label=label) for label in labels]


# Beginning ------------------------------------------------------------------------------------------------------------


def test_a_sign_up_with_both_addresses_makes_both_targets() -> None:
    account.when(
        commands.sign_up,
        account_id="ann",
        email="ann@example.org",
        phone="+4930901820",
        name="Ann",
        password_hash=HASH,
        email_target_id="mail",
        phone_target_id="phone",
    ).then(
        SignedUp(account_id="ann", email="ann@example.org", phone="+4930901820", name="Ann", password_hash=HASH),
        TargetAdded(target_id="mail", provider_type="email", identifier="ann@example.org"),
        TargetAdded(target_id="phone", provider_type="sms", identifier="+4930901820"),
    )


def test_a_sign_up_without_addresses_makes_no_target() -> None:
    account.when(commands.sign_up, account_id="ann").then(SignedUp(account_id="ann"))


def test_an_account_is_brought_along_as_it_was_and_once() -> None:
    as_it_was = {
        "account_id": "ann",
        "email": "ann@example.org",
        "password_hash": HASH,
        "email_target_id": "mail",
        "email_verified": True,
        "phone_verified": True,
        "active": False,
        "labels": ["b", "a", "b"],
        "prefs": {"theme": "dark"},
    }
    story = account.when(commands.bring_along, **as_it_was).then(
        SignedUp(account_id="ann", email="ann@example.org", password_hash=HASH),
        TargetAdded(target_id="mail", provider_type="email", identifier="ann@example.org"),
        VerifiedEmail(),
        VerifiedPhone(),
        *labelled("b", "a"),
        PrefsUpdated(prefs={"theme": "dark"}),
        AccountBlocked(),
    )
    story.when(commands.bring_along, **as_it_was).then_nothing()


def test_an_account_begins_once() -> None:
    account.given(signed_up).when(commands.sign_up, account_id="ann").then_refused(UserAlreadyExists)


def test_an_anonymous_account_begins_with_its_session() -> None:
    account.when(
        commands.sign_up_anonymously, account_id="ann", session_id="s", secret_hash=DIGEST, expires_at=LATER
    ).then(
        SignedUp(account_id="ann"),
        SessionCreated(
            session_id="s", secret_hash=DIGEST, provider="anonymous", factors=("anonymous",), expires_at=LATER
        ),
    )


def test_an_account_that_exists_does_not_become_anonymous() -> None:
    account.given(signed_up).when(
        commands.sign_up_anonymously, account_id="ann", session_id="s", secret_hash=DIGEST, expires_at=LATER
    ).then_refused(UserAlreadyExists)


# Profile --------------------------------------------------------------------------------------------------------------


def test_a_name_changes() -> None:
    account.given(signed_up).when(commands.change_name, name="Walt").then(NameChanged(name="Walt"))


def test_the_same_name_is_no_change() -> None:
    account.given(signed_up, NameChanged(name="Walt")).when(commands.change_name, name="Walt").then_nothing()


def test_a_name_may_be_taken_away() -> None:
    account.given(signed_up).when(commands.change_name, name="").then(NameChanged(name=""))


def test_preferences_are_replaced_as_a_whole() -> None:
    account.given(signed_up, PrefsUpdated(prefs={"a": 1, "b": 2})).when(commands.update_prefs, prefs={"b": 3}).then(
        PrefsUpdated(prefs={"b": 3})
    )


def test_the_same_preferences_are_no_change() -> None:
    prefs: JSONObject = {"theme": "dark", "deep": {"list": [1, None, "x"]}}
    account.given(signed_up, PrefsUpdated(prefs=prefs)).when(commands.update_prefs, prefs=prefs).then_nothing()


def test_no_preferences_are_the_same_as_those_nobody_set() -> None:
    account.given(signed_up).when(commands.update_prefs, prefs={}).then_nothing()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"on": 1}, {"on": True}),
        ({"on": 0}, {"on": False}),
        ({"x": 1}, {"x": 1.0}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x": None}, {}),
        ({"x": "1"}, {"x": 1}),
    ],
)
def test_preferences_that_only_python_takes_for_equal_are_a_change(before: JSONObject, after: JSONObject) -> None:
    account.given(signed_up, PrefsUpdated(prefs=before)).when(commands.update_prefs, prefs=after).then(
        PrefsUpdated(prefs=after)
    )


def test_what_the_caller_does_to_its_preferences_afterwards_does_not_reach_the_event() -> None:
    prefs: JSONObject = {"deep": {"list": [1]}}
    (decided,) = commands.update_prefs(account.given(signed_up).state, prefs=prefs)
    prefs["deep"] = "changed"
    assert decided == PrefsUpdated(prefs={"deep": {"list": [1]}})


def test_an_access_is_noted_when_the_last_one_is_a_day_old() -> None:
    account.given(signed_up).when(commands.note_access, now=NOON + timedelta(days=1, seconds=1)).then(Accessed())


def test_an_access_within_the_day_is_not_noted() -> None:
    account.given(signed_up).when(commands.note_access, now=NOON + timedelta(hours=23, minutes=59)).then_nothing()


def test_T38_a_clock_that_steps_back_notes_no_access() -> None:
    account.given(signed_up).when(commands.note_access, now=NOON - timedelta(hours=1)).then_nothing()


# Sessions -------------------------------------------------------------------------------------------------------------


def test_a_session_opens_with_what_the_caller_proved() -> None:
    account.given(signed_up).when(
        commands.create_session,
        session_id="laptop",
        secret_hash=DIGEST,
        provider="email",
        provider_uid="walter@example.org",
        factors=("password",),
        expires_at=LATER,
        checked_password_hash=HASH,
    ).then(session("laptop"))


def test_a_password_that_was_changed_after_it_was_checked_opens_nothing() -> None:
    account.given(signed_up).when(
        commands.create_session,
        session_id="laptop",
        secret_hash=DIGEST,
        provider="email",
        factors=("password",),
        expires_at=LATER,
        checked_password_hash="another hash",
    ).then_refused(UserInvalidCredentials)


@pytest.mark.parametrize(("open_before", "limit", "closed"), [(1, 2, 0), (2, 2, 1), (5, 2, 4), (3, 1, 3), (9, 10, 0)])
def test_sessions_beyond_the_limit_close_oldest_first(open_before: int, limit: int, closed: int) -> None:
    names = [f"session-{nth}" for nth in range(open_before)]
    account.given(signed_up, *map(session, names)).when(
        commands.create_session,
        session_id="laptop",
        secret_hash=DIGEST,
        provider="email",
        provider_uid="walter@example.org",
        factors=("password",),
        expires_at=LATER,
        limit=limit,
    ).then(
        session("laptop"),
        *(SessionDeleted(session_id=name, reason="limit") for name in names[:closed]),
    )


def test_a_new_account_keeps_ten_sessions() -> None:
    story = account.given(signed_up)
    for nth in range(MAX_SESSIONS + 3):
        story = story.given(
            *commands.create_session(
                story.state,
                session_id=f"session-{nth}",
                secret_hash=DIGEST,
                provider="email",
                factors=("password",),
                expires_at=LATER,
            )
        )
    assert list(story.state.sessions) == [f"session-{nth}" for nth in range(3, 13)]


def test_a_session_ends() -> None:
    account.given(signed_up, session("a"), session("b")).when(
        commands.delete_session, session_id="a", reason="signed_out"
    ).then(SessionDeleted(session_id="a", reason="signed_out"))


def test_a_session_that_is_not_there_cannot_end() -> None:
    ended = SessionDeleted(session_id="a", reason="signed_out")
    account.given(signed_up, session("a"), ended).when(
        commands.delete_session, session_id="a", reason="signed_out"
    ).then_refused(UserSessionNotFound)


def test_all_sessions_end_one_by_one() -> None:
    account.given(signed_up, session("a"), session("b")).when(commands.delete_sessions, reason="revoked").then(
        SessionDeleted(session_id="a", reason="revoked"), SessionDeleted(session_id="b", reason="revoked")
    )


def test_without_sessions_there_is_none_to_end() -> None:
    account.given(signed_up).when(commands.delete_sessions, reason="revoked").then_nothing()


# Administration -------------------------------------------------------------------------------------------------------


def test_labels_are_added_in_the_order_asked_for() -> None:
    account.given(signed_up).when(commands.replace_labels, labels=["b", "a"]).then(*labelled("b", "a"))


def test_a_label_asked_for_twice_is_given_once() -> None:
    account.given(signed_up).when(commands.replace_labels, labels=["a", "a"]).then(*labelled("a"))


def test_a_label_added_behind_those_there_leaves_them_alone() -> None:
    account.given(signed_up, *labelled("a", "b")).when(commands.replace_labels, labels=["a", "b", "c"]).then(
        *labelled("c")
    )


def test_a_label_taken_from_the_middle_leaves_the_others_alone() -> None:
    account.given(signed_up, *labelled("a", "b", "c")).when(commands.replace_labels, labels=["a", "c"]).then(
        LabelRemoved(label="b")
    )


def test_labels_behind_the_first_difference_are_given_anew() -> None:
    account.given(signed_up, *labelled("a", "b", "c")).when(commands.replace_labels, labels=["a", "c", "b"]).then(
        LabelRemoved(label="b"), LabelRemoved(label="c"), *labelled("c", "b")
    )


def test_the_same_labels_are_no_change() -> None:
    account.given(signed_up, *labelled("a", "b")).when(commands.replace_labels, labels=["a", "b", "a"]).then_nothing()


LABELS = st.lists(st.sampled_from("abcdef"), max_size=8)


@given(before=LABELS, wanted=LABELS)
def test_labels_become_exactly_those_asked_for_in_their_order(before: list[str], wanted: list[str]) -> None:
    story = account.given(signed_up)
    story = story.given(*commands.replace_labels(story.state, labels=before))
    decided = list(commands.replace_labels(story.state, labels=wanted))
    after = story.given(*decided)

    assert after.state.labels == tuple(dict.fromkeys(wanted))
    assert list(commands.replace_labels(after.state, labels=wanted)) == []
    removed = [event.label for event in decided if isinstance(event, LabelRemoved)]
    added = [event.label for event in decided if isinstance(event, LabelAdded)]
    assert set(removed) <= set(before)
    assert len(removed) == len(set(removed))
    assert len(added) == len(set(added))


def test_an_address_is_verified_and_unverified() -> None:
    verified = account.given(signed_up).when(commands.set_email_verification, verified=True).then(VerifiedEmail())
    verified.when(commands.set_email_verification, verified=True).then_nothing()
    revoked = verified.when(commands.set_email_verification, verified=False).then(EmailVerificationRevoked())
    revoked.when(commands.set_email_verification, verified=False).then_nothing()


def test_a_number_is_verified_and_unverified() -> None:
    verified = account.given(signed_up).when(commands.set_phone_verification, verified=True).then(VerifiedPhone())
    verified.when(commands.set_phone_verification, verified=False).then(PhoneVerificationRevoked())


def test_a_blocked_account_keeps_its_sessions_and_opens_no_more() -> None:
    blocked = account.given(signed_up, session("a")).when(commands.set_active, active=False).then(AccountBlocked())
    assert list(blocked.state.sessions) == ["a"]
    blocked.when(
        commands.create_session, session_id="b", secret_hash=DIGEST, provider="email", factors=(), expires_at=LATER
    ).then_refused(UserBlocked)
    blocked.when(commands.set_active, active=True).then(AccountUnblocked())


def test_an_account_may_act_as_others_until_it_may_not() -> None:
    appointed = (
        account.given(signed_up).when(commands.set_impersonator, impersonator=True).then(ImpersonatorAppointed())
    )
    appointed.when(commands.set_impersonator, impersonator=False).then(ImpersonatorDismissed())


def test_an_account_is_deleted() -> None:
    account.given(signed_up).when(commands.delete_account).then(AccountDeleted())


def test_a_deleted_account_keeps_nothing_of_its_life() -> None:
    story = account.given(signed_up, session("a"), *labelled("x"), PrefsUpdated(prefs={"a": 1}), account_deleted)
    assert story.state == account.state._replace(deleted=True)


# For every command ----------------------------------------------------------------------------------------------------

COMMANDS = [
    (commands.change_name, {"name": "x"}),
    (commands.update_prefs, {"prefs": {"x": 1}}),
    (commands.note_access, {"now": LATER}),
    (
        commands.create_session,
        {"session_id": "s", "secret_hash": "h", "provider": "email", "factors": (), "expires_at": LATER},
    ),
    (commands.delete_session, {"session_id": "s", "reason": "r"}),
    (commands.delete_sessions, {"reason": "r"}),
    (commands.replace_labels, {"labels": ["x"]}),
    (commands.set_email_verification, {"verified": True}),
    (commands.set_phone_verification, {"verified": True}),
    (commands.set_active, {"active": False}),
    (commands.set_impersonator, {"impersonator": True}),
    (commands.delete_account, {}),
    (commands.extend_session, {"session_id": "s", "expires_at": LATER}),
    (commands.change_email, {"email": "a@example.org", "target_id": "t"}),
    (commands.change_phone, {"phone": "+4930901820", "target_id": "t"}),
    (commands.change_password, {"password_hash": "h"}),
    (commands.rehash_password, {"password_hash": "h", "checked_password_hash": "g"}),
    (commands.issue_token, {"token_id": "t", "purpose": "custom", "secret_hash": "h", "expires_at": LATER}),
    (
        commands.issue_email_verification,
        {"token_id": "t", "purpose": "verification", "secret_hash": "h", "expires_at": LATER},
    ),
    (commands.issue_phone_verification, {"token_id": "t", "secret_hash": "h", "expires_at": LATER}),
    (commands.verify_email_with_token, {"purpose": "verification", "secret_hash": "h", "now": NOON}),
    (commands.verify_phone_with_token, {"secret_hash": "h", "now": NOON}),
    (
        commands.recover_password,
        {"purpose": "recovery", "secret_hash": "h", "now": NOON, "password_hash": "h"},
    ),
    (commands.switch_mfa, {"on": True}),
    (commands.add_authenticator, {"secret": "s"}),
    (commands.verify_authenticator, {"steps": [1], "session_id": "s"}),
    (commands.remove_authenticator, {"now": NOON}),
    (commands.generate_recovery_codes, {"codes": ["c"]}),
    (commands.regenerate_recovery_codes, {"codes": ["c"], "now": NOON}),
    (commands.create_challenge, {"challenge_id": "c", "factor": "totp", "expires_at": LATER}),
    (commands.pass_challenge, {"challenge_id": "c", "session_id": "s", "now": NOON}),
    (commands.add_target, {"target_id": "t", "provider_type": "push", "identifier": "i"}),
    (commands.change_target, {"target_id": "t", "identifier": "i"}),
    (commands.remove_target, {"target_id": "t"}),
    (commands.follow_invitation, {"way": "email", "address": "walter@example.org"}),
    (commands.link_identity, {"identity_id": "i", "provider": "google", "provider_uid": "1"}),
    (commands.remove_identity, {"identity_id": "i"}),
    (commands.renew_tokens, {"identity_id": "i", "tokens": ProviderTokens()}),
    (commands.come_from_provider, {"profile": Profile("google", "1"), "identity_id": "i", "target_id": "t"}),
]


@pytest.mark.parametrize("before", [(), (signed_up, account_deleted)], ids=["before sign-up", "after deletion"])
@pytest.mark.parametrize(("command", "arguments"), COMMANDS, ids=[command.__name__ for command, _ in COMMANDS])
def test_nothing_is_decided_about_an_account_that_does_not_exist(
    before: tuple[AccountEvent, ...], command, arguments
) -> None:
    account.given(*before).when(command, **arguments).then_refused(UserNotFound)


IDEMPOTENT = [
    (commands.change_name, {"name": "x"}),
    (commands.update_prefs, {"prefs": {"x": 1}}),
    (commands.delete_sessions, {"reason": "r"}),
    (commands.replace_labels, {"labels": ["c", "a"]}),
    (commands.set_email_verification, {"verified": True}),
    (commands.set_email_verification, {"verified": False}),
    (commands.set_phone_verification, {"verified": True}),
    (commands.set_phone_verification, {"verified": False}),
    (commands.set_active, {"active": False}),
    (commands.set_active, {"active": True}),
    (commands.set_impersonator, {"impersonator": True}),
    (commands.set_impersonator, {"impersonator": False}),
    (commands.extend_session, {"session_id": "a", "expires_at": LATER + YEAR}),
    (commands.change_email, {"email": "b@example.org", "target_id": "t"}),
    (commands.change_email, {"email": None, "target_id": "t"}),
    (commands.change_phone, {"phone": "+4930901829", "target_id": "t"}),
    (commands.change_phone, {"phone": None, "target_id": "t"}),
    (commands.switch_mfa, {"on": True}),
    (commands.switch_mfa, {"on": False}),
    (commands.follow_invitation, {"way": "email", "address": "walter@example.org"}),
    (commands.link_identity, {"identity_id": "i", "provider": "google", "provider_uid": "1"}),
]


@pytest.mark.parametrize(
    ("command", "arguments"), IDEMPOTENT, ids=[f"{command.__name__} {values}" for command, values in IDEMPOTENT]
)
def test_a_decision_repeated_changes_nothing(command, arguments) -> None:
    story = account.given(signed_up, session("a"), session("b"), *labelled("a", "b", "c"))
    decided = tuple(command(story.state, **arguments))
    story.given(*decided).when(command, **arguments).then_nothing()


def test_every_command_is_covered_here() -> None:
    beginnings = {"bring_along", "sign_up", "sign_up_anonymously", "begin_with_provider", "sign_in_with_token"}
    beyond = {"erase", "place_hold", "lift_hold"}
    assert {command.__name__ for command, _ in COMMANDS} | beginnings | beyond == set(commands.__all__)
