"""Facts as Appwrite's events: names, channels, and that nothing is forgotten (contract: cross-cutting, 11 and 12)."""

from typing import get_args

import pytest

from accounts_es.domain.account import events as account
from accounts_es.domain.event import Event, Recorded
from accounts_es.domain.team import events as team
from accounts_es.http.wire_events import TOLD, TOPICS, channels, names, told_together, wire_events
from tests.support.examples import EXAMPLES
from tests.support.metadata import metadata


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("users.U.create", "users.U.create users.*.create users.U users.*"),
        (
            "users.U.update.email",
            "users.U.update users.*.update users.U.update.email users.*.update.email users.U users.*",
        ),
        (
            "users.U.sessions.S.create",
            (
                "users.U.sessions.S.create users.*.sessions.*.create users.U.sessions.*.create "
                "users.*.sessions.S.create users.U.sessions.S users.*.sessions.* users.U.sessions.* "
                "users.*.sessions.S users.U users.*"
            ),
        ),
        (
            "teams.T.memberships.M.update.status",
            (
                "teams.T.memberships.M.update.status teams.*.memberships.*.update.status "
                "teams.T.memberships.*.update.status teams.*.memberships.M.update.status "
                "teams.T.memberships.M.update teams.*.memberships.*.update teams.T.memberships.*.update "
                "teams.*.memberships.M.update teams.T.update.status teams.*.update.status teams.T.memberships.M "
                "teams.*.memberships.* teams.T.memberships.* teams.*.memberships.M teams.T teams.*"
            ),
        ),
    ],
)
def test_an_event_goes_by_all_its_names(pattern: str, expected: str) -> None:
    assert names(pattern.split(".")) == tuple(expected.split())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("users.U.update.name", "account account.U account.update account.U.update"),
        ("users.U.sessions.S.create", "account account.U"),
        ("teams.T.delete", "teams teams.T teams.delete teams.T.delete"),
        (
            "teams.T.memberships.M.update.status",
            "memberships memberships.M memberships.update memberships.M.update",
        ),
    ],
)
def test_an_event_is_told_on_its_channels(pattern: str, expected: str) -> None:
    assert channels(tuple(pattern.split("."))) == tuple(expected.split())


SILENT = {
    account.Accessed: "no change anybody asked for",
    account.PasswordRehashed: "the same password",
    account.AuthenticatorUsed: "told by the challenge",
    account.RecoveryCodeUsed: "told by the challenge",
    account.SessionFactorAdded: "told by the challenge",
    account.SessionTokensRenewed: "told by the session's extension",
    account.IdentityLinked: "Appwrite tells of identities only when they go",
    account.TokenIssued: "depends on what it is for",
    account.TokenRedeemed: "depends on what it was for",
    account.LegalHoldPlaced: "nobody's business but the operator's",
    account.LegalHoldLifted: "nobody's business but the operator's",
    account.AccountErased: "the deletion was told, and there is nobody left to tell of",
}


def test_every_fact_of_an_account_or_a_team_is_told_or_silent_for_a_reason() -> None:
    facts: set[type[Event]] = {*get_args(account.AccountEvent), *get_args(team.TeamEvent)}
    untold = facts - set(TOLD)
    assert untold == set(SILENT) & facts
    assert {event.topic for event in TOLD} <= set(TOPICS)


def recorded(*facts: Event, stream: str = "account-1", request: str = "r") -> tuple[Recorded[Event], ...]:
    meta = metadata()
    return tuple(Recorded(stream, nth, fact, meta, position=nth) for nth, fact in enumerate(facts, start=1))


def test_an_id_with_dots_stays_one_segment() -> None:
    (event,) = wire_events(recorded(account.NameChanged(name="N")), "a.b")
    assert event.pattern == ("users", "a.b", "update", "name")
    assert "users.a.b.update.name" in event.names


def test_equal_events_of_one_request_are_told_once() -> None:
    group = recorded(account.LabelAdded(label="a"), account.LabelAdded(label="b"))
    (event,) = wire_events(group, "u")
    assert (event.names[0], event.position) == ("users.u.update", 2)


def test_a_sign_up_is_told_without_its_target() -> None:
    examples = {type(each): each for each in EXAMPLES}
    group = recorded(examples[account.SignedUp], examples[account.TargetAdded])
    assert [each.names[0] for each in wire_events(group, "u")] == ["users.u.create"]
    (alone,) = wire_events(recorded(examples[account.TargetAdded]), "u")
    assert alone.pattern[2] == "targets"


def test_a_verification_is_told_by_its_token_and_by_the_user() -> None:
    group = recorded(account.TokenRedeemed(token_id="t"), account.VerifiedEmail())
    told = [".".join(each.pattern) for each in wire_events(group, "u")]
    assert told == ["users.u.verification.t.update", "users.u.update.verification"]


def test_what_one_request_did_to_several_streams_is_told_apart() -> None:
    one = recorded(account.NameChanged(name="N"))
    other = recorded(account.NameChanged(name="N"), stream="account-2")
    assert [len(each) for each in told_together([*one, *other])] == [1, 1]
