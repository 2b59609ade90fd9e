"""Reads that may take long, on connections of their own: no read by key waits behind one."""

from collections.abc import Sequence
from typing import Any, Final

from psycopg_pool import AsyncConnectionPool

from accounts_es.eventstore.connection import NAMED, AsyncConn, prepare, watched

AT_ONCE: Final = 2
"""Of one process: more would only take the processor from everybody else."""
_WAITING: Final = 100
_PATIENCE: Final = 10.0

_SESSION: Final = (
    # What a list sorts or collects stays in memory, as long as it is no more than this.
    "SET work_mem = '128MB'; SET default_transaction_read_only = on"
)


class Scans:
    """A few connections, opened when they are first needed. Who waits too long is refused, as by a database away."""

    def __init__(self, conninfo: str) -> None:
        self._pool: AsyncConnectionPool[AsyncConn] = AsyncConnectionPool(
            watched(conninfo),
            min_size=0,
            max_size=AT_ONCE,
            max_waiting=_WAITING,
            timeout=_PATIENCE,
            open=False,
            kwargs={"autocommit": True, "application_name": NAMED, "connect_timeout": _PATIENCE},
            configure=_configure,
            check=AsyncConnectionPool.check_connection,
            name="scans",
        )

    async def start(self) -> None:
        """Be ready."""
        await self._pool.open()

    async def stop(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def rows(self, sql: str, params: Sequence[object]) -> list[tuple[Any, ...]]:
        """All rows of one statement, planned for these very values."""
        async with self._pool.connection() as connection:
            cursor = await connection.cursor(binary=True).execute(sql.encode(), params, prepare=False)
            return await cursor.fetchall()


async def _configure(connection: AsyncConn) -> None:
    await prepare(connection)
    await connection.execute(_SESSION)
