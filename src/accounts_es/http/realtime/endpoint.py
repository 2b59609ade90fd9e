"""``/v1/realtime``: the protocol of the SDKs' sockets (contract: cross-cutting, 12).

Besides the contract, ``connected`` and every event say their ``position`` in the log, and ``after`` (in the URL, or in
a subscription) asks for what happened since a position: so a client that was away misses nothing.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any, Final, cast

import psycopg
from pydantic import JsonValue
from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from accounts_es.adapters.ids import wire_id
from accounts_es.adapters.jwts import JwtBroken
from accounts_es.domain.errors import (
    GeneralApiDisabled,
    Refusal,
    UserJwtAndCookieSet,
    UserJwtInvalid,
    UserMoreFactorsRequired,
)
from accounts_es.domain.values import is_id
from accounts_es.eventstore.reader import ReadsClosed
from accounts_es.http.callers import caller_with_session
from accounts_es.http.context import Services
from accounts_es.http.cookies import decode, presented
from accounts_es.http.limits import site
from accounts_es.http.models import accounts as models
from accounts_es.http.origins import is_trusted, unknown_origin
from accounts_es.http.realtime.hub import MOST_MISSED, Hub, TooMuchMissed
from accounts_es.http.realtime.socket import (
    BROKEN,
    LATER,
    POLICY,
    PONG,
    Access,
    Ending,
    Identity,
    Socket,
    access,
    error,
    frame,
    response,
)
from accounts_es.http.realtime.subscriptions import LONGEST_QUERIES, MOST_CHANNELS, Subscription, checked, of_url
from accounts_es.http.requests import Request, as_mapping
from accounts_es.http.rules import Invalid
from projections import accounts, projects

log = logging.getLogger(__name__)

PATH: Final = "/v1/realtime"
MOST_SUBSCRIPTIONS: Final = 100
UNUSABLE: Final = 1003
"""A message that means nothing; the socket stays open."""
_BURST: Final = 60
_PER_SECOND: Final = 5.0
"""Messages of one socket: so many at once, so many on and on."""
_NEWEST: Final = 2**53 - 1


class Unfit(Exception):  # noqa: N818
    """The caller is not let in: the error frame, and the code the socket is closed with."""

    def __init__(self, code: int, message: str, close: int = POLICY) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.close = close


class Bad(Exception):  # noqa: N818
    """A message that cannot be carried out."""

    def __init__(self, message: str, code: int = UNUSABLE) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Realtime:
    """The ASGI application of sockets."""

    def __init__(self, services: Services, hub: Hub) -> None:
        self._services = services
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until it ends."""
        await receive()
        if scope["path"] != PATH:
            await send({"type": "websocket.close"})
            return
        settings = self._services.settings
        request = Request({**scope, "method": "GET"}, receive)
        address, present = site(request.client_ip(settings.trusted_proxies)), self._hub.present
        if present.sockets >= settings.sockets or present.addresses[address] >= settings.sockets_per_address:
            await _turn_away(send, 429)
            return
        socket = Socket(project="", address=address)
        try:
            try:
                await self._hub.enter(socket)
                failed, hello = await self._let_in(socket, request)
            except (psycopg.Error, OSError, ReadsClosed) as failure:
                log.warning("no socket: the database is away", extra={"error": type(failure).__name__})
                await _turn_away(send, 503)
                return
            await send({"type": "websocket.accept"})
            if failed is not None:
                await send({"type": "websocket.send", "text": error(failed.code, failed.message)})
                await send({"type": "websocket.close", "code": failed.close, "reason": _short(failed.message)})
                return
            socket.put(hello)
            await _Conversation(self._services, self._hub, socket, _after(request), receive, send).hold()
        finally:
            self._hub.leave(socket)

    async def _let_in(self, socket: Socket, request: Request) -> tuple[Unfit | None, str]:
        """Find out who it is; the first frame."""
        try:
            found = await self._find_out(socket, request)
            for channels, queries in of_url(request.query_string):
                checked(channels, queries)
                socket.subscriptions[wire_id()] = Subscription.of(channels, queries, socket.account_id)
        except Invalid as broken:
            return Unfit(POLICY, str(broken)), ""
        except Unfit as unfit:
            return unfit, ""
        except Refusal as refused:
            return Unfit(refused.wire_status, refused.message), ""
        heard = dict.fromkeys(name for each in socket.subscriptions.values() for name in sorted(each.channels))
        hello: dict[str, JsonValue] = {
            "channels": list(heard),
            "subscriptions": list(socket.subscriptions),
            "user": cast("JsonValue", models.account(found.account)) if found is not None else None,
            "position": self._hub.position,
        }
        return None, frame("connected", hello)

    async def _find_out(self, socket: Socket, request: Request) -> Access | None:
        services, query = self._services, request.query()
        named = request.header(b"x-appwrite-project") or query.get("project")
        project = None
        if isinstance(named, str) and is_id(named):
            # Found by its project before the project is read: what is switched off after that finds the socket.
            self._hub.present.place(socket, named)
            project = await projects.find(services.reads, named)
        origin = request.header(b"origin")
        hosts = (*services.settings.own_hosts, *(project.hostnames if project is not None else ()))
        if origin is not None and not is_trusted(origin, hosts):
            raise Unfit(POLICY, unknown_origin(origin).message)
        if project is None:
            raise Unfit(POLICY, "Missing or unknown project ID")
        if "websocket" in project.rules.protocols_off:
            raise Unfit(POLICY, GeneralApiDisabled().message)
        identity = await self._identity(request, project.project_id)
        if identity is None:
            return None
        if self._hub.present.of_account(identity.stream) >= services.settings.sockets_per_account:
            raise Unfit(LATER, "Too many sockets of this account", LATER)
        try:
            return await self._hub.present.identify(socket, identity)
        except UserMoreFactorsRequired:
            # As long as it owes its second factor it is nobody here.
            socket.identity = None
            return None

    async def _identity(self, request: Request, project_id: str) -> Identity | None:
        services = self._services
        credential, _ = presented(request, project_id)
        caller = await caller_with_session(services.reads, project_id, credential) if credential is not None else None
        text = request.header(b"x-appwrite-jwt") or request.query().get("jwt")
        if isinstance(text, str) and text:
            if caller is not None:
                raise UserJwtAndCookieSet
            try:
                claims, until = services.jwts.read_until(project_id, text)
            except JwtBroken as broken:
                raise UserJwtInvalid(f"Failed to verify JWT. {broken}") from None
            account = await accounts.find(services.reads, project_id, claims.account_id)
            return Identity(account.stream, claims.session_id, until) if account is not None else None
        if caller is None or caller.session is None:
            return None
        return Identity(caller.session.stream, caller.session.session_id, None)


class _Conversation:
    """What client and server say to each other on one socket."""

    def __init__(
        self, services: Services, hub: Hub, socket: Socket, after: int | None, receive: Receive, send: Send
    ) -> None:
        self._services = services
        self._hub = hub
        self._socket = socket
        self._after = after
        self._receive = receive
        self._send = send
        self._allowance = float(_BURST)
        self._counted = time.monotonic()

    async def hold(self) -> None:
        """Until either side ends it."""
        socket = self._socket
        parts: list[asyncio.Task[Any]] = [
            asyncio.create_task(socket.send_all(self._send)),
            asyncio.create_task(self._listen()),
            asyncio.create_task(socket.ended.wait()),
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            results = await asyncio.gather(*parts, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, OSError):
                log.error("socket failed", extra={"error": type(result).__name__})
                socket.end(BROKEN, "Server Error")
        if socket.ending is not None:
            await self._part(socket.ending)

    async def _part(self, ending: Ending) -> None:
        with suppress(OSError):  # the client may be gone
            if ending.code == POLICY:
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        text = error(ending.code, ending.reason)
                        await self._send({"type": "websocket.send", "text": text})
            await self._send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})

    async def _listen(self) -> None:
        if self._after is not None and self._socket.subscriptions:
            await self._catch_up(dict.fromkeys(self._socket.subscriptions, self._after), [])
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                await self._answer(message.get("text") or message.get("bytes") or "")
            except Bad as bad:
                self._socket.put(error(bad.code, bad.message))
            except (psycopg.Error, ReadsClosed) as failure:
                log.warning("socket not answered", extra={"error": type(failure).__name__})
                self._socket.put(error(500, "Server Error"))

    async def _answer(self, text: str | bytes) -> None:
        self._count()
        try:
            message = as_mapping(from_json(text))
        except ValueError:
            message = None
        if message is None:
            raise Bad("Message format is not valid.")
        data: Any = message.get("data")
        match message.get("type"):
            case "ping":
                self._socket.put(PONG)
            case "authentication":
                await self._authenticate(as_mapping(data) or {})
            case "subscribe":
                await self._subscribe(_rows(data))
            case "unsubscribe":
                self._unsubscribe(_rows(data))
            case _:
                raise Bad("Message type is not valid.")

    def _count(self) -> None:
        at = time.monotonic()
        self._allowance = min(_BURST, self._allowance + (at - self._counted) * _PER_SECOND) - 1
        self._counted = at
        if self._allowance < 0:
            self._allowance = max(self._allowance, -1.0)
            raise Bad("Too many messages", LATER)

    async def _authenticate(self, data: Any) -> None:
        text, socket = data.get("session"), self._socket
        if not isinstance(text, str) or not text:
            raise Bad("Payload is not valid.")
        reads, credential = self._services.reads, decode(text)
        caller = await caller_with_session(reads, socket.project, credential) if credential is not None else None
        if caller is None or caller.session is None:
            raise Bad("Session is not valid.")
        identity = Identity(caller.session.stream, caller.session.session_id, None)
        others = self._hub.present.of_account(identity.stream)
        if others >= self._services.settings.sockets_per_account and socket.identity != identity:
            raise Bad("Too many sockets of this account", LATER)
        try:
            await access(reads, identity)
            found = await self._hub.present.identify(socket, identity)
        except Refusal as refused:
            raise Bad(refused.message) from None
        account_id = socket.account_id
        socket.subscriptions = {name: each.rebound(account_id) for name, each in socket.subscriptions.items()}
        socket.put(response("authentication", user=cast("JsonValue", models.account(found.account))))

    async def _subscribe(self, rows: list[dict[str, Any]]) -> None:
        socket = self._socket
        wanted: dict[str, Subscription] = {}
        since: dict[str, int] = {}
        for row in rows:
            name = row.get("subscriptionId") or wire_id()
            after = row.get("after", self._after)
            if not isinstance(name, str) or not is_id(name) or not _is_position(after):
                raise Bad("Payload is not valid.")
            try:
                channels, queries = checked(row.get("channels"), row.get("queries", []))
                wanted[name] = Subscription.of(channels, queries, socket.account_id)
            except Invalid as broken:
                raise Bad(str(broken)) from None
            if after is not None and (name not in socket.subscriptions or "after" in row):
                since[name] = after
        together = {**socket.subscriptions, **wanted}
        if len(together) > MOST_SUBSCRIPTIONS or sum(len(each.channels) for each in together.values()) > MOST_CHANNELS:
            raise Bad(f"At most {MOST_SUBSCRIPTIONS} subscriptions with {MOST_CHANNELS} channels")
        if sum(len(query) for each in together.values() for query in each.queries) > LONGEST_QUERIES:
            raise Bad(f"At most {LONGEST_QUERIES} characters of queries in all subscriptions")
        socket.subscriptions = together
        told: list[JsonValue] = [
            {"subscriptionId": name, "channels": [*sorted(each.channels)], "queries": [*each.queries]}
            for name, each in wanted.items()
        ]
        answer = response("subscribe", subscriptions=told)
        if since:
            await self._catch_up(since, [answer])
        else:
            socket.put(answer)

    async def _catch_up(self, since: dict[str, int], frames: list[str]) -> None:
        """What subscriptions missed, before what comes."""
        socket, until = self._socket, self._hub.position
        socket.rest(True)
        try:
            for each in frames:
                await self._send({"type": "websocket.send", "text": each})
            for begin in sorted(set(since.values())):
                names = [name for name, position in since.items() if position == begin]
                after = begin
                try:
                    while after < until:
                        made, after = await self._hub.missed(socket, names, after, until)
                        for each in made:
                            await self._send({"type": "websocket.send", "text": each})
                except TooMuchMissed:
                    text = error(LATER, f"More than {MOST_MISSED} events since then. Please read them anew")
                    await self._send({"type": "websocket.send", "text": text})
        finally:
            socket.rest(False)

    def _unsubscribe(self, rows: list[dict[str, Any]]) -> None:
        told: list[JsonValue] = []
        for row in rows:
            name = row.get("subscriptionId")
            if not isinstance(name, str) or not name:
                raise Bad("Payload is not valid.")
            removed = self._socket.subscriptions.pop(name, None) is not None
            told.append({"subscriptionId": name, "removed": removed})
        self._socket.put(response("unsubscribe", subscriptions=told))


def _rows(data: object) -> list[dict[str, Any]]:
    rows = cast("list[object]", data) if isinstance(data, list) else []
    if not 0 < len(rows) <= MOST_SUBSCRIPTIONS or not all(isinstance(row, dict) for row in rows):
        raise Bad("Payload is not valid.")
    return cast("list[dict[str, Any]]", rows)


def _is_position(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _NEWEST)


def _after(request: Request) -> int | None:
    text = request.query().get("after")
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 16 else None


def _short(message: str) -> str:
    return message.encode()[:120].decode(errors="ignore")


async def _turn_away(send: Send, status: int) -> None:
    """Before the handshake: then the SDK waits longer and longer before it comes back."""
    headers = [(b"retry-after", b"5"), (b"cache-control", b"no-store"), (b"content-type", b"text/plain; charset=UTF-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})
