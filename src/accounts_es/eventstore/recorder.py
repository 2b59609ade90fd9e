"""The writer: one task and one connection per process, group commit.

Whatever appends are waiting go into one transaction: ``log.append`` takes the lock, finds the requests that conflict
and stores the rest; the inline read models and the outbox of those follow; one COMMIT makes all of them durable. There
is no artificial delay: the previous commit is the delay.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from accounts_es.domain.event import Event, Recorded
from accounts_es.eventstore.append import (
    APPEND_LOCK,
    Append,
    AppendRefused,
    Conflict,
    LogBusy,
    encoded,
    outbox_rows,
    parameters,
    refusal,
)
from accounts_es.eventstore.connection import AsyncConn, connect, is_lost
from accounts_es.eventstore.key_check import is_former
from accounts_es.eventstore.keys import LogKeys
from accounts_es.eventstore.projection import Handler, KeyedUpdate, Projection, Rounds, Statements, routes

log = logging.getLogger(__name__)

MAX_GROUP: Final = 128
"""Requests in one transaction."""
MAX_QUEUE: Final = 2048
"""Requests that may wait; one more is refused with `LogBusy`."""
_TURNS_OF_SEVERAL: Final = 12
"""Of the event loop, where the lock is shared: a group is settled before the lock is had, and small groups wait for
each other. For a lock that is ours alone nothing is waited for: meanwhile the database would have nothing to do."""
_REMEMBERED: Final = 32
"""Groups after which a lock that was free each time is taken for ours alone."""
MAX_QUEUE_BYTES: Final = 32 * 1024 * 1024
PATIENCE: Final = 10.0
"""Seconds a request may wait for a database that is away."""

_BY_KEY: Final = b"SET enable_seqscan = off; SET jit = off"
"""All that is written is looked up by its key. What is planned while a table is young would read all of it later. Up to
PostgreSQL 17 a table that has to be read as a whole is then so dear that compiling the statement would seem to pay."""
_TRY_LOCK: Final = f"SELECT pg_try_advisory_xact_lock({APPEND_LOCK})".encode()
APPEND: Final = f"SELECT req, refusal, n, log_position FROM log.append({', '.join(['%s'] * 23)})"

ERASE: Final = "SELECT log.erase(%s)"
OUTBOX_CHANNEL: Final = "accounts_outbox"
"""Whoever delivers listens here: an event without a message wakes nobody."""
_OUTBOX: Final = (
    "WITH stored AS (INSERT INTO log.outbox (kind, subject, payload) VALUES (%s, %s, %s) RETURNING id)"
    f" SELECT pg_notify('{OUTBOX_CHANNEL}', '') FROM stored"
)

Recordeds = tuple[Recorded[Event], ...]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request in the queue, with the bytes it will store."""

    append: Append
    states: tuple[bytes, ...]
    outbox: tuple[tuple[str, str, bytes], ...]
    size: int
    deadline: float
    done: "asyncio.Future[Recordeds]"
    doubtful: bool = False
    """Sent before, and the answer was not heard: a conflict may be with ourselves."""


class Recorder:
    """Appends for one process. Safe for any number of concurrent tasks of one event loop."""

    def __init__(self, conninfo: str, projections: Iterable[Projection]) -> None:
        self._conninfo = conninfo
        self._handlers: Mapping[type[Event], tuple[Handler[Any], ...]] = routes(projections)
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._arrived = asyncio.Event()
        self._connection: AsyncConn | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._shared = 0

    async def start(self, keys: LogKeys) -> None:
        """Connect and begin to write."""
        self._keys = keys
        self._loop = asyncio.get_running_loop()
        self._connection = await self._opened()
        self._task = asyncio.create_task(self._run(), name="recorder")

    async def stop(self) -> None:
        """Write what is queued, then close."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def append(self, append: Append) -> Recordeds:
        """Store an append; returns its events with their positions, once they are durable.

        A caller that is cancelled does not cancel its append. Raises `Conflict`, `ClaimTaken`, `KeyUsed`, `LogBusy`.
        """
        states, outbox = encoded(append, self._keys), outbox_rows(append, self._keys)
        size = sum(map(len, states)) + sum([len(sealed) for _, _, sealed in outbox])
        if self._closing or len(self._queue) >= MAX_QUEUE or self._queued_bytes + size > MAX_QUEUE_BYTES:
            raise LogBusy
        done: asyncio.Future[Recordeds] = self._loop.create_future()
        self._queue.append(_Waiting(append, states, outbox, size, time.monotonic() + PATIENCE, done))
        self._queued_bytes += size
        self._arrived.set()
        # A caller that gives up cancels its own future and nothing else: the append is in the queue.
        return await done

    async def _run(self) -> None:
        while not (self._closing and not self._queue):
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                if self._shared:
                    for _ in range(_TURNS_OF_SEVERAL):
                        await asyncio.sleep(0)
                group = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_GROUP))]
                self._queued_bytes -= sum(waiting.size for waiting in group)
                try:
                    await self._write(group)
                except Exception as error:
                    log.exception("append failed")
                    for waiting in group:
                        _refuse(waiting, error)

    async def _write(self, group: Sequence[_Waiting]) -> None:
        """Commit a group; what cannot be committed together is committed one by one."""
        while group:
            try:
                await self._commit(await self._connected(), group)
            except psycopg.errors.LockNotAvailable:
                log.warning("the append lock is held by somebody else")
                for waiting in group:
                    _refuse(waiting, LogBusy())
            except Exception as error:
                # Even a failure may come after the COMMIT went through.
                for waiting in group:
                    waiting.doubtful = True
                lost = self._connection is None or is_lost(self._connection, error)
                if lost and isinstance(error, psycopg.Error):
                    group = await self._after_loss(group)
                    continue
                if len(group) == 1:
                    # With a former master key the server is about to find out that it is cut off.
                    log.exception("append failed")
                    _refuse(group[0], LogBusy() if is_former(error) else error)
                    return
                log.warning("group refused, writing one by one", extra={"error": type(error).__name__})
                for waiting in group:
                    await self._write([waiting])
            return

    async def _connected(self) -> AsyncConn:
        if self._connection is None or self._connection.closed:
            self._connection = await self._opened()
        return self._connection

    async def _opened(self) -> AsyncConn:
        connection = await connect(self._conninfo)
        await connection.execute(_BY_KEY)
        return connection

    async def _commit(self, connection: AsyncConn, group: Sequence[_Waiting]) -> None:
        refused: dict[int, AppendRefused] = {}
        positions: list[int] = [0] * sum(len(waiting.append.events) for waiting in group)
        params = parameters([(waiting.append, waiting.states) for waiting in group], self._keys)
        stored: list[Recordeds] = []
        try:
            async with connection.pipeline() as pipeline:
                await connection.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED")
                free = await connection.cursor(binary=True).execute(_TRY_LOCK, prepare=True)
                answer = await connection.cursor(binary=True).execute(APPEND.encode(), params, prepare=True)
                await pipeline.sync()
                self._shared = max(0, self._shared - 1) if await free.fetchone() == (True,) else _REMEMBERED
                for number, why, place, position in await answer.fetchall():
                    if why is not None:
                        refused[number] = refusal(why)
                    else:
                        positions[place - 1] = position
                stored = _with_positions(group, positions)
                await self._inline(connection, group, stored, refused)
                committed = await connection.execute(b"COMMIT")
            if committed.statusmessage != "COMMIT":
                raise psycopg.errors.InFailedSqlTransaction  # noqa: TRY301 - a ROLLBACK comes without an error
        except BaseException as error:
            if not is_lost(connection, error):
                await connection.rollback()
            raise
        for number, waiting in enumerate(group):
            why = refused.get(number)
            if why is None:
                _settle(waiting, stored[number])
            elif not (waiting.doubtful and isinstance(why, Conflict)):
                _refuse(waiting, why)
            elif (found := await self._find(connection, waiting)) is not None:
                # The COMMIT of the lost connection came through after we had looked for it.
                _settle(waiting, found)
            else:
                _refuse(waiting, why)

    async def _inline(
        self,
        connection: AsyncConn,
        group: Sequence[_Waiting],
        stored: Sequence[Recordeds],
        refused: Mapping[int, AppendRefused],
    ) -> None:
        """The read models and outboxes of what was stored. Equal statements of different requests travel together."""
        rounds = Rounds()
        for number, events in enumerate(stored):
            if number in refused:
                continue
            for recorded in events:
                statements = Statements()
                for handler in self._handlers.get(type(recorded.event), ()):
                    handler(statements, recorded)
                if recorded.event.destroys:
                    statements.append((ERASE, (recorded.stream,)))
                rounds.add(recorded.stream, statements)
            for row in group[number].outbox:
                rounds.add(row[1], [(_OUTBOX, row)])
        for each in rounds:
            for sql, rows in each.items():
                if len(rows) == 1:
                    await connection.execute(sql.encode(), rows[0], prepare=True)
                elif isinstance(sql, KeyedUpdate):
                    await connection.execute(sql.together, sql.arrays(rows), prepare=True)
                else:
                    await connection.cursor().executemany(sql.encode(), rows)

    async def _after_loss(self, group: Sequence[_Waiting]) -> list[_Waiting]:
        """The connection went away, perhaps after the COMMIT: read back what is ours, return what to try again."""
        pause = 0.05
        while True:
            try:
                connection = await self._connected()
                for waiting in group:
                    found = None if waiting.done.done() else await self._find(connection, waiting)
                    if found is not None:
                        _settle(waiting, found)
                again = _still_patient(group)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                log.warning("waiting for the database", extra={"error": type(error).__name__})
                if not _still_patient(group):
                    return []
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
            else:
                return again

    async def _find(self, connection: AsyncConn, waiting: _Waiting) -> Recordeds | None:
        """The append as stored by us, or nothing if it was not (or if somebody else was first)."""
        first = waiting.append.events[0]
        cursor = await connection.cursor(binary=True).execute(
            """SELECT originator_version, state, notification_id FROM log.accounts_events
               WHERE originator_id = %s AND originator_version = %s""",
            (first.stream, first.stream_version),
        )
        row = await cursor.fetchone()
        if row is None or bytes(row[1]) != waiting.states[0]:
            return None
        positions = range(row[2], row[2] + len(waiting.append.events))
        return _numbered(waiting.append.events, positions)


def _with_positions(group: Sequence[_Waiting], positions: Sequence[int]) -> list[Recordeds]:
    stored: list[Recordeds] = []
    start = 0
    for waiting in group:
        end = start + len(waiting.append.events)
        stored.append(_numbered(waiting.append.events, positions[start:end]))
        start = end
    return stored


def _numbered(events: Recordeds, positions: Sequence[int]) -> Recordeds:
    return tuple(
        Recorded(each.stream, each.stream_version, each.event, each.meta, position)
        for each, position in zip(events, positions, strict=True)
    )


def _still_patient(group: Sequence[_Waiting]) -> list[_Waiting]:
    """Those that still wait; those that have waited too long are refused."""
    now = time.monotonic()
    for waiting in group:
        if now >= waiting.deadline:
            _refuse(waiting, LogBusy())
    return [waiting for waiting in group if not waiting.done.done()]


def _settle(waiting: _Waiting, stored: Recordeds) -> None:
    if not waiting.done.done():
        waiting.done.set_result(stored)


def _refuse(waiting: _Waiting, error: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
        # Retrieved here, so that a caller that has gone away leaves no warning behind.
        waiting.done.exception()
