"""A client that does not read takes neither memory nor a place for long."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import uvicorn

from accounts_es.cli.websocket import SocketProtocol
from tests.support.waiting import until

PING = b"\x89\xfd\x00\x00\x00\x00" + b"p" * 125
CLOSE = b"\x88\x80\x00\x00\x00\x00"
HELLO = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Hasty(SocketProtocol):
    """The same in less time."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.close_timeout = 0.3


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Accepts, and says as much as is asked for."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "x" * int(message["text"])})


@asynccontextmanager
async def client(**settings: Any) -> AsyncIterator[tuple[SocketProtocol, socket.socket]]:
    """A server's end of a connection, and a client that reads only when told to."""
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    config = uvicorn.Config(app, ws=Hasty, lifespan="off", log_config=None, ws_per_message_deflate=False, **settings)
    server, loop = uvicorn.Server(config), asyncio.get_running_loop()
    config.load()
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.startup([listener])
        connected = socket.socket()
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connected.setblocking(False)
        try:
            await loop.sock_connect(connected, listener.getsockname())
            await loop.sock_sendall(connected, HELLO)
            assert b" 101 " in await loop.sock_recv(connected, 4096)
            (protocol,) = server.server_state.connections
            protocol.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            yield cast("SocketProtocol", protocol), connected
        finally:
            connected.close()
            await until(lambda: not server.server_state.connections)
            server.should_exit = True
            await server.shutdown([listener])


async def fill(protocol: SocketProtocol, connected: socket.socket) -> None:
    """More is to be sent than the client takes."""
    text = b"%d" % 1_000_000
    await asyncio.get_running_loop().sock_sendall(connected, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    await until(lambda: not protocol.writable.is_set())


async def test_pings_of_a_client_that_does_not_read_are_not_collected_and_the_last_is_answered_when_it_reads() -> None:
    loop = asyncio.get_running_loop()
    async with client() as (protocol, connected):
        await fill(protocol, connected)
        waiting = protocol.transport.get_write_buffer_size()
        for _ in range(100):
            await loop.sock_sendall(connected, PING * 100)
        last = b"\x89\x84\x00\x00\x00\x00last"
        await loop.sock_sendall(connected, last)
        await until(lambda: protocol._pong.endswith(b"last"))
        assert protocol.transport.get_write_buffer_size() <= waiting
        read = b""
        async with asyncio.timeout(20):
            while not read.endswith(b"last"):
                read += await loop.sock_recv(connected, 65536)
        assert len(read) < 1_100_000


async def test_a_client_that_asks_for_the_end_and_does_not_read_is_hung_up_on() -> None:
    async with client() as (protocol, connected):
        await fill(protocol, connected)
        await asyncio.get_running_loop().sock_sendall(connected, CLOSE)
        await until(lambda: protocol.disconnected)


@pytest.mark.parametrize("full", [True, False])
async def test_a_client_that_does_not_answer_pings_is_hung_up_on(full: bool) -> None:
    async with client(ws_ping_interval=0.2, ws_ping_timeout=0.2) as (protocol, connected):
        if full:
            await fill(protocol, connected)
        await until(lambda: protocol.disconnected)
