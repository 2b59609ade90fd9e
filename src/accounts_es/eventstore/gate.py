"""What a rebuild must pass before its tables answer: they equal the live ones, or differ in what somebody named."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg import sql

from accounts_es.domain.event import Event, Recorded
from accounts_es.eventstore.batch import Batches
from accounts_es.eventstore.compare import LIVE, Difference, first_difference, model_hash, state_hash
from accounts_es.eventstore.connection import Conn
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.mapper import decode, sealed_for
from accounts_es.eventstore.parking import Parked, parked
from accounts_es.eventstore.projection import Projection, Statements

_PROBE: Final = "read_probe"
_PROBED: Final = 20_000
"""Events of one stream that are looked at to find the one behind a difference."""
_STREAM: Final = """SELECT notification_id, originator_version, topic, state FROM log.accounts_events
    WHERE originator_id = %s AND notification_id <= %s ORDER BY originator_version LIMIT %s"""


@dataclass(frozen=True, slots=True)
class Accept:
    """Differences that are meant: of a table (``accounts_v2``), a column (``accounts_v2.name``), or any."""

    names: frozenset[str] = frozenset()
    differences: bool = False
    parked: bool = False
    """Whether streams that stand still may be missing."""

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table that may differ."""
        return frozenset(name.partition(".")[2] for name in self.names if name.startswith(f"{table}."))

    def whole(self, table: str) -> bool:
        """Whether anything may differ in this table."""
        return self.differences or table in self.names


@dataclass(frozen=True, slots=True)
class Origin:
    """The event behind a difference."""

    stream: str
    version: int
    position: int
    topic: str


@dataclass(frozen=True, slots=True)
class State:
    """A read model as the log says it is, and as it is."""

    read_model: str
    rebuilt: str
    live: str


@dataclass(slots=True)
class Verdict:
    """What was found when the tables were compared."""

    states: list[State] = field(default_factory=list[State])
    difference: Difference | None = None
    origin: Origin | None = None


class Refused(Exception):  # noqa: N818
    """The rebuilt tables differ from the live ones, which are as they were."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("the rebuilt tables differ from the live ones, which go on answering")
        self.verdict = verdict


class StreamsParked(Exception):  # noqa: N818
    """Streams stand still in the rebuilt tables; the live ones are as they were."""

    def __init__(self, found: Sequence[Parked]) -> None:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        super().__init__(
            f"{found[0]}{more}. Nothing was swapped: mend the read model and go on with replay --resume,"
            " or take the others with --accept-parked"
        )
        self.parked = tuple(found)


class Gate:
    """Holds the tables in a schema against the live ones."""

    def __init__(
        self, connection: Conn, master: MasterKey, projections: Sequence[Projection], schema: str, accept: Accept
    ) -> None:
        self._connection = connection
        self._master = master
        self._projections = projections
        self._schema = schema
        self._accept = accept

    def compare(self, position: int, standing: Iterable[Parked]) -> Verdict:
        """All rows, as of this transaction, in which the rebuilt tables are at ``position``."""
        verdict = Verdict()
        for projection in self._projections:
            rebuilt = {table: state_hash(self._connection, table, self._schema) for table in projection.tables}
            live = {table: state_hash(self._connection, table, LIVE) for table in projection.tables}
            verdict.states.append(State(projection.name, model_hash(rebuilt), model_hash(live)))
            differing = [table for table in projection.tables if rebuilt[table] != live[table]]
            if verdict.difference is None:
                self._find(verdict, projection, differing, position, standing)
        return verdict

    def compare_streams(self, streams: Sequence[str], position: int, standing: Iterable[Parked]) -> Verdict:
        """Only the rows of these streams; tables without streams as a whole."""
        verdict = Verdict()
        for projection in self._projections:
            if streams and verdict.difference is None:
                self._find(verdict, projection, projection.tables, position, standing, only=streams)
        return verdict

    def _find(
        self,
        verdict: Verdict,
        projection: Projection,
        tables: Sequence[str],
        position: int,
        standing: Iterable[Parked],
        only: Sequence[str] | None = None,
    ) -> None:
        without = {each.stream for each in standing if each.read_model == projection.name}
        without |= {stream for name, stream in parked(self._connection, LIVE) if name == projection.name}
        for table in tables:
            if self._accept.whole(table):
                continue
            verdict.difference = first_difference(
                self._connection,
                table,
                self._schema,
                accepted=self._accept.columns(table),
                only=only,
                without=sorted(without),
            )
            if verdict.difference is not None:
                verdict.origin = self._origin(projection, verdict.difference, position)
                return

    def _origin(self, projection: Projection, difference: Difference, position: int) -> Origin | None:
        """The event behind a difference: the last that the one side knows and the other does not, or that set it."""
        if not difference.rows:
            return None
        events = {each.version: each for each in self._events(difference.stream, position)}
        versions = [side["version"] for side in (difference.live, difference.rebuilt) if side and "version" in side]
        found = None
        if difference.live is None or difference.rebuilt is None or not versions:
            found = self._last_change(projection, difference, position)
        if found is None and difference.live is not None and "position" in difference.live:
            return next((each for each in events.values() if each.position == difference.live["position"]), None)
        if found is None and versions:
            found = max(versions)
        return events.get(found) if found is not None else None

    def _events(self, stream: str, position: int) -> list[Origin]:
        rows = self._connection.execute(_STREAM, (stream, position, _PROBED)).fetchall()
        return [Origin(stream, version, at, topic) for at, version, topic, _ in rows]

    def _last_change(self, projection: Projection, difference: Difference, position: int) -> int | None:
        """The version of the event that last changed what differs, in tables of which only its stream knows."""
        keys = KeyRing(self._master)
        rows = self._connection.cursor(binary=True).execute(_STREAM, (difference.stream, position, _PROBED)).fetchall()
        needed = {subject for row in rows for subject in sealed_for(difference.stream, bytes(row[3]))}
        wrapped = self._connection.execute(
            "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)", (list(needed),)
        ).fetchall()
        keys.add({subject: bytes(each) for subject, each in wrapped})
        changed = sorted(difference.live or difference.rebuilt or {})
        found = before = None
        with self._connection.transaction(force_rollback=True):
            self._connection.execute(f"CREATE SCHEMA {_PROBE}; SET LOCAL search_path = {_PROBE}, log".encode())
            self._connection.execute(projection.ddl)
            batches = Batches(self._connection, _PROBE)
            for at, version, topic, state in rows:
                statements = Statements()
                try:
                    recorded: Recorded[Event] = decode(difference.stream, version, topic, bytes(state), at, keys)
                    projection.apply(statements, recorded)
                    batches.run(statements)
                except Exception:  # noqa: BLE001 - whatever it is, this is the event
                    return int(version)
                after = self._row(difference.table, difference.key, changed)
                if after != before:
                    found, before = int(version), after
        return found

    def _row(self, table: str, key: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any] | None:
        condition = sql.SQL(" AND ").join(
            sql.SQL("{}::text = {}").format(sql.Identifier(name), sql.Literal(str(value)))
            for name, value in key.items()
        )
        statement = sql.SQL("SELECT to_jsonb(t) FROM {} AS t WHERE {}").format(sql.Identifier(_PROBE, table), condition)
        row = self._connection.execute(statement).fetchone()
        return {name: row[0].get(name) for name in names} if row is not None else None
