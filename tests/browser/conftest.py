"""A page of somebody's application, served from a port of its own."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex

import pytest

from tests.browser.people import Visitor
from tests.support.calls import Calls
from tests.support.running import World, operator, world
from tests.support.script import Script
from tests.support.tools import SDK

__all__ = ["operator", "world"]

HERE = Path(__file__).parent
FILES = {"/": HERE / "page.html", "/sdk.js": SDK / "node_modules" / "appwrite" / "dist" / "iife" / "sdk.js"}


class Pages(SimpleHTTPRequestHandler):
    """The page and the SDK, nothing else."""

    def do_GET(self) -> None:
        """Serve a file of ours."""
        file = FILES.get(self.path.partition("?")[0])
        self.send_response(200 if file is not None else 204)
        kind = "text/html" if file is not None and file.suffix == ".html" else "text/javascript"
        body = file.read_bytes() if file is not None else b""
        self.send_header("content-type", f"{kind}; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def page_port() -> Iterator[int]:
    """The port the page is served from."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=str(HERE)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def browser(world: World) -> Iterator[Script]:
    """A running Chromium."""
    with Script(HERE / "driver.mjs", world.server.url.replace("localhost", "127.0.0.1")) as script:
        yield script


@pytest.fixture(scope="module")
def calls(request: pytest.FixtureRequest) -> Calls:
    """What this module calls."""
    return Calls(request.module.__file__)


@pytest.fixture(params=["127.0.0.1", "localhost"])
def visit(
    request: pytest.FixtureRequest, browser: Script, page_port: int, calls: Calls
) -> Iterator[Callable[[], Visitor]]:
    """Somebody new opens the application: a page of the server's own host, and one of another (where cookies are lost).

    In the end the console of each holds nothing unexpected.
    """
    visitors: list[Visitor] = []

    def open_page() -> Visitor:
        visitors.append(Visitor(browser, token_hex(4), f"http://{request.param}:{page_port}/", calls))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        assert visitor.complaints == []
        visitor.leave()


@pytest.fixture
def visitor(visit: Callable[[], Visitor]) -> Visitor:
    """Somebody new."""
    return visit()
