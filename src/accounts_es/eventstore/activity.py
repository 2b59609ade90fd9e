"""What happened to an account, newest first, straight from the log: its own events and the sign-ins refused to it.

The rows are found backwards along two indexes and only those of one page are opened, so no read model repeats what the
log holds. Events of one request that follow each other are one deed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from accounts_es.domain.event import Event, Recorded
from accounts_es.domain.security.events import SignInRefused
from accounts_es.eventstore.log import EventLog

REACH: Final = 5000
"""Deeds that are counted and shown; older ones are left to the audit. That bounds what one request reads."""

_OWN: Final = """
    FROM log.accounts_events AS own
    WHERE originator_id = %s AND topic = ANY(%s) AND NOT EXISTS (
        SELECT 1 FROM log.accounts_events AS before
        WHERE before.originator_id = own.originator_id AND before.originator_version = own.originator_version - 1
            AND before.request_id = own.request_id AND before.topic = ANY(%s))
    ORDER BY originator_version DESC LIMIT %s"""
_REFUSED: Final = f"""
    FROM log.accounts_events
    WHERE topic = '{SignInRefused.topic}' AND log.aimed_at(state) = %s
    ORDER BY notification_id DESC LIMIT %s"""
_PAGE: Final = f"""
    SELECT found.originator_id, found.originator_version, found.topic, found.state, found.notification_id, ARRAY(
        SELECT step.topic FROM log.accounts_events AS step
        WHERE step.originator_id = found.originator_id AND step.originator_version > found.originator_version
            AND step.originator_version <= found.originator_version + 16 AND step.request_id = found.request_id
    )
    FROM (
        SELECT notification_id FROM (
            (SELECT notification_id {_OWN}) UNION ALL (SELECT notification_id {_REFUSED})
        ) AS either ORDER BY notification_id DESC OFFSET %s LIMIT %s
    ) AS page JOIN log.accounts_events AS found USING (notification_id) ORDER BY notification_id DESC"""
_COUNT: Final = f"""
    SELECT (SELECT count(*) FROM (SELECT 1 {_OWN}) AS own) + (SELECT count(*) FROM (SELECT 1 {_REFUSED}) AS refused)"""


@dataclass(frozen=True, slots=True)
class Deed:
    """What one request did: its first event, and the topics of all."""

    first: Recorded[Event]
    topics: tuple[str, ...]


async def deeds(log: EventLog, stream: str, topics: Sequence[str], *, offset: int, limit: int) -> list[Deed]:
    """A page of what happened to the account of this stream; only events of these topics count."""
    reach = min(offset + limit, REACH)
    if offset >= reach:
        return []
    wanted = list(topics)
    rows = await log.reads.fetch(_PAGE, (stream, wanted, wanted, reach, stream, reach, offset, reach - offset))
    events = await log.decode([row[:5] for row in rows])
    return [Deed(first, (first.event.topic, *row[5])) for first, row in zip(events, rows, strict=True)]


async def count(log: EventLog, stream: str, topics: Sequence[str]) -> int:
    """How many there are, at most `REACH`."""
    wanted = list(topics)
    ((found,),) = await log.reads.fetch(_COUNT, (stream, wanted, wanted, REACH, stream, REACH))
    return min(int(found), REACH)
