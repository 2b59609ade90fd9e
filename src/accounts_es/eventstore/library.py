"""The eventsourcing library's own application on the very same tables, for tools and tests.

What it reads (`events`, `repository`, `notification_log`, `subscribe`) is what the server wrote. What it saves goes
through the same SQL function and the same handlers as the server's appends: claims, keys and read models are there too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    ApplicationRecorder,
    EventStore,
    InfrastructureFactory,
    IntegrityError,
    InterfaceError,
    Mapper,
    Notification,
    OperationalError,
    ProgrammingError,
    Recording,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.utils import Environment, EnvType
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row, tuple_row

from accounts_es.domain.catalog import DECIDERS
from accounts_es.domain.decider import Decider
from accounts_es.domain.event import Event, Recorded
from accounts_es.eventstore.append import APPEND_LOCK, Append, ClaimChange, claim_changes, parameters, refusal
from accounts_es.eventstore.connection import NAMED, connect_sync, watched
from accounts_es.eventstore.key_check import bound_key
from accounts_es.eventstore.keys import LogKeys, MasterKey
from accounts_es.eventstore.mapper import RecordedMapper, owners, sealed_for, subjects
from accounts_es.eventstore.projection import Handler, Projection, Statements, routes
from accounts_es.eventstore.recorder import APPEND, ERASE

S = TypeVar("S")
E = TypeVar("E", bound=Event)

_KEYS: Final = "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)"
_SETTINGS: Final = {
    "PERSISTENCE_MODULE": "eventsourcing.postgres",
    "POSTGRES_SCHEMA": "log",
    "ORIGINATOR_ID_TYPE": "text",
    "CREATE_TABLE": "n",
    "POSTGRES_ENABLE_DB_FUNCTIONS": "n",
    "POSTGRES_POOL_SIZE": "1",
    "POSTGRES_CONNECT_TIMEOUT": "10",
    # Asked for, but not used: the connection string says it all.
    **dict.fromkeys(("POSTGRES_DBNAME", "POSTGRES_HOST", "POSTGRES_USER", "POSTGRES_PASSWORD"), "-"),
}


class Accounts(Application[str]):
    """Tables ``log.accounts_*``. Close it when done. Needs a role that may read and append.

    ``save(*recorded)`` takes `Recorded` events that continue their streams, all or none. Raises the library's
    ``IntegrityError``, from the `AppendRefused` that says why.
    """

    name = "accounts"

    def __init__(self, conninfo: str, master: MasterKey, projections: Iterable[Projection]) -> None:
        with connect_sync(conninfo, as_app=False) as connection:
            self.keys = LogKeys(bound_key(connection, master))
        self._conninfo = make_conninfo(f"application_name='{NAMED} library'", **conninfo_to_dict(watched(conninfo)))
        self._handlers = routes(projections)
        super().__init__(_SETTINGS)

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Only what is given: a stray variable of the process must not change the storage format."""
        return Environment(name, dict(env or {}))

    def construct_factory(self, env: Environment) -> InfrastructureFactory:
        """Connections by the whole connection string, of which the library knows but five words."""
        factory = super().construct_factory(env)
        pool = _datastore(factory).pool
        pool.conninfo = self._conninfo
        pool.kwargs = {"row_factory": dict_row}
        return factory

    def construct_mapper(self) -> Mapper[str]:
        """Our bytes."""
        return RecordedMapper(self.keys)

    def construct_recorder(self) -> ApplicationRecorder:
        """Our way to append."""
        return LogRecorder(_datastore(self.factory), self.keys, self._handlers)

    def construct_event_store(self) -> EventStore[str]:
        """Our rules for what an append takes along."""
        return LogEvents(self.mapper, cast("LogRecorder", self.recorder), self.keys)

    def state(self, decider: Decider[S, E], stream: str) -> S:
        """The folded state of a stream."""
        return decider.fold(cast("Iterable[Recorded[E]]", self.events.get(stream)))


def projector(decider: Decider[S, E]) -> Callable[[Any, Iterable[Any]], Any]:
    """For ``repository.get(stream, projector_func=...)``: the state, or nothing where there are no events."""

    def project(state: S | None, recorded: Iterable[Recorded[E]]) -> S | None:
        events = list(recorded)
        return decider.fold(events, state) if events else state

    return project


class LogEvents(EventStore[str]):
    """Events to appends: which claims change, and which streams begin and need a key."""

    def __init__(self, mapper: Mapper[str], recorder: "LogRecorder", keys: LogKeys) -> None:
        super().__init__(mapper, recorder)
        self._log = recorder
        self._keys = keys

    def put(self, domain_events: Sequence[DomainEventProtocol[str]], **_: Any) -> list[Recording[str]]:
        """Append `Recorded` events."""
        if not domain_events:
            return []
        events = tuple(cast("Recorded[Event]", event) for event in domain_events)
        claims: list[ClaimChange] = []
        new_keys: list[tuple[str, bytes]] = []
        # Keys of days are begun by the server; without one, where something came from goes with the stream's key.
        self._log.load_keys(subject for event in events for subject in (event.stream, *owners(event).named))
        try:
            for stream in dict.fromkeys(event.stream for event in events):
                mine = [event for event in events if event.stream == stream]
                before = self._before(stream, mine)
                if not before:
                    new_keys.append((stream, self._keys.create(stream)))
                claims += _claims(stream, before, mine)
            return super().put(domain_events, append=Append(events, tuple(claims), tuple(new_keys)))
        except BaseException:
            for stream, _wrapped in new_keys:
                self._keys.forget(stream)
            raise

    def _before(self, stream: str, events: Sequence[Recorded[Event]]) -> list[Recorded[Event]]:
        """The stream as these events expect it; the append proves that nobody went on from there."""
        first = events[0].stream_version
        before = [cast("Recorded[Event]", event) for event in self.get(stream, lte=first - 1)]
        if [event.stream_version for event in events] != list(range(len(before) + 1, len(before) + 1 + len(events))):
            raise IntegrityError(f"{stream} has {len(before)} events before version {first}: versions must go on")
        return before


class LogRecorder(PostgresApplicationRecorder):
    """The synchronous twin of the server's recorder."""

    def __init__(
        self, datastore: PostgresDatastore, keys: LogKeys, handlers: Mapping[type[Event], tuple[Handler[Any], ...]]
    ) -> None:
        super().__init__(datastore, events_table_name="accounts_events")
        self._keys = keys
        self._handlers = handlers

    def load_keys(self, streams: Iterable[str]) -> None:
        """Fetch the data keys of these streams; one without a key reads as erased."""
        unknown = subjects(streams, self._keys)
        if unknown:
            with self.datastore.get_connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
                self._keys.add({subject: bytes(wrapped) for subject, wrapped in cursor.execute(_KEYS, (unknown,))})

    def select_events(self, originator_id: Any, **kwargs: Any) -> Sequence[StoredEvent]:
        """The stored events of a stream, and the key they are sealed with."""
        events: Sequence[StoredEvent] = super().select_events(originator_id, **kwargs)
        self.load_keys(
            subject for event in events for subject in sealed_for(str(event.originator_id), bytes(event.state))
        )
        return events

    def select_notifications(self, *args: Any, **kwargs: Any) -> Sequence[Notification]:
        """Stored events in the order of the log, and the keys they are sealed with."""
        notifications: Sequence[Notification] = super().select_notifications(*args, **kwargs)
        self.load_keys(
            subject for each in notifications for subject in sealed_for(str(each.originator_id), bytes(each.state))
        )
        return notifications

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, append: Append | None = None, **_: Any
    ) -> Sequence[int] | None:
        """Append in one transaction, read models and all; returns the positions. `Accounts.save` gives ``append``."""
        if append is None:
            raise ProgrammingError("events go into the log through Accounts.save, with their claims and keys")
        states = [each.state for each in stored_events]
        try:
            return self._append(append, states)
        except (OperationalError, InterfaceError):
            # The connection may have gone after the commit: what is stored as ours is ours.
            found = self._find(stored_events)
            if found is None:
                raise
            return found

    def _append(self, append: Append, states: Sequence[bytes]) -> list[int]:
        with (
            self.datastore.get_connection() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            cursor.execute("SET LOCAL search_path = read, log; SET LOCAL TimeZone = 'UTC'")
            answer = cursor.execute(APPEND.encode(), parameters([(append, states)], self._keys)).fetchall()
            for _, why, _, _ in answer:
                if why is not None:
                    raise IntegrityError(why) from refusal(why)
            positions = [position for _, _, _, position in sorted(answer, key=lambda row: row[2])]
            statements = Statements()
            for event, position in zip(append.events, positions, strict=True):
                for handler in self._handlers.get(type(event.event), ()):
                    handler(statements, replace(event, position=position))
                if event.event.destroys:
                    statements.append((ERASE, (event.stream,)))
            for sql, params in statements:
                cursor.execute(sql.encode(), params)
            return positions

    def _find(self, stored_events: Sequence[StoredEvent]) -> list[int] | None:
        """The positions of these very bytes, once nobody is in the middle of an append."""
        positions: list[int] = []
        with (
            self.datastore.get_connection() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
            for each in stored_events:
                row = cursor.execute(
                    """SELECT notification_id FROM log.accounts_events
                       WHERE originator_id = %s AND originator_version = %s AND state = %s""",
                    (each.originator_id, each.originator_version, each.state),
                ).fetchone()
                if row is None:
                    return None
                positions.append(row[0])
        return positions


def _claims(stream: str, before: Sequence[Recorded[Event]], events: Sequence[Recorded[Event]]) -> list[ClaimChange]:
    decider = DECIDERS.get(stream.partition("-")[0])
    if decider is None:
        return []
    state = decider.fold(before)
    return claim_changes(events[0].meta.project, stream, decider, state, decider.fold(events, state))


def _datastore(factory: InfrastructureFactory) -> PostgresDatastore:
    return cast("PostgresDatastore", cast("Any", factory).datastore)
