"""What projects name is no way into the network the server stands in."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from accounts_es.adapters.public_addresses import OutOfReach, PublicTransport, Reach
from tests.support.smtp import certificate

INSIDE = [
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fd00::1", "ff0e::1", "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::a01:203", "64:ff9b:1::a01:203", "2002:a01:203::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_public_is_out_of_reach(address: str) -> None:
    assert not Reach().permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_within_reach(address: str) -> None:
    assert Reach().permits(address)


def test_a_network_that_is_allowed_is_within_reach_in_every_notation_and_no_other_is() -> None:
    reach = Reach(["10.1.2.0/24"])
    assert all(reach.permits(each) for each in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"))
    assert not any(reach.permits(each) for each in ("10.1.3.3", "127.0.0.1", "::1"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001"])
async def test_names_and_odd_notations_are_judged_by_what_they_resolve_to(host: str) -> None:
    with pytest.raises(OutOfReach):
        await Reach().endpoints(host, 80)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "..", "x" * 70])
async def test_a_host_that_is_none_is_an_error_of_the_connection(host: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - any will do
        await Reach().connect(host, 80, 5)


async def test_names_that_do_not_resolve_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real, over, asked = socket.getaddrinfo, Event(), list[str]()

    def name_server(host: str, *more: Any, **named: Any) -> Any:
        if host.startswith("dead"):
            asked.append(host)
            over.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return real(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    reach = Reach(["127.0.0.0/8"])
    dead = [asyncio.create_task(reach.endpoints(f"dead-{nth % 50}", 80)) for nth in range(100)]
    gone = dead.pop()
    try:
        async with asyncio.timeout(5):
            assert (await reach.endpoints("localhost", 80))[0][1] == "127.0.0.1"
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
    finally:
        over.set()
    assert all(isinstance(each, socket.gaierror) for each in await asyncio.gather(*dead, return_exceptions=True))
    assert len(asked) == 50
    assert (await reach.endpoints("localhost", 80))[0][1] == "127.0.0.1"


class Echo(BaseHTTPRequestHandler):
    """Says what host was asked for, and sends elsewhere when asked for that."""

    def do_GET(self) -> None:
        host = self.headers["host"].encode()
        self.send_response(302 if self.path == "/inside" else 200)
        self.send_header("location", "http://169.254.169.254/")
        self.send_header("content-length", str(len(host)))
        self.end_headers()
        self.wfile.write(host)

    def do_POST(self) -> None:
        """A refusal that unpacks to more and more."""
        packed = b"x" * 10_000_000
        for _ in range(3):
            packed = gzip.compress(packed)
        self.send_response(400)
        self.send_header("x-asked-for", self.headers["accept-encoding"])
        self.send_header("content-encoding", "gzip, gzip, gzip")
        self.send_header("content-length", str(len(packed)))
        self.end_headers()
        self.wfile.write(packed)

    def log_message(self, *_: object) -> None:
        """Not here."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where a server inside listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def client(*allowed: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=PublicTransport(Reach(allowed)), timeout=5)


async def test_http_goes_to_the_address_that_was_checked_in_the_name_of_the_host(port: int) -> None:
    async with client("127.0.0.0/8") as inside:
        answers = await asyncio.gather(*(inside.get(f"http://localhost:{port}/") for _ in range(5)))
    assert {each.text for each in answers} == {f"localhost:{port}"}
    assert answers[0].url == f"http://localhost:{port}/"


async def test_http_to_what_is_inside_is_a_connection_that_fails(port: int) -> None:
    async with client() as outside:
        with pytest.raises(httpx.ConnectError, match="no public address"):
            await outside.get(f"http://127.0.0.1:{port}/")
    async with client("127.0.0.0/8") as inside:
        with pytest.raises(httpx.ConnectError, match="no public address"):
            await inside.get(f"http://127.0.0.1:{port}/inside", follow_redirects=True)


async def test_an_answer_is_never_unpacked(port: int) -> None:
    async with client("127.0.0.0/8") as inside:
        answer = await inside.post(f"http://127.0.0.1:{port}/")
    assert answer.headers["x-asked-for"] == "identity"
    assert len(answer.content) == int(answer.headers["content-length"]) < 1000


async def test_the_certificate_is_that_of_the_host_not_of_its_address(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    trusting = ssl.create_default_context(cafile=cert)
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever).start()
        transport = PublicTransport(Reach(["127.0.0.0/8"]), trusting)
        async with httpx.AsyncClient(transport=transport, timeout=5) as inside:
            assert (await inside.get(f"https://127.0.0.1:{server.server_port}/")).is_success
            with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
                await inside.get(f"https://localhost:{server.server_port}/")
        server.shutdown()


async def test_a_socket_is_connected_to_what_is_allowed(port: int) -> None:
    with await Reach(["127.0.0.0/8"]).connect("127.0.0.1", port, 5) as connected:
        assert connected.getpeername() == ("127.0.0.1", port)
    with pytest.raises(ConnectionRefusedError):
        await Reach(["127.0.0.0/8"]).connect("127.0.0.1", 1, 5)
