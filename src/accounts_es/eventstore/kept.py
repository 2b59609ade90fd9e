"""The tables that a rebuild replaced: the way back.

They are kept until the next rebuild of their read model, or until somebody says that they are no longer wanted, and
follow the log meanwhile (`follow`), so that nobody who is erased lives on in them. Before they answer again they catch
up, and the last events are taken in under the append lock.

Whoever is erased is also taken out where nothing follows: of a rebuild that was left unfinished, and of streams that
stand still.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg import sql

from accounts_es.domain.account.events import AccountDeleted, AccountErased
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.gate import StreamsParked
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.mapper import decode
from accounts_es.eventstore.projection import Projection, Statements
from accounts_es.eventstore.rebuild import CHECKED, SHADOW, is_there
from accounts_es.eventstore.shadow import BATCH, Checkpoint, Progress, Shadow
from accounts_es.eventstore.swap import KEPT, alone, exchange, under_lock

_BESIDE: Final = "SELECT 1 FROM pg_namespace WHERE nspname IN (%s, %s)"
_STANDING_STILL: Final = "stream IN (SELECT stream FROM log.parked WHERE tables = %s)"
_ENDING: Final = (AccountDeleted.topic, AccountErased.topic)
_ENDS: Final = """SELECT originator_id, originator_version, topic, state, notification_id FROM log.accounts_events
    WHERE originator_id = ANY(%s) AND topic = ANY(%s) ORDER BY notification_id"""


class NothingKept(Exception):  # noqa: N818
    """No tables of these read models were kept."""

    def __init__(self) -> None:
        super().__init__("no replaced tables of these read models are kept: there is nothing to go back to")


@dataclass(frozen=True, slots=True)
class Kept:
    """Replaced tables of a read model, and up to where they hold the log."""

    read_model: str
    position: int
    since: datetime


def kept(connection: Conn, projections: Sequence[Projection]) -> list[Kept]:
    """What is kept of these read models."""
    rows = connection.execute(
        """SELECT name, kept_to, kept_since FROM log.read_models WHERE kept_to IS NOT NULL AND name = ANY(%s)
           ORDER BY name""",
        ([projection.name for projection in projections],),
    )
    return [Kept(*row) for row in rows]


def roll_back(
    conninfo: str,
    master: MasterKey,
    projections: Sequence[Projection],
    *,
    accept_parked: bool = False,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> list[Kept]:
    """Let the tables answer again that were replaced; those that answer now are kept in their turn.

    Raises `NothingKept`, `StreamsParked`, `RebuildRunning`, `TablesBusy`, `UnreadableEvent`, `WrongMasterKey`.
    """
    with alone(conninfo, master) as connection:
        found = kept(connection, projections)
        if not found:
            raise NothingKept
        back: list[Kept] = []
        for each, projection in _paired(found, projections):
            shadow = _shadow(connection, master, projection, batch, progress)
            shadow.open(each.position)
            shadow.catch_up(conninfo)
            _return(connection, shadow, projection, accept_parked=accept_parked)
            back.append(Kept(each.read_model, shadow.position, each.since))
        return back


def forget(conninfo: str, master: MasterKey, projections: Sequence[Projection]) -> list[Kept]:
    """Drop the replaced tables. Raises `NothingKept`, `RebuildRunning`."""
    with alone(conninfo, master) as connection:
        found = kept(connection, projections)
        if not found:
            raise NothingKept
        for each, projection in _paired(found, projections):
            with connection.transaction():
                for table in projection.tables:
                    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(KEPT, table)))
                connection.execute(
                    "UPDATE log.read_models SET kept_to = NULL, kept_since = NULL WHERE name = %s", (each.read_model,)
                )
                connection.execute(
                    "DELETE FROM log.parked WHERE tables = %s AND read_model = %s", (KEPT, each.read_model)
                )
        return found


def follow(conninfo: str, master: MasterKey, projections: Sequence[Projection]) -> None:
    """Bring the replaced tables up to date; streams that stand still there are left alone, but of who was erased.

    Raises as `roll_back`.
    """
    with connect_sync(conninfo, as_app=False) as connection:
        beside = connection.execute(_BESIDE, (SHADOW, CHECKED)).fetchone()
        if not kept(connection, projections) and beside is None:
            return
    with alone(conninfo, master) as connection:
        following = _paired(kept(connection, projections), projections)
        for each, projection in following:
            shadow = _shadow(connection, master, projection, BATCH, None)
            shadow.open(each.position, retry=False)
            shadow.catch_up(conninfo)
        # What a comparison that was killed left behind is of no use to anybody.
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(CHECKED)))
        connection.execute("DELETE FROM log.parked WHERE tables = %s", (CHECKED,))
        replaced = [projection for _, projection in following]
        _take_out(connection, master, KEPT, replaced, _STANDING_STILL, (KEPT,))
        row = connection.execute("SELECT read_models, position FROM log.rebuild").fetchone()
        begun = [projection for projection in projections if row is not None and projection.name in row[0]]
        if row is None or not is_there(connection, begun):
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SHADOW)))
        elif begun:
            _take_out(connection, master, SHADOW, begun, f"{_STANDING_STILL} OR last_position > %s", (SHADOW, row[1]))


def _take_out(
    connection: Conn,
    master: MasterKey,
    schema: str,
    projections: Sequence[Projection],
    which: LiteralString,
    params: tuple[object, ...],
) -> None:
    """The rows of people who were erased, of tables that have not come to their ends yet."""
    found = connection.execute(f"SELECT stream FROM log.erasures WHERE {which}".encode(), params).fetchall()
    if not found:
        return
    streams = [stream for (stream,) in found]
    statements = Statements()
    for stream, version, topic, state, position in connection.execute(_ENDS, (streams, list(_ENDING))):
        recorded = decode(stream, version, topic, bytes(state), position, KeyRing(master))
        for projection in projections:
            projection.apply(statements, recorded)
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL search_path = {}, log").format(sql.Identifier(schema)))
        for text, values in statements:
            connection.execute(text.encode(), values)
        connection.execute("DELETE FROM log.parked WHERE tables = %s AND stream = ANY(%s)", (schema, streams))


def _paired(found: Sequence[Kept], projections: Sequence[Projection]) -> list[tuple[Kept, Projection]]:
    known = {projection.name: projection for projection in projections}
    return [(each, known[each.read_model]) for each in found]


def _shadow(
    connection: Conn, master: MasterKey, projection: Projection, batch: int, progress: Progress | None
) -> Shadow:
    return Shadow(
        connection, master, [projection], KEPT, batch=batch, progress=progress, checkpoint=_checkpoint(projection.name)
    )


def _checkpoint(name: str) -> Checkpoint:
    def note(connection: Conn, position: int, _events: int) -> None:
        connection.execute("UPDATE log.read_models SET kept_to = %s WHERE name = %s", (position, name))

    return note


def _return(connection: Conn, shadow: Shadow, projection: Projection, *, accept_parked: bool) -> None:
    def work() -> None:
        shadow.take_in()
        if shadow.parked and not accept_parked:
            raise StreamsParked(shadow.parked)
        exchange(connection, projection, KEPT, shadow.position, keep=True)

    under_lock(connection, [projection], work, shadow.forget)
