"""The feed of a project's events for servers: pages, waited for if there is nothing yet, or Server-Sent Events.

A page looks through a bounded part of the log, so what matches seldom costs many short requests and no long one; where
it stopped is its ``position``, whether or not anything matched. Personal values are marked as such, ids of people and
teams in names among them, unless the key may see them.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Annotated, Final, NamedTuple

from pydantic_core import to_json

from accounts_es.adapters.ids import now
from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.errors import GeneralServiceUnavailable, GeneralUnauthorizedScope, Refusal
from accounts_es.domain.event import Event, NewerShape, Recorded
from accounts_es.domain.security.events import AuditRead, AuditReadsCounted
from accounts_es.eventstore import activities
from accounts_es.eventstore.activities import EventRow
from accounts_es.eventstore.append import AppendRefused
from accounts_es.eventstore.mapper import UnknownTopic
from accounts_es.eventstore.opening import Opening, answered
from accounts_es.eventstore.positions import head
from accounts_es.http import models
from accounts_es.http.callers import caller_with_key
from accounts_es.http.context import Context
from accounts_es.http.models.feed import feed_event
from accounts_es.http.operation import Streamed, operation
from accounts_es.http.rules import Number, Text, Texts
from accounts_es.http.wire_events import TOPICS, Group, told_together, wire_events

log = logging.getLogger(__name__)

MOST: Final = 2**53 - 1
"""What every JSON reader takes."""
_ROWS: Final = 200
"""Events looked at in one go."""
_REACH: Final = 20_000
"""Positions that one statement looks through."""
_BUDGET: Final = 0.5
"""Seconds after which a page is answered as far as it got."""
_CONTEXT: Final = 16
"""Events before a page that its first may belong to: what one request records is told together."""
_HEARTBEAT: Final = 15.0
_MOST_WAITING: Final = 500
"""Requests of one worker that wait for events."""
_READS: Final = frozenset({AuditRead.topic, AuditReadsCounted.topic})
_STATEMENT: Final = activities.AFTER.format("(topic = ANY(%s) OR topic <> ALL(%s))")
"""What a later release wrote is not passed over: whoever follows waits for a server that can read it."""


class Asked(NamedTuple):
    """What somebody follows."""

    patterns: tuple[str, ...]
    personal: bool

    @property
    def topics(self) -> list[str]:
        """What has to be read for it."""
        if not self.patterns:
            return list(BY_TOPIC)
        wanted = {topic for topic in BY_TOPIC if any(fnmatchcase(topic, each) for each in self.patterns)}
        return sorted(wanted.union(TOPICS))

    def question(self, ctx: Context) -> str:
        """The same for equal patterns, which may name people."""
        keys = ctx.services.application.log.keys
        return keys.digest(ctx.project_id, "audit.question", repr(self.patterns)).hex()[:32] if self.patterns else ""

    def takes(self, topic: str, names: Sequence[str]) -> bool:
        """Whether it is about an event."""
        return not self.patterns or any(each in names or fnmatchcase(topic, each) for each in self.patterns)


@operation(
    "GET",
    "/events",
    id="events.list",
    scope="events.read",
    returns=models.FeedPage,
    emits=(AuditRead,),
)
async def list_events(
    ctx: Context,
    *,
    after: Annotated[int, Number(0, MOST)] = 0,
    limit: Annotated[int, Number(1, 1000)] = 100,
    wait: Annotated[int, Number(0, 60)] = 0,
    events: Annotated[Sequence[str], Texts(Text(256), 50)] = (),
) -> models.FeedPage | Streamed:
    """The project's events after a position, oldest first, from the first one ever.

    ``events`` are names with ``*`` for ids (``users.*.update.email``), or topics of the log (``account.*``). With
    ``wait`` an empty page is answered only after so many seconds, or once there is something. Who accepts
    ``text/event-stream`` is sent events as they happen, each with its position as its id (``Last-Event-ID``).
    """
    asked = Asked(tuple(events), ctx.caller.sees_personal)
    if "text/event-stream" in (ctx.request.header(b"accept") or ""):
        _ensure_room(ctx)
        last = ctx.request.header(b"last-event-id") or ""
        begin = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else after
        return Streamed("text/event-stream; charset=UTF-8", "", _sent(ctx, asked, begin, limit))
    found = await _page(ctx, asked, after, limit)
    if found["events"] or found["more"] or not wait:
        return await _noted(ctx, asked, found)
    _ensure_room(ctx)
    until = time.monotonic() + wait
    async with ctx.services.follower.watch(ctx.project_id) as watch:
        while True:
            # Once more from where it stopped: something may have come before it was watched.
            found = await _page(ctx, asked, found["position"], limit)
            left = until - time.monotonic()
            if found["events"] or found["more"] or left <= 0 or ctx.services.follower.closing:
                await _ensure_key(ctx)
                return await _noted(ctx, asked, found)
            await watch.changed(left)


async def _sent(ctx: Context, asked: Asked, after: int, limit: int) -> AsyncGenerator[bytes]:
    """Server-Sent Events, until the client goes, its key does, or the server is to stop."""
    yield b"retry: 1000\n\n"
    async with ctx.services.follower.watch(ctx.project_id) as watch:
        while not ctx.services.follower.closing:
            page = await _page(ctx, asked, after, limit)
            try:
                await _ensure_key(ctx)
                await _noted(ctx, asked, page)
            except Refusal:
                return
            for each in page["events"]:
                yield b"id: %d\ndata: %s\n\n" % (each["position"], to_json(each))
            # The last id moves on over what did not match; a comment keeps the connection from being taken for dead.
            if page["position"] > after or not page["events"]:
                yield b": \nid: %d\n\n" % page["position"]
            after = page["position"]
            if not page["more"]:
                await watch.changed(_HEARTBEAT)


async def _noted(ctx: Context, asked: Asked, page: models.FeedPage) -> models.FeedPage:
    """The page, when it is on record that it was read.

    What says no more than who read is not: two who follow would follow each other for ever.
    """
    told = sum(each["topic"] not in _READS for each in page["events"])
    if told:
        event = AuditRead(attributes=("events",) if asked.patterns else (), question=asked.question(ctx), count=told)
        # Streams last: it was read now, whenever it was asked for.
        try:
            await ctx.services.refusals.record_following(replace(ctx.meta(), at=now()), event)
        except AppendRefused:
            raise GeneralServiceUnavailable from None
    return page


def _ensure_room(ctx: Context) -> None:
    if ctx.services.follower.watched >= _MOST_WAITING or ctx.services.follower.closing:
        raise GeneralServiceUnavailable


async def _ensure_key(ctx: Context) -> None:
    """Whoever has waited may follow no longer if the key is gone. Raises `Refusal`."""
    text = ctx.request.header(b"x-appwrite-key") or ""
    caller = await caller_with_key(ctx.reads, ctx.project_id, ctx.services.jwts, text, ctx.project_id)
    if not ctx.caller.scopes <= caller.scopes:
        raise GeneralUnauthorizedScope


async def _page(ctx: Context, asked: Asked, after: int, limit: int) -> models.FeedPage:
    """What matches, as far as it was found within the budget, and before what only a later release can read."""
    last, end = await head(ctx.reads), time.monotonic() + _BUDGET
    opening = Opening(ctx.services.application.log.keys, redact=not asked.personal)
    topics, found = asked.topics, list[models.FeedEvent]()
    while after < last and len(found) < limit:
        reach = min(after + _REACH, last)
        since = max(after - _CONTEXT, 0)
        selected = (ctx.project_id, since, reach, topics, list(BY_TOPIC), _ROWS + _CONTEXT)
        rows = [EventRow._make(row) for row in await ctx.reads.fetch(_STATEMENT, selected)]
        decoded = await _decoded(ctx, rows)
        if len(decoded) < len(rows):
            last = reach = rows[len(decoded)].position - 1
        elif len(rows) == _ROWS + _CONTEXT:
            reach = rows[-1].position
        groups = told_together(decoded)
        if reach < last and groups and groups[-1][0].position > after + 1:
            # The last may go on beyond: the next go begins with it.
            reach = groups.pop()[0].position - 1
        rows = [row for row in rows if row.position <= reach]
        names = await _names(ctx, rows, groups, personal=asked.personal)
        new = [row for row in rows if row.position > after]
        matching = [row for row in new if asked.takes(row.topic, names.get(row.position, ()))][: limit - len(found)]
        for record in await answered(ctx.reads, opening.records(matching)):
            found.append(feed_event(record, names.get(record.position, ())))
        after = found[-1]["position"] if len(found) == limit else max(after, reach)
        if time.monotonic() > end:
            break
        await asyncio.sleep(0)
    return {"position": after, "more": after < last, "events": found}


async def _decoded(ctx: Context, rows: Sequence[EventRow]) -> list[Recorded[Event]]:
    """The events, up to the first that a later release wrote."""
    decode = ctx.services.application.log.decode
    stored = [(row.stream, row.version, row.topic, row.state, row.position) for row in rows]
    try:
        return await decode(stored)
    except (UnknownTopic, NewerShape):
        found: list[Recorded[Event]] = []
        for each in stored:
            try:
                found += await decode([each])
            except (UnknownTopic, NewerShape) as newer:
                facts = {"position": each[4], "topic": each[2], "error": type(newer).__name__}
                log.warning("the feed waits: an event of a later release", extra=facts)
                break
        return found


async def _names(
    ctx: Context, rows: Sequence[EventRow], groups: Sequence[Group], *, personal: bool
) -> dict[int, tuple[str, ...]]:
    """The names of the events that are told, by their positions."""
    ids = Opening(ctx.services.application.log.keys)
    if personal:
        await answered(ctx.reads, ids.records(rows))
    return {
        event.recorded.position: event.names
        for group in groups
        for event in wire_events(group, (personal and ids.id_of(group[0].stream)) or "*")
    }
