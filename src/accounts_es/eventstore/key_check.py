"""The master key at hand and the database it is to open."""

from typing import Final

import psycopg

from accounts_es.eventstore.connection import Conn
from accounts_es.eventstore.keys import BoundKey, KeyCheck, MasterKey, WrongMasterKey

GUARD: Final = "wrapped_by_the_master_key"
"""The constraint that refuses keys which a former master key has wrapped."""
KEY_CHECK: Final = "SELECT sealed, digests, mark FROM log.key_check"
_KEEP: Final = """INSERT INTO log.key_check (sealed, digests, mark) VALUES (%s, %s, %s)
    ON CONFLICT (singleton) DO UPDATE SET sealed = excluded.sealed, digests = excluded.digests, mark = excluded.mark"""


def bound_key(connection: Conn, master: MasterKey) -> BoundKey:
    """The key as the key of this database. Raises `WrongMasterKey`, `SealBroken`."""
    row = connection.execute(KEY_CHECK).fetchone()
    if row is None:
        raise WrongMasterKey("this database has no master key yet: start the server on it")
    return master.bound(KeyCheck._make(row))


def remember(connection: Conn, check: KeyCheck) -> None:
    """What the database keeps of its master key from now on."""
    connection.execute(_KEEP, check)


def begin(connection: Conn, master: MasterKey) -> None:
    """Remember the master key of a new database, and of an older one what it did not keep before.

    Raises `WrongMasterKey` if it was made with another.
    """
    row = connection.execute(KEY_CHECK).fetchone()
    if row is None:
        remember(connection, master.first_check())
        return
    check = KeyCheck._make(row)
    master.bound(check)
    if check.digests is None:
        remember(connection, check._replace(digests=master.first_check().digests))


def opens(connection: Conn, master: MasterKey) -> bool:
    """Whether the database is this key's. One that was not begun yet is nobody's."""
    try:
        row = connection.execute("SELECT sealed FROM log.key_check").fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return False
    return row is not None and master.opens(row[0])


def is_former(error: BaseException) -> bool:
    """Whether the database refused a key because another master key has taken the place of the one that wrapped it."""
    return isinstance(error, psycopg.errors.CheckViolation) and error.diag.constraint_name == GUARD
