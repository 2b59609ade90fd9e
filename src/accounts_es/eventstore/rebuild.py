"""Rebuild read models from the log, beside the live ones and while the server goes on.

The tables are made again in a shadow schema; the same handlers fill them (``search_path`` sends the same SQL there),
in the order of the log; while the database takes in one batch, the next is read and decoded. For the sake of a server
on the same machine a ``pause`` is made after each batch instead, as a share of what it took. When they have caught up,
they are held against the live ones as of one moment, and then what was touched meanwhile. One transaction under the
append lock takes in and compares the last events and swaps the tables, if they passed. The tables replaced are kept,
see `kept.py`. A rebuild that is killed is gone on with, or started over; nothing that answers was touched. Reactors are
not reached from here: a replay never sends a mail.

A person may be erased meanwhile: their account is deleted by an event, and that event takes their rows out here too.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from accounts_es.eventstore.append import APPEND_LOCK
from accounts_es.eventstore.batch import BatchFailed
from accounts_es.eventstore.compare import Difference, state_hash
from accounts_es.eventstore.connection import Conn
from accounts_es.eventstore.gate import Accept, Gate, Origin, Refused, State, StreamsParked, Verdict
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.migrate import UNFILLED
from accounts_es.eventstore.parking import Parked
from accounts_es.eventstore.projection import Projection
from accounts_es.eventstore.shadow import BATCH, Progress, Shadow, UnreadableEvent
from accounts_es.eventstore.swap import RebuildRunning, TablesBusy, alone, exchange, under_lock

__all__ = [
    "Accept",
    "BatchFailed",
    "Difference",
    "NothingToResume",
    "Origin",
    "Parked",
    "Progress",
    "RebuildRunning",
    "Rebuilt",
    "Refused",
    "State",
    "StreamsParked",
    "TablesBusy",
    "UnreadableEvent",
    "fill",
    "rebuild",
    "resume",
    "state_hash",
    "verify",
]

SHADOW: Final = "read_next"
CHECKED: Final = "read_check"
_NOTHING: Final = Accept()
_ROUNDS: Final = 5
_TOUCHED: Final = """SELECT DISTINCT originator_id FROM log.accounts_events
    WHERE notification_id > %s AND notification_id <= %s"""


class NothingToResume(Exception):  # noqa: N818
    """No rebuild was left unfinished, and nothing stands still."""

    def __init__(self) -> None:
        super().__init__("there is nothing to resume: no rebuild was left unfinished, and no stream stands still")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How far a rebuild came, how many events it read, and what the read models were when they were compared."""

    position: int
    events: int
    states: tuple[State, ...] = ()
    parked: tuple[Parked, ...] = ()
    """Streams that are missing."""


def rebuild(
    conninfo: str,
    master: MasterKey,
    projections: Sequence[Projection],
    *,
    accept: Accept = _NOTHING,
    batch: int = BATCH,
    pause: float = 0.0,
    progress: Progress | None = None,
) -> Rebuilt:
    """Make the read models anew and put them in the place of the live ones, if they equal them.

    Needs the owner's role. Raises `Refused`, `StreamsParked`, `RebuildRunning`, `UnreadableEvent`, `TablesBusy`,
    `WrongMasterKey` and psycopg's errors; the live tables are untouched then.
    """
    with alone(conninfo, master) as connection:
        shadow = Shadow(
            connection, master, projections, SHADOW, batch=batch, pause=pause, progress=progress, checkpoint=_checkpoint
        )
        _begin(connection, projections)
        shadow.create()
        return _finish(conninfo, connection, master, shadow, projections, accept)


def resume(
    conninfo: str,
    master: MasterKey,
    projections: Sequence[Projection],
    *,
    accept: Accept = _NOTHING,
    batch: int = BATCH,
    pause: float = 0.0,
    progress: Progress | None = None,
) -> Rebuilt:
    """Go on with the rebuild that was left unfinished, streams that stood still included.

    Without one, rebuild those of the read models that lack streams. Raises `NothingToResume`, otherwise as `rebuild`.
    """
    with alone(conninfo, master) as connection:
        row = connection.execute("SELECT read_models, position, events FROM log.rebuild").fetchone()
        chosen = [each for each in projections if row is not None and each.name in row[0]]
        if row is not None and is_there(connection, chosen):
            shadow = Shadow(
                connection, master, chosen, SHADOW, batch=batch, pause=pause, progress=progress, checkpoint=_checkpoint
            )
            shadow.open(row[1], row[2])
            return _finish(conninfo, connection, master, shadow, chosen, accept)
        found = connection.execute("SELECT DISTINCT read_model FROM log.parked WHERE tables = 'read'")
        names = {name for (name,) in found} | {each.name for each in chosen}
    if not names:
        raise NothingToResume
    chosen = [each for each in projections if each.name in names]
    return rebuild(conninfo, master, chosen, accept=accept, batch=batch, pause=pause, progress=progress)


def verify(
    conninfo: str,
    master: MasterKey,
    projections: Sequence[Projection],
    *,
    batch: int = BATCH,
    pause: float = 0.0,
    progress: Progress | None = None,
) -> tuple[Rebuilt, Difference | None]:
    """Rebuild beside the live tables, compare both as of one moment byte for byte, and throw the copy away.

    Writers wait only for the moment a snapshot takes. Raises as `rebuild`.
    """
    done, verdict = examine(conninfo, master, projections, batch=batch, pause=pause, progress=progress)
    return done, verdict.difference


def examine(
    conninfo: str,
    master: MasterKey,
    projections: Sequence[Projection],
    *,
    batch: int = BATCH,
    pause: float = 0.0,
    progress: Progress | None = None,
) -> tuple[Rebuilt, Verdict]:
    """`verify`, with the event behind the difference."""
    with alone(conninfo, master) as connection:
        shadow = Shadow(connection, master, projections, CHECKED, batch=batch, pause=pause, progress=progress)
        try:
            shadow.create()
            shadow.catch_up(conninfo)
            with _moment(connection):
                shadow.take_in()
                gate = Gate(connection, master, projections, CHECKED, _NOTHING)
                verdict = gate.compare(shadow.position, shadow.parked)
        finally:
            if not connection.closed:
                connection.execute(f"DROP SCHEMA IF EXISTS {CHECKED} CASCADE".encode())
                connection.execute("DELETE FROM log.parked WHERE tables = %s", (CHECKED,))
        return Rebuilt(shadow.position, shadow.events, tuple(verdict.states), tuple(shadow.parked)), verdict


def fill(conninfo: str, master: MasterKey, projections: Sequence[Projection], names: Iterable[str]) -> None:
    """Rebuild those of the read models that a migration left empty. Raises as `rebuild`."""
    wanted = set(names)
    rebuild(conninfo, master, [projection for projection in projections if projection.name in wanted])


def _begin(connection: Conn, projections: Sequence[Projection]) -> None:
    connection.execute(
        """INSERT INTO log.rebuild (read_models) VALUES (%s) ON CONFLICT (singleton) DO UPDATE SET
               read_models = excluded.read_models, position = 0, events = 0, begun_at = now(), moved_at = now()""",
        ([projection.name for projection in projections],),
    )


def is_there(connection: Conn, projections: Sequence[Projection]) -> bool:
    """Whether the tables of an unfinished rebuild are those of this release."""
    tables = [f"{SHADOW}.{table}" for projection in projections for table in projection.tables]
    rows = connection.execute("SELECT to_regclass(t) FROM unnest(%s::text[]) AS t", (tables,)).fetchall()
    return all(found is not None for (found,) in rows)


def _checkpoint(connection: Conn, position: int, events: int) -> None:
    connection.execute("UPDATE log.rebuild SET position = %s, events = %s, moved_at = now()", (position, events))


def _finish(
    conninfo: str,
    connection: Conn,
    master: MasterKey,
    shadow: Shadow,
    projections: Sequence[Projection],
    accept: Accept,
) -> Rebuilt:
    """Catch up, compare, swap."""
    shadow.catch_up(conninfo)
    shadow.analyze()
    if shadow.parked and not accept.parked:
        raise StreamsParked(shadow.parked)
    names = {
        name for (name,) in connection.execute("SELECT name FROM log.read_models WHERE rebuilt_to = %s", (UNFILLED,))
    }
    # There is nothing to compare with where a table has just been made.
    filled = [projection for projection in projections if projection.name not in names]
    gate = Gate(connection, master, filled, SHADOW, accept)
    states: list[State] = []
    compared = 0
    try:
        for attempt in range(_ROUNDS):
            with _moment(connection):
                shadow.take_in()
                streams = _touched(connection, compared, shadow.position) if attempt else []
                verdict = (
                    gate.compare_streams(streams, shadow.position, shadow.parked)
                    if attempt
                    else gate.compare(shadow.position, shadow.parked)
                )
                _pass(verdict)
                states = states or verdict.states
            shadow.settle()
            compared, before = shadow.position, shadow.events
            shadow.catch_up(conninfo)
            if shadow.events - before <= BATCH:
                break
        _swap(connection, gate, shadow, projections, names, compared, accept)
    except Refused:
        drop(connection)
        raise
    connection.execute(f"DROP SCHEMA {SHADOW} CASCADE".encode())
    return Rebuilt(shadow.position, shadow.events, tuple(states), tuple(shadow.parked))


def _swap(
    connection: Conn,
    gate: Gate,
    shadow: Shadow,
    projections: Sequence[Projection],
    unfilled: set[str],
    compared: int,
    accept: Accept,
) -> None:
    def work() -> None:
        shadow.take_in()
        if shadow.parked and not accept.parked:
            raise StreamsParked(shadow.parked)
        streams = _touched(connection, compared, shadow.position)
        _pass(gate.compare_streams(streams, shadow.position, shadow.parked))
        for projection in projections:
            exchange(connection, projection, SHADOW, shadow.position, keep=projection.name not in unfilled)
        connection.execute("DELETE FROM log.rebuild")

    under_lock(connection, projections, work, shadow.forget)


def drop(connection: Conn) -> None:
    """Throw away what a rebuild has made so far."""
    with connection.transaction():
        connection.execute(f"DROP SCHEMA IF EXISTS {SHADOW} CASCADE".encode())
        connection.execute("DELETE FROM log.rebuild")
        connection.execute("DELETE FROM log.parked WHERE tables = %s", (SHADOW,))


def _pass(verdict: Verdict) -> None:
    if verdict.difference is not None:
        raise Refused(verdict)


def _touched(connection: Conn, after: int, until: int) -> list[str]:
    return [stream for (stream,) in connection.execute(_TOUCHED, (after, until))]


@contextmanager
def _moment(connection: Conn) -> Generator[None]:
    """A transaction that sees the log and the read models as of one moment: no append is half in it."""
    connection.execute("SELECT pg_advisory_lock(%s)", (APPEND_LOCK,))
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1")
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (APPEND_LOCK,))
    try:
        yield
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
