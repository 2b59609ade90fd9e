"""A read model's tables filled from the log, in a schema beside the live ones."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from psycopg import sql

from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.event import Event, NewerShape, Recorded
from accounts_es.eventstore.batch import Batches, BatchFailed
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.mapper import UnknownTopic, decode, sealed_for
from accounts_es.eventstore.migrate import read_model_grants
from accounts_es.eventstore.parking import Parked, Spot, park, parked, reason, unpark
from accounts_es.eventstore.projection import Projection, Statements

BATCH: Final = 2000
"""Events in one transaction."""
_MOST: Final = 5_000
"""Fewer than the keys that are kept in memory: without its key an event would read as erased."""

Progress = Callable[[int, int], None]
"""Called with the position reached and the position of the newest event."""
Checkpoint = Callable[[Conn, int, int], None]
"""Writes down position and events so far, in the transaction of the rows they stand for."""

_EVENTS: Final = """SELECT notification_id, originator_id, originator_version, topic, state FROM log.accounts_events
    WHERE notification_id > %s ORDER BY notification_id LIMIT %s"""
_STREAM: Final = """SELECT notification_id, originator_id, originator_version, topic, state FROM log.accounts_events
    WHERE originator_id = %s AND originator_version >= %s AND notification_id <= %s ORDER BY originator_version"""
_KEYS: Final = "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)"

Row = tuple[Any, ...]


class UnreadableEvent(Exception):  # noqa: N818
    """An event of a later release stops a rebuild; the live read models are as they were."""


class _Unit(NamedTuple):
    """What one event means to one read model: statements, or why there are none."""

    read_model: str
    stream: str
    version: int
    position: int
    topic: str
    error: str
    statements: Statements


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events up to a position, in their order."""

    position: int
    events: int
    units: list[_Unit]


@dataclass(slots=True)
class _State:
    """How far the tables are."""

    position: int
    events: int
    parked: dict[Spot, Parked]

    def copy(self) -> "_State":
        return _State(self.position, self.events, dict(self.parked))


class Shadow:
    """The tables being filled, and how far they are."""

    def __init__(
        self,
        connection: Conn,
        master: MasterKey,
        projections: Sequence[Projection],
        schema: str,
        *,
        batch: int = BATCH,
        pause: float = 0.0,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._connection = connection
        self._keys = KeyRing(master)
        self._projections = projections
        self._topics = {event.topic for projection in projections for event in projection.handlers}
        self._schema = schema
        self._batch = min(batch, _MOST)
        self._batches = Batches(connection, schema)
        self._pause = pause
        self._progress = progress
        self._checkpoint = checkpoint
        self._state = _State(0, 0, {})
        self._committed = self._state.copy()

    @property
    def position(self) -> int:
        """The last event taken in."""
        return self._state.position

    @property
    def events(self) -> int:
        """How many there were so far."""
        return self._state.events

    @property
    def parked(self) -> list[Parked]:
        """The streams that stand still."""
        return list(self._state.parked.values())

    def create(self) -> None:
        """Empty tables in the shadow schema."""
        name = sql.Identifier(self._schema)
        with self._connection.transaction():
            self._connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))
            self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
            self._connection.execute("DELETE FROM log.parked WHERE tables = %s", (self._schema,))
            self._aim()
            for projection in self._projections:
                self._connection.execute(projection.ddl)
                for table in projection.tables:
                    read_model_grants(self._connection, self._schema, table)
            self._note()

    def open(self, position: int, events: int = 0, *, retry: bool = True) -> None:
        """Tables that are there and hold the log up to a position. Streams that stood still are tried again."""
        self._aim()
        known = {spot: each for spot, each in parked(self._connection, self._schema).items() if self._is_ours(spot)}
        self._state = _State(position, events, dict(known))
        for spot, each in list(known.items()) if retry else ():
            with self._connection.transaction():
                self._take_up(spot, each)
        self._committed = self._state.copy()

    def catch_up(self, conninfo: str) -> None:
        """Follow the log, a batch to a transaction, until less than a batch is missing.

        With a pause one batch ends before the next begins, and then that share of what it took is waited for.
        """
        head = self._head()
        under_way: Future[None] | None = None
        with connect_sync(conninfo, as_app=False) as reader, ThreadPoolExecutor(1) as applying:
            while True:
                began = time.monotonic()
                batch = self._read(reader, self.position)
                if under_way is not None:
                    under_way.result()
                    self._committed = self._state.copy()
                    self._tell(head)
                self._move(batch)
                under_way = applying.submit(self._commit, batch)
                if batch.events < self._batch:
                    under_way.result()
                    break
                if self._pause:
                    under_way.result()
                    time.sleep((time.monotonic() - began) * self._pause)
        self._committed = self._state.copy()
        self._tell(head)

    def analyze(self) -> None:
        """Let the database know what is in the tables."""
        for projection in self._projections:
            for table in projection.tables:
                self._connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(self._schema, table)))

    def take_in(self) -> None:
        """What is left, in the transaction that is open."""
        while True:
            batch = self._read(self._connection, self.position)
            self._move(batch)
            self._apply(batch)
            if batch.events < self._batch:
                return

    def settle(self) -> None:
        """The open transaction was committed."""
        self._committed = self._state.copy()

    def forget(self) -> None:
        """The open transaction was rolled back."""
        self._state = self._committed.copy()
        self._batches = Batches(self._connection, self._schema)

    def _aim(self) -> None:
        self._connection.execute(sql.SQL("SET search_path = {}, log").format(sql.Identifier(self._schema)))

    def _is_ours(self, spot: Spot) -> bool:
        return any(projection.name == spot[0] for projection in self._projections)

    def _note(self) -> None:
        if self._checkpoint is not None:
            self._checkpoint(self._connection, self.position, self.events)

    def _commit(self, batch: _Batch) -> None:
        with self._connection.transaction():
            self._apply(batch)

    def _apply(self, batch: _Batch) -> None:
        self._run(batch.units)
        if self._checkpoint is not None and batch.events:
            self._checkpoint(self._connection, batch.position, self.events)

    def _run(self, units: Sequence[_Unit]) -> None:
        """Run the statements, in their order; a stream whose statements fail is parked, and everybody else goes on."""
        if self._state.parked:
            units = [unit for unit in units if unit[:2] not in self._state.parked]
        error = next((unit.error for unit in units if unit.error), "")
        if not error:
            statements = [statement for unit in units for statement in unit.statements]
            try:
                # What is made here must outlive what is undone below.
                self._batches.prepare(statements)
                with self._connection.transaction():
                    self._batches.run(statements)
            except BatchFailed as failed:
                error = reason(failed)
            else:
                return
        if len(units) == 1:
            self._park(units[0], error)
            return
        for half in (units[: len(units) // 2], units[len(units) // 2 :]):
            self._run(half)

    def _park(self, unit: _Unit, error: str) -> None:
        found = Parked(unit.read_model, unit.stream, unit.version, unit.position, unit.topic, error)
        self._state.parked[unit.read_model, unit.stream] = found
        park(self._connection, self._schema, [found])

    def _take_up(self, spot: Spot, from_here: Parked) -> None:
        """Give a stream that stood still to its read model, up to where the others are."""
        projection = next(each for each in self._projections if each.name == spot[0])
        del self._state.parked[spot]
        unpark(self._connection, self._schema, spot)
        rows = self._connection.cursor(binary=True).execute(
            _STREAM, (from_here.stream, from_here.version, self.position)
        )
        self._run(self._units(self._connection, rows.fetchall(), [projection]))

    def _move(self, batch: _Batch) -> None:
        self._state.position = batch.position
        self._state.events += batch.events

    def _tell(self, head: int) -> None:
        if self._progress is not None:
            self._progress(self._committed.position, max(head, self._committed.position))

    def _head(self) -> int:
        row = self._connection.execute("SELECT coalesce(max(notification_id), 0) FROM log.accounts_events").fetchone()
        return int(row[0]) if row is not None else 0

    def _read(self, connection: Conn, after: int) -> _Batch:
        rows = connection.cursor(binary=True).execute(_EVENTS, (after, self._batch)).fetchall()
        return _Batch(rows[-1][0] if rows else after, len(rows), list(self._units(connection, rows, self._projections)))

    def _units(self, connection: Conn, rows: Sequence[Row], projections: Sequence[Projection]) -> list[_Unit]:
        wanted = [row for row in rows if self._is_wanted(row[3], row[0])]
        self._load_keys(connection, {subject for row in wanted for subject in sealed_for(row[1], bytes(row[4]))})
        return [unit for row in wanted for unit in self._meanings(row, projections)]

    def _meanings(self, row: Row, projections: Sequence[Projection]) -> Iterable[_Unit]:
        position, stream, version, topic, state = row
        recorded: Recorded[Event] | None = None
        why = ""
        try:
            recorded = decode(stream, version, topic, bytes(state), position, self._keys)
        except NewerShape as error:
            raise UnreadableEvent(f"event {position}: {error}") from error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this stream's trouble
            why = reason(error)
        for projection in projections:
            if BY_TOPIC[topic] not in projection.handlers:
                continue
            statements, trouble = Statements(), why
            if recorded is not None:
                try:
                    projection.apply(statements, recorded)
                except Exception as error:  # noqa: BLE001 - as above
                    trouble = reason(error)
            if statements or trouble:
                yield _Unit(projection.name, stream, version, position, topic, trouble, statements)

    def _is_wanted(self, topic: str, position: int) -> bool:
        if topic not in BY_TOPIC:
            raise UnreadableEvent(f"event {position}: {UnknownTopic(topic)}")
        return topic in self._topics

    def _load_keys(self, connection: Conn, streams: set[str]) -> None:
        missing = [stream for stream in streams if self._keys.get(stream) is None]
        if missing:
            self._keys.add({subject: bytes(wrapped) for subject, wrapped in connection.execute(_KEYS, (missing,))})
