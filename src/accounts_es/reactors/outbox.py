"""Delivers what was put into the outbox, after the commit and at least once.

Any number of processes on any number of machines may deliver: a row is leased with ``SKIP LOCKED``, deleted when it is
delivered, and due again when its lease ends. A row holds a secret and lives no longer than it must.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Protocol

import psycopg

from accounts_es.eventstore.connection import AsyncConn, connect
from accounts_es.eventstore.keys import KeyRing, MasterKey, SealBroken
from accounts_es.messages import Mail, Message, Sms

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
"""Deliveries on their way at the same time: one slow server does not hold up the others."""
LEASE: Final = timedelta(minutes=5)
"""Longer than any delivery may take."""
GIVE_UP: Final = timedelta(days=1)
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 900.0
POLL: Final = 20.0
"""Seconds between looks when no event wakes us."""

_MODELS: Final[Mapping[str, type[Message]]] = {model.kind: model for model in (Mail, Sms)}

_LEASE = """UPDATE log.outbox SET attempts = attempts + 1, next_attempt_at = now() + %s
    WHERE id IN (SELECT id FROM log.outbox WHERE next_attempt_at <= now() ORDER BY next_attempt_at, id LIMIT %s
                 FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, subject, payload, created_at, attempts"""
_NEXT = "SELECT extract(epoch FROM min(next_attempt_at) - now())::float FROM log.outbox"


class Refused(Exception):  # noqa: N818
    """The other side will never take this message; the text says why without naming anybody."""


class Transport(Protocol):
    """Takes one kind of message to its reader."""

    async def deliver(self, message: Message) -> None:
        """Deliver it. Raises `Refused` for good, anything else for now."""
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
    ) -> None:
        self._first_pause = first_pause
        self._give_up = give_up
        self._conninfo = conninfo
        self._master = master
        self._transports = transports
        self._busy: set[asyncio.Task[None]] = set()
        self._look = asyncio.Event()
        """Set when there may be something to do: an event was stored, or a delivery is over."""

    async def run(self) -> None:
        """Deliver until cancelled; a database that is away is waited for. What is on its way is finished first."""
        try:
            while True:
                try:
                    async with await connect(self._conninfo) as connection, await connect(self._conninfo) as listener:
                        await listener.execute("LISTEN accounts_events")
                        listening = asyncio.create_task(self._listen(listener))
                        try:
                            await self._deliver_all(connection, listening)
                        finally:
                            listening.cancel()
                            await asyncio.gather(listening, return_exceptions=True)
                except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                    log.warning("outbox waits for the database", extra={"error": type(error).__name__})
                    await asyncio.sleep(1.0)
        finally:
            if self._busy:
                await asyncio.wait(self._busy, timeout=LEASE.total_seconds())

    async def _listen(self, listener: AsyncConn) -> None:
        async for _ in listener.notifies():
            self._look.set()

    async def _deliver_all(self, connection: AsyncConn, listening: asyncio.Task[None]) -> None:
        while True:
            self._look.clear()
            for row in await self._lease(connection):
                task = asyncio.create_task(self._deliver(connection, row))
                self._busy.add(task)
                task.add_done_callback(self._over)
            await self._wait(connection)
            if connection.closed or listening.done():
                raise psycopg.OperationalError("the connection was lost")

    def _over(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        self._look.set()

    async def _lease(self, connection: AsyncConn) -> list[Row]:
        free = AT_ONCE - len(self._busy)
        if not free:
            return []
        cursor = await connection.execute(_LEASE, (LEASE, free))
        return [Row(*row) for row in await cursor.fetchall()]

    async def _wait(self, connection: AsyncConn) -> None:
        """Until there may be something to do, or the next row is due and somebody is free for it."""
        due = POLL
        if len(self._busy) < AT_ONCE:
            row = await (await connection.execute(_NEXT)).fetchone()
            due = POLL if row is None or row[0] is None else min(max(row[0], 0.0), POLL)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._look.wait(), due)

    async def _deliver(self, connection: AsyncConn, row: Row) -> None:
        facts = {"row": row.id, "kind": row.kind, "attempt": row.attempts}
        try:
            message = await self._open(connection, row)
            if message is not None:
                await self._transports[row.kind].deliver(message)
        except Refused as refused:
            log.warning("message refused for good", extra={**facts, "reason": str(refused)})
        except Exception as error:
            age = datetime.now(UTC) - row.created_at
            if age < self._give_up:
                await self._later(connection, row)
                log.warning("message not delivered yet", extra={**facts, "error": type(error).__name__})
                return
            log.exception("message given up", extra=facts)
        with suppress(psycopg.OperationalError, psycopg.InterfaceError):  # delivered again when the lease ends
            await connection.execute("DELETE FROM log.outbox WHERE id = %s", (row.id,))

    async def _open(self, connection: AsyncConn, row: Row) -> Message | None:
        """The message; nothing when its subject was erased meanwhile."""
        keys = KeyRing(self._master)
        cursor = await connection.execute("SELECT wrapped FROM log.subject_keys WHERE subject = %s", (row.subject,))
        wrapped = await cursor.fetchone()
        if wrapped is None:
            log.info("message dropped: its subject is erased", extra={"row": row.id})
            return None
        try:
            keys.add({row.subject: bytes(wrapped[0])})
            plain = keys.unseal(row.subject, bytes(row.payload), f"outbox:{row.kind}")
        except SealBroken:
            raise Refused("its seal is broken") from None
        return _MODELS[row.kind].model_validate_json(plain)

    async def _later(self, connection: AsyncConn, row: Row) -> None:
        """Try again after a pause that doubles, with some chance in it."""
        pause = min(self._first_pause * 2 ** (row.attempts - 1), LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads attempts, no secret
        with suppress(psycopg.OperationalError, psycopg.InterfaceError):  # the end of the lease makes it due as well
            await connection.execute(
                "UPDATE log.outbox SET next_attempt_at = now() + %s WHERE id = %s", (timedelta(seconds=pause), row.id)
            )
