"""One webhook: reads the log from its place and tells it what it wants to hear.

Deliveries for one account or team follow each other; those for others are on their way beside them, a few at a time
and never far ahead: the place moves on when everything below it was taken. While a webhook does not take deliveries
only the oldest is tried, after pauses that double.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import Webhook
from accounts_es.reactors.webhooks.progress import Progress, Superseded
from accounts_es.reactors.webhooks.request import Outgoing, outgoing
from accounts_es.reactors.webhooks.sender import Sender, Undelivered
from accounts_es.reactors.webhooks.source import Notice, Source
from projections.webhooks import WebhookRow

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Accounts and teams whose events are on their way to one webhook at the same time."""
LONGEST_PAUSE: Final = 900.0
POLL: Final = 5.0
"""Seconds between looks when nobody wakes us."""
_REST: Final = 0.02
"""Seconds that are waited at least between two looks that find nothing."""
_NOTED: Final = 5.0
"""Seconds between two notes that there was nothing to tell."""


@dataclass(frozen=True, slots=True)
class Means:
    """What all webhooks share."""

    source: Source
    sender: Sender
    agent: str
    """What we call ourselves."""
    most_attempts: int
    first_pause: float
    disable: Callable[[WebhookRow, int], Awaitable[None]]
    """What is done about a webhook that fails too often."""


@dataclass(slots=True)
class _Group:
    """What one request did: told as a whole before the place moves beyond it."""

    stream: str
    end: int
    left: list[Outgoing] = field(default_factory=list[Outgoing])
    last: int = 0
    """The position of its last delivery; 0 if it has none."""
    taken: bool = False


class Endpoint:
    """A webhook as it is set up now; another one takes its place when that changes."""

    def __init__(self, means: Means, progress: Progress, row: WebhookRow, webhook: Webhook) -> None:
        self.row = row
        self._means = means
        self._progress = progress
        self._webhook = webhook
        self._wanted = frozenset(webhook.events)
        self._look = asyncio.Event()
        self._stopping = asyncio.Event()
        self._writing = asyncio.Lock()
        self._trouble: Undelivered | None = None
        self._stale = False
        self._beyond: set[int] = set()
        """Ends of groups that were taken while one before them was not."""
        self._attempts = 0
        self._noted = 0.0
        self._read = self._position = self._previous = self._chained = 0
        """Read up to here, told up to here, the last of it; and the last delivery that was made ready."""

    def wake(self) -> None:
        """There may be something new in the log."""
        self._look.set()

    def reread(self) -> None:
        """Somebody was erased: what is made ready, and not on its way, may speak of them."""
        self._stale = True

    def stop(self) -> None:
        """Finish what is on its way, and end."""
        self._stopping.set()
        self._look.set()

    async def run(self) -> None:
        """Tell until stopped, or until this is no longer how the webhook is set up. Raises what the log raises."""
        with suppress(Superseded):
            place = await self._progress.take()
            self._read = self._position = place.position
            self._previous = self._chained = place.previous
            self._attempts = place.attempts
            await self.idle(place.wait)
            while not self._stopping.is_set():
                self._look.clear()
                if self._stale:
                    # What was told early may name as the one before it what is not told any more: it is told again.
                    self._beyond.clear()
                    self._stale = False
                page = await self._means.source.page(self.row.project_id, self._read)
                said = await asyncio.gather(*(self._said(each.notices) for each in page.told))
                groups = [
                    _Group(each.stream, each.end, await self._ready(ours))
                    for each, ours in zip(page.told, said, strict=True)
                ]
                for group in groups:
                    group.last = group.left[-1].position if group.left else 0
                    group.taken = not group.left or group.end in self._beyond
                if not await self._tell(groups):
                    # Nothing is kept over a pause: whoever is erased meanwhile is told of no more.
                    self._read, self._chained = self._position, self._previous
                    continue
                self._read = page.reached
                self._beyond.clear()
                if page.is_last:
                    await self._rest()

    async def _ready(self, said: Sequence[tuple[Notice, JSONObject]]) -> list[Outgoing]:
        """The deliveries, each knowing the one before it."""
        ready: list[Outgoing] = []
        for notice, payload in said:
            made = outgoing(
                self._webhook,
                self.row.project_id,
                notice,
                payload,
                actor=await notice.caused_by(),
                previous=self._chained,
                agent=self._means.agent,
            )
            self._chained = made.position
            ready.append(made)
        return ready

    async def _said(self, notices: Sequence[Notice]) -> list[tuple[Notice, JSONObject]]:
        """What of it this webhook wants to hear, unless it was erased."""
        wanted = [each for each in notices if not self._wanted.isdisjoint(each.names)]
        payloads = await asyncio.gather(*(each.payload() for each in wanted))
        return [(each, payload) for each, payload in zip(wanted, payloads, strict=True) if payload is not None]

    async def _tell(self, groups: list[_Group]) -> bool:
        """Whether all of it was taken, after a pause if it was refused."""
        while left := [each for each in groups if not each.taken]:
            if self._stopping.is_set() or self._stale:
                return False
            await self._round(groups, left[:1] if self._attempts else left)
            if self._trouble is not None:
                why, self._trouble = self._trouble, None
                await self._failed(why)
                return False
        return True

    async def _round(self, groups: list[_Group], chosen: list[_Group]) -> None:
        turns = asyncio.Semaphore(AT_ONCE)
        lanes: dict[str, list[_Group]] = {}
        for group in chosen:
            lanes.setdefault(group.stream, []).append(group)
        try:
            async with asyncio.TaskGroup() as together:
                for lane in lanes.values():
                    together.create_task(self._follow(groups, lane, turns))
        except ExceptionGroup as several:
            # All for one reason: that this webhook is another by now, or that the database is away.
            raise several.exceptions[0] from None

    async def _follow(self, groups: list[_Group], lane: list[_Group], turns: asyncio.Semaphore) -> None:
        """The deliveries of one account or team, until one is not taken, here or beside."""
        answer = 0
        for group in lane:
            while group.left:
                async with turns:
                    if self._trouble is not None or self._stale or self._stopping.is_set():
                        return
                    try:
                        answer = await self._means.sender.send(self._webhook.url, group.left[0], tls=self._webhook.tls)
                    except Undelivered as undelivered:
                        self._trouble = self._trouble or undelivered
                        return
                del group.left[0]
                self._attempts = 0
            group.taken = True
            self._beyond.add(group.end)
            await self._advance(groups, answer)

    async def _advance(self, groups: list[_Group], answer: int) -> None:
        """Write down how far everything was taken; one writes for all who wait."""
        async with self._writing:
            position, previous = self._position, self._previous
            for group in groups:
                if not group.taken:
                    break
                position, previous = max(position, group.end), max(previous, group.last)
            if previous > self._previous:
                await self._progress.told(position, previous, answer)
                self._position, self._previous = position, previous

    async def _failed(self, why: Undelivered) -> None:
        self._attempts += 1
        longest = min(self._means.first_pause * 2 ** min(self._attempts - 1, 30), LONGEST_PAUSE)
        pause = longest * random.uniform(0.75, 1.25)  # noqa: S311 - spreads attempts, no secret
        await self._progress.failed(self._attempts, pause, why.answer, str(why))
        facts = {"project": self.row.project_id, "row": self.row.webhook_id, "attempt": self._attempts}
        log.warning("webhook not delivered", extra={**facts, "reason": f"answer {why.answer}"})
        if self._attempts >= self._means.most_attempts:
            log.error("webhook disabled: it fails too often", extra=facts)
            await self._means.disable(self.row, self._attempts)
            self._stopping.set()
            return
        await self.idle(pause)

    async def idle(self, seconds: float) -> None:
        """Wait, unless stopped."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()

    async def _rest(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._read > self._position and now >= self._noted + _NOTED:
            await self._progress.passed(self._read)
            self._position, self._noted = self._read, now
        await self.idle(_REST)
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._look.wait()
