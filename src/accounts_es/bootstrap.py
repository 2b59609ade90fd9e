"""The composition root: the only module that knows which parts make up a server."""

import asyncio
import gc
import logging
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from accounts_es.adapters.hashing import Passwords
from accounts_es.adapters.id_tokens import IdTokens
from accounts_es.adapters.jwts import Jwts
from accounts_es.adapters.oauth import OAuth
from accounts_es.adapters.oauth_states import States
from accounts_es.adapters.public_addresses import PublicTransport, Reach
from accounts_es.application import Application
from accounts_es.erasures import Erasures
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.counters import Counters
from accounts_es.eventstore.follower import Follower
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.ledger.note import public_key
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.migrate import migrate
from accounts_es.eventstore.moments import Moments
from accounts_es.eventstore.rebuild import fill
from accounts_es.http import metrics, pages
from accounts_es.http.api import Api
from accounts_es.http.context import Services
from accounts_es.http.idempotency import KEPT
from accounts_es.http.mock_provider import MOCK
from accounts_es.http.models.accounts import forget
from accounts_es.http.realtime.endpoint import Realtime
from accounts_es.http.realtime.hub import Hub
from accounts_es.http.table import OPERATIONS
from accounts_es.reactors.languages import our_wording
from accounts_es.security import Refusals
from accounts_es.settings import Settings
from projections import ALL

log = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 3600.0
_COLLECT: Final = (20_000, 20, 20)


def prepare(conninfo: str, master: MasterKey) -> None:
    """Bring the database up to this release, and fill the read models that are new in it.

    Raises `UnsuitableDatabase`, `WrongMasterKey`, what `fill` raises, and psycopg's errors.
    """
    with connect_sync(conninfo, as_app=False) as connection:
        unfilled = migrate(connection, master, ALL)
    if unfilled:
        log.info("filling read models", extra={"read_model": ", ".join(unfilled)})
        fill(conninfo, master, ALL, unfilled)


@asynccontextmanager
async def running_log(conninfo: str, master: MasterKey) -> AsyncGenerator[EventLog]:
    """The log of one process, connected."""
    event_log = EventLog(conninfo, master, ALL)
    await event_log.start()
    try:
        yield event_log
    finally:
        await event_log.stop()


@asynccontextmanager
async def running_application(conninfo: str, master: MasterKey) -> AsyncGenerator[Application]:
    """Commands for tools, without the wire."""
    async with running_log(conninfo, master) as event_log:
        yield Application(event_log)


@asynccontextmanager
async def running_moments(conninfo: str, master: MasterKey) -> AsyncGenerator[Moments]:
    """The past, for tools."""
    moments = Moments(conninfo, master, ALL)
    await moments.start()
    try:
        yield moments
    finally:
        await moments.stop()


@asynccontextmanager
async def running_services(parts: "ServerParts") -> AsyncGenerator[Services]:
    """All that requests use, started; stopped in the reverse order, with nothing that is queued lost."""
    settings = parts.settings
    async with running_log(parts.conninfo, parts.master) as event_log:
        passwords = Passwords(
            memory_kib=settings.hash_memory_kib,
            iterations=settings.hash_iterations,
            lanes=settings.hash_lanes,
            workers=settings.hash_workers,
            patience=settings.hash_patience,
        )
        refusals = Refusals(event_log, settings.refusals_recorded)
        refusals.start()
        counters = Counters(parts.conninfo) if settings.rate_limits else None
        if counters is not None:
            await counters.start()
        moments = Moments(parts.conninfo, parts.master, ALL)
        await moments.start()
        follower = Follower(parts.conninfo)
        sweeping = asyncio.create_task(_sweep(event_log, counters), name="sweep")
        try:
            application = Application(event_log)
            event_log.erased.append(forget)
            jwts = Jwts(
                parts.jwt_key, other=parts.other_jwt_key, algorithm=settings.jwt_algorithm, issuer=settings.issuer
            )
            reached = PublicTransport(Reach(_reachable(settings)))
            async with httpx.AsyncClient(timeout=settings.provider_timeout, transport=reached) as client:
                id_tokens = IdTokens(client)
                yield Services(
                    settings=settings,
                    application=application,
                    reads=event_log.reads,
                    moments=moments,
                    refusals=refusals,
                    passwords=passwords,
                    erasures=Erasures(application, parts.ledger_key, settings.certificates),
                    jwts=jwts,
                    id_tokens=id_tokens,
                    oauth=OAuth(client, id_tokens),
                    states=States(parts.jwt_key),
                    operations=OPERATIONS,
                    ledger_key=public_key(parts.ledger_key),
                    counters=counters,
                    wording=our_wording,
                    follower=follower,
                )
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            await follower.stop()
            if counters is not None:
                await counters.stop()
            await moments.stop()
            await refusals.stop()
            passwords.close()


def _reachable(settings: Settings) -> tuple[str, ...]:
    """The networks that are open to what projects configure; a provider this server plays is in it as well."""
    return (*settings.reachable_networks, *(("127.0.0.0/8", "::1/128") if settings.mock_providers else ()))


async def _sweep(event_log: EventLog, counters: Counters | None) -> None:
    """Drop the answers kept for idempotent requests once they are too old, and the counters of windows past."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            await event_log.reads.fetch(
                f"DELETE FROM log.idempotency WHERE created_at < now() - interval '{KEPT}' RETURNING 1"
            )
            if counters is not None:
                await counters.sweep()
        except Exception:
            log.exception("sweep failed")


class Server(Starlette):
    """Starlette without its middleware: the API answers every request itself, failures included."""

    def __init__(
        self, lifespan: Callable[["Server"], AbstractAsyncContextManager[None]], routes: Sequence[BaseRoute]
    ) -> None:
        super().__init__(lifespan=lifespan, routes=routes)
        self.router.redirect_slashes = False
        self._straight: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Below ``/v1`` all goes straight to the API: each other route asked first costs 5 % of a session check."""
        if self._straight is not None and scope["type"] == "http" and scope["path"].startswith("/v1/"):
            await self._straight(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Nothing between the server and the router."""
        return self.router

    def answer_with(self, api: ASGIApp) -> None:
        """Send requests to the API from now on."""
        self.router.default = api
        shared = any(isinstance(each, Route) and each.path.startswith("/v1/") for each in self.routes)
        self._straight = None if shared else api


@contextmanager
def told_to_stop(stop: Callable[[], None]) -> Generator[None]:
    """Call this as soon as the process is asked to stop, before the server waits for the requests in hand to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def noted(number: int, where: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, where)

    for number in before:
        signal.signal(number, noted)
    yield


@dataclass(frozen=True, slots=True)
class ServerParts:
    """What a worker needs to know to build its application."""

    settings: Settings
    conninfo: str
    master: MasterKey
    jwt_key: bytes
    ledger_key: bytes
    """It signs certificates of erasure here; of the log only the public half is needed."""
    other_jwt_key: bytes | None = None
    """One whose tokens are taken as well."""


def application(parts: ServerParts) -> Server:
    """The ASGI application of one worker."""

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncGenerator[None]:
        async with running_services(parts) as services:
            server.answer_with(Api(services, OPERATIONS))
            server.router.routes.append(metrics.route(services))
            hub = Hub(services.application.log, services.moments, services.follower)
            server.router.routes.append(WebSocketRoute("/{path:path}", Realtime(services, hub)))
            # What lives as long as the process need not be looked at again; requests leave no cycles behind.
            gc.freeze()
            gc.set_threshold(*_COLLECT)
            with told_to_stop(services.follower.close):
                yield

    found = pages.routes(parts.settings.public_url)
    return Server(lifespan, [*found, *MOCK] if parts.settings.mock_providers else found)
