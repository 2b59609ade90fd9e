"""Keeps the Merkle tree up with the log, signs it, and hands each checkpoint to where the database cannot reach it.

Any number of processes may run this: one leads, the others wait for its session to end.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import httpx
import psycopg

from accounts_es.eventstore.connection import AsyncConn, connect
from accounts_es.eventstore.ledger import growth
from accounts_es.eventstore.ledger.growth import LogRewritten
from accounts_es.eventstore.ledger.note import Checkpoint, Signer
from accounts_es.reactors.checkpoints import NotKept, Sink

log = logging.getLogger(__name__)

POLL: Final = 5.0
"""Seconds between tries to lead."""

_NEWEST = "SELECT size, note, kept FROM log.checkpoints ORDER BY size DESC LIMIT 1"
_KEPT = "UPDATE log.checkpoints SET kept = true WHERE size <= %s AND NOT kept"


class Ledger:
    """The tree and its checkpoints, by one process."""

    def __init__(self, conninfo: str, secret: bytes, sinks: Sequence[Sink], seconds: float) -> None:
        self._conninfo = conninfo
        self._secret = secret
        self._sinks = sinks
        self._seconds = seconds
        self._signed: Checkpoint | None = None
        """The last that was signed here, whatever the database says now."""

    async def run(self) -> None:
        """Work until cancelled. A database that is away is waited for, and no trouble here ends what runs beside."""
        while True:
            try:
                async with await connect(self._conninfo) as connection:
                    while not await growth.lead(connection):  # noqa: ASYNC110 - the lock is the database's
                        await asyncio.sleep(POLL)
                    await self._follow(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                log.warning("ledger waits for the database", extra={"error": type(error).__name__})
                await asyncio.sleep(1.0)
            except Exception:
                log.exception("ledger failed")
                await asyncio.sleep(POLL)

    async def catch_up(self, connection: AsyncConn) -> None:
        """Take in all there is, and sign it. For the leader. Raises `LogRewritten`."""
        while await growth.grow(connection):
            pass
        name = await growth.origin(connection)
        seen = [found for sink in self._sinks if (found := await sink.last(name)) is not None]
        if self._signed is not None:
            seen.append(self._signed)
        made = await growth.sign(connection, Signer(name, self._secret), *seen)
        if made is not None:
            self._signed = made

    async def hand_on(self, connection: AsyncConn) -> None:
        """Have the newest checkpoint kept elsewhere, unless it is. For the leader.

        A place that fails keeps none from the others. Raises what the first of them raised.
        """
        row = await (await connection.execute(_NEWEST)).fetchone()
        if row is None:
            return
        size, note, kept = row
        name, trouble = await growth.origin(connection), list[Exception]()
        for sink in self._sinks:
            if not kept or sink.paced:
                try:
                    await sink.keep(name, note)
                except Exception as error:  # noqa: BLE001 - raised when all were asked
                    trouble.append(error)
        if trouble:
            raise trouble[0]
        if not kept:
            await connection.execute(_KEPT, (size,))

    async def _follow(self, connection: AsyncConn) -> None:
        while True:
            try:
                await self.catch_up(connection)
                await self.hand_on(connection)
            except LogRewritten as rewritten:
                log.critical("nothing is signed any more: the log was rewritten", extra={"size": rewritten.size})
            except (NotKept, httpx.HTTPError, OSError) as error:
                log.warning("checkpoint not kept yet", extra={"error": type(error).__name__})
            # At most one checkpoint in this time. Looking that often costs less than to LISTEN: whoever listens must
            # read all the time, or the database holds on to what was not read.
            await asyncio.sleep(self._seconds)
