"""Another master key for a database: every data key is wrapped anew, in one transaction, while nobody works on it.

Data keys and the secret of digests stay what they are, so nothing that was stored is written anew.
"""

import time
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import sql

from accounts_es.eventstore.connection import NAMED, Conn, connect_sync
from accounts_es.eventstore.key_check import GUARD, bound_key, remember
from accounts_es.eventstore.keys import BoundKey, MasterKey, SealBroken, WrongMasterKey
from accounts_es.eventstore.migrate import MIGRATION_LOCK

_KEYS: Final = sql.Identifier("log", "subject_keys")
_GUARD: Final = sql.Identifier(GUARD)
_BATCH: Final = 5000
_NAMED_AT_MOST: Final = 10
_PATIENCE: Final = "5s"
_PARTING: Final = 3.0
_PAUSE: Final = 0.05
_OTHERS: Final = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND starts_with(application_name, %s)"""
_LOCK: Final = "LOCK TABLE log.key_check, log.subject_keys IN ACCESS EXCLUSIVE MODE"
_COUNT: Final = "SELECT count(*) FROM log.subject_keys"
_PAGE: Final = "SELECT subject, wrapped FROM log.subject_keys WHERE subject > %s ORDER BY subject LIMIT %s"
_WRAP: Final = """UPDATE log.subject_keys AS kept SET wrapped = again.wrapped
    FROM unnest(%s::text[], %s::bytea[]) AS again (subject, wrapped) WHERE kept.subject = again.subject"""
_ANSWERS: Final = "UPDATE log.idempotency SET answer = NULL, streams = NULL WHERE answer IS NOT NULL"

Progress = Callable[[int, int], None]
"""Told how many keys are wrapped anew, of how many."""


class InUse(Exception):  # noqa: N818
    """Somebody works on the database; nothing was changed."""


class KeysBroken(Exception):  # noqa: N818
    """Wrapped keys that the master key does not open; nothing was changed."""

    def __init__(self, subjects: list[str]) -> None:
        named = ", ".join(subjects[:_NAMED_AT_MOST])
        more = f" and {len(subjects) - _NAMED_AT_MOST} more" if len(subjects) > _NAMED_AT_MOST else ""
        super().__init__(
            f"the master key does not open the keys of {named}{more}, which somebody has changed: nothing was done"
        )


def change(conninfo: str, master: MasterKey, new: MasterKey, progress: Progress) -> int:
    """Let the new key take the place of the present one; returns how many data keys there are.

    Needs the owner's role. Raises `WrongMasterKey`, `InUse`, `KeysBroken` and psycopg's errors.
    """
    with connect_sync(conninfo, as_app=False) as connection:
        connection.execute(
            f"SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '{_PATIENCE}'"
        )
        # Whoever has just been stopped is seen for a moment longer.
        _alone(connection, _PARTING)
        try:
            with connection.transaction():
                # The file of the former key goes once this is done: it is to be on disk then.
                connection.execute("SET LOCAL synchronous_commit = on")
                # A server that starts now waits here, and then sees that it has a former key.
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
                connection.execute(_LOCK)
                # Whoever has seen the present key still has the connection by which it did.
                _alone(connection)
                former = bound_key(connection, master)
                if new.same_as(master):
                    raise WrongMasterKey("the new master key is the present one")
                check = new.next_check(former)
                _unguard(connection)
                count = _wrap(connection, former, new.bound(check), progress)
                _guard(connection, check.mark)
                # Sealed with the former key. A request that is sent again is refused, and not carried out twice.
                connection.execute(_ANSWERS)
                remember(connection, check)
        except psycopg.errors.LockNotAvailable:
            raise InUse(
                "somebody reads the keys of this database (a backup?), or a server starts: nothing was changed"
            ) from None
    return count


def _alone(connection: Conn, patience: float = 0) -> None:
    end = time.monotonic() + patience
    while others := connection.execute(_OTHERS, (NAMED,)).fetchall()[0][0]:
        if time.monotonic() < end:
            time.sleep(_PAUSE)
            continue
        raise InUse(
            f"servers or tools are working on this database ({others} connections): stop them; nothing was changed"
        )


def _wrap(connection: Conn, former: BoundKey, new: BoundKey, progress: Progress) -> int:
    ((total,),) = connection.execute(_COUNT).fetchall()
    done, last = 0, ""
    broken: list[str] = []
    while rows := connection.cursor(binary=True).execute(_PAGE, (last, _BATCH)).fetchall():
        wrapped: dict[str, bytes] = {}
        for subject, old in rows:
            try:
                wrapped[subject] = new.wrap(subject, former.master.unwrap(subject, bytes(old)))
            except (SealBroken, WrongMasterKey):
                broken.append(subject)
        if not broken:
            connection.execute(_WRAP, (list(wrapped), list(wrapped.values())))
        done, last = done + len(rows), rows[-1][0]
        progress(done, total)
    if broken:
        raise KeysBroken(broken)
    return done


def _unguard(connection: Conn) -> None:
    connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(_KEYS, _GUARD))


def _guard(connection: Conn, mark: bytes) -> None:
    """From now on the database takes no key that does not begin with the mark; it proves that all of them do."""
    connection.execute(
        sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK (substr(wrapped, 1, {}) = {})").format(
            _KEYS, _GUARD, sql.Literal(len(mark)), sql.Literal(mark)
        )
    )
