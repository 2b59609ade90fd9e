"""A way to the database that can be cut at a chosen moment: between a COMMIT and its answer, or before it arrives."""

import asyncio
import contextlib
import tempfile
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Cut(Enum):
    """What happens to the next COMMIT."""

    ANSWER_LOST = auto()
    """It is carried out, but its answer does not come back."""
    REQUEST_LOST = auto()
    """It never arrives, and the server hears that the client has gone."""
    REQUEST_LATE = auto()
    """The client is cut off at once; the COMMIT arrives when `Proxy.deliver` is called."""


class Proxy:
    """Stands between a client and the database server for the length of an ``async with`` block."""

    def __init__(self, conninfo: str) -> None:
        self._target = conninfo_to_dict(conninfo)
        self._folder = tempfile.TemporaryDirectory(prefix="aes-")
        self.conninfo = make_conninfo(conninfo, host=self._folder.name, port=5432)
        self.cut: Cut | None = None
        self.cuts = 0
        self.parted = False
        """Whether nobody gets through."""
        self._late = asyncio.Event()
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, str(Path(self._folder.name, ".s.PGSQL.5432")))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._folder.cleanup()

    def part(self) -> None:
        """Cut everybody off, and let nobody through from now on."""
        self.parted = True
        for pump in self._pumps:
            pump.cancel()

    def deliver(self) -> None:
        """Let the COMMIT that was held back arrive."""
        self._late.set()

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self.parted:
            client_out.close()
            return
        self._pumps.add(task)
        host, port = str(self._target["host"]), str(self._target.get("port") or 5432)
        if host.startswith("/"):
            server_in, server_out = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            server_in, server_out = await asyncio.open_connection(host, int(port))
        answers = asyncio.create_task(self._copy(server_in, client_out))
        try:
            while chunk := await client_in.read(65536):
                cut = self.cut if b"COMMIT\0" in chunk else None
                if cut is None:
                    server_out.write(chunk)
                    await server_out.drain()
                    continue
                self.cut = None
                self.cuts += 1
                answers.cancel()
                if cut is Cut.ANSWER_LOST:
                    server_out.write(chunk)
                    await server_in.readuntil(b"COMMIT\0")
                if cut is Cut.REQUEST_LATE:
                    client_out.close()
                    await self._late.wait()
                    server_out.write(chunk)
                    await server_in.readuntil(b"COMMIT\0")
                break
        finally:
            answers.cancel()
            with contextlib.suppress(OSError):
                client_out.close()
                server_out.close()
            self._pumps.discard(task)

    @staticmethod
    async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                sink.write(chunk)
                await sink.drain()
            sink.close()
