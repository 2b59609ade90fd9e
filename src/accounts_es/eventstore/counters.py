"""Counters of fixed windows, shared by everything that uses the database.

Like reads (`reader.py`), concurrent requests of a process share one round trip, and so one call of a function. The
function locks, checks and counts, so that no number of requests at once gets past a limit.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from accounts_es.eventstore.connection import AsyncConn, connect, is_lost

log = logging.getLogger(__name__)

ALL: Final = 2**31 - 1
"""To give back: whatever was counted."""

_COUNT: Final = b"SELECT * FROM log.count_requests(%b, %b, %b, %b, %b, %b)"
_SWEEP: Final = b"""
    WITH old AS (
        SELECT key FROM log.limits WHERE ends < extract(epoch FROM now()) LIMIT 10000 FOR UPDATE SKIP LOCKED
    ), gone AS (DELETE FROM log.limits USING old WHERE limits.key = old.key RETURNING 1)
    SELECT count(*) FROM gone"""
_SESSION: Final = b"; ".join(
    (
        # Somebody waits for the answer, and without one is sent away.
        b"SET lock_timeout = '2s'",
        b"SET statement_timeout = '5s'",
        # The plan is made while the table is small and kept while it grows.
        b"SET enable_seqscan = off",
        b"SET enable_hashjoin = off",
        b"SET enable_mergejoin = off",
    )
)


class Counter(NamedTuple):
    """One counter: its key, the length of its window, and how much it may count within one."""

    key: bytes
    seconds: int
    most: int


class Used(NamedTuple):
    """How often a counter was used before, and when its window ends (seconds since the epoch)."""

    before: int
    ends: int


class Counted(NamedTuple):
    """Whether a request is let through (if not, it counted nowhere), and its counters in the order they were given."""

    passed: bool
    used: tuple[Used, ...]


class CountersClosed(Exception):  # noqa: N818
    """The server is shutting down."""


@dataclass(slots=True)
class _Batch:
    """What waits for the next round trip."""

    requests: list[tuple[Sequence[Counter], asyncio.Future[Counted]]] = field(
        default_factory=list[tuple[Sequence[Counter], asyncio.Future[Counted]]]
    )
    back: list[tuple[Counter, int]] = field(default_factory=list[tuple[Counter, int]])
    done: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    def futures(self) -> Iterable[asyncio.Future[Any]]:
        """Everybody who waits."""
        yield from (future for _, future in self.requests)
        yield from self.done


class Counters:
    """Counts on a connection of its own. Safe for any number of concurrent tasks of one event loop."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._batch = _Batch()
        self._waiting = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: AsyncConn | None = None
        self._closed = False

    async def start(self) -> None:
        """Connect and begin to count."""
        await self._connected()
        self._task = asyncio.create_task(self._run(), name="counters")

    async def stop(self) -> None:
        """Close the connection; who still waits is refused."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        _refuse(self._batch, CountersClosed())
        if self._connection is not None:
            await self._connection.close()

    async def count(self, counters: Sequence[Counter]) -> Counted:
        """Count one request in all of these counters, or in none if one of them is used up.

        Raises `CountersClosed` and psycopg's errors; then nobody knows whether it may pass.
        """
        future: asyncio.Future[Counted] = self._future()
        self._batch.requests.append((counters, future))
        self._waiting.set()
        return await future

    async def give_back(self, counters: Iterable[tuple[Counter, int]]) -> None:
        """Take back so much (`ALL`: everything) of what was counted in the current window. Raises as `count`."""
        future: asyncio.Future[None] = self._future()
        self._batch.back.extend(counters)
        self._batch.done.append(future)
        self._waiting.set()
        await future

    async def sweep(self) -> None:
        """Remove counters whose window is over."""
        removed = 1
        while removed and self._connection is not None and not self._connection.closed:
            row = await (await self._connection.execute(_SWEEP)).fetchone()
            removed = row[0] if row is not None else 0

    def _future(self) -> asyncio.Future[Any]:
        if self._closed:
            raise CountersClosed
        return asyncio.get_running_loop().create_future()

    async def _run(self) -> None:
        while True:
            await self._waiting.wait()
            # Requests that are being read from their sockets right now travel along.
            await asyncio.sleep(0)
            self._waiting.clear()
            batch, self._batch = self._batch, _Batch()
            try:
                await self._serve(batch)
            except asyncio.CancelledError:
                _refuse(batch, CountersClosed())
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers
                _refuse(batch, error)

    async def _serve(self, batch: _Batch) -> None:
        """Count a batch; a lost connection is replaced once. What it had counted already may then count twice."""
        try:
            connection = await self._connected()
            await self._together(connection, batch)
        except Exception as error:
            if self._connection is None or not is_lost(self._connection, error):
                raise
            log.warning("counting connection lost", extra={"error": type(error).__name__})
            await self._together(await self._connected(), batch)

    async def _connected(self) -> AsyncConn:
        if self._connection is None or self._connection.closed:
            connection = await connect(self._conninfo)
            await connection.execute(_SESSION)
            self._connection = connection
        return self._connection

    @staticmethod
    async def _together(connection: AsyncConn, batch: _Batch) -> None:
        back: dict[bytes, int] = {}
        for counter, amount in batch.back:
            back[counter.key] = min(back.get(counter.key, 0) + amount, ALL)
        known = {each.key: each for counters, _ in batch.requests for each in counters}
        known |= {each.key: each for each, _ in batch.back}
        keys = sorted(known)
        number = {key: nth for nth, key in enumerate(keys, start=1)}
        first, places, most = list[int](), list[int](), list[int]()
        for counters, _ in batch.requests:
            first.append(len(places) + 1)
            places.extend(number[each.key] for each in counters)
            most.extend(each.most for each in counters)
        seconds, returned = [known[key].seconds for key in keys], [back.get(key, 0) for key in keys]
        cursor = connection.cursor(binary=True)
        await cursor.execute(_COUNT, (keys, seconds, returned, first, places, most), prepare=True)
        rows = iter(await cursor.fetchall())
        for counters, future in batch.requests:
            passed, used = True, list[Used]()
            for _ in counters:
                passed, before, ends = next(rows)
                used.append(Used(before, ends))
            if not future.done():
                future.set_result(Counted(passed, tuple(used)))
        for done in batch.done:
            if not done.done():
                done.set_result(None)


def _refuse(batch: _Batch, error: Exception) -> None:
    for future in batch.futures():
        if not future.done():
            future.set_exception(error)
            # Retrieved here, so that a caller that has gone away leaves no warning behind.
            future.exception()
