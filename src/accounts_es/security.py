"""Refusals and reads of the audit as facts, in streams of their own and never without bound.

Each process writes its own stream per project and day. Within a minute a project's first `EACH` of a kind are recorded
one by one, the rest are counted and recorded as one event when the minute is over. Of who follows the feed of events
one read in a minute is recorded, the rest are counted. Exports are recorded one by one.
"""

import asyncio
import secrets
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Final

from accounts_es.domain.event import Event, Metadata, Recorded
from accounts_es.domain.security.events import (
    AccessDenied,
    AuditExported,
    AuditRead,
    AuditReadsCounted,
    RefusalsCounted,
    SecurityEvent,
    SignInRefused,
)
from accounts_es.eventstore.append import Append, AppendRefused
from accounts_es.eventstore.log import EventLog

EACH: Final = 300
"""Refusals of one kind recorded one by one, per project, minute and process."""
MINUTE: Final = 60.0

_AUDIT_READ: Final = "audit_read"
_KINDS: Final[dict[type[Event], str]] = {
    SignInRefused: "sign_in_refused",
    AccessDenied: "access_denied",
    AuditRead: _AUDIT_READ,
}


class Refusals:
    """Records refusals, and reads of the audit, for one process."""

    def __init__(self, log: EventLog, each: int = EACH) -> None:
        self._log = log
        self._each = each
        self._process = secrets.token_hex(4)
        self._versions: dict[str, int] = {}
        self._recorded: Counter[tuple[str, str]] = Counter()
        self._following: set[tuple[str, str]] = set()
        self._counted: dict[tuple[str, str], tuple[int, Metadata]] = {}
        self._beginning = asyncio.Lock()
        self._minutes: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to count by the minute."""
        self._minutes = asyncio.create_task(self._each_minute(), name="refusals")

    async def stop(self) -> None:
        """Record what was only counted so far."""
        if self._minutes is not None:
            self._minutes.cancel()
            await asyncio.gather(self._minutes, return_exceptions=True)
        await self.end_minute()

    async def record(self, meta: Metadata, event: SignInRefused | AccessDenied | AuditRead) -> None:
        """Record a refusal or a read; durable on return unless it is one of too many this minute."""
        kind = (meta.project, _KINDS[type(event)])
        if self._recorded[kind] >= self._each:
            self._count(meta, kind[1])
            return
        self._recorded[kind] += 1
        await self._append(meta, event)

    async def record_following(self, meta: Metadata, event: AuditRead) -> None:
        """Record a read of somebody who reads on and on: one in a minute, the others are counted."""
        reader = (meta.project, str(meta.actor))
        if reader in self._following:
            self._count(meta, _AUDIT_READ)
            return
        self._following.add(reader)
        await self.record(meta, event)

    async def record_export(self, meta: Metadata, event: AuditExported) -> None:
        """Record an export; durable on return."""
        await self._append(meta, event)

    def count(self, meta: Metadata, event: SignInRefused | AccessDenied) -> None:
        """Only count a refusal: for callers without credentials, who were denied nothing of theirs."""
        self._count(meta, _KINDS[type(event)])

    def count_limited(self, meta: Metadata) -> None:
        """Count a request beyond its rate limit: what led there was recorded, and there may be any number of them."""
        self._count(meta, "rate_limited")

    def _count(self, meta: Metadata, name: str) -> None:
        kind = (meta.project, name)
        self._counted[kind] = (self._counted.get(kind, (0, meta))[0] + 1, meta)

    async def end_minute(self) -> None:
        """Record the counts and begin anew."""
        counted, self._counted = self._counted, {}
        self._recorded.clear()
        self._following.clear()
        while counted:
            (project, kind), (count, meta) = counted.popitem()
            try:
                await self._append(replace(meta, ip=None, user_agent=None), _counted(kind, count))
            except BaseException:
                # Not recorded is not forgotten: it counts into the next minute.
                for each, (missed, last) in {**counted, (project, kind): (count, meta)}.items():
                    self._counted[each] = (self._counted.get(each, (0, last))[0] + missed, last)
                raise

    async def _append(self, meta: Metadata, event: SecurityEvent) -> None:
        stream = f"security-{meta.project}-{meta.at:%Y-%m-%d}-{self._process}"
        if stream not in self._versions:
            # The stream's key commits with its first event, so nothing is sealed with it before that is stored.
            async with self._beginning:
                if stream not in self._versions:
                    await self._begin(stream, meta, event)
                    return
        self._versions[stream] += 1
        await self._log.append(Append((Recorded(stream, self._versions[stream], event, meta),)))

    async def _begin(self, stream: str, meta: Metadata, event: SecurityEvent) -> None:
        key = self._log.keys.create(stream)
        try:
            await self._log.append(Append((Recorded(stream, 1, event, meta),), new_keys=((stream, key),)))
        except BaseException:
            self._log.keys.forget(stream)
            raise
        # A request that began before midnight may end after one that began later.
        days = tuple(f"{meta.at + timedelta(days=each):%Y-%m-%d}-{self._process}" for each in (-1, 0, 1))
        self._versions = {name: each for name, each in self._versions.items() if name.endswith(days)}
        self._versions[stream] = 1

    async def _each_minute(self) -> None:
        while True:
            await asyncio.sleep(MINUTE)
            try:
                await self.end_minute()
            except AppendRefused:
                continue


def _counted(kind: str, count: int) -> SecurityEvent:
    return AuditReadsCounted(count=count) if kind == _AUDIT_READ else RefusalsCounted(kind=kind, count=count)
