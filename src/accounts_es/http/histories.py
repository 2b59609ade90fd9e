"""The history of a user: the documents before and after each event, compared."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from accounts_es.adapters import countries
from accounts_es.domain.event import Event, Recorded
from accounts_es.eventstore.moments import Moments
from accounts_es.eventstore.reads import Reads
from accounts_es.http.documents import ABSENT, NOBODY, Change, Document, asked, differences, document, leaves
from accounts_es.http.models.activities import ACTOR_TYPES
from accounts_es.http.models.dates import date
from accounts_es.http.models.history import BlamedField, Provenance
from projections import streams

EVERYTHING: Final = 2**62


@dataclass(frozen=True, slots=True)
class Happened:
    """A change and the event that made it; ``number`` counts those of one event."""

    recorded: Recorded[Event]
    number: int
    change: Change

    @property
    def place(self) -> tuple[int, int]:
        """Its place among all changes."""
        return self.recorded.position, self.number


@dataclass(slots=True)
class History:
    """What is walked through: the streams of whoever had an id, between two positions."""

    moments: Moments
    project: str
    streams: list[str]
    after: int = 0
    until: int = EVERYTHING
    locale: str = "en"
    known: bool = field(default=False, init=False)
    """Whether there was somebody at all. Who was erased never was."""

    async def changes(self) -> AsyncGenerator[Happened]:
        """All changes, oldest first. Raises as `Moments.at`."""
        before: dict[str, Document] = {}
        steps = self.moments.steps(
            project=self.project, streams=self.streams, after=self.after, until=self.until, asked=asked
        )
        async with aclosing(steps):
            async for stream, recorded, rows in steps:
                now = document(rows, self.locale)
                self.known = self.known or bool(now)
                if recorded is not None:
                    for number, change in enumerate(differences(before[stream], now)):
                        yield Happened(recorded, number, change)
                before[stream] = now

    async def blame(self) -> list[tuple[str, Any, Happened]]:
        """Each value there is in the end, and the last change of it."""
        set_by: dict[str, Happened] = {}
        emptied_by: dict[str, Happened] = {}
        changes = self.changes()
        async with aclosing(changes):
            async for happened in changes:
                path = happened.change.path
                if happened.change.new is ABSENT:
                    emptied_by[path.rpartition("/")[0]] = happened
                for each in [each for each in set_by if each.startswith(f"{path}/")]:
                    del set_by[each]
                set_by[path] = happened
        found: list[tuple[str, Any, Happened]] = []
        for path, value in leaves(await self.then(self.until)):
            last, emptied = set_by[_nearest(path, set_by)], emptied_by.get(path) if value == {} else None
            found.append((path, value, max(last, emptied or last, key=lambda each: each.place)))
        return found

    async def then(self, position: int) -> Document:
        """The document as of a position; of nobody it is empty."""
        async with self.moments.at(position, project=self.project, streams=self.streams) as reads:
            for stream in self.streams:
                found = document([await reads.fetch(*each) for each in asked(stream)], self.locale)
                if found:
                    return found
        return NOBODY


def _nearest(path: str, known: dict[str, Happened]) -> str:
    """The path itself or the one above it that was set as a whole."""
    while path not in known:
        path = path.rpartition("/")[0]
    return path


async def provenances(reads: Reads, events: Iterable[Recorded[Event]]) -> dict[int, Provenance]:
    """Where events came from, by their positions. Who was erased has no id any more."""
    by_position = {each.position: each for each in events}
    actors = [each.meta.actor for each in by_position.values()]
    named = {each.id for each in actors if each.kind == "account"} | {each.impersonator or "" for each in actors}
    ids = await streams.ids_of(reads, sorted(named)) if named else {}
    return {position: _provenance(each, ids) for position, each in by_position.items()}


def _provenance(recorded: Recorded[Event], ids: dict[str, str]) -> Provenance:
    meta, actor = recorded.meta, recorded.meta.actor
    return {
        "event": type(recorded.event).__name__,
        "topic": recorded.event.topic,
        "position": recorded.position,
        "time": date(meta.at),
        "operation": meta.operation,
        "requestId": meta.request_id,
        "actorType": ACTOR_TYPES.get(actor.kind, actor.kind),
        "actorId": ids.get(actor.id, "") if actor.kind == "account" else actor.id,
        "impersonatorId": ids.get(actor.impersonator or "", ""),
        "ip": meta.ip or "",
        "userAgent": meta.user_agent or "",
        "country": countries.country_of(meta.ip or ""),
    }


def blamed(path: str, value: Any, provenance: Provenance) -> BlamedField:
    """One field and what set it."""
    return {"field": path[1:], "value": value, **provenance}
