"""What the server is compared with, served by the same stack: uvicorn, uvloop, httptools, no access log."""

import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder
from eventsourcing.utils import get_topic
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

OWNERS = 64
"""Streams the library writes to: one for each connection, because it has no queue for writers of one stream."""

DOCUMENT = {
    "$id": "660fb6676724b2d1f3af",
    "$createdAt": "2026-03-14T12:00:00.000+00:00",
    "$updatedAt": "2026-03-14T12:00:00.000+00:00",
    "name": "Jane Doe",
    "email": "jane@example.com",
    "labels": ["admin"],
    "prefs": {"darkTheme": True, "language": "en"},
    "padding": "x" * 560,
}


async def constant(scope: Scope, receive: Receive, send: Send) -> None:
    """Constant bytes without any framework: what the load generator can do at most."""
    del receive
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})


def bare() -> Starlette:
    """A JSON document of 800 bytes on a Starlette route: the unit of all HTTP ratios."""

    async def document(request: Request) -> JSONResponse:
        del request
        return JSONResponse(DOCUMENT)

    return Starlette(routes=[Route("/v1/account", document)])


class Owner(Aggregate):
    """The library's way to write the same aggregate."""

    @event("Created")
    def __init__(self, name: str) -> None:
        self.name = name
        self.prefs: dict[str, Any] = {}

    @event("PrefsUpdated")
    def update(self, prefs: dict[str, Any]) -> None:
        """Replace the preferences."""
        self.prefs = prefs


class Owners(Application[Any]):
    """Stock settings: the library's own tables and recorder."""


class WithRow(PostgresApplicationRecorder):
    """The library's recorder with the upsert of a read model's row in the same transaction."""

    def _insert_events(self, curs: Any, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        del stored_events
        if "row" in kwargs:
            curs.execute(
                "INSERT INTO owners VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET prefs = excluded.prefs",
                kwargs["row"],
                prepare=True,
            )


def library_environment(conninfo: dict[str, Any]) -> dict[str, str]:
    """How the library reaches a database."""
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(conninfo["dbname"]),
        "POSTGRES_HOST": str(conninfo["host"]),
        "POSTGRES_PORT": str(conninfo.get("port", 5432)),
        "POSTGRES_USER": str(conninfo["user"]),
        "POSTGRES_PASSWORD": "-",
        "POSTGRES_POOL_SIZE": "20",
        "POSTGRES_MAX_OVERFLOW": "50",
    }


def library() -> Starlette:
    """Preferences saved by the library's ``save()`` in the thread pool, with the row of a read model beside it."""
    conninfo: dict[str, Any] = json.loads(os.environ["BENCH_LIBRARY"])
    with psycopg.connect(**conninfo) as setup:
        setup.execute("CREATE TABLE IF NOT EXISTS owners (id int PRIMARY KEY, prefs text)")
    app = Owners({**library_environment(conninfo), "APPLICATION_RECORDER_TOPIC": get_topic(WithRow)})
    owners = [Owner(name=f"owner {nth}") for nth in range(OWNERS)]
    app.save(*owners)

    def save(nth: int, prefs: dict[str, Any]) -> None:
        owner = owners[nth]
        owner.update(prefs)
        app.save(owner, row=(nth, json.dumps(prefs)))

    async def update(request: Request) -> Response:
        body = cast("dict[str, Any]", await request.json())
        await run_in_threadpool(save, int(request.headers["x-owner"]), body["prefs"])
        return JSONResponse(DOCUMENT)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        app.close()

    return Starlette(routes=[Route("/v1/account/prefs", update, methods=["PATCH"])], lifespan=lifespan)
