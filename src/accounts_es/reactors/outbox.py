"""Delivers what was put into the outbox, after the commit and at least once.

Any number of processes on any number of machines may deliver: a row is leased with ``SKIP LOCKED``, the lease is
renewed while the delivery lasts, and the row is deleted when it is delivered. A process that dies lets its leases end.
A row holds a secret and lives no longer than it must.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple, Protocol

import psycopg
from psycopg import AsyncCursor

from accounts_es.eventstore.connection import AsyncConn, connect
from accounts_es.eventstore.keys import KeyRing, MasterKey, SealBroken
from accounts_es.eventstore.recorder import OUTBOX_CHANNEL
from accounts_es.messages import Mail, Message, Sms

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
"""Deliveries of one kind on their way at the same time: one slow server does not hold up the others."""
LEASE: Final = timedelta(seconds=45)
"""A message in the hands of a process that died is taken up by another after this long."""
LONGEST: Final = 240.0
"""Seconds one delivery may take, however slowly the other side talks."""
GIVE_UP: Final = timedelta(days=3)
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 900.0
POLL: Final = 20.0
"""Seconds between looks when nobody wakes us."""
PARTING: Final = 25.0
"""Seconds that what is on its way may still take when we are asked to stop."""

_MODELS: Final[Mapping[str, type[Message]]] = {model.kind: model for model in (Mail, Sms)}

# What was never tried goes first: a mail that nobody takes does not hold up a new one.
_LEASE: Final = """UPDATE log.outbox SET attempts = attempts + 1, next_attempt_at = now() + %s
    WHERE id IN (SELECT id FROM log.outbox WHERE kind = %s AND next_attempt_at <= now()
                 ORDER BY attempts > 0, next_attempt_at, id LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, subject, payload, created_at, attempts"""
_NEXT: Final = "SELECT extract(epoch FROM min(next_attempt_at) - now())::float FROM log.outbox WHERE kind = ANY(%s)"
_RENEW: Final = "UPDATE log.outbox SET next_attempt_at = now() + %s WHERE id = ANY(%s)"
_LATER: Final = "UPDATE log.outbox SET next_attempt_at = now() + %s WHERE id = %s"
_DELETE: Final = "DELETE FROM log.outbox WHERE id = %s"
_KEY: Final = "SELECT wrapped FROM log.subject_keys WHERE subject = %s"

_SETTLE_TRIES: Final = 30
_LOST: Final = (psycopg.OperationalError, psycopg.InterfaceError)


class Refused(Exception):  # noqa: N818
    """The other side will never take this message; the text says why without naming anybody."""


class Postponed(Exception):  # noqa: N818
    """The other side does not take this message now; the text says why without naming anybody."""


class Transport(Protocol):
    """Takes one kind of message to its reader."""

    async def deliver(self, message: Message) -> None:
        """Deliver it. Raises `Refused` for good, `Postponed` or anything else for now."""
        ...


class Row(NamedTuple):
    """A leased row of the outbox."""

    id: int
    kind: str
    subject: str
    payload: bytes
    created_at: datetime
    attempts: int


class Outbox:
    """Delivery by one process."""

    def __init__(
        self,
        conninfo: str,
        master: MasterKey,
        transports: Mapping[str, Transport],
        *,
        first_pause: float = FIRST_PAUSE,
        give_up: timedelta = GIVE_UP,
        lease: timedelta = LEASE,
    ) -> None:
        self._conninfo = conninfo
        self._master = master
        self._transports = transports
        self._first_pause = first_pause
        self._give_up = give_up
        self._lease = lease
        self._connection: AsyncConn | None = None
        self._connecting = asyncio.Lock()
        self._busy: dict[int, tuple[str, asyncio.Task[None]]] = {}
        """Kind and delivery of each row that is on its way."""
        self._held: set[int] = set()
        """Those among them whose lease is ours to renew."""
        self._look = asyncio.Event()
        """Set when there may be something to do: a message was stored, or a delivery is over."""

    async def run(self) -> None:
        """Deliver until cancelled; a database that is away is waited for. What is on its way is finished first."""
        renewing = asyncio.create_task(self._renew())
        try:
            while True:
                try:
                    async with await connect(self._conninfo) as listener:
                        await listener.execute(f"LISTEN {OUTBOX_CHANNEL}")
                        listening = asyncio.create_task(self._listen(listener))
                        try:
                            await self._deliver_all(listening)
                        finally:
                            listening.cancel()
                            await asyncio.gather(listening, return_exceptions=True)
                except _LOST as error:
                    log.warning("outbox waits for the database", extra={"error": type(error).__name__})
                    await asyncio.sleep(1.0)
        finally:
            await self._part(renewing)

    async def _listen(self, listener: AsyncConn) -> None:
        async for _ in listener.notifies():
            self._look.set()

    async def _deliver_all(self, listening: asyncio.Task[None]) -> None:
        while not listening.done():
            self._look.clear()
            free = self._free()
            for kind, places in free.items():
                rows = await self._fetch(_LEASE, (self._lease, kind, places))
                for row in (Row(*each) for each in rows):
                    if row.id not in self._busy:  # its lease had ended under us, and is ours again
                        self._begin(row)
            free = self._free()
            # Until there may be something to do, or the next row is due and somebody is free for it.
            ((due,),) = await self._fetch(_NEXT, (list(free),))
            # Not wait_for: on Python 3.11 it loses a cancellation that comes together with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL if due is None else min(max(due, 0.02), POLL)):
                    await self._look.wait()
        raise psycopg.OperationalError("nobody would wake us any more")

    def _free(self) -> dict[str, int]:
        """How many more of each kind may be on their way; kinds without a place are left out."""
        busy = [kind for kind, _ in self._busy.values()]
        return {kind: AT_ONCE - busy.count(kind) for kind in self._transports if busy.count(kind) < AT_ONCE}

    def _begin(self, row: Row) -> None:
        def over(_: asyncio.Task[None]) -> None:
            del self._busy[row.id]
            self._held.discard(row.id)
            self._look.set()

        task = asyncio.create_task(self._deliver(row))
        self._busy[row.id] = row.kind, task
        self._held.add(row.id)
        task.add_done_callback(over)

    async def _renew(self) -> None:
        """Hold what is on its way, so that nobody else delivers it as well."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            if self._held:
                with suppress(*_LOST):
                    await self._execute(_RENEW, (self._lease, list(self._held)))

    async def _part(self, renewing: asyncio.Task[None]) -> None:
        """Finish what is on its way, as far as there is time."""
        deliveries = [task for _, task in self._busy.values()]
        if deliveries:
            await asyncio.wait(deliveries, timeout=PARTING)
        for task in (*deliveries, renewing):
            task.cancel()
        await asyncio.gather(*deliveries, renewing, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def _deliver(self, row: Row) -> None:
        facts = {"row": row.id, "kind": row.kind, "attempt": row.attempts}
        try:
            message = await self._open(row)
            if message is not None:
                async with asyncio.timeout(LONGEST):
                    await self._transports[row.kind].deliver(message)
        except Refused as refused:
            log.warning("message refused for good", extra={**facts, "reason": str(refused)})
        except Exception as error:
            if datetime.now(UTC) - row.created_at < self._give_up:
                await self._later(row)
                log.warning("message not delivered yet", extra={**facts, **_why(error)})
                return
            log.exception("message given up", extra=facts)
        await self._settle(row, _DELETE, (row.id,))

    async def _open(self, row: Row) -> Message | None:
        """The message; nothing when its subject was erased meanwhile, or when it has become pointless."""
        keys = KeyRing(self._master)
        wrapped = await self._fetch(_KEY, (row.subject,))
        if not wrapped:
            log.info("message dropped: its subject is erased", extra={"row": row.id})
            return None
        try:
            keys.add({row.subject: bytes(wrapped[0][0])})
            plain = keys.unseal(row.subject, bytes(row.payload), f"outbox:{row.kind}")
        except SealBroken:
            raise Refused("its seal is broken") from None
        message = _MODELS[row.kind].model_validate_json(plain)
        if message.good_until is not None and message.good_until < datetime.now(UTC):
            log.warning("message dropped: what it says no longer holds", extra={"row": row.id, "kind": row.kind})
            return None
        return message

    async def _later(self, row: Row) -> None:
        """Try again after a pause that doubles, with some chance in it."""
        longest = min(self._first_pause * 2 ** min(row.attempts - 1, 30), LONGEST_PAUSE)
        pause = longest * random.uniform(0.75, 1.25)  # noqa: S311 - spreads attempts, no secret
        await self._settle(row, _LATER, (timedelta(seconds=pause), row.id))

    async def _settle(self, row: Row, sql: LiteralString, params: tuple[object, ...]) -> None:
        """Give the lease back. A database that is away is tried for a while; then the lease ends by itself."""
        self._held.discard(row.id)
        for _ in range(_SETTLE_TRIES):
            try:
                await self._execute(sql, params)
            except _LOST:
                await asyncio.sleep(1.0)
            else:
                return

    async def _fetch(self, sql: LiteralString, params: tuple[object, ...]) -> list[tuple[Any, ...]]:
        return await (await self._execute(sql, params)).fetchall()

    async def _execute(self, sql: LiteralString, params: tuple[object, ...]) -> AsyncCursor[tuple[Any, ...]]:
        """On a connection that is there; all of us share it."""
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._connection = await connect(self._conninfo)
        return await self._connection.execute(sql, params)


def _why(error: Exception) -> dict[str, str]:
    """What the log may say of a failure."""
    return {"reason": str(error)} if isinstance(error, Postponed) else {"error": type(error).__name__}
