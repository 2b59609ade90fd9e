"""Rebuild read models from the log, beside the live ones and while the server goes on.

The tables are made again in a shadow schema; the same handlers fill them (``search_path`` sends the same SQL there),
in the order of the log; while the database takes in one batch, the next is read and decoded. When they have caught up,
one transaction under the append lock takes in the last events and swaps the tables. The tables replaced are dropped: a
minute later they would be a minute behind, so the way back is another rebuild. A rebuild that is killed leaves a shadow
schema behind that the next one drops. Reactors are not reached from here: a replay never sends a mail.

A person may be erased meanwhile: their account is deleted by an event, and that event takes their rows out here too.
"""

import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from accounts_es.eventstore.append import APPEND_LOCK
from accounts_es.eventstore.batch import BatchFailed
from accounts_es.eventstore.compare import Difference, first_difference, state_hash
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.migrate import check_master_key
from accounts_es.eventstore.projection import Projection
from accounts_es.eventstore.shadow import BATCH, SHADOW, Progress, Shadow, UnreadableEvent

__all__ = [
    "BatchFailed",
    "Difference",
    "Progress",
    "RebuildRunning",
    "Rebuilt",
    "TablesBusy",
    "UnreadableEvent",
    "fill",
    "rebuild",
    "state_hash",
    "verify",
]

_RETIRED: Final = "read_old"
_REBUILD_LOCK: Final = 7017280570803617909
_SWAP_ATTEMPTS: Final = 100
_SWAP_PATIENCE: Final = "300ms"
_VACUUM_PATIENCE: Final = "5s"


class RebuildRunning(Exception):  # noqa: N818
    """Another rebuild is under way on this database."""

    def __init__(self) -> None:
        super().__init__("another rebuild is running on this database: wait until it has ended")


class TablesBusy(Exception):  # noqa: N818
    """Somebody holds the live tables; they are as they were."""

    def __init__(self) -> None:
        super().__init__(
            "the live tables were in use for too long (a backup, or a transaction left open): nothing was changed"
        )


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How far a rebuild came, and how many events it read."""

    position: int
    events: int


def rebuild(
    conninfo: str,
    master: MasterKey,
    projections: Sequence[Projection],
    *,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> Rebuilt:
    """Make the read models anew and put them in the place of the live ones.

    Needs the owner's role. Raises `RebuildRunning`, `UnreadableEvent`, `TablesBusy`, `BatchFailed`, `WrongMasterKey`
    and psycopg's errors; the live tables are untouched then.
    """
    with _alone(conninfo, master) as connection:
        shadow = Shadow(connection, master, projections, batch, progress)
        shadow.create()
        shadow.catch_up(conninfo)
        for attempt in range(_SWAP_ATTEMPTS):
            try:
                with connection.transaction():
                    _end_vacuum(connection, projections)
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
                    shadow.take_in()
                    # Readers that hold one table and wait for another must not wait for us for ever, nor we for them.
                    connection.execute(f"SET LOCAL lock_timeout = '{_SWAP_PATIENCE}'".encode())
                    _swap(connection, projections, shadow.position)
                break
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                shadow.forget()
                if attempt == _SWAP_ATTEMPTS - 1:
                    raise TablesBusy from None
                time.sleep(0.05)
        connection.execute(f"DROP SCHEMA {_RETIRED} CASCADE; DROP SCHEMA {SHADOW} CASCADE".encode())
        return Rebuilt(shadow.position, shadow.events)


def verify(
    conninfo: str,
    master: MasterKey,
    projections: Sequence[Projection],
    *,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> tuple[Rebuilt, Difference | None]:
    """Rebuild beside the live tables, compare both as of one moment byte for byte, and throw the copy away.

    Writers wait only for the moment a snapshot takes. Raises as `rebuild`.
    """
    with _alone(conninfo, master) as connection:
        shadow = Shadow(connection, master, projections, batch, progress)
        shadow.create()
        shadow.catch_up(conninfo)
        connection.execute("SELECT pg_advisory_lock(%s)", (APPEND_LOCK,))
        try:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT 1")
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (APPEND_LOCK,))
        try:
            shadow.take_in()
            tables = [table for projection in projections for table in projection.tables]
            differences = (first_difference(connection, table, SHADOW) for table in tables)
            found = next((each for each in differences if each is not None), None)
        finally:
            connection.execute("ROLLBACK")
        connection.execute(f"DROP SCHEMA {SHADOW} CASCADE".encode())
        return Rebuilt(shadow.position, shadow.events), found


def fill(conninfo: str, master: MasterKey, projections: Sequence[Projection], names: Iterable[str]) -> None:
    """Rebuild those of the read models that a migration left empty."""
    wanted = set(names)
    rebuild(conninfo, master, [projection for projection in projections if projection.name in wanted])


@contextmanager
def _alone(conninfo: str, master: MasterKey) -> Generator[Conn]:
    with connect_sync(conninfo, as_app=False) as connection:
        connection.execute(
            "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0"
        )
        check_master_key(connection, master)
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_REBUILD_LOCK,)).fetchone()
        if row is None or not row[0]:
            raise RebuildRunning
        try:
            yield connection
        finally:
            # The lock of a closed session lives on for a moment: long enough to refuse the next rebuild.
            if not connection.closed:
                connection.execute("SELECT pg_advisory_unlock(%s)", (_REBUILD_LOCK,))


def _end_vacuum(connection: Conn, projections: Sequence[Projection]) -> None:
    """Take the lock that only an automatic vacuum minds: it gives way after a second, and nobody else waits for us."""
    connection.execute(f"SET LOCAL lock_timeout = '{_VACUUM_PATIENCE}'".encode())
    for projection in projections:
        for table in projection.tables:
            connection.execute(
                sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(sql.Identifier("read", table))
            )
    connection.execute("SET LOCAL lock_timeout = 0")


def _swap(connection: Conn, projections: Sequence[Projection], position: int) -> None:
    connection.execute(f"DROP SCHEMA IF EXISTS {_RETIRED} CASCADE; CREATE SCHEMA {_RETIRED}".encode())
    for projection in projections:
        for table in projection.tables:
            for source, target in (("read", _RETIRED), (SHADOW, "read")):
                connection.execute(
                    sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(
                        sql.Identifier(source, table), sql.Identifier(target)
                    )
                )
        connection.execute(
            """INSERT INTO log.read_models (name, tables, rebuilt_to) VALUES (%s, %s, %s)
               ON CONFLICT (name) DO UPDATE SET tables = excluded.tables, rebuilt_to = excluded.rebuilt_to""",
            (projection.name, list(projection.tables), position),
        )
