"""The log as it grows, for whoever wants to hear of it while they want to: one connection of a process, or none.

It listens first and reads then, by position, so nothing is passed over: positions are given in the order of commits.
What is announced is only a wake-up; a lost connection is replaced, and reading goes on where it stopped.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

import psycopg

from accounts_es.eventstore.connection import AsyncConn, connect

log = logging.getLogger(__name__)

CHANNEL: Final = "accounts_events"
_PAGE: Final = 500
_POLL_SECONDS: Final = 1.0
"""How late an event can be noticed when nothing announced it."""
_LINGER_SECONDS: Final = 5.0
"""How long it goes on listening when nobody wants to hear: a page that is loaded anew comes back within that."""
_NEWEST: Final = "SELECT coalesce(max(notification_id), 0) FROM log.accounts_events"
_BEYOND: Final = """SELECT originator_id, originator_version, topic, state, notification_id, project_id, request_id
    FROM log.accounts_events WHERE notification_id > %s ORDER BY notification_id LIMIT %s"""


class Row(NamedTuple):
    """One stored event; the first five are what `EventLog.decode` takes."""

    stream: str
    version: int
    topic: str
    state: bytes
    position: int
    project: str
    request: str


Taker = Callable[[Sequence[Row]], Awaitable[None]]


class Follower:
    """Hands new events to its takers, in the order of the log; what one request recorded is never cut."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._takers: list[Taker] = []
        self._task: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[None] | None = None
        self._watches: set[Watch] = set()
        self.position = 0
        """The last event that was handed out, or is being handed out."""
        self.closing = False
        """The process is to stop: nobody should wait for events any more."""

    async def follow(self, taker: Taker) -> None:
        """From now on the taker hears of everything; when this returns, ``position`` is right. Raises psycopg's errors.

        Several may follow at once; each is awaited before the next page is read.
        """
        self._takers.append(taker)
        if self._task is None or self._begun is None:
            self._begun = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._begun), name="follower")
        try:
            await asyncio.shield(self._begun)
        except BaseException:
            self.leave(taker)
            raise

    def leave(self, taker: Taker) -> None:
        """The taker wants to hear no more."""
        if taker in self._takers:
            self._takers.remove(taker)

    @asynccontextmanager
    async def watch(self, project: str) -> "AsyncGenerator[Watch]":
        """Hear of whether anything is new in a project. Raises psycopg's errors."""
        watch = Watch(self, project)
        self._watches.add(watch)
        try:
            await self.follow(watch.take)
            yield watch
        finally:
            self.leave(watch.take)
            self._watches.discard(watch)

    @property
    def watched(self) -> int:
        """How many wait for events."""
        return len(self._watches)

    def close(self) -> None:
        """Whoever waits for events is to stop waiting."""
        self.closing = True
        for watch in self._watches:
            watch.wake()

    async def stop(self) -> None:
        """Close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, begun: asyncio.Future[None]) -> None:
        connection: AsyncConn | None = None
        try:
            connection = await self._listening()
            self.position = await _newest(connection)
            begun.set_result(None)
            idle_since: float | None = None
            while True:
                if self._takers:
                    idle_since = None
                elif idle_since is None:
                    idle_since = asyncio.get_running_loop().time()
                elif asyncio.get_running_loop().time() - idle_since >= _LINGER_SECONDS:
                    return
                try:
                    await self._page(connection)
                except (psycopg.Error, OSError) as error:
                    log.warning("no longer told of events", extra={"error": type(error).__name__})
                    connection = await self._again(connection)
        except BaseException as error:
            if not begun.done():
                begun.set_exception(error)
                begun.exception()
            if not isinstance(error, psycopg.Error | OSError):
                raise
        finally:
            # Without a pause since the last look at the takers: who comes now begins anew.
            self._task = self._begun = None
            if connection is not None:
                await connection.close()

    async def _page(self, connection: AsyncConn) -> None:
        if not self._takers:
            # Nobody misses what is passed over; who comes meanwhile begins where it had come to before.
            newest = await _newest(connection)
            if not self._takers:
                self.position = newest
                await _announced(connection)
            return
        limit = _PAGE
        while True:
            found = await connection.cursor(binary=True).execute(_BEYOND.encode(), (self.position, limit), prepare=True)
            rows = [Row._make(row) for row in await found.fetchall()]
            whole = rows if len(rows) < limit else _without_last_request(rows)
            if whole or not rows:
                break
            limit *= 4
        if not rows:
            await _announced(connection)
            return
        # Before it is handed out: who begins to follow meanwhile begins after it.
        self.position = whole[-1].position
        for taker in tuple(self._takers):
            try:
                await taker(whole)
            except Exception:
                log.exception("events not taken", extra={"position": self.position})

    async def _listening(self) -> AsyncConn:
        connection = await connect(self._conninfo)
        await connection.execute(f"LISTEN {CHANNEL}".encode())
        return connection

    async def _again(self, lost: AsyncConn) -> AsyncConn:
        await lost.close()
        pause = 0.05
        while True:
            try:
                return await self._listening()
            except (psycopg.Error, OSError) as error:
                log.warning("waiting for the database", extra={"error": type(error).__name__})
                await asyncio.sleep(pause)
                pause = min(pause * 2, _POLL_SECONDS)


class Watch:
    """Whether there is anything new in a project."""

    def __init__(self, follower: Follower, project: str) -> None:
        self._follower = follower
        self._project = project
        self._new = asyncio.Event()

    async def take(self, rows: Sequence[Row]) -> None:
        """New events, of whatever project."""
        if any(row.project == self._project for row in rows):
            self._new.set()

    def wake(self) -> None:
        """Wait no longer."""
        self._new.set()

    async def changed(self, seconds: float) -> bool:
        """Returns once something is new since the last call, or after so long. Whether it is."""
        if not self._follower.closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._new.wait()
        found = self._new.is_set()
        self._new.clear()
        return found


def _without_last_request(rows: Sequence[Row]) -> list[Row]:
    """A full page may end within a request."""
    last = rows[-1].request
    end = len(rows)
    while end and rows[end - 1].request == last:
        end -= 1
    return list(rows[:end])


async def _newest(connection: AsyncConn) -> int:
    row = await (await connection.execute(_NEWEST.encode())).fetchone()
    return int(row[0]) if row is not None else 0


async def _announced(connection: AsyncConn) -> None:
    async for _ in connection.notifies(timeout=_POLL_SECONDS, stop_after=1):
        pass
