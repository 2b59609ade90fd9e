"""The dataloader behind `Reads`: one pinned connection, one pipeline per round trip."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, cast

import psycopg

from accounts_es.eventstore.arrays import Array, Bytes, Integers, Texts
from accounts_es.eventstore.connection import AsyncConn, connect, is_lost
from accounts_es.eventstore.reads import K, Lookup, R
from accounts_es.eventstore.scans import Scans

log = logging.getLogger(__name__)

_COLUMNS: Final[dict[type, type[Texts] | type[Bytes] | type[Integers]]] = {str: Texts, bytes: Bytes, int: Integers}

Row = tuple[Any, ...]
Group = dict[Row, list["asyncio.Future[Row | None]"]]
"""Who waits for which key. Each waits on a future of its own: giving up cancels nobody else's read."""


@dataclass(slots=True)
class _Batch:
    """What waits for the next round trip."""

    lookups: dict[Lookup[Any, Any], Group] = field(default_factory=dict[Lookup[Any, Any], "Group"])
    fetches: list[tuple[str, Sequence[object], asyncio.Future[list[Row]]]] = field(
        default_factory=list[tuple[str, Sequence[object], asyncio.Future[list[Row]]]]
    )


class ReadsClosed(Exception):  # noqa: N818
    """The server is shutting down, or the database did not answer."""


class DataLoader:
    """Reads on one connection, and scans beside it. Safe for any number of concurrent tasks of one event loop."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._batch = _Batch()
        self._waiting = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: AsyncConn | None = None
        self._closed = False
        self._scans = Scans(conninfo)

    async def start(self) -> None:
        """Connect and begin to serve."""
        self._loop = asyncio.get_running_loop()
        self._connection = await connect(self._conninfo)
        await self._scans.start()
        self._task = asyncio.create_task(self._run(), name="dataloader")

    async def stop(self) -> None:
        """Close the connection; reads still waiting fail."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._closed = True
        self._fail(self._batch, ReadsClosed())
        if self._connection is not None:
            await self._connection.close()
        await self._scans.stop()

    def load(self, lookup: Lookup[K, R], key: K, /) -> "asyncio.Future[R | None]":
        """The row with this key, or nothing."""
        future: asyncio.Future[R | None] = self._loop.create_future()
        self._batch.lookups.setdefault(lookup, {}).setdefault(key, []).append(
            cast("asyncio.Future[Row | None]", future)
        )
        self._waiting.set()
        if self._closed:
            _refuse([future], ReadsClosed())
        return future

    async def fetch(self, sql: str, params: Sequence[object] = (), /) -> list[Row]:
        """All rows of one statement."""
        future: asyncio.Future[list[Row]] = self._loop.create_future()
        self._batch.fetches.append((sql, params, future))
        self._waiting.set()
        if self._closed:
            _refuse([future], ReadsClosed())
        return await future

    async def scan(self, sql: str, params: Sequence[object] = (), /) -> list[Row]:
        """All rows of one statement that may take long."""
        return await self._scans.rows(sql, params)

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
                self._fail(batch, ReadsClosed())
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers
                self._fail(batch, error)

    async def _serve(self, batch: _Batch) -> None:
        """Answer a batch; a statement that fails fails alone, a lost connection is replaced once."""
        for last_try in (False, True):
            connection = await self._connected()
            try:
                await self._together(connection, batch)
            except Exception as error:
                if not is_lost(connection, error):
                    await self._one_by_one(connection, batch)
                elif last_try:
                    raise
                else:
                    log.warning("read connection lost", extra={"error": type(error).__name__})
                    continue
            return

    async def _connected(self) -> AsyncConn:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._conninfo)
        return self._connection

    async def _together(self, connection: AsyncConn, batch: _Batch) -> None:
        cursors: list[psycopg.AsyncCursor[Row]] = []
        async with connection.pipeline():
            for lookup, group in batch.lookups.items():
                cursor = connection.cursor(binary=True)
                await cursor.execute(lookup.sql.encode(), _arrays(group), prepare=True)
                cursors.append(cursor)
            for sql, params, _ in batch.fetches:
                cursor = connection.cursor(binary=True)
                await cursor.execute(sql.encode(), params, prepare=True)
                cursors.append(cursor)
        answers = iter(cursors)
        for lookup, group in batch.lookups.items():
            _answer(lookup, group, await next(answers).fetchall())
        for _, _, future in batch.fetches:
            rows = await next(answers).fetchall()
            if not future.done():
                future.set_result(rows)

    async def _one_by_one(self, connection: AsyncConn, batch: _Batch) -> None:
        for lookup, group in batch.lookups.items():
            try:
                await self._look_up(connection, lookup, group)
            except Exception:  # noqa: BLE001 - one key may be at fault, and it is nobody else's
                for key, futures in group.items():
                    try:
                        await self._look_up(connection, lookup, {key: futures})
                    except Exception as error:  # noqa: BLE001 - as above
                        _refuse(futures, error)
        for sql, params, future in batch.fetches:
            try:
                cursor = await connection.cursor(binary=True).execute(sql.encode(), params)
                rows = await cursor.fetchall()
                if not future.done():
                    future.set_result(rows)
            except Exception as error:  # noqa: BLE001 - as above
                _refuse([future], error)

    @staticmethod
    async def _look_up(connection: AsyncConn, lookup: Lookup[Any, Any], group: Group) -> None:
        cursor = await connection.cursor(binary=True).execute(lookup.sql.encode(), _arrays(group))
        _answer(lookup, group, await cursor.fetchall())

    @staticmethod
    def _fail(batch: _Batch, error: Exception) -> None:
        for group in batch.lookups.values():
            _refuse(chain.from_iterable(group.values()), error)
        _refuse((future for _, _, future in batch.fetches), error)


def _arrays(group: Group) -> list[Array]:
    return [_COLUMNS[type(part[0])].of(part) for part in zip(*group, strict=True)]


def _answer(lookup: Lookup[Any, Any], group: Group, rows: Sequence[Row]) -> None:
    found = {lookup.key(row): row for row in map(lookup.row, rows)}
    for key, futures in group.items():
        row = found.get(key)
        for future in futures:
            if not future.done():
                future.set_result(row)


def _refuse(futures: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
            # Retrieved here, so that a caller that has gone away leaves no warning behind.
            future.exception()
