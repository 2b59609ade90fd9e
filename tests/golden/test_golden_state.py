"""The same history is the same state: on another machine, in another Python, locale, time zone and batch size."""

import json
import os
import subprocess
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import projections
from accounts_es.adapters.postgres_binaries import Identity, find
from accounts_es.application import Application
from accounts_es.eventstore.compare import state_hash
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import examine
from tests.support.fixed_history import live_it
from tests.support.server import COMMAND, environment, keys

GOLDEN = Path(__file__).with_name("state.json")
"""Table to hash. A table that changed has another name, and so another line; ``ACCOUNTS_WRITE_STATE=1`` writes it."""


async def test_T41_a_known_history_has_the_state_that_was_written_down(
    application: Application, database: str, master: MasterKey
) -> None:
    await live_it(application)
    with connect_sync(database, as_app=False) as owner:
        found = {table: state_hash(owner, table) for each in projections.ALL for table in each.tables}
    golden: dict[str, str] = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("ACCOUNTS_WRITE_STATE"):
        GOLDEN.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
        golden = found
    assert {table: each for table, each in found.items() if table in golden} == golden
    for batch in (1, 7, 10_000):
        _, verdict = examine(database, master, projections.ALL, batch=batch)
        assert [each.rebuilt for each in verdict.states] == [each.live for each in verdict.states]


@pytest.mark.parametrize("locale", ["bytes", "Unicode"])
async def test_T41_the_state_is_that_of_the_rows_and_not_of_the_database_s_locale_or_the_process_s(
    application: Application, database: str, server_conninfo: str, locale: str
) -> None:
    await live_it(application)
    here = told(database)
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_conninfo, autocommit=True) as owner:
        how = "LOCALE 'C'"
        if locale == "Unicode" and owner.info.server_version >= 170000:
            how += " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
        owner.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {how}".encode())
        try:
            elsewhere = make_conninfo(server_conninfo, dbname=name)
            copy(database, elsewhere)
            for setting, value in {
                "DateStyle": "German, DMY",
                "TimeZone": "Asia/Kathmandu",
                "IntervalStyle": "sql_standard",
                "bytea_output": "escape",
                "extra_float_digits": "-3",
            }.items():
                owner.execute(
                    sql.SQL("ALTER DATABASE {} SET {} TO {}").format(
                        sql.Identifier(name), sql.Identifier(setting), sql.Literal(value)
                    )
                )
            there = told(
                elsewhere, "--batch", "3", PYTHONHASHSEED="1", LC_ALL="tr_TR.UTF-8", TZ="Pacific/Apia", PYTHONUTF8="0"
            )
        finally:
            owner.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    assert there == here


def told(conninfo: str, *words: str, **settings: str) -> list[str]:
    """What each read model is by its hash, as an operator sees it; all are as live."""
    done = subprocess.run(
        [COMMAND, "replay", "--verify", *words, "--database-url", conninfo],
        env=environment(**keys(), **settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[:-1]
    assert len(lines) == len(projections.ALL)
    assert all(line.endswith("  as live") for line in lines)
    return lines


def copy(source: str, target: str) -> None:
    """By the programs of PostgreSQL, as an operator's backup."""
    programs = find(Identity())
    dumped = subprocess.run([programs / "pg_dump", "--dbname", source], capture_output=True, check=True, timeout=120)
    where = conninfo_to_dict(target)
    assert where["dbname"]
    subprocess.run(
        [programs / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", target],
        input=dumped.stdout,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )
