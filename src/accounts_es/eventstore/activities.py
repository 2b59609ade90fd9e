"""The log as a list that takes queries: what the audit's tools and the wire ask it, over the same conditions."""

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from accounts_es.domain.security.events import SignInRefused
from accounts_es.eventstore.listing import (
    Attribute,
    Condition,
    Every,
    Filter,
    Kind,
    Listing,
    Operator,
    Some,
)

POSITION: Final = Attribute("notification_id", Kind.NUMBER)
STREAM: Final = Attribute("originator_id", Kind.TEXT)
TOPIC: Final = Attribute("topic", Kind.TEXT)
TIME: Final = Attribute("recorded_at", Kind.TIME, turns_ties=True)
PROJECT: Final = Attribute("project_id", Kind.TEXT)
ACTOR: Final = Attribute("actor", Kind.TEXT)
OPERATION: Final = Attribute("operation", Kind.TEXT)
REQUEST: Final = Attribute("request_id", Kind.TEXT)
CORRELATION: Final = Attribute("correlation_id", Kind.TEXT)
_IN_NAME_OF: Final = Attribute("split_part(actor, '<', 1)", Kind.TEXT)
_IMPERSONATOR: Final = Attribute("split_part(actor, '<', 2)", Kind.TEXT)
_IMPERSONATED: Final = Attribute("(strpos(actor, '<') > 0)", Kind.FLAG)
_SECURITY: Final = Attribute("starts_with(originator_id, 'security-')", Kind.FLAG)
_AIMED_AT: Final = Attribute("log.aimed_at(state)", Kind.TEXT)
_ABOUT: Final = Attribute("(convert_from(state, 'UTF8')::jsonb #>> '{data,about}')", Kind.TEXT)


class EventRow(NamedTuple):
    """One stored event, as `accounts_es.eventstore.opening` takes it."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


COLUMNS: Final = "notification_id, originator_id, originator_version, topic, state"

OF_PROJECT: Final = Listing(
    row=EventRow._make,
    columns=COLUMNS,
    source="log.accounts_events",
    scope="project_id = %s",
    id="notification_id",
    sequence="notification_id",
    attributes={
        "sequence": POSITION,
        "created_at": TIME,
        "stream": STREAM,
        "topic": TOPIC,
        "actor": ACTOR,
        "operation": OPERATION,
        "request": REQUEST,
        "correlation": CORRELATION,
    },
    # No index: whoever looks for words in the log reads it.
    words="log.search_words(ARRAY[replace(topic, '_', ' '), operation, originator_id, request_id, correlation_id])",
)
"""All that happened in a project. Personal values are sealed: nobody can search for them here."""

AFTER: Final = f"""SELECT {COLUMNS} FROM log.accounts_events WHERE project_id = %s AND notification_id > %s
    AND notification_id <= %s AND {{}} ORDER BY notification_id LIMIT %s"""
"""So many of them between two positions, to be completed by a condition."""
HEAD: Final = "SELECT coalesce(max(notification_id), 0) FROM log.accounts_events"
ONE: Final = f"SELECT {COLUMNS} FROM log.accounts_events WHERE notification_id = %s AND project_id = %s"


def concerning(streams: Collection[str]) -> Filter:
    """The events of these streams, and what security streams say of them."""
    accounts = [f"account:{stream}" for stream in streams]
    security = Some((_among(_AIMED_AT, streams), _among(_ABOUT, streams), _among(_IN_NAME_OF, accounts)))
    return Some((_among(STREAM, streams), Every((_is(_SECURITY), security))))


def aimed_at_or_of(streams: Collection[str]) -> Filter:
    """The events of these streams, and the sign-ins refused to them: along indexes alone."""
    refused = Every((_among(TOPIC, [SignInRefused.topic]), _among(_AIMED_AT, streams)))
    return Some((_among(STREAM, streams), refused))


def by(actors: Iterable[str]) -> Filter:
    """What these did: each a ``kind:id`` or an id alone. Whose name was used counts, and whoever used it."""
    names = list(
        dict.fromkeys(
            name
            for actor in actors
            for name in (actor, *(f"{kind}:{actor}" for kind in ("account", "key", "guest", "system")))
        )
    )
    either = Some((_among(_IN_NAME_OF, names), _among(_IMPERSONATOR, names)))
    return Some((_among(ACTOR, names), Every((_is(_IMPERSONATED), either))))


def _among(attribute: Attribute, values: Collection[str]) -> Condition:
    return Condition(attribute, Operator.EQUAL, tuple(values))


def _is(attribute: Attribute) -> Condition:
    return Condition(attribute, Operator.EQUAL, (True,))
