"""How far the followers of the log are, as Prometheus reads it (text format 0.0.4).

Not an operation: it is about the server and not about a project, so its key is a setting, not a project's.
"""

import hmac
import logging
from collections.abc import Callable, Iterable
from typing import Final

import psycopg
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from accounts_es.eventstore.reader import ReadsClosed
from accounts_es.eventstore.standing import Standing
from accounts_es.http.context import Services
from accounts_es.http.health import standings

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_SERIES: Final[tuple[tuple[str, str, Callable[[Standing], float]], ...]] = (
    ("up", "Whether it keeps up with the log, and nothing of it stands still.", lambda each: int(each.passes)),
    ("position", "The last event taken in.", lambda each: each.position),
    ("lag_events", "Events (messages, failing webhooks) that wait, counted up to 10000.", lambda each: each.lag),
    ("lag_seconds", "The age of the first of them.", lambda each: round(each.lag_seconds, 3)),
    ("parked_streams", "Streams that stand still in it.", lambda each: len(each.parked)),
)


def text(found: Iterable[Standing]) -> str:
    """The figures of all followers."""
    listed = list(found)
    lines: list[str] = []
    for name, told, figure in _SERIES:
        lines += [f"# HELP accounts_es_projection_{name} {told}", f"# TYPE accounts_es_projection_{name} gauge"]
        lines += [
            f'accounts_es_projection_{name}{{projection="{each.name}",kind="{each.kind}"}} {figure(each)}'
            for each in listed
        ]
    return "\n".join(lines) + "\n"


def route(services: Services) -> Route:
    """Answers whoever knows ``ACCOUNTS_METRICS_TOKEN``; without that setting nobody."""
    token = services.settings.metrics_token

    async def metrics(request: Request) -> Response:
        if token is None:
            return PlainTextResponse("Not Found\n", 404, _HEADERS)
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token.get_secret_value()}".encode()):
            return PlainTextResponse("Unauthorized\n", 401, {**_HEADERS, "www-authenticate": "Bearer"})
        try:
            body = text(await standings(services))
        except (psycopg.Error, ReadsClosed) as error:
            log.warning("no metrics: the database is away", extra={"error": type(error).__name__})
            return PlainTextResponse("Service Unavailable\n", 503, _HEADERS)
        return PlainTextResponse(body, 200, {**_HEADERS, "content-type": _TYPE})

    return Route(PATH, metrics)
