"""The tables that a rebuild replaced: the way back.

They are kept until the next rebuild of their read model, or until somebody says that they are no longer wanted, and
follow the log meanwhile (`follow`), so that nobody who is erased lives on in them. Before they answer again they catch
up, and the last events are taken in under the append lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.gate import StreamsParked
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.projection import Projection
from accounts_es.eventstore.shadow import BATCH, Checkpoint, Progress, Shadow
from accounts_es.eventstore.swap import KEPT, alone, exchange, under_lock


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
    """Bring the replaced tables up to date; streams that stand still there are left alone. Raises as `roll_back`."""
    with connect_sync(conninfo, as_app=False) as connection:
        if not kept(connection, projections):
            return
    with alone(conninfo, master) as connection:
        for each, projection in _paired(kept(connection, projections), projections):
            shadow = _shadow(connection, master, projection, BATCH, None)
            shadow.open(each.position, retry=False)
            shadow.catch_up(conninfo)


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
