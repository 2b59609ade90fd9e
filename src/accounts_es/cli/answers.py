"""The HTTP protocol under uvicorn, but that the head of an answer leaves together with its body."""

import asyncio
import time
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class AnswerProtocol(HttpToolsProtocol):
    """Uvicorn's writes head and body one after the other: each would be a system call and a packet of its own."""

    def on_headers_complete(self) -> None:
        """A request begins, unless it asks for a socket."""
        earlier = self.cycle
        super().on_headers_complete()
        if self.cycle is not earlier:
            self.cycle.transport = _Joined(self.transport, self.loop)


class SharingProtocol(AnswerProtocol):
    """That of one worker among several, who take connections from the same socket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Another worker has its turn: without a pause, most of a burst would go to whoever woke first."""
        super().connection_made(transport)
        time.sleep(_PAUSE)


_PAUSE: Final = 1e-6
"""Seconds as asked for; the kernel makes some 50 us of it."""


class _Joined(asyncio.Transport):
    """What an answer is written to. The first write waits for the second, and no longer than until the loop's turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._begun = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._begun:
            self._transport.write(data)
        elif self._head is None:
            self._head = bytes(data)
            self._loop.call_soon(self._begin)
        else:
            self._begin(data)

    def _begin(self, rest: bytes | bytearray | memoryview = b"") -> None:
        if self._head is not None:
            self._begun = True
            head, self._head = self._head, None
            self._transport.write(head + rest)

    def close(self) -> None:
        self._begin()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()
