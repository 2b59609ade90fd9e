"""The history for people: complete, filtered, and never showing what it must not."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.event import Actor, Metadata
from accounts_es.domain.security.events import SignInRefused
from accounts_es.eventstore.audit import Wanted, find_stream, records, state_at
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.security import Refusals
from tests.support.metadata import NOON, metadata

Meta = Callable[..., Metadata]


@pytest.fixture
def connection(database: str) -> Iterator[Conn]:
    """The owner's way in, as the audit script has it."""
    with connect_sync(database, as_app=False) as owner:
        yield owner


@pytest.fixture
async def history(application: Application, meta: Meta) -> None:
    """Jane signs up, changes her preferences twice, and somebody guesses at her password."""
    key = Actor(kind="key", id="backend")
    await application.execute(
        meta("users.create", actor=key, request_id="r1"),
        ACCOUNT,
        "account-1",
        commands.sign_up,
        account_id="jane",
        email="jane@example.com",
        name="Jane\x1b[31m\r\nDoe",
        password_hash="$argon2id$secret",
        email_target_id="t1",
    )
    jane = Actor(kind="account", id="account-1")
    for nth in (1, 2):
        at = NOON + timedelta(hours=nth)
        await application.execute(
            meta("account.updatePrefs", actor=jane, at=at, request_id=f"p{nth}"),
            ACCOUNT,
            "account-1",
            commands.update_prefs,
            prefs={"n": nth},
        )
    await application.execute(meta(request_id="other"), ACCOUNT, "account-2", commands.sign_up, account_id="joe")
    refusals = Refusals(application.log)
    await refusals.record(
        meta("account.createEmailPasswordSession", actor=Actor(kind="guest"), request_id="guess"),
        SignInRefused(method="email-password", reason="invalid_credentials", identifier="j", account="account-1"),
    )


def names(connection: Conn, master: MasterKey | None, wanted: Wanted) -> list[str]:
    return [record.event for record in records(connection, master, wanted)]


async def test_T49_all_that_concerns_an_account_is_found_refused_sign_ins_included(
    history: None, connection: Conn, master: MasterKey
) -> None:
    stream = find_stream(connection, master, "default", "jane")
    assert stream == "account-1"
    assert names(connection, master, Wanted(stream=stream)) == [
        "SignedUp",
        "TargetAdded",
        "PrefsUpdated",
        "PrefsUpdated",
        "SignInRefused",
    ]


async def test_events_are_found_by_actor_request_time_and_name(
    history: None, connection: Conn, master: MasterKey
) -> None:
    assert names(connection, master, Wanted(actor="backend")) == ["SignedUp", "TargetAdded"]
    assert names(connection, master, Wanted(actor="account:account-1")) == ["PrefsUpdated", "PrefsUpdated"]
    assert names(connection, master, Wanted(request="p2")) == ["PrefsUpdated"]
    assert names(connection, master, Wanted(since=NOON + timedelta(hours=2))) == ["PrefsUpdated"]
    until = Wanted(stream="account-1", until=NOON + timedelta(hours=2), event="PrefsUpdated")
    assert names(connection, master, until) == ["PrefsUpdated"]


async def test_a_state_can_be_read_as_of_any_moment(history: None, connection: Conn, master: MasterKey) -> None:
    assert state_at(connection, master, "account-1", position=2)[1].prefs == {}
    assert state_at(connection, master, "account-1", time=NOON + timedelta(hours=1))[1].prefs == {"n": 1}
    version, state = state_at(connection, master, "account-1")
    assert (version, state.prefs) == (4, {"n": 2})
    assert state_at(connection, master, "account-1", position=0)[0] == 0
    with pytest.raises(LookupError):
        state_at(connection, master, "security-default-2026-03-14-x")


async def test_hashes_are_never_shown_and_personal_values_not_when_redacted(
    history: None, connection: Conn, master: MasterKey
) -> None:
    open_lines = [record.json() for record in records(connection, master, Wanted())]
    assert any("jane@example.com" in line for line in open_lines)
    redacted = [record.json() for record in records(connection, master, Wanted(), redact=True)]
    without_key = [record.json() for record in records(connection, None, Wanted())]
    assert not any("argon2" in line for line in [*open_lines, *redacted, *without_key])
    for lines in (redacted, without_key):
        assert len(lines) == len(open_lines)
        assert not any(value in "".join(lines) for value in ("jane", "Doe", "203.0.113.7", '"n":'))


async def test_T55_what_people_send_cannot_break_a_line(history: None, connection: Conn, master: MasterKey) -> None:
    for record in records(connection, master, Wanted()):
        line = record.json()
        assert line.isprintable()
        assert json.loads(line)["position"] == record.position


async def test_a_state_as_of_a_time_ends_where_the_first_later_event_is(
    application: Application, connection: Conn, master: MasterKey
) -> None:
    """A slow request is stored after a quick one that came later: nothing is passed over."""
    signing_up = {"account_id": "jane", "name": "Jane"}
    await application.execute(metadata(at=NOON), ACCOUNT, "account-1", commands.sign_up, **signing_up)
    for name, seconds in (("quick", 2), ("slow", 1)):
        at = NOON + timedelta(seconds=seconds)
        await application.execute(metadata(at=at), ACCOUNT, "account-1", commands.change_name, name=name)
    told = [state_at(connection, master, "account-1", time=NOON + timedelta(seconds=nth)) for nth in range(3)]
    assert [(version, state.name) for version, state in told] == [(1, "Jane"), (1, "Jane"), (3, "slow")]
