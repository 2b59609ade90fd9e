"""The log of one process: load streams, append to them."""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.event import Event, Recorded, without_personal
from accounts_es.eventstore.append import Append, StreamErased
from accounts_es.eventstore.key_check import KEY_CHECK
from accounts_es.eventstore.keys import CHANGED, KeyCheck, LogKeys, MasterKey
from accounts_es.eventstore.mapper import DAY, decode, owners, sealed_for, subjects
from accounts_es.eventstore.projection import Projection
from accounts_es.eventstore.reader import DataLoader, ReadsClosed
from accounts_es.eventstore.recorder import Recorder

_STREAM = """SELECT originator_version, topic, state, notification_id FROM log.accounts_events
             WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version"""
_STREAM_UNTIL = """SELECT originator_version, topic, state, notification_id FROM log.accounts_events
    WHERE originator_id = %s AND originator_version > %s AND notification_id <= %s ORDER BY originator_version"""
_KEYS = "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)"


_BEGIN_DAY = "INSERT INTO log.subject_keys (subject, wrapped) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING 1"
_ERASED = "SELECT number, stream FROM log.erasures WHERE number > %s ORDER BY number"
_CHANGED = "SELECT 1 FROM log.key_check WHERE mark <> %s"
_NEWEST_ERASED = "SELECT coalesce(max(number), 0) FROM log.erasures"
_GONE = "SELECT stream FROM log.erasures WHERE stream = ANY(%s)"
_THERE = "SELECT subject FROM log.subject_keys WHERE subject = ANY(%s)"
_DAY_OF = re.compile(r"^(?:origins|security)-.*-(\d{4}-\d\d-\d\d)(?:-[0-9a-f]+)?\Z")
FORGETTING = 1.0
"""Seconds within which every process forgets whom another has erased."""
FORGETTING_DAYS = 30.0
"""Seconds within which it forgets the keys of days that are kept no longer."""

log = logging.getLogger(__name__)


class EventLog:
    """Streams of events: read them, add to them. Start it before use, stop it to flush what is queued."""

    def __init__(self, conninfo: str, master: MasterKey, projections: Iterable[Projection]) -> None:
        self.keys: LogKeys
        self.reads = DataLoader(conninfo)
        self.recorder = Recorder(conninfo, projections)
        self.erased: list[Callable[[str], None]] = []
        """Who is told when a stream is erased, here or elsewhere, to forget what it keeps in memory."""
        self._master = master
        self._forgetting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the connections. Raises `WrongMasterKey`."""
        await self.reads.start()
        try:
            ((sealed, digests, mark),) = await self.reads.fetch(KEY_CHECK)
            self.keys = LogKeys(self._master.bound(KeyCheck(sealed, digests, mark)))
        except BaseException:
            await self.reads.stop()
            raise
        await self.recorder.start(self.keys)
        ((erased,),) = await self.reads.fetch(_NEWEST_ERASED)
        self._forgetting = asyncio.create_task(self._forget_erased(erased), name="forgetting")

    async def stop(self) -> None:
        """Write what is queued and close the connections."""
        if self._forgetting is not None:
            self._forgetting.cancel()
            await asyncio.gather(self._forgetting, return_exceptions=True)
        await self.recorder.stop()
        await self.reads.stop()

    async def load(self, stream: str, *, after: int = 0, until: int | None = None) -> Sequence[Recorded[Event]]:
        """The events of a stream beyond a version and up to a position, in order.

        A stream nobody wrote to is empty.
        """
        asked = (_STREAM, (stream, after)) if until is None else (_STREAM_UNTIL, (stream, after, until))
        if self.keys.get(stream) is None:
            # In this order: whoever sees an event must see its key, unless it is gone for good.
            rows, _ = await asyncio.gather(self.reads.fetch(*asked), self._load_keys([stream]))
        else:
            rows = await self.reads.fetch(*asked)
        if rows and self.keys.get(stream) is None:
            await self._load_keys([stream])  # other streams' keys may have pushed it out of memory meanwhile
        if rows and (kind := BY_TOPIC.get(rows[-1][1])) is not None and kind.erases:
            self.forget(stream)  # by another process, just now
        return [decode(stream, version, topic, state, position, self.keys) for version, topic, state, position in rows]

    async def decode(self, rows: Sequence[tuple[Any, ...]]) -> list[Recorded[Event]]:
        """Rows of any streams: stream, version, topic, state, position."""
        unknown = subjects((subject for row in rows for subject in sealed_for(row[0], row[3])), self.keys)
        if unknown:
            await self._load_keys(unknown)
        return [
            decode(stream, version, topic, state, position, self.keys)
            for stream, version, topic, state, position in rows
        ]

    async def append(self, append: Append) -> tuple[Recorded[Event], ...]:
        """See `Recorder.append`."""
        keys = self.keys
        unknown = {
            subject
            for each in append.events
            for subject in (each.stream, *owners(each))
            if subject and keys.get(subject) is None
        }
        unknown.update(each.subject for each in append.effects if keys.get(each.subject) is None)
        if unknown:
            await self._load_keys(unknown)
            missing = {subject for subject in unknown if keys.get(subject) is None}
            days = sorted(subject for subject in missing if subject.startswith(DAY))
            if days:
                await self._begin_days(days)
            if others := missing.difference(days):
                gone = {stream for (stream,) in await self.reads.fetch(_GONE, (sorted(others),))}
                append = _without(append, gone)
        return await self.recorder.append(append)

    async def _begin_days(self, days: list[str]) -> None:
        """Keys for days that have begun; another process may be first."""
        for day in days:
            await self.reads.fetch(_BEGIN_DAY, (day, self.keys.fresh(day)))
        await self._load_keys(days)

    def forget(self, stream: str) -> None:
        """Nothing of an erased stream stays in the memory of this process."""
        self.keys.bury(stream)
        for forget in self.erased:
            forget(stream)

    async def _forget_erased(self, reached: int) -> None:
        """Forget whom others erase, and stop when another master key took the place of ours.

        Asked for rather than listened to: nothing can be missed, and it costs less.
        """
        looked = time.monotonic()
        while True:
            await asyncio.sleep(FORGETTING)
            try:
                if await self.reads.fetch(_CHANGED, (self.keys.bound.mark,)):
                    log.critical(CHANGED)
                    await self.recorder.stop()
                    await self.reads.stop()
                    return
                for number, stream in await self.reads.fetch(_ERASED, (reached,)):
                    self.forget(stream)
                    reached = number
                if time.monotonic() >= looked + FORGETTING_DAYS:
                    await self._forget_days()
                    looked = time.monotonic()
            except (psycopg.Error, ReadsClosed) as error:
                log.warning("erased streams not forgotten yet", extra={"error": type(error).__name__})

    async def _forget_days(self) -> None:
        """Forget keys of days that retention destroyed. The last two days are left alone: their keys may just begin."""
        yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        past = [each for each in self.keys.held() if (day := _DAY_OF.search(each)) is not None and day[1] < yesterday]
        if past:
            there = {subject for (subject,) in await self.reads.fetch(_THERE, (past,))}
            for subject in set(past) - there:
                self.keys.forget(subject)

    async def _load_keys(self, streams: Iterable[str]) -> None:
        self.keys.add(dict(await self.reads.fetch(_KEYS, (list(streams),))))


def _without(append: Append, gone: Set[str]) -> Append:
    """The append without what is personal of people who were erased just now, and without messages to them.

    Raises `StreamErased` where it would add to the stream of one of them.
    """
    if any(each.stream in gone for each in append.events):
        raise StreamErased
    events = tuple(_without_any(each, gone) for each in append.events)
    return replace(append, events=events, effects=tuple(each for each in append.effects if each.subject not in gone))


def _without_any(recorded: Recorded[Event], gone: Set[str]) -> Recorded[Event]:
    whose, person, _ = owners(recorded)
    if gone.isdisjoint((whose, person)):
        return recorded
    event = without_personal(recorded.event) if whose in gone else recorded.event
    return replace(recorded, event=event, meta=replace(recorded.meta, ip=None, user_agent=None))
