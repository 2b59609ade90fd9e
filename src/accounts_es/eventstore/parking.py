"""Streams that a read model could not take in.

An event that a handler cannot read, or whose statements the database refuses, stops its stream in that read model and
nothing else. The stream is written down where anybody can see it, with the first event that is missing, and is taken
up from there once the handler is mended.
"""

import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from accounts_es.eventstore.batch import BatchFailed
from accounts_es.eventstore.connection import Conn

Spot = tuple[str, str]
"""Read model and stream."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A stream that stands still in a read model, from this event on."""

    read_model: str
    stream: str
    version: int
    position: int
    topic: str
    error: str
    since: datetime | None = None

    def __str__(self) -> str:
        """For people; names nobody."""
        return (
            f"{self.read_model}: stream {self.stream} stands still at version {self.version},"
            f" event {self.position} ({self.topic}): {self.error}"
        )


def reason(error: Exception) -> str:
    """What went wrong, without a message: those quote values."""
    if isinstance(error, BatchFailed):
        return error.kind
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def parked(connection: Conn, tables: str) -> dict[Spot, Parked]:
    """What is parked in the tables of this schema."""
    found = connection.execute(
        """SELECT read_model, stream, version, position, topic, error, since FROM log.parked
           WHERE tables = %s ORDER BY position""",
        (tables,),
    )
    return {(row[0], row[1]): Parked(*row) for row in found}


def park(connection: Conn, tables: str, found: Iterable[Parked]) -> None:
    """Write it down; what is known already keeps its time."""
    connection.cursor().executemany(
        """INSERT INTO log.parked (tables, read_model, stream, version, position, topic, error)
           VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (tables, read_model, stream) DO UPDATE SET version =
               excluded.version, position = excluded.position, topic = excluded.topic, error = excluded.error""",
        [(tables, each.read_model, each.stream, each.version, each.position, each.topic, each.error) for each in found],
    )


def unpark(connection: Conn, tables: str, spot: Spot) -> None:
    """It goes on."""
    connection.execute("DELETE FROM log.parked WHERE tables = %s AND read_model = %s AND stream = %s", (tables, *spot))
