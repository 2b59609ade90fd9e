"""The log as it is told to other systems: page by page, in whole groups, with payloads as of each event."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from accounts_es.domain.account.events import AccountDeleted
from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.event import JSONObject
from accounts_es.eventstore import erased_ids
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.mapper import decode, sealed_for
from accounts_es.eventstore.moments import AT_ONCE, Moments
from accounts_es.eventstore.positions import head
from accounts_es.http.wire_events import TOPICS, Group, WireEvent, told_together, wire_events
from accounts_es.http.wire_payloads import Gone, Teller
from projections import accounts

ROWS: Final = 100
"""Events of a page at most; an operation that records more in one stream is told in parts."""
REACH: Final = 20_000
"""Positions a page looks through at most."""
_KEPT: Final = 512
"""Payloads kept for the next who is told the same."""

_ROWS: Final = """SELECT originator_id, originator_version, topic, state, notification_id FROM log.accounts_events
    WHERE notification_id > %s AND notification_id <= %s AND project_id = %s
    AND (topic = ANY(%s) OR topic <> ALL(%s))
    ORDER BY notification_id LIMIT %s"""
_KEYS: Final = "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Notice:
    """One event to tell."""

    feed: "WireFeed"
    event: WireEvent
    said: JSONObject | None = None
    """What is told instead of the response model."""

    @property
    def pattern(self) -> tuple[str, ...]:
        """The most exact name, by its segments."""
        return self.event.pattern

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return self.event.names

    @property
    def own_position(self) -> int:
        """The place in the log of the fact itself."""
        return self.event.recorded.position

    @property
    def at(self) -> datetime:
        """When it happened."""
        return self.event.recorded.meta.at

    async def payload(self) -> JSONObject | None:
        """The response model as of then; nothing of somebody who was erased meanwhile."""
        return self.said if self.said is not None else await self.feed.payload(self.event)

    async def caused_by(self) -> str:
        """The id of the account that did it, if an account did and is still there."""
        return await self.feed.caused_by(self.event)


@dataclass(frozen=True, slots=True)
class Told:
    """What one request did to one account or team."""

    stream: str
    end: int
    notices: Sequence[Notice]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the log, up to ``reached``."""

    told: Sequence[Told]
    reached: int
    is_last: bool


class WireFeed:
    """Reads what is told. Remembers no keys: whoever is erased is told of no more."""

    def __init__(self, log: EventLog, moments: Moments, master: MasterKey) -> None:
        self._log = log
        self._master = master
        self._teller = Teller(log, moments)
        self._turns = asyncio.Semaphore(AT_ONCE)
        """Who waits for a moment waits here: the queue of connections is short."""
        self._payloads: OrderedDict[int, JSONObject | None] = OrderedDict()
        log.erased.append(self._forget)

    async def page(self, project: str, after: int) -> Page:
        """What happened in a project after a position. Raises what `decode` raises for what a later release wrote."""
        last = await head(self._log.reads)
        until = min(last, after + REACH)
        if until <= after:
            return Page((), after, is_last=True)
        rows = await self._log.reads.fetch(_ROWS, (after, until, project, list(TOPICS), list(BY_TOPIC), ROWS))
        groups = told_together(await self._decode(rows))
        whole = len(rows) < ROWS and until == last
        if not whole and groups and groups[-1][0].position > after + 1:
            # The last may go on beyond this page: the next one begins with it.
            until = groups.pop()[0].position - 1
        elif len(rows) == ROWS:
            until = rows[-1][4]
        return Page([await self._told(group) for group in groups], until, is_last=until == last)

    async def payload(self, event: WireEvent) -> JSONObject | None:
        """The response model as of then; nothing of somebody who was erased meanwhile."""
        position = event.recorded.position
        async with self._turns:
            payloads = self._payloads
            if position in payloads:
                return payloads[position]
            try:
                payload = await self._teller.payload(event)
            except Gone:
                payload = None
            payloads[position] = payload
            if len(payloads) > _KEPT:
                payloads.popitem(last=False)
            return payload

    def _forget(self, _stream: str) -> None:
        """Somebody was erased: what was told of them, or of a team they were in, is not told again from memory."""
        self._payloads = OrderedDict()

    async def caused_by(self, event: WireEvent) -> str:
        """The id of the account that did it, if an account did and is still there."""
        actor = event.recorded.meta.actor
        if actor.kind != "account":
            return ""
        if actor.id == event.recorded.stream:
            return event.pattern[1]
        row = await self._log.reads.load(accounts.BY_STREAM, (actor.id,))
        return row.account_id if row is not None else ""

    async def _told(self, group: Group) -> Told:
        events = sorted(await self._teller.events(group), key=lambda each: each.recorded.position)
        notices = [Notice(self, each) for each in events] or await self._of_erased(group)
        return Told(group[0].stream, group[-1].position, notices)

    async def _of_erased(self, group: Group) -> list[Notice]:
        """Of a person who is erased nothing is told but that: by the id, as long as it is known."""
        ends = tuple(each for each in group if isinstance(each.event, AccountDeleted))
        account_id = await erased_ids.find(self._log, ends[0].meta.project, ends[0].stream) if ends else None
        if account_id is None:
            return []
        return [Notice(self, each, {"$id": account_id}) for each in wire_events(ends, account_id)]

    async def _decode(self, rows: Sequence[tuple[Any, ...]]) -> Group:
        keys = KeyRing(self._master)
        subjects = list({subject for row in rows for subject in sealed_for(row[0], bytes(row[3]))})
        if subjects:
            found = await self._log.reads.fetch(_KEYS, (subjects,))
            keys.add({subject: bytes(wrapped) for subject, wrapped in found})
        return tuple(
            decode(stream, version, topic, bytes(state), at, keys) for stream, version, topic, state, at in rows
        )
