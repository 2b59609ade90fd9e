"""How a delivery leaves: what counts as taken, where redirects may lead, whose certificates are trusted."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from accounts_es.adapters.public_addresses import Reach
from accounts_es.reactors.webhooks.request import Outgoing
from accounts_es.reactors.webhooks.sender import Sender, Undelivered
from tests.support.smtp import certificate

Answer = Callable[[str], tuple[int, dict[str, str], bytes]]
HERE = Reach(("127.0.0.1/32",))
HEADERS = [(b"authorization", b"Basic dGhlbTpzZWNyZXQ="), (b"x-appwrite-webhook-id", b"crm")]
OUTGOING = Outgoing(42, b"the body", HEADERS)


class Site:
    """A web server, and what it was sent."""

    def __init__(self, port: int, scheme: str) -> None:
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.received: list[tuple[str, str, dict[str, str], bytes]] = []


@contextmanager
def site(answer: Answer, *, address: str = "127.0.0.1", tls: Path | None = None) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.received.append((self.command, self.path, headers, body))
            status, said, content = answer(self.path)
            self.send_response(status)
            for name, value in {**said, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(tls))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    made = Site(server.server_address[1], "https" if tls is not None else "http")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
async def sender() -> Any:
    made = Sender(HERE, 1.0)
    yield made
    await made.close()


def plain(status: int, content: bytes = b"", **headers: str) -> AbstractContextManager[Site]:
    return site(lambda _: (status, headers, content))


async def test_any_2xx_is_taken(sender: Sender) -> None:
    with plain(204) as there:
        assert await sender.send(f"{there.url}/hook?a=b", OUTGOING, tls=True) == 204
    ((method, path, headers, body),) = there.received
    assert (method, path, body) == ("POST", "/hook?a=b", b"the body")
    assert headers["x-appwrite-webhook-id"] == "crm"
    assert headers["authorization"] == "Basic dGhlbTpzZWNyZXQ="


@pytest.mark.parametrize("status", [302, 303, 400, 404, 410, 500, 503])
async def test_anything_else_is_not_and_the_beginning_of_the_answer_is_kept(sender: Sender, status: int) -> None:
    with (
        plain(status, b"no\x00 " + b"x" * 1_000_000, location="/elsewhere") as there,
        pytest.raises(Undelivered) as not_taken,
    ):
        await sender.send(there.url, OUTGOING, tls=True)
    assert not_taken.value.answer == status
    assert str(not_taken.value).startswith(f"HTTP {status}\nno x")
    assert len(str(not_taken.value)) < 1100
    assert len(there.received) == 1


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_that_keeps_the_request_is_followed(sender: Sender, status: int) -> None:
    answers = {"/": (status, {"location": "/moved"}, b""), "/moved": (200, {}, b"")}
    with site(lambda path: answers[path]) as there:
        assert await sender.send(f"{there.url}/", OUTGOING, tls=True) == 200
    assert [(each[0], each[1], each[3]) for each in there.received] == [
        ("POST", "/", b"the body"),
        ("POST", "/moved", b"the body"),
    ]


async def test_a_redirect_shows_the_password_to_nobody_else(sender: Sender) -> None:
    with plain(200) as other, plain(307, location=f"{other.url}/moved") as there:
        assert await sender.send(there.url, OUTGOING, tls=True) == 200
    assert "authorization" not in other.received[0][2]


async def test_a_redirect_inside_is_not_followed(sender: Sender) -> None:
    """127.0.0.1 stands for the world, 127.0.0.2 for the network we are in."""
    with site(lambda _: (200, {}, b""), address="127.0.0.2") as inside:
        port = inside.url.rpartition(":")[2]
        with plain(307, location=f"http://127.0.0.2:{port}/") as there, pytest.raises(Undelivered) as not_taken:
            await sender.send(there.url, OUTGOING, tls=True)
    assert "no public address" in str(not_taken.value)
    assert not inside.received


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"])
async def test_a_redirect_to_something_else_is_not_followed(sender: Sender, location: str) -> None:
    with plain(307, location=location) as there, pytest.raises(Undelivered):
        await sender.send(there.url, OUTGOING, tls=True)


async def test_redirects_end(sender: Sender) -> None:
    with plain(307, location="/again") as there, pytest.raises(Undelivered, match="redirects more than"):
        await sender.send(there.url, OUTGOING, tls=True)
    assert len(there.received) == 4


async def test_who_says_nothing_is_not_waited_for(sender: Sender) -> None:
    silence = threading.Event()

    def answer(_: str) -> tuple[int, dict[str, str], bytes]:
        silence.wait(20)
        return 200, {}, b""

    with site(answer) as there:
        with pytest.raises(Undelivered, match="no answer within 1 seconds"):
            await sender.send(there.url, OUTGOING, tls=True)
        silence.set()


async def test_a_certificate_nobody_vouches_for_is_taken_only_where_that_was_asked_for(
    sender: Sender, tmp_path: Path
) -> None:
    with site(lambda _: (200, {}, b""), tls=tmp_path) as there:
        with pytest.raises(Undelivered, match="certificate verify failed"):
            await sender.send(there.url, OUTGOING, tls=True)
        assert not there.received
        assert await sender.send(there.url, OUTGOING, tls=False) == 200
