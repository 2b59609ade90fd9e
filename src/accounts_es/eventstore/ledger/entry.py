"""What of an event is hashed: all its columns, in one encoding without ambiguity (docs/operate/audit.md).

The stored bytes of an event enter as their digest, so that a proof needs neither secrets nor sealed values.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from typing_extensions import TypedDict

from accounts_es.eventstore.ledger.merkle import leaf_hash

COLUMNS: Final = """notification_id, originator_id, originator_version, topic, state, project_id, recorded_at, actor,
    operation, request_id, correlation_id"""
"""The columns of ``log.accounts_events`` in the order of `entry`."""

_FORMAT: Final = b"accounts-es/event/1\n"

Row = Sequence[Any]
"""The values of `COLUMNS`."""


class Entry(TypedDict):
    """An event as a proof shows it. ``digest`` is the SHA-256 (hex) of its stored bytes; ``recorded`` is UTC."""

    position: int
    stream: str
    version: int
    topic: str
    digest: str
    project: str
    recorded: str
    actor: str
    operation: str
    request: str
    correlation: str


def time_text(time: datetime) -> str:
    """As hashed and exported: ``2026-03-14T12:00:00.123456``, UTC. The database's connection says so."""
    return time.replace(tzinfo=None).isoformat(timespec="microseconds")


def entry(row: Row) -> Entry:
    """The event of a row."""
    position, stream, version, topic, state, project, time, actor, operation, request, correlation = row
    return Entry(
        position=position,
        stream=stream,
        version=version,
        topic=topic,
        digest=hashlib.sha256(state).hexdigest(),
        project=project,
        recorded=time_text(time),
        actor=actor,
        operation=operation,
        request=request,
        correlation=correlation,
    )


def event_hash(row: Row) -> bytes:
    """The leaf of an event: each value as text in UTF-8, behind its length in four bytes."""
    encoded = [str(value).encode() for value in entry(row).values()]
    return leaf_hash(_FORMAT + b"".join(len(each).to_bytes(4) + each for each in encoded))


def export_line(row: Row) -> str:
    """An event with its stored bytes, as one line of JSON from which anybody can compute the leaf."""
    state = base64.b64encode(row[4]).decode()
    shown = {("state" if name == "digest" else name): value for name, value in entry(row).items()}
    return json.dumps(shown | {"state": state}, separators=(",", ":"))
