"""Appends as tests say them, below the level of commands."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg

import projections
from accounts_es.domain.account.events import LabelAdded, SignedUp
from accounts_es.domain.event import Event, Metadata, Recorded
from accounts_es.eventstore.append import Append, ClaimChange, IdempotencyKey
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.projection import Projection
from tests.support.metadata import metadata


def beginning(
    log: EventLog,
    stream: str,
    *more: Event,
    claims: Sequence[ClaimChange] = (),
    idempotency: IdempotencyKey | None = None,
    meta: Metadata | None = None,
    name: str = "",
) -> Append:
    """The first events of an account, with its key."""
    account_id = stream.removeprefix("account-")
    events = following(stream, 1, SignedUp(account_id=account_id, name=name), *more, meta=meta).events
    return Append(events, tuple(claims), ((stream, log.keys.create(stream)),), idempotency)


def following(stream: str, version: int, *events: Event, meta: Metadata | None = None) -> Append:
    """Events of a stream from a version on."""
    return Append(tuple(Recorded(stream, nth, event, meta or metadata()) for nth, event in enumerate(events, version)))


def labels(stream: str, version: int, *names: str) -> Append:
    """Labels added to an account from a version on."""
    return following(stream, version, *(LabelAdded(label=name) for name in names))


def taking(stream: str, kind: str, value: str, *, project: str = "default") -> ClaimChange:
    """A value taken by a stream."""
    return ClaimChange(project, kind, value, stream, take=True)


def freeing(stream: str, kind: str, value: str, *, project: str = "default") -> ClaimChange:
    """A value given up by a stream."""
    return ClaimChange(project, kind, value, stream, take=False)


@asynccontextmanager
async def logs(
    conninfo: str, master: MasterKey, count: int = 1, read_models: Sequence[Projection] = projections.ALL
) -> AsyncIterator[list[EventLog]]:
    """As many logs as there are server processes, each with its own connections, keys and queue."""
    async with AsyncExitStack() as stack:
        started: list[EventLog] = []
        for _ in range(count):
            log = EventLog(conninfo, master, read_models)
            await log.start()
            stack.push_async_callback(log.stop)
            started.append(log)
        yield started


def rows(conninfo: str, sql: str, *params: object) -> list[tuple]:
    """What a query says to the owner of the database."""
    with psycopg.connect(conninfo, autocommit=True) as owner:
        return owner.execute(sql.encode(), params).fetchall()


def stored(conninfo: str, stream: str) -> list[int]:
    """The versions a stream has."""
    found = rows(
        conninfo,
        "SELECT originator_version FROM log.accounts_events WHERE originator_id = %s ORDER BY originator_version",
        stream,
    )
    return [version for (version,) in found]


def advisory_locks(conninfo: str, *, granted: bool) -> int:
    """How many advisory locks of this database are held, or waited for. Servers of other tests have their own."""
    return rows(
        conninfo,
        """SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database
           WHERE locktype = 'advisory' AND granted = %s AND datname = current_database()""",
        granted,
    )[0][0]
