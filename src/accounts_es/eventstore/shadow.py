"""A read model's tables filled from the log, in a schema beside the live ones."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.eventstore.batch import Batches, BatchFailed
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.mapper import UnknownTopic, decode
from accounts_es.eventstore.migrate import read_model_grants
from accounts_es.eventstore.projection import Projection, Statements

SHADOW: Final = "read_next"
BATCH: Final = 2000
"""Events in one transaction."""
_MOST: Final = 10_000
"""Fewer than the keys that are kept in memory: without its key an event would read as erased."""

Progress = Callable[[int, int], None]
"""Called with the position reached and the position of the newest event."""

_EVENTS: Final = """SELECT notification_id, originator_id, originator_version, topic, state FROM log.accounts_events
    WHERE notification_id > %s ORDER BY notification_id LIMIT %s"""
_KEYS: Final = "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)"


class UnreadableEvent(Exception):  # noqa: N818
    """An event stops the rebuild; the live read models are as they were."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events up to a position as statements, in their order."""

    position: int
    events: int
    statements: Statements


class Shadow:
    """The tables being filled, and how far they are."""

    def __init__(
        self,
        connection: Conn,
        master: MasterKey,
        projections: Sequence[Projection],
        batch: int,
        progress: Progress | None,
    ) -> None:
        self._connection = connection
        self._keys = KeyRing(master)
        self._projections = projections
        self._topics = {event.topic for projection in projections for event in projection.handlers}
        self._batch = min(batch, _MOST)
        self._batches = Batches(connection, SHADOW)
        self._progress = progress
        self.position = 0
        self.events = 0
        self._committed = (0, 0)

    def create(self) -> None:
        """Empty tables in the shadow schema."""
        with self._connection.transaction():
            self._connection.execute(f"DROP SCHEMA IF EXISTS {SHADOW} CASCADE; CREATE SCHEMA {SHADOW}".encode())
            self._connection.execute(f"SET search_path = {SHADOW}, log".encode())
            for projection in self._projections:
                self._connection.execute(projection.ddl)
                for table in projection.tables:
                    read_model_grants(self._connection, SHADOW, table)

    def catch_up(self, conninfo: str) -> None:
        """Follow the log, a batch to a transaction, until less than a batch is missing."""
        head = self._head()
        under_way: Future[None] | None = None
        with connect_sync(conninfo, as_app=False) as reader, ThreadPoolExecutor(1) as applying:
            while True:
                batch = self._read(reader, self.position)
                if under_way is not None:
                    under_way.result()
                    self._committed = (self.position, self.events)
                    self._tell(head)
                under_way = applying.submit(self._apply, batch)
                self._move(batch)
                if batch.events < self._batch:
                    under_way.result()
                    break
        self._committed = (self.position, self.events)
        self._tell(head)
        for projection in self._projections:
            for table in projection.tables:
                self._connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(SHADOW, table)))

    def take_in(self) -> None:
        """What is left, in the transaction that is open."""
        while True:
            batch = self._read(self._connection, self.position)
            self._apply(batch)
            self._move(batch)
            if batch.events < self._batch:
                return

    def forget(self) -> None:
        """The open transaction was rolled back."""
        self.position, self.events = self._committed
        self._batches = Batches(self._connection, SHADOW)

    def _apply(self, batch: _Batch) -> None:
        try:
            self._batches.run(batch.statements)
        except BatchFailed as error:
            raise BatchFailed(f"the events up to position {batch.position} cannot be taken in: {error}") from error

    def _move(self, batch: _Batch) -> None:
        self.position = batch.position
        self.events += batch.events

    def _tell(self, head: int) -> None:
        if self._progress is not None:
            self._progress(self._committed[0], max(head, self._committed[0]))

    def _head(self) -> int:
        row = self._connection.execute("SELECT coalesce(max(notification_id), 0) FROM log.accounts_events").fetchone()
        return int(row[0]) if row is not None else 0

    def _read(self, connection: Conn, after: int) -> _Batch:
        rows = connection.cursor(binary=True).execute(_EVENTS, (after, self._batch)).fetchall()
        wanted = [row for row in rows if self._is_wanted(row[3], row[0])]
        self._load_keys(connection, {row[1] for row in wanted})
        statements = Statements()
        for position, stream, version, topic, state in wanted:
            try:
                recorded = decode(stream, version, topic, bytes(state), position, self._keys)
            except Exception as error:
                raise UnreadableEvent(f"event {position} ({topic}) cannot be read: {type(error).__name__}") from error
            for projection in self._projections:
                projection.apply(statements, recorded)
        return _Batch(rows[-1][0] if rows else after, len(rows), statements)

    def _is_wanted(self, topic: str, position: int) -> bool:
        if topic not in BY_TOPIC:
            raise UnreadableEvent(f"event {position}: {UnknownTopic(topic)}")
        return topic in self._topics

    def _load_keys(self, connection: Conn, streams: set[str]) -> None:
        missing = [stream for stream in streams if self._keys.get(stream) is None]
        if missing:
            self._keys.add({subject: bytes(wrapped) for subject, wrapped in connection.execute(_KEYS, (missing,))})
