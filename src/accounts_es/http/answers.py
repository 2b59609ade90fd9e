"""What a request is answered with: bodies and their headers, refusals for programs and for people."""

import asyncio
import logging
from typing import Final
from urllib.parse import quote

import psycopg
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from accounts_es.domain.errors import Refusal
from accounts_es.eventstore.reader import ReadsClosed
from accounts_es.http import pages
from accounts_es.http.context import Context
from accounts_es.http.operation import Redirect, Streamed
from accounts_es.http.origins import RawHeaders
from accounts_es.settings import SERVER_VERSION

log = logging.getLogger(__name__)

_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_JSON: Final = (b"content-type", b"application/json; charset=UTF-8")
_HTML: Final = (b"content-type", b"text/html; charset=UTF-8")
_URL_SAFE: Final = ":/%#?=@[]!$&'()*+,;~"
_NOTHING: Final = (b"content-type", b"text/plain; charset=UTF-8")
"""Of an empty answer: the Python SDK needs a type, and the web SDK would parse JSON."""
NO_STORE: Final[RawHeaders] = [
    (b"cache-control", b"no-cache, no-store, must-revalidate"),
    (b"expires", b"0"),
    (b"pragma", b"no-cache"),
]
PRIVATE: Final[RawHeaders] = [(b"cache-control", b"no-store")]
"""On every other answer as well: nearly all of them are about one caller (ASVS V14.3.2)."""


class Answer(Response):
    """A response whose headers are final and whose body is whole."""

    def __init__(self, status: int, body: bytes, headers: RawHeaders) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        if status == 204:
            self.raw_headers = [_NOSNIFF, _NOTHING, *headers]
        else:
            self.raw_headers = [_NOSNIFF, _JSON, (b"content-length", b"%d" % len(body)), *headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


class File(Answer):
    """A response that is sent while it is made. It ends early when nobody reads it any more, and unfinished when it
    cannot be made: whoever reads it sees that."""

    def __init__(self, streamed: Streamed, request_id: str) -> None:
        super().__init__(200, b"", PRIVATE)
        self.raw_headers[1:3] = [(b"content-type", streamed.content_type.encode())]
        if streamed.name:
            self.raw_headers.append((b"content-disposition", f'attachment; filename="{streamed.name}"'.encode()))
        else:
            # Proxies that gather an answer before they pass it on would never pass this on.
            self.raw_headers.append((b"x-accel-buffering", b"no"))
        self._parts = streamed.parts
        self._request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send it, part by part."""
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for part in self._parts:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (psycopg.Error, ReadsClosed) as error:
            log.warning("file not finished", extra={"request": self._request_id, "error": type(error).__name__})
        finally:
            gone.cancel()
            await self._parts.aclose()


async def _gone(receive: Receive) -> None:
    """Wait until the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def moved(status: int, to: Redirect) -> Answer:
    """The answer that sends a browser on."""
    answer = Answer(status, b"", NO_STORE)
    answer.raw_headers[1] = _HTML
    answer.raw_headers.append((b"location", quote(to.url, safe=_URL_SAFE).encode()))
    answer.raw_headers.append((b"referrer-policy", b"no-referrer"))
    return answer


def told(ctx: Context | None, refused: Refusal) -> Answer:
    """The refusal as whoever asked can read it."""
    return error_page(refused) if ctx is not None and ctx.operation.for_browsers else error_answer(refused)


def error_page(refused: Refusal) -> Answer:
    """The same as `error_answer`, for people."""
    plain = error_answer(refused)
    body = pages.error(refused.wire_status, refused.wire_type, refused.message).encode()
    answer = Answer(plain.status_code, body, plain.raw_headers[3:])
    answer.raw_headers[1] = _HTML
    answer.raw_headers.append((b"content-security-policy", pages.ERROR_POLICY.encode()))
    return answer


def error_answer(refused: Refusal) -> Answer:
    """The contract's error body (cross-cutting, 5)."""
    status = refused.wire_status
    body = to_json(
        {
            "message": refused.message if status == refused.status else "Server Error",
            "code": status,
            "type": refused.wire_type,
            "version": SERVER_VERSION,
        }
    )
    headers = list(NO_STORE)
    if refused.status == 503:
        headers.append((b"retry-after", b"1"))
    return Answer(status, body, headers)
