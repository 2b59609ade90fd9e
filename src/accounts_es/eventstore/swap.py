"""The moment in which one set of tables takes the place of another."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

from accounts_es.eventstore.append import APPEND_LOCK
from accounts_es.eventstore.compare import LIVE
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.key_check import bound_key
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.projection import Projection

KEPT: Final = "read_old"
"""The schema of the tables that were replaced."""
_PATIENCE: Final = "300ms"
_TURN: Final = "3s"
"""How long to wait for another: that is long enough for whoever brings replaced tables up to date."""
_ATTEMPTS: Final = 100
_PAUSE: Final = 0.05
_ASIDE: Final = "read_swap"
_REBUILD_LOCK: Final = 7017280570803617909
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


@contextmanager
def alone(conninfo: str, master: MasterKey) -> Generator[Conn]:
    """The owner's connection of whoever rebuilds: one at a time. Raises `RebuildRunning`, `WrongMasterKey`."""
    with connect_sync(conninfo, as_app=False) as connection:
        connection.execute(
            "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;"
            # A batch that a crash of the database takes along is made again: nobody need wait for the disk for it.
            " SET synchronous_commit = off"
        )
        bound_key(connection, master)
        try:
            connection.execute(f"SET lock_timeout = '{_TURN}'; SELECT pg_advisory_lock({_REBUILD_LOCK})".encode())
        except psycopg.errors.LockNotAvailable:
            raise RebuildRunning from None
        connection.execute("SET lock_timeout = 0")
        try:
            yield connection
        finally:
            # The lock of a closed session lives on for a moment: long enough to refuse the next rebuild.
            if not connection.closed:
                connection.execute("SELECT pg_advisory_unlock(%s)", (_REBUILD_LOCK,))


def under_lock(
    connection: Conn, projections: Sequence[Projection], work: Callable[[], None], undone: Callable[[], None]
) -> None:
    """Do this in one transaction while nobody adds to the log, with little patience for whoever holds the live tables.

    ``undone`` is called before each further try. Raises `TablesBusy`.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with connection.transaction():
                _end_vacuum(connection, projections)
                connection.execute("SET LOCAL synchronous_commit = on")
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
                work()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            undone()
            if attempt == _ATTEMPTS - 1:
                raise TablesBusy from None
            time.sleep(_PAUSE)
        else:
            return


def _end_vacuum(connection: Conn, projections: Sequence[Projection]) -> None:
    """Take the lock that only an automatic vacuum minds: it gives way after a second, and nobody else waits for us."""
    connection.execute(f"SET LOCAL lock_timeout = '{_VACUUM_PATIENCE}'".encode())
    for projection in projections:
        for table in projection.tables:
            connection.execute(
                sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(sql.Identifier(LIVE, table))
            )
    connection.execute("SET LOCAL lock_timeout = 0")


def exchange(connection: Conn, projection: Projection, source: str, position: int, *, keep: bool) -> None:
    """Put the tables of a schema in the place of the live ones, which are kept or dropped.

    In the transaction that is open, under the lock; both hold the log up to ``position``.
    """
    # Readers that hold one table and wait for another must not wait for us for ever, nor we for them.
    connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'".encode())
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {KEPT}; CREATE SCHEMA {_ASIDE}".encode())
    for table in projection.tables:
        for origin, target in ((LIVE, _ASIDE), (source, LIVE)):
            _move(connection, table, origin, target)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(KEPT, table)))
        if keep:
            _move(connection, table, _ASIDE, KEPT)
        else:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(_ASIDE, table)))
    connection.execute(f"DROP SCHEMA {_ASIDE}".encode())
    _move_parked(connection, projection.name, source, keep=keep)
    connection.execute(
        """INSERT INTO log.read_models (name, tables, rebuilt_to, kept_to, kept_since)
           VALUES (%s, %s, %s, %s, now())
           ON CONFLICT (name) DO UPDATE SET tables = excluded.tables, rebuilt_to = excluded.rebuilt_to,
               kept_to = excluded.kept_to, kept_since = excluded.kept_since""",
        (projection.name, list(projection.tables), position, position if keep else None),
    )


def _move(connection: Conn, table: str, source: str, target: str) -> None:
    connection.execute(
        sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.Identifier(source, table), sql.Identifier(target))
    )


def _move_parked(connection: Conn, name: str, source: str, *, keep: bool) -> None:
    """Streams that stand still do so in tables, which have just moved."""
    rename = "UPDATE log.parked SET tables = %s WHERE tables = %s AND read_model = %s"
    connection.execute(rename, (_ASIDE, LIVE, name))
    connection.execute(rename, (LIVE, source, name))
    connection.execute("DELETE FROM log.parked WHERE tables = %s AND read_model = %s", (KEPT, name))
    if keep:
        connection.execute(rename, (KEPT, _ASIDE, name))
    else:
        connection.execute("DELETE FROM log.parked WHERE tables = %s AND read_model = %s", (_ASIDE, name))
