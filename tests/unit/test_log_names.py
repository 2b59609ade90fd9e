"""Every event of an account is shown under one of the contract's names, or left out on purpose."""

from typing import get_args

import pytest

from accounts_es.domain.account import events
from accounts_es.domain.account.events import AccountEvent
from accounts_es.domain.event import Actor, Event, Recorded
from accounts_es.domain.security.events import SignInRefused
from accounts_es.eventstore.activity import Deed
from accounts_es.http.models import NAMES, log
from projections.accounts import AccountRow
from tests.support.examples import EXAMPLE_OF, token_issued
from tests.support.metadata import NOON, metadata

CONTRACT = {
    "user.create",
    "user.update",
    "user.delete",
    "session.create",
    "session.update",
    "session.delete",
    "recovery.create",
    "recovery.update",
    "verification.create",
    "verification.update",
    "challenge.create",
    "challenges.update",
    "target.create",
    "target.update",
    "target.delete",
    "identity.delete",
}
OURS = {"session.refuse", "identity.create"}
JANE = AccountRow._make(
    {"account_id": "jane", "email": "jane@example.org", "name": "Jane", "created_at": NOON}.get(each)
    for each in AccountRow._fields
)


def shown(*done: Event, actor: str = "account") -> tuple[str, str]:
    """The name and the kind of actor of what one request did."""
    meta = metadata(actor=Actor.model_validate({"kind": actor, "id": "x"}))
    told = log(Deed(Recorded("account-1", 1, done[0], meta), tuple(each.topic for each in done)), JANE, "en")
    assert told["userId"] == "jane"
    assert told["time"] == "2026-03-14T12:00:00.123+00:00"
    return told["event"], told["userType"]


def test_every_event_has_its_entry() -> None:
    assert set(NAMES) == {*get_args(AccountEvent), SignInRefused}
    assert {name for name in NAMES.values() if name is not None} <= CONTRACT | OURS


@pytest.mark.parametrize(
    ("done", "name"),
    [
        ((events.SignedUp, events.TargetAdded), "user.create"),
        ((events.SignedUp, events.SessionCreated), "user.create"),
        ((events.SignedUp, events.TokenIssued), "user.create"),
        ((events.SessionCreated, events.SessionDeleted), "session.create"),
        ((events.TokenRedeemed, events.VerifiedEmail, events.SessionCreated), "session.create"),
        ((events.TokenRedeemed, events.VerifiedEmail), "verification.update"),
        ((events.TokenRedeemed,), "verification.update"),
        (
            (events.TokenRedeemed, events.PasswordChanged, events.VerifiedEmail, events.SessionDeleted),
            "recovery.update",
        ),
        ((events.PasswordChanged, events.SessionDeleted), "user.update"),
        ((events.EmailChanged, events.TargetChanged), "user.update"),
        ((events.MfaSwitchedOn, events.SessionFactorAdded), "user.update"),
        ((events.AuthenticatorUsed, events.ChallengePassed), "challenges.update"),
        ((events.NameChanged, events.Accessed), "user.update"),
    ],
)
def test_what_one_request_did_has_one_name(done: tuple[type[Event], ...], name: str) -> None:
    assert shown(*(EXAMPLE_OF[each] for each in done))[0] == name


@pytest.mark.parametrize(
    ("purpose", "name"),
    [
        ("magic-url", "session.create"),
        ("email-otp", "session.create"),
        ("phone", "session.create"),
        ("custom", "session.create"),
        ("recovery", "recovery.create"),
        ("recovery-otp", "recovery.create"),
        ("verification", "verification.create"),
    ],
)
def test_a_token_is_named_for_what_it_is_for(purpose: str, name: str) -> None:
    assert shown(token_issued.model_copy(update={"purpose": purpose}))[0] == name


def test_it_says_as_whom_somebody_acted() -> None:
    renamed, opened = EXAMPLE_OF[events.NameChanged], EXAMPLE_OF[events.SessionCreated]
    assert shown(renamed, actor="account")[1] == "user"
    assert shown(renamed, actor="key")[1] == "keyProject"
    assert shown(renamed, actor="system")[1] == "admin"
    assert shown(opened, actor="guest")[1] == "user", "whoever signs in showed that it is theirs"
    assert shown(EXAMPLE_OF[SignInRefused], actor="guest")[1] == "guest"
    assert shown(token_issued, actor="guest")[1] == "guest"
