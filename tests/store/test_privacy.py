"""Personal values are sealed, and gone when their key is; nothing of them stands anywhere in the log in the clear."""

import logging
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import psycopg
import pytest

import projections
from accounts_es.domain.account import ACCOUNT
from accounts_es.domain.account.events import SignedUp
from accounts_es.domain.catalog import EVENTS
from accounts_es.domain.event import Event, Recorded, personal_fields
from accounts_es.domain.values import canonical_email
from accounts_es.eventstore import keys as key_module
from accounts_es.eventstore.append import Append
from accounts_es.eventstore.connection import APP_ROLE, connect_sync
from accounts_es.eventstore.keys import MasterKey, SealBroken, WrongMasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.migrate import UnsuitableDatabase, migrate
from accounts_es.eventstore.projection import Projection, Statements, Tx
from accounts_es.logs import JsonLines, Lines
from tests.support.appends import beginning, labels, logs, rows, stored, taking
from tests.support.bound import bound
from tests.support.examples import EXAMPLE_OF
from tests.support.metadata import metadata

CANARY = "canary7f3a"


def marked(event_type: type[Event]) -> Event:
    """An event whose personal texts are all canaries."""

    def mark(value: object) -> object:
        if isinstance(value, dict):
            return {f"{CANARY}-key": f"{CANARY}-value"}
        if isinstance(value, tuple):
            return tuple(mark(each) for each in value)
        return f"{CANARY}-{value}"

    example = EXAMPLE_OF[event_type]
    return example.model_copy(update={name: mark(getattr(example, name)) for name in personal_fields(event_type)})


def everything_in(conninfo: str, schema: str) -> dict[str, bytes]:
    """The bytes of each table of a schema, as PostgreSQL sends them."""
    contents: dict[str, bytes] = {}
    with psycopg.connect(conninfo) as owner:
        tables = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,)).fetchall()
        for (table,) in tables:
            with owner.cursor().copy(f"COPY {schema}.{table} TO STDOUT (FORMAT binary)".encode()) as copy:
                contents[table] = b"".join(bytes(each) for each in copy)
    return contents


async def test_T56_no_personal_value_stands_in_the_log_in_the_clear(log: EventLog, database: str) -> None:
    meta = metadata(ip=f"{CANARY}-ip", user_agent=f"{CANARY}-agent")
    for nth, event_type in enumerate(EVENTS):
        stream = f"account-{nth}"
        claims = (taking(stream, "account.email", f"{CANARY}@example.org"),) if nth == 0 else ()
        key = log.keys.create(stream)
        await log.append(Append((Recorded(stream, 1, marked(event_type), meta),), claims, ((stream, key),)))
    contents = everything_in(database, "log")
    assert len(rows(database, "SELECT 1 FROM log.accounts_events")) == len(EVENTS)
    assert {table for table, content in contents.items() if CANARY.encode() in content} == set()
    assert CANARY.encode() in everything_in(database, "read")["accounts_v2"], "the search itself works"


boasting = Projection(name="boasting", tables=(), ddl="")


@boasting.on(SignedUp)
def signed_up(tx: Tx, recorded: Recorded[SignedUp]) -> None:
    """Fails in ways whose messages repeat the value."""
    tx.execute("SELECT %s::text::int", (recorded.event.name,))


@pytest.mark.parametrize("formatter", [JsonLines, Lines])
async def test_T56_no_personal_value_reaches_the_output_even_when_it_is_what_failed(
    database: str, master: MasterKey, formatter: Callable[[], logging.Formatter]
) -> None:
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        async with logs(database, master, read_models=(*projections.ALL, boasting)) as (log,):
            with pytest.raises(psycopg.DataError, match=CANARY):
                await log.append(beginning(log, "account-1", name=CANARY))
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    assert "append failed" in written.getvalue()
    assert CANARY not in written.getvalue()


async def test_T57_without_their_key_events_replay_and_say_nothing_personal(
    log: EventLog, database: str, master: MasterKey
) -> None:
    await log.append(beginning(log, "account-1", EXAMPLE_OF[SignedUp], name="Ann"))
    await log.append(labels("account-1", 3, "vip"))
    rows(database, "DELETE FROM log.subject_keys WHERE subject = 'account-1' RETURNING 1")
    async with logs(database, master) as (fresh,):
        recorded = await fresh.load("account-1")
        assert [each.erased for each in recorded] == [True, True, True]
        state = ACCOUNT.fold(recorded)  # type: ignore[arg-type]
        assert (state.account_id, state.name, state.email, state.password_hash) == ("", "", None, None)
        assert state.labels == ("vip",)
        for projection in projections.ALL:
            statements = Statements()
            for each in recorded:
                projection.apply(statements, each)
            # What holds nothing personal is delivered, and finds no row.
            assert all(sql.startswith("UPDATE accounts_v2 SET labels") for sql, _ in statements)


async def test_a_sealed_value_moved_in_the_database_does_not_open(
    log: EventLog, database: str, master: MasterKey
) -> None:
    await log.append(beginning(log, "account-1"))
    await log.append(beginning(log, "account-2"))
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("ALTER TABLE log.accounts_events DISABLE TRIGGER USER")
        owner.execute(
            """UPDATE log.accounts_events SET state = (SELECT state FROM log.accounts_events
               WHERE originator_id = 'account-1') WHERE originator_id = 'account-2'"""
        )
    with pytest.raises(SealBroken):
        await log.load("account-2")


async def test_a_key_wrapped_for_one_person_does_not_open_for_another(log: EventLog, database: str, master) -> None:
    await log.append(beginning(log, "account-1"))
    await log.append(beginning(log, "account-2"))
    rows(
        database,
        """UPDATE log.subject_keys SET wrapped = (SELECT wrapped FROM log.subject_keys WHERE subject = 'account-1')
           WHERE subject = 'account-2' RETURNING 1""",
    )
    async with logs(database, master) as (fresh,):
        with pytest.raises(SealBroken):
            await fresh.load("account-2")


async def test_more_streams_than_keys_fit_into_memory_are_no_obstacle(
    log: EventLog, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_module, "_CACHED_KEYS", 3)
    for nth in range(6):
        await log.append(beginning(log, f"account-{nth}", name=f"name-{nth}"))
    for nth in range(6):
        await log.append(labels(f"account-{nth}", 2, "x"))
    for nth in range(6):
        recorded = await log.load(f"account-{nth}")
        assert [each.erased for each in recorded] == [False, False]
        assert isinstance(recorded[0].event, SignedUp)
        assert recorded[0].event.name == f"name-{nth}"


async def test_a_key_pushed_out_of_memory_during_a_read_is_not_taken_for_erased(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append(beginning(log, "account-1", name="Ann"))
    fetch = log.reads.fetch

    async def meanwhile(*arguments):
        found = await fetch(*arguments)
        if arguments[0].startswith("SELECT originator_version"):
            log.keys.forget("account-1")
        return found

    monkeypatch.setattr(log.reads, "fetch", meanwhile)
    assert [each.erased for each in await log.load("account-1")] == [False]


def test_another_master_key_is_refused_before_it_does_harm(database: str) -> None:
    with connect_sync(database, as_app=False) as owner, pytest.raises(WrongMasterKey, match="another one"):
        migrate(owner, MasterKey(b"x" * 32), projections.ALL)


@pytest.mark.parametrize("secret", [b"", b"short", b"x" * 33])
def test_a_master_key_has_32_bytes(secret: bytes) -> None:
    with pytest.raises(WrongMasterKey):
        MasterKey(secret)


def test_digests_of_claims_cannot_be_compared_without_the_key_and_differ_by_what_they_are() -> None:
    one, other = bound(MasterKey(b"1" * 32)), bound(MasterKey(b"2" * 32))
    email = canonical_email("ann@example.org")
    digests = {
        one.digest("p", "account.email", email),
        one.digest("q", "account.email", email),
        one.digest("p", "account.id", email),
        other.digest("p", "account.email", email),
    }
    assert len(digests) == 4
    assert one.digest("p", "account.email", email) in digests


# Immutability ---------------------------------------------------------------------------------------------------------

CHANGES = [
    "UPDATE log.accounts_events SET state = ''",
    "UPDATE log.accounts_events SET recorded_at = now()",
    "DELETE FROM log.accounts_events",
    "TRUNCATE log.accounts_events",
    "TRUNCATE log.accounts_events CASCADE",
    """INSERT INTO log.accounts_events SELECT * FROM log.accounts_events
       ON CONFLICT (originator_id, originator_version) DO UPDATE SET state = ''""",
    "MERGE INTO log.accounts_events AS e USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("who", ["server", "owner"])
async def test_T35_events_cannot_be_changed_or_removed(log: EventLog, database: str, who: str, change: str) -> None:
    await log.append(beginning(log, "account-1"))
    before = everything_in(database, "log")["accounts_events"]
    with (
        connect_sync(database, as_app=who == "server") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(change.encode())
    assert everything_in(database, "log")["accounts_events"] == before


SERVER_MAY_NOT = [
    "UPDATE log.subject_keys SET wrapped = ''",
    "UPDATE log.claims SET stream = ''",
    "UPDATE log.key_check SET sealed = ''",
    "DELETE FROM log.key_check",
    "DELETE FROM log.migrations",
    "UPDATE log.read_models SET rebuilt_to = 0",
    "ALTER TABLE log.accounts_events DISABLE TRIGGER ALL",
    "DROP TABLE log.accounts_events",
    "ALTER FUNCTION log.append RENAME TO other",
    "CREATE TABLE log.other (x int)",
    "CREATE TABLE read.other (x int)",
    "CREATE FUNCTION read.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
    "SELECT setval('log.accounts_events_notification_id_seq', 1)",
    "SET session_replication_role = replica",
]


@pytest.mark.parametrize("change", SERVER_MAY_NOT)
async def test_T35_the_server_s_role_may_do_no_more_than_it_has_to(database: str, change: str) -> None:
    with connect_sync(database) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (APP_ROLE,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(change.encode())


# Migration ------------------------------------------------------------------------------------------------------------


def test_migrating_twice_changes_nothing(database: str, master: MasterKey) -> None:
    before = everything_in(database, "log")
    with connect_sync(database, as_app=False) as owner:
        assert migrate(owner, master, projections.ALL) == []
    assert everything_in(database, "log") == before


def test_T37_a_database_of_a_later_release_is_refused_by_name(database: str, master: MasterKey) -> None:
    rows(database, "INSERT INTO log.migrations VALUES ('0999_later.sql', now()) RETURNING 1")
    with (
        connect_sync(database, as_app=False) as owner,
        pytest.raises(UnsuitableDatabase, match=r"made by a later release: it has 0999_later\.sql"),
    ):
        migrate(owner, master, projections.ALL)


@pytest.mark.parametrize(("topic", "version"), [("account.levitated", 1), ("account.label_added", 9)])
def test_T37_a_log_with_events_of_a_later_release_is_refused_by_name_once_there_are_any(
    database: str, master: MasterKey, topic: str, version: int
) -> None:
    # The later release ran here, and went away before it had written such an event: there is nothing to refuse.
    rows(database, f"INSERT INTO log.shapes VALUES ('{topic}', {version}) RETURNING 1")
    with connect_sync(database, as_app=False) as owner:
        migrate(owner, master, projections.ALL)
        owner.execute(
            """INSERT INTO log.accounts_events
               (originator_id, originator_version, topic, state, project_id, recorded_at, actor, operation, request_id,
                correlation_id)
               VALUES ('account-9', 1, %s, %s, 'default', now(), 'system', 'x', 'r', 'r')""",
            (topic, f'{{"v": {version}}}'.encode()),
        )
        with pytest.raises(UnsuitableDatabase, match=rf"later release has written \({topic}, version {version}\)"):
            migrate(owner, master, projections.ALL)


async def test_a_read_model_that_is_new_in_an_old_log_must_be_filled_first(
    log: EventLog, database: str, master
) -> None:
    await log.append(beginning(log, "account-1"))
    newcomer = Projection(name="newcomer", tables=("newcomers_v1",), ddl="CREATE TABLE newcomers_v1 (x int)")
    changed = replace(
        next(each for each in projections.ALL if each.name == "api_keys"),
        tables=("api_keys_v9",),
        ddl="CREATE TABLE api_keys_v9 (x int)",
    )
    others = [each for each in projections.ALL if each.name != "api_keys"]
    with connect_sync(database, as_app=False) as owner:
        assert migrate(owner, master, [*others, changed, newcomer]) == ["api_keys", "newcomer"]
        assert migrate(owner, master, [*others, changed, newcomer]) == ["api_keys", "newcomer"]
    assert stored(database, "account-1") == [1]


def test_a_database_that_is_not_utf8_is_refused_in_one_sentence(server_conninfo: str, master: MasterKey) -> None:
    from psycopg.conninfo import make_conninfo

    with psycopg.connect(server_conninfo, autocommit=True) as owner:
        owner.execute("CREATE DATABASE test_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        try:
            with (
                connect_sync(make_conninfo(server_conninfo, dbname="test_latin1"), as_app=False) as other,
                pytest.raises(UnsuitableDatabase, match="LATIN1"),
            ):
                migrate(other, master, projections.ALL)
        finally:
            owner.execute("DROP DATABASE test_latin1 WITH (FORCE)")
