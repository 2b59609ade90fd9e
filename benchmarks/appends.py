"""Appends in this process, without HTTP: ours against the library's ``save()`` and a serial transaction by hand."""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import uvloop
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from accounts_es.adapters.ids import now
from accounts_es.application import Application
from accounts_es.bootstrap import prepare, running_application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import PrefsUpdated
from accounts_es.domain.event import SYSTEM, JSONObject, Metadata, Recorded
from accounts_es.eventstore.append import Append
from accounts_es.eventstore.keys import MasterKey
from benchmarks.baselines import OWNERS, Owner, Owners, library_environment
from benchmarks.measure import Options, Report, Result, interleaved, spent, using
from benchmarks.processes import Usage, free_port
from benchmarks.spread import in_tasks, in_threads
from benchmarks.target import owner_of, serve

COMMAND: Final = "append: command"
EVENT: Final = "append: one event"
SAVE: Final = "append: the library's save()"
SERIAL: Final = "append: serial by hand"

_BY_HAND = """CREATE TABLE events (stream text, version bigint, state bytea, position bigserial,
                                   PRIMARY KEY (stream, version))"""


def appends(report: Report, options: Options, folder: Path) -> None:
    """All ways, with as many writers as connections, each way in a new database of the same server."""
    with serve(folder / "appends", free_port()) as (pid, _):
        owner = owner_of(folder / "appends")
        usage = Usage(os.getpid(), pid)
        for writers in options.connections:

            def measured(way: Callable[[str, int, float, Usage], Result], name: str, writers: int) -> Result:
                return way(fresh_database(owner, name), writers, options.seconds, usage)

            seen = interleaved(
                {
                    COMMAND: partial(measured, _command, "bench_command", writers),
                    EVENT: partial(measured, _event, "bench_event", writers),
                    SAVE: partial(measured, by_library, "bench_save", writers),
                    SERIAL: partial(measured, _serial, "bench_serial", writers),
                },
                options.rounds,
            )
            for name, results in seen.items():
                report.add(name, 1, writers, results, seen[SAVE])


def fresh_database(owner: str, name: str) -> str:
    """A new, empty database on the server of this connection string."""
    with psycopg.connect(owner, autocommit=True) as connected:
        connected.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connected.execute(f"CREATE DATABASE {name}".encode())
    return make_conninfo(owner, dbname=name)


def _prefs(count: int) -> JSONObject:
    return {"darkTheme": bool(count % 2), "language": "en", "count": count}


def _meta() -> Metadata:
    return Metadata(now(), "default", SYSTEM, "account.updatePrefs", "0" * 20, "0" * 20, ip="127.0.0.1")


def _stream(nth: int) -> str:
    return f"account-00000000-0000-7000-8000-{nth:012}"


@asynccontextmanager
async def _populated(conninfo: str) -> AsyncGenerator[Application]:
    master = MasterKey(b"b" * 32)
    prepare(conninfo, master)
    async with running_application(conninfo, master) as app:
        for nth in range(OWNERS):
            await app.execute(_meta(), ACCOUNT, _stream(nth), commands.sign_up, account_id=f"a{nth}")
        yield app


def _command(conninfo: str, writers: int, seconds: float, usage: Usage) -> Result:
    """Decided from the state in memory, sealed, stored together with the read model's row."""

    async def measure() -> Result:
        async with _populated(conninfo) as app:
            before = usage.seconds()
            result = await in_tasks(
                writers,
                seconds,
                lambda nth, count: app.execute(
                    _meta(), ACCOUNT, _stream(nth), commands.update_prefs, prefs=_prefs(count)
                ),
            )
            return spent(usage, before, result)

    return uvloop.run(measure())


def _event(conninfo: str, writers: int, seconds: float, usage: Usage) -> Result:
    """The same event appended without a decision."""

    async def measure() -> Result:
        async with _populated(conninfo) as app:
            before = usage.seconds()
            result = await in_tasks(
                writers,
                seconds,
                lambda nth, count: app.log.append(
                    Append((Recorded(_stream(nth), count + 1, PrefsUpdated(prefs=_prefs(count)), _meta()),))
                ),
            )
            return spent(usage, before, result)

    return uvloop.run(measure())


def by_library(conninfo: str, writers: int, seconds: float, usage: Usage) -> Result:
    """The library as it comes, without a read model; a thread for each writer."""
    app: Any = Owners(library_environment(conninfo_to_dict(conninfo)))
    try:
        owners = [Owner(name=f"owner {nth}") for nth in range(OWNERS)]
        app.save(*owners)

        def save(nth: int, count: int) -> None:
            owners[nth].update(_prefs(count))
            app.save(owners[nth])

        return using(usage, lambda: in_threads(writers, seconds, save))
    finally:
        app.close()


def _serial(conninfo: str, writers: int, seconds: float, usage: Usage) -> Result:
    """What position order and a notification take at least, one transaction for each event."""
    with psycopg.connect(conninfo, autocommit=True) as setup:
        setup.execute(_BY_HAND)
    connections = [psycopg.connect(conninfo, autocommit=True) for _ in range(writers)]

    def append(nth: int, count: int) -> None:
        with connections[nth].transaction():
            connections[nth].execute("SELECT pg_advisory_xact_lock(1)", prepare=True)
            connections[nth].execute("NOTIFY events", prepare=True)
            connections[nth].execute(
                "INSERT INTO events (stream, version, state) VALUES (%s, %s, %s)",
                (_stream(nth), count, b"x" * 400),
                prepare=True,
            )

    try:
        return using(usage, lambda: in_threads(writers, seconds, append))
    finally:
        for each in connections:
            each.close()
