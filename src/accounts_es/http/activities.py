"""What happened in a project, for servers: Appwrite's activities, straight from the log."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, cast

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from accounts_es.domain.catalog import DECIDERS
from accounts_es.domain.decider import Decider
from accounts_es.domain.errors import (
    AuditEventNotFound,
    DatabaseQueryOrderNull,
    GeneralArgumentInvalid,
    GeneralCursorNotFound,
    GeneralQueryInvalid,
)
from accounts_es.domain.event import Event, NewerShape, Recorded, without_personal
from accounts_es.domain.security.events import AuditRead
from accounts_es.eventstore import activities
from accounts_es.eventstore.activities import EventRow
from accounts_es.eventstore.audit import plain
from accounts_es.eventstore.audit_record import REDACTED, Record
from accounts_es.eventstore.keys import SealBroken
from accounts_es.eventstore.listing import FIRST_PAGE, Asked, Attribute, Condition, Every, Filter, Kind, Operator, Order
from accounts_es.eventstore.mapper import UnknownTopic
from accounts_es.eventstore.opening import Opening, acting, answered
from accounts_es.eventstore.pages import page
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.documents import ABSENT, Change, differences
from accounts_es.http.listing import Queries
from accounts_es.http.models.activities import ACTIVITY_NAMES, ACTOR_TYPES
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Number, Text
from projections import accounts, streams
from projections.accounts import AccountRow

MOST: Final = 2**53 - 1
"""What every JSON reader takes."""
_AT_ONCE: Final = 100
"""Events opened before others get their turn."""


def _case(value: str, names: Mapping[str, str]) -> str:
    """SQL that turns our words into the wire's; both stand in our source."""
    cases = " ".join(f"WHEN '{ours}' THEN '{wire}'" for ours, wire in names.items())
    return f"(CASE {value} {cases} ELSE {value} END)"


_USER, _TEAM, _ACTOR = (Attribute(f"originator_id /* {of} */", Kind.TEXT) for of in ("user", "team", "actor"))
"""Named by ids of the wire, which the log does not hold in the clear."""

LOG_ATTRIBUTES: Final = {
    "$sequence": activities.POSITION,
    "$createdAt": activities.TIME,
    "time": activities.TIME,
    "event": Attribute(_case("topic", {each.topic: name for each, name in ACTIVITY_NAMES.items()}), Kind.TEXT),
    "topic": activities.TOPIC,
    "operation": activities.OPERATION,
    "requestId": activities.REQUEST,
    "correlationId": activities.CORRELATION,
    "stream": activities.STREAM,
    "actorType": Attribute(_case("split_part(split_part(actor, '<', 1), ':', 1)", ACTOR_TYPES), Kind.TEXT),
}
"""What the log itself can be asked by, in the wire's words."""
ATTRIBUTES: Final = {**LOG_ATTRIBUTES, "actorId": _ACTOR, "userId": _USER, "teamId": _TEAM}
_NEWEST_FIRST: Final = (Order(activities.POSITION, descending=True),)
_NOBODY: Final = "-"
"""No stream is called that."""

Asking = Annotated[Asked, Queries(ATTRIBUTES, loose=True)]


@operation(
    "GET",
    "/activities/events",
    id="activities.listEvents",
    scope="events.read",
    returns=models.ActivityEventList,
    emits=(AuditRead,),
    raises=(GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_events(
    ctx: Context,
    *,
    queries: Asking = FIRST_PAGE,
    search: Annotated[str | None, Text(256)] = None,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.ActivityEventList:
    """A page of what happened in the project, newest first unless asked otherwise, and how many events match."""
    if queries.cursor is not None and not _is_position(queries.cursor):
        raise GeneralCursorNotFound
    asked = replace(queries, filters=await resolved(ctx, queries.filters), orders=queries.orders or _NEWEST_FIRST)
    rows, matching = await page(
        ctx.reads, activities.OF_PROJECT, (ctx.project_id,), asked, search=search, with_total=total
    )
    names = [*named(queries.filters), *(["search"] if search is not None else [])]
    question = question_of(ctx, queries.filters, search)
    await ctx.note_audit_read(AuditRead(attributes=tuple(sorted(names)), question=question, count=len(rows)))
    return {"total": matching, "events": await _shown(ctx, rows)}


@operation(
    "GET",
    "/activities/events/{eventId}",
    id="activities.getEvent",
    scope="events.read",
    returns=models.ActivityEventDetail,
    emits=(AuditRead,),
    raises=(AuditEventNotFound,),
)
async def get_event(ctx: Context, *, event_id: Annotated[int, Number(1, MOST)]) -> models.ActivityEventDetail:
    """One event, by its position in the log, and every field it changed: before and after."""
    rows = [EventRow._make(row) for row in await ctx.reads.fetch(activities.ONE, (event_id, ctx.project_id))]
    if not rows:
        raise AuditEventNotFound
    await ctx.note_audit_read(AuditRead(count=1, about=rows[0].stream))
    (shown,) = await _shown(ctx, rows)
    return {**shown, "changes": await _changes(ctx, rows[0])}


async def _changes(ctx: Context, row: EventRow) -> list[models.ActivityChange]:
    """What the event changed of the state that decisions are made from; nothing where this release cannot read it."""
    decider = DECIDERS.get(row.stream.partition("-")[0])
    if decider is None:
        return []
    try:
        recorded = await ctx.services.application.log.load(row.stream)
    except (UnknownTopic, NewerShape, SealBroken, ValidationError):
        return []
    changed = list(_changed(decider, recorded, row.version))
    if ctx.caller.sees_personal:
        return [_change(each.field, each.old, each.new) for each in changed]
    # What changes as well where nothing personal is known is not personal. Of all else the name of the field is told.
    clear = [replace(each, event=without_personal(each.event)) for each in recorded]
    known = {each.path: each for each in _changed(decider, clear, row.version)}
    hidden = dict.fromkeys(each.field.partition("/")[0] for each in changed if known.get(each.path) != each)
    shown = [_change(each.field, each.old, each.new) for each in changed if known.get(each.path) == each]
    return [*shown, *(_change(name, REDACTED, REDACTED) for name in hidden)]


def _changed(decider: Decider[Any, Any], recorded: Sequence[Recorded[Event]], version: int) -> Iterator[Change]:
    before = decider.fold([each for each in recorded if each.stream_version < version])
    after = decider.fold([each for each in recorded if each.stream_version == version], before)
    return differences(_document(before), _document(after))


def _change(field: str, old: Any, new: Any) -> models.ActivityChange:
    return {"field": field, "old": _there(old), "new": _there(new)}


def _document(state: object) -> dict[str, Any]:
    """A folded state as JSON, without hashes."""
    return cast("dict[str, Any]", from_json(to_json(plain(state))))


def _is_position(cursor: str) -> bool:
    return cursor.isascii() and cursor.isdecimal() and int(cursor) <= MOST


def _there(value: Any) -> Any:
    return None if value is ABSENT else value


async def _shown(ctx: Context, rows: Sequence[EventRow]) -> list[models.ActivityEvent]:
    opening = Opening(ctx.services.application.log.keys, redact=not ctx.caller.sees_personal)
    shown: list[models.ActivityEvent] = []
    for at in range(0, len(rows), _AT_ONCE):
        records = await answered(ctx.reads, opening.records(rows[at : at + _AT_ONCE]))
        by_stream = await actors(ctx, records)
        shown += [models.activity(each, opening.id_of, by_stream) for each in records]
        await asyncio.sleep(0)
    return shown


async def actors(ctx: Context, records: Sequence[Record]) -> dict[str, AccountRow]:
    """The accounts that acted and still are, by their streams; nobody for who may not know them."""
    if not ctx.caller.sees_personal:
        return {}
    acted = {stream for record in records for stream in acting(record.actor)}
    found = await asyncio.gather(*(ctx.reads.load(accounts.BY_STREAM, (stream,)) for stream in acted))
    return {row.stream: row for row in found if row is not None}


# What is asked for ----------------------------------------------------------------------------------------------------


async def resolved(ctx: Context, filters: Sequence[Filter]) -> tuple[Filter, ...]:
    """The filters, with what they say of users, teams and actors said of streams. Raises `GeneralArgumentInvalid`."""
    return tuple([await _resolved(ctx, each) for each in filters])


async def _resolved(ctx: Context, asked: Filter) -> Filter:
    if not isinstance(asked, Condition):
        return replace(asked, filters=await resolved(ctx, asked.filters))
    attribute = asked.attribute
    if attribute not in (_USER, _TEAM, _ACTOR):
        return asked
    if asked.operator is not Operator.EQUAL or asked.negated:
        raise GeneralArgumentInvalid(f"Invalid `queries` param: Invalid query: {_name(attribute)} can only be equal")
    values = [str(each) for each in asked.values]
    found = await streams.with_ids(ctx.reads, ctx.project_id, "team" if attribute == _TEAM else "account", *values)
    if attribute == _ACTOR:
        # An id of a key is its own; nobody acts under the id of an account in the log.
        return activities.by([*found, *(f"key:{each}" for each in values), *(f"system:{each}" for each in values)])
    return activities.aimed_at_or_of(found or [_NOBODY])


def named(filters: Sequence[Filter]) -> set[str]:
    """The attributes that filters are about."""
    return {
        name
        for each in filters
        for name in ([_name(each.attribute)] if isinstance(each, Condition) else named(each.filters))
    }


def _name(attribute: Attribute) -> str:
    return next(name for name, each in ATTRIBUTES.items() if each == attribute)


def question_of(ctx: Context, filters: Sequence[Filter], search: str | None = None) -> str:
    """The same for equal questions; nobody who reads it can guess what was asked for."""
    if not filters and search is None:
        return ""
    keys = ctx.services.application.log.keys
    return keys.digest(ctx.project_id, "audit.question", repr((Every(tuple(filters)), search))).hex()[:32]
