"""The server itself."""

from typing_extensions import TypedDict

from accounts_es.eventstore.standing import Standing
from accounts_es.http.models.dates import date


class HealthStatus(TypedDict):
    """How a part of the server is, and how many milliseconds it took to tell."""

    name: str
    ping: int
    status: str


class HealthVersion(TypedDict):
    """The level of the contract."""

    version: str


class HealthParked(TypedDict):
    """A stream that stands still from an event on. The event says whose it is, to whoever may read the log."""

    position: int
    topic: str
    error: str
    since: str


class HealthProjection(TypedDict):
    """Where one follower of the log is. ``kind``: inline, follower, outbox, webhooks, kept or rebuild."""

    name: str
    kind: str
    status: str
    position: int
    lag: int
    lagSeconds: float
    parked: list[HealthParked]


class HealthProjections(TypedDict):
    """All followers of the log."""

    total: int
    projections: list[HealthProjection]


def projection(each: Standing) -> HealthProjection:
    """One follower, as the wire has it."""
    return {
        "name": each.name,
        "kind": each.kind,
        "status": "pass" if each.passes else "fail",
        "position": each.position,
        "lag": each.lag,
        "lagSeconds": round(each.lag_seconds, 3),
        "parked": [
            {"position": one.position, "topic": one.topic, "error": one.error, "since": date(one.since)}
            for one in each.parked
        ],
    }
