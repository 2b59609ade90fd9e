"""The audit shows what is stored, whatever became of it: nothing in the log stops it, and nothing in it gets out."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.catalog import EVENTS
from accounts_es.domain.event import Actor, Metadata
from accounts_es.domain.security.events import SignInRefused
from accounts_es.eventstore import audit
from accounts_es.eventstore.audit import Wanted, find_stream, plain, records, state_at
from accounts_es.eventstore.audit_record import BROKEN, ERASED, HASH, REDACTED, SEALED, harmless, is_hidden
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.security import Refusals
from tests.support.metadata import NOON

Meta = Callable[..., Metadata]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def connection(database: str) -> Iterator[Conn]:
    with connect_sync(database, as_app=False) as owner:
        yield owner


async def sign_up(application: Application, meta: Metadata, stream: str, account_id: str, **fields: str) -> None:
    await application.execute(meta, ACCOUNT, stream, commands.sign_up, account_id=account_id, **fields)


def forge(connection: Conn, stream: str, version: int, topic: str, **state: object) -> None:
    """Put an event into the log that no command of this release makes."""
    stored = {
        "v": 1,
        "meta": {
            "at": "2026-03-14T12:00:00.000001+00:00",
            "project": "default",
            "actor": "system",
            "operation": "x",
            "request": "forged",
            "correlation": "c",
        },
        "data": {},
    } | state
    connection.execute(
        "INSERT INTO log.accounts_events (originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
        (stream, version, topic, json.dumps(stored).encode()),
    )


# Nothing stops it -----------------------------------------------------------------------------------------------------


async def test_what_a_later_release_wrote_is_shown_as_it_is_stored(
    application: Application, connection: Conn, master: MasterKey, meta: Meta
) -> None:
    await sign_up(application, meta(), "account-1", "jane")
    forge(connection, "account-1", 2, "account.name_changed", v=9, data={"given": "Jane"})
    forge(connection, "account-1", 3, "account.levitated", data={"height": 3, "secret_hash": "abc"})
    for key in (master, None):
        found = list(records(connection, key, Wanted()))
        assert [(each.event, each.version) for each in found] == [
            ("SignedUp", 1),
            ("NameChanged", 9),
            ("account.levitated", 1),
        ]
        assert found[1].data == {"given": "Jane"}
        assert found[2].data == {"height": 3, "secret_hash": HASH}


async def test_a_seal_that_does_not_open_is_said_and_does_not_hide_the_rest(
    application: Application, connection: Conn, master: MasterKey, meta: Meta
) -> None:
    for nth in (1, 2, 3):
        await sign_up(application, meta(), f"account-{nth}", f"a{nth}", name="N")
    connection.execute("UPDATE log.subject_keys SET wrapped = '\\x00' WHERE subject = 'account-1'")
    forge(connection, "account-2", 2, "account.name_changed", sealed=base64.b64encode(b"x" * 40).decode())
    found = list(records(connection, master, Wanted()))
    assert [each.data.get("name") for each in found] == [BROKEN, "N", "N", BROKEN]
    assert [each.erased for each in found] == [False] * 4


async def test_erased_is_told_from_sealed_with_and_without_the_master_key(
    application: Application, connection: Conn, master: MasterKey, meta: Meta
) -> None:
    for nth in (1, 2):
        await sign_up(application, meta(), f"account-{nth}", f"a{nth}", name="Jane", password_hash="$argon2id$x")
    connection.execute("DELETE FROM log.subject_keys WHERE subject = 'account-1'")
    for key, redact, other in (
        (master, False, "Jane"),
        (master, True, REDACTED),
        (None, False, SEALED),
        (None, True, REDACTED),
    ):
        gone, there = records(connection, key, Wanted(), redact=redact)
        assert (gone.erased, gone.data["name"], gone.ip, gone.account) == (True, ERASED, ERASED, None)
        assert (there.erased, there.data["name"]) == (False, other)
        assert gone.data["password_hash"] == there.data["password_hash"] == HASH


# What is asked for ----------------------------------------------------------------------------------------------------


async def test_who_acted_in_anothers_name_is_shown_and_found(
    application: Application, connection: Conn, master: MasterKey, meta: Meta
) -> None:
    actors = (
        Actor(kind="key", id="a_b"),
        Actor(kind="key", id="aXb"),
        Actor(kind="account", id="account-7", impersonator="a_b"),
        Actor(kind="account", id="account-7"),
    )
    for nth, actor in enumerate(actors, start=1):
        await sign_up(application, meta(actor=actor), f"account-{nth}", f"a{nth}")

    def found(actor: str) -> list[str]:
        return [each.actor for each in records(connection, master, Wanted(actor=actor))]

    assert found("a_b") == ["key:a_b", "account:account-7<a_b"]
    assert found("key:a_b") == ["key:a_b"]
    assert found("account-7") == found("account:account-7") == ["account:account-7<a_b", "account:account-7"]
    assert found("%") == []


async def test_records_name_the_account_they_are_about(
    application: Application, connection: Conn, master: MasterKey, meta: Meta
) -> None:
    await sign_up(application, meta(), "account-1", "jane", email="jane@example.org", email_target_id="t")
    guess = SignInRefused(method="email", reason="no", identifier="j", account="account-1")
    await Refusals(application.log).record(meta(actor=Actor(kind="guest")), guess)
    assert [each.account for each in records(connection, master, Wanted(stream="account-1"))] == ["jane"] * 3
    assert {each.account for each in records(connection, master, Wanted(), redact=True)} == {None}
    assert {each.account for each in records(connection, None, Wanted())} == {None}


async def test_a_deleted_account_is_found_by_its_id_until_it_is_erased(
    application: Application, connection: Conn, master: MasterKey, meta: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_BATCH", 2)
    await sign_up(application, meta(), "account-1", "jane")
    await application.execute(meta(), ACCOUNT, "account-1", commands.delete_account)
    for nth in range(3):
        await sign_up(application, meta(), f"account-other-{nth}", f"other{nth}")
    assert find_stream(connection, master, "default", "jane") == "account-1"
    assert find_stream(connection, master, "elsewhere", "jane") is None
    await sign_up(application, meta(), "account-2", "jane")
    assert find_stream(connection, master, "default", "jane") == "account-2"
    connection.execute("DELETE FROM log.subject_keys WHERE subject = 'account-1'")
    await application.execute(meta(), ACCOUNT, "account-2", commands.delete_account)
    connection.execute("DELETE FROM log.subject_keys WHERE subject = 'account-2'")
    assert find_stream(connection, master, "default", "jane") is None


async def test_pages_and_times_leave_nothing_out(
    application: Application, connection: Conn, master: MasterKey, meta: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_BATCH", 3)
    for nth in range(12):
        # Clocks of servers differ: some events are older than the one before them.
        at = NOON + timedelta(hours=nth) - timedelta(minutes=50 if nth % 3 == 2 else 0)
        await sign_up(application, meta(at=at), f"account-{nth}", f"a{nth}")
    everything = list(records(connection, master, Wanted()))
    assert [each.stream for each in everything] == [f"account-{nth}" for nth in range(12)]
    for hours in range(-1, 13):
        for minutes in (0, 10, 11):
            since = NOON + timedelta(hours=hours, minutes=minutes)
            expected = [each for each in everything if each.time >= since.isoformat(timespec="microseconds")]
            assert list(records(connection, master, Wanted(since=since))) == expected
    connection.execute("ALTER SEQUENCE log.accounts_events_notification_id_seq RESTART WITH 1000000")
    await sign_up(application, meta(at=NOON + timedelta(days=9)), "account-late", "late")
    late = Wanted(since=NOON + timedelta(days=8))
    assert [each.position for each in records(connection, master, late)] == [1000000]
    assert list(records(connection, master, Wanted(since=NOON + timedelta(days=10)))) == []


async def test_a_state_without_the_personal_values(
    application: Application, connection: Conn, master: MasterKey, meta: Meta
) -> None:
    fields = {"name": "Jane", "email": "jane@example.org", "email_target_id": "t", "password_hash": "$argon2id$x"}
    await sign_up(application, meta(), "account-1", "jane", **fields)
    await application.execute(meta(), ACCOUNT, "account-1", commands.update_prefs, prefs={"a": 1})
    await application.execute(meta(), ACCOUNT, "account-1", commands.replace_labels, labels=["vip"])

    def state(key: MasterKey | None, *, redact: bool = False) -> dict[str, object]:
        return plain(state_at(connection, key, "account-1", redact=redact)[1])

    shown = state(master)
    assert (shown["name"], shown["password_hash"], shown["prefs"], shown["labels"]) == ("Jane", HASH, {"a": 1}, ["vip"])
    for hidden, mark in (
        (state(master, redact=True), REDACTED),
        (state(None), SEALED),
        (state(None, redact=True), REDACTED),
    ):
        assert (hidden["name"], hidden["email"], hidden["prefs"]) == (mark, mark, {mark: mark})
        assert (hidden["password_hash"], hidden["labels"]) == (HASH, ["vip"])
        assert "jane" not in repr(hidden)
    connection.execute("DELETE FROM log.subject_keys")
    assert state(master)["name"] == ERASED


# Nothing gets out -----------------------------------------------------------------------------------------------------


def test_fields_that_hold_hashes_or_secrets_are_hidden() -> None:
    telling = ("hash", "secret", "digest", "seed", "recovery", "otp", "code", "access_token", "refresh_token")
    fields = {name for event in EVENTS for name in event.model_fields if not name.endswith("_at")}
    names = {name for name in fields if any(word in name for word in telling)}
    assert {"password_hash", "secret_hash"} <= names
    assert all(is_hidden(name) for name in names)


async def test_T55_nothing_that_steers_a_terminal_comes_through(
    application: Application, connection: Conn, master: MasterKey, meta: Meta
) -> None:
    nasty = "\x1b[2J\x9b31m\x7f\r\n\u202e\u2028[red]\x00".replace("\x00", "")
    agent = meta(user_agent=nasty, request_id=nasty)
    await sign_up(application, agent, "account-1", "jane", name=nasty)
    (record,) = records(connection, master, Wanted())
    line = record.json()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["user_agent"] == json.loads(line)["data"]["name"] == nasty
    assert harmless(nasty) == "\\x1b[2J\\x9b31m\\x7f\\r\\n\\u202e\\u2028[red]"


# The command ----------------------------------------------------------------------------------------------------------


def command(database: str, *arguments: str, key: bytes = b"k" * 32) -> "subprocess.Popen[str]":
    environ = os.environ | {"ACCOUNTS_MASTER_KEY": base64.b64encode(key).decode()}
    script = [sys.executable, str(ROOT / "scripts" / arguments[0]), *arguments[1:], "--database-url", database]
    return subprocess.Popen(script, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("script", ["audit.py", "replay.py"])
async def test_what_is_wrong_is_said_in_one_sentence(
    application: Application, database: str, empty_database: str, meta: Meta, script: str
) -> None:
    await sign_up(application, meta(), "account-1", "jane")
    for where, key, sentence in (
        (database, b"w" * 32, "the master key does not open this database"),
        (empty_database, b"k" * 32, "there is no log in this database"),
        (f"{database} host=/nowhere", b"k" * 32, "the database says: "),
    ):
        process = command(where, script, key=key)
        output, complaint = process.communicate(timeout=60)
        assert (process.returncode, output, complaint.count("\n")) == (1, "", 1)
        assert sentence in complaint


async def test_whoever_has_read_enough_may_close_the_pipe(application: Application, database: str, meta: Meta) -> None:
    await sign_up(application, meta(), "account-1", "jane")
    for nth in range(300):
        await application.execute(meta(), ACCOUNT, "account-1", commands.change_name, name=f"Jane {nth} {'x' * 300}")
    process = command(database, "audit.py", "jane", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["event"] == "SignedUp"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 0


async def test_T45_verify_prints_the_difference_and_no_personal_value_unless_asked(
    application: Application, connection: Conn, database: str, meta: Meta
) -> None:
    await sign_up(application, meta(), "account-1", "jane", name="Jane", password_hash="$argon2id$x")
    connection.execute("UPDATE read.accounts_v2 SET name = 'Forged', active = false, password_hash = '$argon2id$y'")
    for asked in ([], ["--show-values"]):
        process = command(database, "replay.py", "accounts", "--verify", *asked)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "accounts_v2, row stream account-1: differs from the log (1 rows do in this table)" in output
        assert "live: active = false" in output
        assert f"from the log: password_hash = {HASH}" in output
        assert ('live: name = "Forged"' in output) == ("Jane" in output) == bool(asked)
        assert "argon2" not in output
