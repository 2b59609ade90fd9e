"""Answers on the wire: whole in one packet, and still in order, in parts and without a body where that is asked."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from accounts_es.cli.answers import AnswerProtocol

DATA_SEGMENTS_IN = 152
"""Where ``tcp_info`` counts the packets with data that came in (linux/tcp.h)."""

parts = asyncio.Queue[str]()


async def whole(request: Request) -> Response:
    return PlainTextResponse(f"you asked for {request.url.query}")


async def empty(request: Request) -> Response:
    del request
    return Response(status_code=204)


async def slow(request: Request) -> Response:
    del request

    async def told() -> AsyncIterator[str]:
        while part := await parts.get():
            yield part

    return StreamingResponse(told())


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    app = Starlette(routes=[Route("/whole", whole), Route("/empty", empty), Route("/slow", slow)])
    server = uvicorn.Server(uvicorn.Config(app, http=AnswerProtocol, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


async def ask(port: int, *requests: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("".join(f"{request} HTTP/1.1\r\nHost: here\r\n\r\n" for request in requests).encode())
    return reader, writer


def packets(writer: asyncio.StreamWriter) -> int:
    info = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return int(struct.unpack_from("I", info, DATA_SEGMENTS_IN)[0])


async def test_head_and_body_come_in_one_packet(port: int) -> None:
    reader, writer = await ask(port, "GET /whole?nothing")
    assert (await reader.readuntil(b"you asked for nothing")).startswith(b"HTTP/1.1 200 OK\r\n")
    assert packets(writer) == 1
    writer.close()


async def test_answers_to_requests_sent_at_once_come_in_their_order(port: int) -> None:
    reader, writer = await ask(port, *(f"GET /whole?{nth}." for nth in range(20)))
    for nth in range(20):
        assert f"you asked for {nth}.".encode() in await reader.readuntil(f"for {nth}.".encode())
    writer.close()


async def test_an_answer_without_a_body_comes_as_well(port: int) -> None:
    reader, writer = await ask(port, "GET /empty", "HEAD /whole?x", "GET /whole?last")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"content-length: 15\r\n" in await reader.readuntil(b"\r\n\r\n")
    assert (await reader.readuntil(b"last")).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_the_head_of_an_answer_in_parts_does_not_wait_for_the_first_part(port: int) -> None:
    reader, writer = await ask(port, "GET /slow")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    for part in ("one", "two"):
        parts.put_nowait(part)
        await reader.readuntil(part.encode())
    parts.put_nowait("")
    await reader.readuntil(b"0\r\n\r\n")
    writer.close()


async def test_a_client_that_is_to_hang_up_has_the_whole_answer(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /whole?bye HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b"you asked for bye")
    writer.close()
