"""Places in the log."""

from datetime import datetime
from typing import Final

from accounts_es.eventstore.reads import Reads

_HEAD: Final = "SELECT coalesce(max(notification_id), 0) FROM log.accounts_events"
_NEXT: Final = """SELECT notification_id, recorded_at FROM log.accounts_events
    WHERE notification_id >= %s ORDER BY notification_id LIMIT 1"""
_FIRST_LATER: Final = """SELECT min(notification_id) FROM log.accounts_events
    WHERE notification_id BETWEEN %s AND %s AND recorded_at > %s"""
_DISORDER: Final = 10_000
"""Positions within which times may run backwards: an event carries the time its request came."""


async def head(reads: Reads) -> int:
    """The last position."""
    ((position,),) = await reads.fetch(_HEAD)
    return int(position)


async def position_at(reads: Reads, place: int | datetime) -> int | None:
    """The position a place means: what is later is beyond it. Nothing for a position the log has not reached."""
    last = await head(reads)
    if not isinstance(place, datetime):
        return place if place <= last else None
    low, high = 0, last
    while low < high:  # the last position that is not later, by halves
        middle = (low + high + 1) // 2
        ((found, at),) = await reads.fetch(_NEXT, (middle,))
        low, high = (low, middle - 1) if at > place else (found, high)
    ((earlier,),) = await reads.fetch(_FIRST_LATER, (max(low - _DISORDER, 0), low, place))
    return low if earlier is None else int(earlier) - 1
