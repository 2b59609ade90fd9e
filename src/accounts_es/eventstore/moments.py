"""The read models as they were: the same queries, answered as of a position of the log.

A moment is made, not kept. The events of the streams it needs run through the handlers that fill the live tables, into
temporary tables of one connection, which hide the live ones for the queries asked on it. So what a moment answers is
what the live read model answered then, by the same code; and a person who was erased is erased from every moment.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncCursor, sql
from psycopg_pool import AsyncConnectionPool

from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.event import Event, Recorded
from accounts_es.eventstore.connection import NAMED, AsyncConn, prepare, watched
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.mapper import UnknownTopic, decode, sealed_for, subjects
from accounts_es.eventstore.projection import Projection, Statements
from accounts_es.eventstore.reads import K, Lookup, R, Reads

AT_ONCE: Final = 2
"""Moments of one process: more would only take the processor from everybody else."""
MOST_EVENTS: Final = 200_000
"""In one moment; a project's whole history beyond that is a rebuild, not a read."""
_BATCH: Final = 200
_STEPS: Final = 100
"""Events whose answers are in memory together, and after which others get their turn."""
_PATIENCE: Final = 10.0
_WAITING: Final = 100
_IDLE: Final = 60.0
_WASTE: Final = 5_000
"""Events whose deleted rows a connection carries along before it is emptied."""

_OF_STREAMS: Final = """SELECT originator_id, originator_version, topic, state, notification_id
    FROM log.accounts_events WHERE originator_id = ANY(%s) AND project_id = %s AND topic = ANY(%s)
    AND notification_id + 0 > %s AND notification_id + 0 <= %s ORDER BY notification_id + 0 LIMIT %s"""
"""By the streams, however long the log is: a plan that does not know the positions would walk from one to the other."""
_OF_PROJECT: Final = """SELECT originator_id, originator_version, topic, state, notification_id
    FROM log.accounts_events WHERE project_id = %s AND topic = ANY(%s) AND notification_id > %s
    AND notification_id <= %s ORDER BY notification_id LIMIT %s"""
_KEYS: Final = "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)"


Rows = list[tuple[Any, ...]]
Asked = Callable[[str], Sequence[tuple[str, Sequence[object]]]]
"""The statements that tell what a stream is."""


class TooMuchHistory(Exception):  # noqa: N818
    """The moment would take more than `MOST_EVENTS` events."""


class Moments:
    """Makes moments, on a few connections that are opened when they are first needed."""

    def __init__(self, conninfo: str, master: MasterKey, projections: Iterable[Projection]) -> None:
        self._master = master
        self._projections = tuple(projections)
        self._tables = [table for projection in self._projections for table in projection.tables]
        self._walking = asyncio.Lock()
        self._waste: WeakKeyDictionary[AsyncConn, int] = WeakKeyDictionary()
        self._topics = sorted({event.topic for projection in self._projections for event in projection.handlers})
        self._pool: AsyncConnectionPool[AsyncConn] = AsyncConnectionPool(
            watched(conninfo),
            min_size=0,
            max_size=AT_ONCE,
            max_waiting=_WAITING,
            max_idle=_IDLE,
            timeout=_PATIENCE,
            open=False,
            kwargs={"autocommit": True, "application_name": NAMED, "connect_timeout": _PATIENCE},
            configure=self._configure,
            check=AsyncConnectionPool.check_connection,
            name="moments",
        )

    async def start(self) -> None:
        """Be ready."""
        await self._pool.open()

    async def stop(self) -> None:
        """Close the connections."""
        await self._pool.close()

    @asynccontextmanager
    async def at(self, position: int, *, project: str, streams: Collection[str] | None = None) -> AsyncGenerator[Reads]:
        """The read models after the event at ``position`` (inclusive), with the rows of these streams alone.

        Without ``streams`` it is everything of the project. Position 0 is before all events. Raises `TooMuchHistory`,
        what `decode` raises for an event this release cannot read, and psycopg's errors.
        """
        async with self._empty() as connection:
            await self.fill(connection, position, project, streams)
            moment = _Moment(connection)
            try:
                yield moment
            finally:
                await moment.settle()

    async def steps(
        self, *, project: str, streams: Collection[str], after: int, until: int, asked: Asked
    ) -> AsyncGenerator[tuple[str, Recorded[Event] | None, list[Rows]]]:
        """What is answered about each of these streams after a position, and then after each of its events.

        Events that touch no read model are left out. Raises as `at`.
        """
        async with self._empty() as connection:
            await self.fill(connection, after, project, streams)
            moment = _Moment(connection)
            for stream in streams:
                yield stream, None, [await moment.fetch(*each) for each in asked(stream)]
            async for rows in self._rows(connection, after, until, project, streams, _STEPS):
                found: list[tuple[Recorded[Event], list[AsyncCursor[tuple[Any, ...]]]]] = []
                changing = [(each, self._statements([each])) for each in await self._decoded(connection, rows)]
                async with connection.transaction(), connection.pipeline():
                    for recorded, statements in changing:
                        if statements:
                            await _send(connection, statements)
                            cursors = [connection.cursor(binary=True) for _ in asked(recorded.stream)]
                            for cursor, (text, params) in zip(cursors, asked(recorded.stream), strict=True):
                                await cursor.execute(text.encode(), params, prepare=True)
                            found.append((recorded, cursors))
                for recorded, cursors in found:
                    yield recorded.stream, recorded, [await each.fetchall() for each in cursors]

    @asynccontextmanager
    async def walk(self, *, project: str, streams: Collection[str]) -> AsyncGenerator["Walk"]:
        """Moments of these streams one after the other, each made from the one before. One walk at a time."""
        async with self._walking, self._empty() as connection:
            yield Walk(self, connection, project, frozenset(streams))

    @asynccontextmanager
    async def _empty(self) -> AsyncGenerator[AsyncConn]:
        """A connection whose tables are empty, and will be again."""
        async with self._pool.connection() as connection:
            # What was deleted still takes room, and no vacuum comes to temporary tables by itself.
            if self._waste.get(connection, 0) > _WASTE:
                await connection.execute(self._emptied())
                self._waste[connection] = 0
            else:
                # Whatever became of the last moment: nothing of it is in this one.
                await self._delete(connection)
            try:
                yield connection
            finally:
                with suppress(psycopg.Error):
                    await self._delete(connection)

    async def fill(
        self, connection: AsyncConn, position: int, project: str, streams: Collection[str] | None, *, after: int = 0
    ) -> None:
        """Take in what happened up to a position, on a connection of ours that has come to an earlier one."""
        async for rows in self._rows(connection, after, position, project, streams, _BATCH):
            statements = self._statements(await self._decoded(connection, rows))
            # Committed now and then: a row's earlier versions are only then out of the way of its next change.
            async with connection.transaction(), connection.pipeline():
                await _send(connection, statements)

    async def _rows(
        self, connection: AsyncConn, after: int, until: int, project: str, streams: Collection[str] | None, batch: int
    ) -> AsyncGenerator[Rows]:
        taken = 0
        while True:
            cursor = connection.cursor(binary=True)
            if streams is None:
                await cursor.execute(_OF_PROJECT, (project, self._topics, after, until, batch))
            else:
                await cursor.execute(_OF_STREAMS, (list(streams), project, self._topics, after, until, batch))
            rows = await cursor.fetchall()
            taken += len(rows)
            self._waste[connection] = self._waste.get(connection, 0) + len(rows)
            if taken > MOST_EVENTS:
                raise TooMuchHistory
            yield rows
            if len(rows) < batch:
                return
            after = rows[-1][4]

    async def _decoded(self, connection: AsyncConn, rows: Rows) -> list[Recorded[Event]]:
        keys = KeyRing(self._master)
        unknown = subjects((subject for row in rows for subject in sealed_for(row[0], bytes(row[3]))), keys)
        if unknown:
            found = await (await connection.execute(_KEYS, (unknown,))).fetchall()
            keys.add({subject: bytes(wrapped) for subject, wrapped in found})
        for _, _, topic, _, _ in rows:
            if topic not in BY_TOPIC:
                raise UnknownTopic(topic)
        return [decode(stream, version, topic, bytes(state), at, keys) for stream, version, topic, state, at in rows]

    def _statements(self, events: Iterable[Recorded[Event]]) -> Statements:
        statements = Statements()
        for recorded in events:
            for projection in self._projections:
                projection.apply(statements, recorded)
        return statements

    async def _delete(self, connection: AsyncConn) -> None:
        async with connection.pipeline():
            for table in self._tables:
                await connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("pg_temp", table)))

    async def _configure(self, connection: AsyncConn) -> None:
        await prepare(connection)
        # A temporary table comes before all others of its name, whatever the search path says.
        for table in self._tables:
            await connection.execute(
                sql.SQL("CREATE TEMPORARY TABLE {0} (LIKE read.{0} INCLUDING ALL)").format(sql.Identifier(table))
            )

    def _emptied(self) -> sql.Composed:
        return sql.SQL("TRUNCATE {}").format(
            sql.SQL(", ").join(sql.Identifier("pg_temp", table) for table in self._tables)
        )


async def _send(connection: AsyncConn, statements: Statements) -> None:
    """Within a pipeline that is open: nobody waits for each."""
    for text, params in statements:
        await connection.execute(text.encode(), params, prepare=True)


class Walk:
    """Moments of some streams, in the order of the log; any other moment is made anew."""

    def __init__(self, moments: Moments, connection: AsyncConn, project: str, streams: frozenset[str]) -> None:
        self._moments = moments
        self._connection = connection
        self._project = project
        self._streams = streams
        self._reached = 0
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def at(self, position: int, *, project: str, streams: Collection[str] | None = None) -> AsyncGenerator[Reads]:
        """As `Moments.at`, but that rows of the other streams of the walk may be there as well."""
        mine = project == self._project and streams is not None and self._streams.issuperset(streams)
        if not mine or position < self._reached:
            async with self._moments.at(position, project=project, streams=streams) as reads:
                yield reads
            return
        async with self._turn:
            await self._moments.fill(self._connection, position, project, self._streams, after=self._reached)
            self._reached = position
            moment = _Moment(self._connection)
            try:
                yield moment
            finally:
                await moment.settle()


class _Moment:
    """`Reads` on one connection: one statement after the other."""

    def __init__(self, connection: AsyncConn) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._loads: set[asyncio.Task[Any]] = set()

    def load(self, lookup: Lookup[K, R], key: K, /) -> Awaitable[R | None]:
        """The row with this key, or nothing."""
        task = asyncio.create_task(self._load(lookup, key))
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)
        return task

    async def fetch(self, sql: str, params: Sequence[object] = (), /) -> list[tuple[Any, ...]]:
        """All rows of one statement."""
        async with self._turn:
            cursor = await self._connection.cursor(binary=True).execute(sql.encode(), params)
            return await cursor.fetchall()

    async def scan(self, sql: str, params: Sequence[object] = (), /) -> list[tuple[Any, ...]]:
        """The same."""
        return await self.fetch(sql, params)

    async def settle(self) -> None:
        """Wait for the reads that nobody waited for."""
        await asyncio.gather(*self._loads, return_exceptions=True)

    async def _load(self, lookup: Lookup[K, R], key: K) -> R | None:
        rows = await self.fetch(lookup.sql, [[part] for part in key])
        found = {lookup.key(row): row for row in map(lookup.row, rows)}
        return found.get(key)
