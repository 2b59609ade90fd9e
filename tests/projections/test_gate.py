"""Rebuilt tables answer only if they equal the live ones, or differ in what somebody named; and there is a way back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import LabelAdded, NameChanged, PrefsUpdated, SignedUp
from accounts_es.domain.event import Event, Metadata, Recorded
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project import commands as project_commands
from accounts_es.domain.project.events import PlatformAdded
from accounts_es.domain.resource import RESOURCE
from accounts_es.domain.resource import commands as resource_commands
from accounts_es.domain.resource.events import ResourceProtected
from accounts_es.eventstore.compare import first_difference
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.gate import Origin
from accounts_es.eventstore.kept import NothingKept, follow, forget, kept, roll_back
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.rebuild import (
    Accept,
    NothingToResume,
    Refused,
    StreamsParked,
    rebuild,
    resume,
    state_hash,
    verify,
)
from accounts_es.eventstore.shadow import Shadow
from accounts_es.eventstore.standing import Standing, ask

Meta = Callable[..., Metadata]
ACCOUNTS = projections.accounts.projection


@pytest.fixture
def owner(database: str) -> Conn:
    with connect_sync(database, as_app=False) as connection:
        yield connection


@pytest.fixture
async def populated(application: Application, meta: Meta) -> Application:
    """Three accounts, with the events 1 to 12."""
    for nth in range(3):
        stream = f"account-{nth}"
        await application.execute(meta(), ACCOUNT, stream, commands.sign_up, account_id=f"a{nth}", name="N")
        await application.execute(meta(), ACCOUNT, stream, commands.replace_labels, labels=["x"])
        await application.execute(meta(), ACCOUNT, stream, commands.change_name, name=f"Name {nth}")
        await application.execute(meta(), ACCOUNT, stream, commands.update_prefs, prefs={"n": nth})
    return application


def changed(event: type[Event], handler: Callable[[Tx, Recorded[Any]], None] | None) -> Projection:
    """The accounts with another handler for an event, or none."""
    handlers = {**ACCOUNTS.handlers}
    if handler is None:
        del handlers[event]
    else:
        handlers[event] = handler
    return replace(ACCOUNTS, handlers=handlers)


def shouting(tx: Tx, recorded: Recorded[NameChanged]) -> None:
    """A bug: names become loud."""
    event = NameChanged(name=recorded.event.name.upper())
    ACCOUNTS.handlers[NameChanged](tx, replace(recorded, event=event))


def poisoned(stream: str, event: type[Event] = NameChanged) -> Projection:
    """The accounts with a handler that cannot take one stream."""

    def handler(tx: Tx, recorded: Recorded[Any]) -> None:
        if recorded.stream == stream:
            raise ZeroDivisionError
        ACCOUNTS.handlers[event](tx, recorded)

    return changed(event, handler)


def names(owner: Conn, schema: str = "read") -> dict[str, str]:
    return dict(owner.execute(f"SELECT stream, name FROM {schema}.accounts_v2 ORDER BY 1".encode()).fetchall())


def standing_of(owner: Conn, name: str, kind: str = "inline") -> Standing:
    found = ask(lambda query: owner.execute(query.encode()).fetchall())
    return next(each for each in found if (each.name, each.kind) == (name, kind))


# What differs ---------------------------------------------------------------------------------------------------------


async def test_T44_a_bug_in_a_handler_is_refused_with_the_row_and_the_event(
    populated: Application, owner: Conn, database: str, master: MasterKey
) -> None:
    before = state_hash(owner, "accounts_v2")
    with pytest.raises(Refused) as refused:
        rebuild(database, master, [changed(NameChanged, shouting)])
    found, origin = refused.value.verdict.difference, refused.value.verdict.origin
    assert found is not None
    assert (found.table, found.key, found.rows) == ("accounts_v2", {"stream": "account-0"}, 3)
    assert (found.live, found.rebuilt) == ({"name": "Name 0"}, {"name": "NAME 0"})
    assert origin == Origin("account-0", 3, 3, "account.name_changed")
    assert state_hash(owner, "accounts_v2") == before
    assert owner.execute("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'read\\_%'").fetchall() == []


@pytest.mark.parametrize(
    ("event", "position", "topic"),
    [(PrefsUpdated, 4, "account.prefs_updated"), (SignedUp, 1, "account.signed_up")],
)
async def test_T44_a_forgotten_event_is_named(
    populated: Application, database: str, master: MasterKey, event: type[Event], position: int, topic: str
) -> None:
    with pytest.raises(Refused) as refused:
        rebuild(database, master, [changed(event, None)])
    assert refused.value.verdict.origin == Origin("account-0", position, position, topic)


async def test_T44_a_difference_that_comes_while_the_tables_are_swapped_is_seen(
    populated: Application, owner: Conn, database: str, master: MasterKey, meta: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is equal when everything is compared; the one event that tells comes after that."""
    await populated.execute(meta(), ACCOUNT, "account-9", commands.sign_up, account_id="a9", name="N")
    head = owner.execute("SELECT max(notification_id) FROM log.accounts_events").fetchone()
    assert head is not None

    def late(tx: Tx, recorded: Recorded[NameChanged]) -> None:
        (shouting if recorded.position > head[0] else ACCOUNTS.handlers[NameChanged])(tx, recorded)

    settle, loop = Shadow.settle, asyncio.get_running_loop()

    def slow(shadow: Shadow) -> None:
        settle(shadow)
        change = populated.execute(meta(), ACCOUNT, "account-9", commands.change_name, name="Later")
        asyncio.run_coroutine_threadsafe(change, loop).result()

    monkeypatch.setattr(Shadow, "settle", slow)
    with pytest.raises(Refused) as refused:
        await asyncio.to_thread(rebuild, database, master, [changed(NameChanged, late)])
    assert refused.value.verdict.difference is not None
    assert refused.value.verdict.difference.key == {"stream": "account-9"}


@pytest.mark.parametrize(
    "accept", [Accept(frozenset({"accounts_v2.name"})), Accept(frozenset({"accounts_v2"})), Accept(differences=True)]
)
async def test_T44_a_difference_that_somebody_named_is_swapped_in(
    populated: Application, owner: Conn, database: str, master: MasterKey, accept: Accept
) -> None:
    rebuild(database, master, [changed(NameChanged, shouting)], accept=accept)
    assert names(owner) == {f"account-{nth}": f"NAME {nth}" for nth in range(3)}


async def test_T44_another_difference_than_the_one_named_is_refused(
    populated: Application, owner: Conn, database: str, master: MasterKey
) -> None:
    with pytest.raises(Refused):
        rebuild(database, master, [changed(NameChanged, shouting)], accept=Accept(frozenset({"accounts_v2.labels"})))
    assert names(owner)["account-0"] == "Name 0"


async def test_T44_another_column_must_be_named_as_well(
    populated: Application, owner: Conn, database: str, master: MasterKey
) -> None:
    wider = replace(ACCOUNTS, ddl=ACCOUNTS.ddl + "ALTER TABLE accounts_v2 ADD COLUMN shoe_size int;")
    with pytest.raises(Refused) as refused:
        rebuild(database, master, [wider])
    found = refused.value.verdict.difference
    assert found is not None
    assert (found.live, found.rebuilt, found.rows) == (None, {"shoe_size": None}, 0)
    rebuild(database, master, [wider], accept=Accept(frozenset({"accounts_v2.shoe_size"})))
    assert owner.execute("SELECT count(shoe_size), count(*) FROM read.accounts_v2").fetchall() == [(0, 3)]


# The way back ---------------------------------------------------------------------------------------------------------


async def test_T44_the_replaced_tables_catch_up_before_they_answer_again(
    populated: Application, owner: Conn, database: str, master: MasterKey, meta: Meta
) -> None:
    rebuild(database, master, [changed(NameChanged, shouting)], accept=Accept(differences=True))
    await populated.execute(meta(), ACCOUNT, "account-1", commands.change_name, name="Since then")
    await populated.execute(meta(), ACCOUNT, "account-2", commands.delete_account)
    assert names(owner, "read_old")["account-1"] == "Name 1"
    # Now and then they follow the log, so that nobody who is gone is found in them.
    follow(database, master, projections.ALL)
    assert names(owner, "read_old") == {"account-0": "Name 0", "account-1": "Since then"}
    await populated.execute(meta(), ACCOUNT, "account-0", commands.update_prefs, prefs={"late": True})
    assert standing_of(owner, "accounts", "kept").lag == 1

    roll_back(database, master, projections.ALL, batch=1)
    assert names(owner) == {"account-0": "Name 0", "account-1": "Since then"}
    assert verify(database, master, projections.ALL)[1] is None
    # What answered until then is kept in its turn.
    roll_back(database, master, projections.ALL)
    assert names(owner) == {"account-0": "NAME 0", "account-1": "Since then"}


async def test_the_way_back_ends_when_nobody_wants_it_any_more(
    populated: Application, owner: Conn, database: str, master: MasterKey
) -> None:
    with pytest.raises(NothingKept):
        roll_back(database, master, projections.ALL)
    rebuild(database, master, projections.ALL)
    assert {each.read_model for each in kept(owner, projections.ALL)} == {each.name for each in projections.ALL}
    # The next rebuild keeps what it replaces, and no more.
    rebuild(database, master, [ACCOUNTS])
    assert len(forget(database, master, [ACCOUNTS])) == 1
    assert len(forget(database, master, projections.ALL)) == len(projections.ALL) - 1
    assert owner.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'read_old'").fetchall() == [(0,)]
    with pytest.raises(NothingKept):
        roll_back(database, master, projections.ALL)


# Streams that stand still ---------------------------------------------------------------------------------------------


async def test_T43_a_poison_event_parks_its_stream_and_the_rest_advances_until_it_is_mended(
    populated: Application, owner: Conn, database: str, master: MasterKey, meta: Meta
) -> None:
    before = state_hash(owner, "accounts_v2")
    with pytest.raises(StreamsParked) as stopped:
        rebuild(database, master, [poisoned("account-1")], batch=5)
    (still,) = stopped.value.parked
    assert (still.read_model, still.stream, still.version, still.position) == ("accounts", "account-1", 3, 7)
    assert (still.topic, still.error.split()[0]) == ("account.name_changed", "ZeroDivisionError")
    assert state_hash(owner, "accounts_v2") == before
    # The others are there, and what stands still is shown.
    assert names(owner, "read_next") == {"account-0": "Name 0", "account-1": "N", "account-2": "Name 2"}
    (shown,) = standing_of(owner, "accounts", "rebuild").parked
    assert (shown.stream, shown.position) == ("account-1", 7)
    assert standing_of(owner, "accounts").passes

    # Not mended yet: it stands still where it stood.
    await populated.execute(meta(), ACCOUNT, "account-1", commands.change_name, name="Later")
    with pytest.raises(StreamsParked):
        resume(database, master, [poisoned("account-1")])
    done = resume(database, master, projections.ALL)
    assert done.parked == ()
    assert names(owner)["account-1"] == "Later"
    assert verify(database, master, projections.ALL)[1] is None
    assert owner.execute("SELECT count(*) FROM log.parked").fetchall() == [(0,)]
    with pytest.raises(NothingToResume):
        resume(database, master, projections.ALL)


async def test_T43_doing_without_a_stream_is_somebody_s_decision_and_shows_until_it_is_mended(
    populated: Application, owner: Conn, database: str, master: MasterKey
) -> None:
    rebuild(database, master, [poisoned("account-1", SignedUp)], accept=Accept(parked=True))
    assert set(names(owner)) == {"account-0", "account-2"}
    standing = standing_of(owner, "accounts")
    assert (standing.passes, [each.stream for each in standing.parked]) == (False, ["account-1"])
    resume(database, master, projections.ALL)
    assert set(names(owner)) == {"account-0", "account-1", "account-2"}
    assert standing_of(owner, "accounts").passes


async def test_T43_statements_that_the_database_refuses_park_their_streams(
    populated: Application, owner: Conn, database: str, master: MasterKey
) -> None:
    def refused(tx: Tx, recorded: Recorded[LabelAdded]) -> None:
        ACCOUNTS.handlers[LabelAdded](tx, recorded)
        match recorded.stream:
            case "account-0":
                tx.execute("INSERT INTO accounts_v2 (stream) VALUES (%s)", ("jane@example.org",))
            case "account-2":
                tx.execute("SELECT no_such_function(%s)", ("jane@example.org\x00",))
            case _:
                pass

    with pytest.raises(StreamsParked) as stopped:
        rebuild(database, master, [changed(LabelAdded, refused)])
    assert [(each.stream, each.error) for each in stopped.value.parked] == [
        ("account-0", "NotNullViolation"),
        ("account-2", "UndefinedFunction"),
    ]
    assert "jane" not in str(stopped.value)
    assert names(owner, "read_next") == {"account-0": "N", "account-1": "Name 1", "account-2": "N"}


async def test_T43_streams_stand_still_in_kept_tables_too(
    populated: Application, owner: Conn, database: str, master: MasterKey, meta: Meta
) -> None:
    rebuild(database, master, projections.ALL)
    await populated.execute(meta(), ACCOUNT, "account-1", commands.change_name, name="Later")
    follow(database, master, [poisoned("account-1")])
    assert [each.stream for each in standing_of(owner, "accounts", "kept").parked] == ["account-1"]
    with pytest.raises(StreamsParked):
        roll_back(database, master, [poisoned("account-1")])
    roll_back(database, master, [ACCOUNTS])
    assert verify(database, master, projections.ALL)[1] is None


async def test_T57_whoever_is_erased_is_taken_out_of_a_rebuild_that_was_left_and_of_what_stands_still(
    populated: Application, owner: Conn, database: str, master: MasterKey, meta: Meta
) -> None:
    rebuild(database, master, projections.ALL)
    await populated.execute(meta(), ACCOUNT, "account-1", commands.change_name, name="Later")
    follow(database, master, [poisoned("account-1")])
    with pytest.raises(StreamsParked):
        rebuild(database, master, [poisoned("account-1")], batch=5)
    assert set(names(owner, "read_old")) == set(names(owner, "read_next")) == {f"account-{nth}" for nth in range(3)}
    for nth in (0, 1):
        await populated.execute(meta(), ACCOUNT, f"account-{nth}", commands.erase, reason="request")
    follow(database, master, projections.ALL)
    assert names(owner, "read_next") == {"account-2": "Name 2"}
    assert names(owner, "read_old") == {"account-2": "Name 2"}
    done = resume(database, master, projections.ALL)
    assert done.parked == ()
    assert names(owner) == {"account-2": "Name 2"}
    assert verify(database, master, projections.ALL)[1] is None


async def test_what_a_comparison_that_was_killed_leaves_behind_goes(
    populated: Application, owner: Conn, database: str, master: MasterKey
) -> None:
    owner.execute("CREATE SCHEMA read_check; CREATE TABLE read_check.accounts_v2 AS TABLE read.accounts_v2")
    follow(database, master, projections.ALL)
    assert owner.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'read_check'").fetchall() == []


RESOURCES = projections.resources.projection
PROJECTS = projections.projects.projection
OF_WHAT = [(RESOURCES, ResourceProtected, "resource-1"), (PROJECTS, PlatformAdded, "project-default")]


@pytest.fixture
async def settled(application: Application, meta: Meta) -> Application:
    """A project with a platform, and two resources."""
    made = {"project_id": "default", "name": "D"}
    await application.execute(meta(), PROJECT, "project-default", project_commands.create_project, **made)
    web = {"platform_id": "web", "kind": "web", "name": "Web", "identifier": "example.org"}
    await application.execute(meta(), PROJECT, "project-default", project_commands.add_platform, **web)
    for nth in (1, 2):
        thing = {"resource_type": "notes", "resource_id": f"n{nth}", "permissions": ['read("any")']}
        await application.execute(meta(), RESOURCE, f"resource-{nth}", resource_commands.protect, **thing)
    return application


@pytest.mark.parametrize(("projection", "event", "stream"), OF_WHAT, ids=("resources", "projects"))
async def test_T43_doing_without_a_stream_covers_rows_that_do_not_name_it(
    settled: Application, database: str, master: MasterKey, projection: Projection, event: type[Event], stream: str
) -> None:
    def handler(tx: Tx, recorded: Recorded[Any]) -> None:
        if recorded.stream == stream:
            raise ZeroDivisionError
        projection.handlers[event](tx, recorded)

    broken = replace(projection, handlers={**projection.handlers, event: handler})
    done = rebuild(database, master, [broken], accept=Accept(parked=True))
    assert [each.stream for each in done.parked] == [stream]


async def test_a_row_that_does_not_name_its_stream_is_traced_to_it_and_compared_with_it_alone(
    settled: Application, owner: Conn, database: str, master: MasterKey
) -> None:
    owner.execute(
        "CREATE SCHEMA read_next; CREATE TABLE read_next.resource_readers_v1 AS TABLE read.resource_readers_v1"
    )
    owner.execute(
        "DELETE FROM read_next.resource_readers_v1 WHERE position = (SELECT max(position) FROM read.resources_v2)"
    )
    table = "resource_readers_v1"
    assert first_difference(owner, table, "read_next", only=["resource-1"]) is None
    assert first_difference(owner, table, "read_next", without=["resource-2"]) is None
    found = first_difference(owner, table, "read_next", only=["resource-2"])
    assert found is not None
    assert (found.stream, found.rows, found.rebuilt) == ("resource-2", 1, None)
