"""Connections as the server uses them: autocommit, the restricted role, bounded waits."""

from typing import Any, Final, LiteralString

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

APP_ROLE: Final = "accounts_es_app"
"""The database role of the server: it may add events, and neither change nor remove them."""

NAMED: Final = "accounts-es"
"""How the connections of servers and tools begin to call themselves: whoever must be alone looks for it."""

_SESSION: Final = (
    "SET search_path = read, log",
    "SET TimeZone = 'UTC'",
    # What is read under the append lock must be what was committed before, whatever the database's own default is.
    "SET default_transaction_isolation = 'read committed'",
    "SET statement_timeout = '30s'",
    "SET idle_in_transaction_session_timeout = '10s'",
    # A transaction that waits for the append lock this long is better refused than kept.
    "SET lock_timeout = '15s'",
)

_CONNECT_SECONDS: Final = 10

AsyncConn = AsyncConnection[tuple[Any, ...]]
Conn = Connection[tuple[Any, ...]]


def _statements(*, as_app: bool) -> tuple[LiteralString, ...]:
    return (f"SET ROLE {APP_ROLE}", *_SESSION) if as_app else _SESSION


_NOTICED: Final = {
    "tcp_user_timeout": "20000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
}
"""A database whose machine is gone says nothing any more: noticed within 20 seconds, not a quarter of an hour.

It is longer than an append waits for its lock: until then the database may take in nothing.
"""


def primary(conninfo: str) -> str:
    """The same database, and of several hosts the one that takes writes: a replica may be behind, and nothing is ever
    decided or answered from one. Raises psycopg's ``ProgrammingError`` for what is no connection string."""
    return make_conninfo(watched(conninfo), target_session_attrs="read-write")


def watched(conninfo: str) -> str:
    """The same database, noticed to be gone, unless the connection string says otherwise.

    On sockets of the file system it changes nothing (libpq).
    """
    return make_conninfo(conninfo, **{**_NOTICED, **conninfo_to_dict(conninfo)})


async def connect(conninfo: str) -> AsyncConn:
    """A connection of the server."""
    connection = await AsyncConnection.connect(
        watched(conninfo), autocommit=True, application_name=NAMED, connect_timeout=_CONNECT_SECONDS
    )
    try:
        await prepare(connection)
    except BaseException:
        await connection.close()
        raise
    connection.prepare_threshold = 1
    return connection


async def prepare(connection: AsyncConn) -> None:
    """Make a fresh connection one of the server's."""
    await connection.execute("; ".join(_statements(as_app=True)))


def connect_sync(conninfo: str, *, as_app: bool = True) -> Conn:
    """A connection of a tool; with ``as_app=False`` it keeps the role it signs in with."""
    connection = psycopg.connect(
        watched(conninfo), autocommit=True, application_name=f"{NAMED} tool", connect_timeout=_CONNECT_SECONDS
    )
    try:
        connection.execute("; ".join(_statements(as_app=as_app)))
    except BaseException:
        connection.close()
        raise
    return connection


def is_lost(connection: AsyncConn, error: BaseException) -> bool:
    """Whether the error means that the connection is gone, rather than that a statement was refused."""
    # A server that ends the session says so first; the connection is found closed only by the next one to use it.
    fatal = isinstance(error, psycopg.Error) and error.diag.severity_nonlocalized == "FATAL"
    return connection.closed or fatal or isinstance(error, psycopg.InterfaceError)
