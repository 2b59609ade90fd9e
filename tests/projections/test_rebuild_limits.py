"""What a rebuild meets besides a quiet log: order across streams, erasure, other people's locks, failures."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import NameChanged
from accounts_es.domain.event import Metadata, Recorded
from accounts_es.eventstore import keys as key_module
from accounts_es.eventstore import swap as swap_module
from accounts_es.eventstore.batch import Batches, BatchFailed
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.keys import MasterKey, WrongMasterKey
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.rebuild import Accept, StreamsParked, TablesBusy, rebuild, state_hash, verify

Meta = Callable[..., Metadata]


@pytest.fixture
def owner(database: str) -> Conn:
    with connect_sync(database, as_app=False) as connection:
        yield connection


def rows(owner: Conn, query: str) -> list[tuple[object, ...]]:
    return owner.execute(query.encode()).fetchall()


# One batch ------------------------------------------------------------------------------------------------------------


def test_statements_of_a_batch_run_in_their_order(owner: Conn) -> None:
    owner.execute("CREATE TABLE read.names (stream text PRIMARY KEY, name text UNIQUE)")
    insert = "INSERT INTO read.names VALUES (%s, %s) ON CONFLICT (name) DO NOTHING"
    delete = "DELETE FROM read.names WHERE stream = %s"
    Batches(owner, "read").run(
        [(insert, ("a", "jane")), (delete, ("a",)), (insert, ("b", "jane")), (delete, ("b",)), (insert, ("c", "jane"))]
    )
    assert rows(owner, "TABLE read.names") == [("c", "jane")]


def test_every_kind_of_parameter_arrives(owner: Conn) -> None:
    owner.execute(
        """CREATE TABLE read.kinds (statements bigint, t text, b boolean, at timestamptz, l text[], j jsonb, y bytea,
               e text, p text, n numeric)"""
    )
    at = datetime(2026, 3, 14, 12, 0, 0, 123456, tzinfo=UTC)
    values = (2**40, 'it\'s "ü" \\ {x}\n', True, at, ["a,b", '"', "", "NULL"], '{"a": 1}', b"\x00\xff", None, 1.5)
    batches = Batches(owner, "read")
    # A column may be called like a variable of the function that runs the batch; a statement may hold a percent sign.
    batches.run(
        [
            (
                """INSERT INTO read.kinds (statements, t, b, at, l, j, y, e, n, p)
                   VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, '100%%')""",
                values,
            ),
            ("UPDATE read.kinds SET l = array_append(l, %s) WHERE statements = %s AND t LIKE 'it%%'", ("z", 2**40)),
        ]
    )
    batches.run([("UPDATE read.kinds SET n = n + 1", ())])
    batches.run([])
    assert rows(owner, "SELECT statements, t, b, at, l, j::text, y, e, n::float8, p FROM read.kinds") == [
        (*values[:4], ["a,b", '"', "", "NULL", "z"], *values[5:8], 2.5, "100%")
    ]


def test_a_batch_that_fails_leaves_nothing_and_quotes_no_value(owner: Conn) -> None:
    owner.execute("CREATE TABLE read.names (name text PRIMARY KEY)")
    with pytest.raises(BatchFailed) as failed:
        Batches(owner, "read").run([("INSERT INTO read.names VALUES (%s)", ("jane@example.org",))] * 2)
    assert "names_pkey" in str(failed.value)
    assert "jane" not in str(failed.value)
    assert rows(owner, "TABLE read.names") == []


def test_placeholders_and_parameters_must_agree(owner: Conn) -> None:
    with pytest.raises(BatchFailed, match="1 placeholders for 2"):
        Batches(owner, "read").run([("SELECT %s", (1, 2))])


# The whole ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 1000])
async def test_T40_an_id_goes_from_hand_to_hand_in_the_order_of_the_log(
    application: Application, owner: Conn, database: str, master: MasterKey, meta: Meta, batch: int
) -> None:
    # Nothing but the order keeps two owners of one id apart here.
    owner.execute("CREATE UNIQUE INDEX one_owner ON read.accounts_v2 (project_id, account_id)")
    one_owner = "CREATE UNIQUE INDEX one_owner ON accounts_v2 (project_id, account_id);"
    for nth in range(3):
        stream = f"account-{nth}"
        await application.execute(meta(), ACCOUNT, stream, commands.sign_up, account_id="jane", name=f"Jane {nth}")
        await application.execute(meta(), ACCOUNT, stream, commands.replace_labels, labels=["x", "y"])
        if nth < 2:
            await application.execute(meta(), ACCOUNT, stream, commands.delete_account)
    before = state_hash(owner, "accounts_v2")
    strict = [
        Projection(each.name, each.tables, each.ddl + one_owner, each.lifecycle, each.handlers)  # type: ignore[arg-type]
        for each in projections.ALL
        if each.name == "accounts"
    ]
    rebuild(database, master, strict, batch=batch)
    assert state_hash(owner, "accounts_v2") == before


async def test_a_person_erased_while_read_models_are_rebuilt_does_not_come_back(
    application: Application,
    owner: Conn,
    database: str,
    master: MasterKey,
    meta: Meta,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for nth in range(4):
        await application.execute(meta(), ACCOUNT, f"account-{nth}", commands.sign_up, account_id=f"a{nth}", name="N")
    await application.execute(meta(), ACCOUNT, "account-0", commands.delete_account)

    loop = asyncio.get_running_loop()

    def erase(position: int, _head: int) -> None:
        if position == 2:
            erasure = application.execute(meta(), ACCOUNT, "account-0", commands.erase, reason="request")
            asyncio.run_coroutine_threadsafe(erasure, loop).result()

    with monkeypatch.context() as forgetful:
        forgetful.setattr(key_module, "_CACHED_KEYS", 1)
        await asyncio.to_thread(rebuild, database, master, projections.ALL, batch=1, progress=erase)
    assert rows(owner, "SELECT stream FROM read.accounts_v2 ORDER BY 1") == [(f"account-{n}",) for n in (1, 2, 3)]
    assert verify(database, master, projections.ALL)[1] is None


async def test_another_master_key_is_refused_before_anything_is_touched(owner: Conn, database: str) -> None:
    with pytest.raises(WrongMasterKey):
        rebuild(database, MasterKey(b"x" * 32), projections.ALL)
    assert rows(owner, "SELECT 1 FROM pg_namespace WHERE nspname = 'read_next'") == []


async def test_T44_tables_held_by_somebody_else_are_left_alone_and_writers_go_on(
    application: Application,
    owner: Conn,
    database: str,
    master: MasterKey,
    meta: Meta,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(swap_module, "_ATTEMPTS", 2)
    monkeypatch.setattr(swap_module, "_PATIENCE", "20ms")
    await application.execute(meta(), ACCOUNT, "account-0", commands.sign_up, account_id="a0", name="N")
    before = state_hash(owner, "accounts_v2")
    with psycopg.connect(database) as backup:
        backup.execute("SELECT FROM read.accounts_v2")
        with pytest.raises(TablesBusy):
            rebuild(database, master, projections.ALL)
        await application.execute(meta(), ACCOUNT, "account-1", commands.sign_up, account_id="a1")
    owner.execute("DELETE FROM read.accounts_v2 WHERE stream = 'account-1'")
    assert state_hash(owner, "accounts_v2") == before
    # The next one starts over and finds what was lost.
    rebuild(database, master, projections.ALL, accept=Accept(differences=True))
    assert rows(owner, "SELECT count(*) FROM read.accounts_v2") == [(2,)]


async def test_a_read_model_that_fails_says_where_and_changes_nothing(
    application: Application, owner: Conn, database: str, master: MasterKey, meta: Meta
) -> None:
    await application.execute(meta(), ACCOUNT, "account-0", commands.sign_up, account_id="a0", name="N")
    await application.execute(meta(), ACCOUNT, "account-0", commands.change_name, name="M")
    before = state_hash(owner, "accounts_v2")
    broken = Projection("accounts", ("accounts_v2",), "CREATE TABLE accounts_v2 (stream text PRIMARY KEY);")

    @broken.on(NameChanged)
    def name_changed(tx: Tx, _recorded: Recorded[NameChanged]) -> None:
        tx.execute("INSERT INTO accounts_v2 VALUES (NULL)", ())

    with pytest.raises(StreamsParked, match=r"account-0 stands still at version 2, event 2 .*: NotNullViolation"):
        rebuild(database, master, [broken])
    assert state_hash(owner, "accounts_v2") == before
