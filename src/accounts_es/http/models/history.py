"""What changed of a user, when, by whom and from where."""

from typing import Any

from typing_extensions import TypedDict


class Provenance(TypedDict):
    """The event a value came from, and the request behind it."""

    event: str
    topic: str
    position: int
    time: str
    operation: str
    requestId: str
    actorType: str
    actorId: str
    impersonatorId: str
    ip: str
    userAgent: str
    country: str


_Change = TypedDict("_Change", {"$id": str, "field": str, "old": Any, "new": Any})


class HistoryChange(_Change, Provenance):
    """One field that changed; what was or is not there is null."""


class HistoryList(TypedDict):
    """A page of changes, newest first."""

    total: int
    changes: list[HistoryChange]


HistoryDiff = TypedDict("HistoryDiff", {"from": int, "to": int, "patch": list[dict[str, Any]]})
"""What leads from a user as of one position to the user as of another: a JSON Patch (RFC 6902) with what was there
before."""


class BlamedField(Provenance):
    """A field of a user and what set it."""

    field: str
    value: Any


class HistoryBlame(TypedDict):
    """Each field of a user as of a position."""

    position: int
    fields: list[BlamedField]
