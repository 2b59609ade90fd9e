"""A page of somebody's application, served from a port of its own."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.tools import SDK

HERE = Path(__file__).parent
FILES = {"/": HERE / "page.html", "/sdk.js": SDK / "node_modules" / "appwrite" / "dist" / "iife" / "sdk.js"}


class Pages(SimpleHTTPRequestHandler):
    """The page and the SDK, nothing else."""

    def do_GET(self) -> None:
        """Serve a file of ours."""
        file = FILES.get(self.path)
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
