"""The events of a project as servers follow them."""

from typing import Any

from typing_extensions import TypedDict

from accounts_es.eventstore.audit_record import Record


class FeedEvent(TypedDict):
    """One fact. ``events``: the names it goes by in webhooks and realtime, if it is told there."""

    position: int
    time: str
    topic: str
    version: int
    events: list[str]
    stream: str
    streamVersion: int
    actor: str
    operation: str
    requestId: str
    correlationId: str
    causationId: str
    ip: str
    userAgent: str
    erased: bool
    data: dict[str, Any]


class FeedPage(TypedDict):
    """What happened after a position. The next page begins after ``position``; ``more``: it is there already."""

    position: int
    more: bool
    events: list[FeedEvent]


def feed_event(record: Record, names: tuple[str, ...]) -> FeedEvent:
    """One fact, with the names it is told by."""
    return {
        "position": record.position,
        "time": f"{record.time[:23]}+00:00",
        "topic": record.topic,
        "version": record.version,
        "events": list(names),
        "stream": record.stream,
        "streamVersion": record.stream_version,
        "actor": record.actor,
        "operation": record.operation,
        "requestId": record.request,
        "correlationId": record.correlation,
        "causationId": record.causation or "",
        "ip": record.ip or "",
        "userAgent": record.user_agent or "",
        "erased": record.erased,
        "data": record.data,
    }
