"""A request as the server reads it: headers, client address, parameters."""

import itertools
import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote_plus

from pydantic import JsonValue
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.types import Receive, Scope

from accounts_es.domain.errors import GeneralArgumentInvalid
from accounts_es.domain.event import JSONObject

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_USER_AGENT: Final = 1024
_HUGE_NUMBER: Final = re.compile(rb"[eE]\+?\d{3}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_INDEX: Final = re.compile(r"\A(\w+)\[(\d*)\]\Z")


_PROCESS: Final = secrets.token_hex(6)
_REQUESTS: Final = itertools.count()


def next_request_id() -> str:
    """20 hex digits: a random prefix for the process, then a number. Unique, not secret."""
    return f"{_PROCESS}{next(_REQUESTS):08x}"


class Request:
    """One request. Headers are read once; the body only when an operation has parameters in it."""

    __slots__ = ("_cookies", "_receive", "_scope", "arrived", "body", "headers", "id", "method", "path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.id = next_request_id()
        self.arrived = time.monotonic()
        self.body = b""
        self._cookies: dict[str, str] | None = None

    def header(self, name: bytes) -> str | None:
        """A header by its lower-case name; the last one when it was sent more than once."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None

    @property
    def cookies(self) -> dict[str, str]:
        """All cookies, by name."""
        if self._cookies is None:
            sent = self.header(b"cookie")
            self._cookies = cookie_parser(sent) if sent else {}
        return self._cookies

    @property
    def correlation_id(self) -> str:
        """What the client calls this request (``X-Request-Id``), or our own id."""
        sent = self.header(b"x-request-id")
        return sent if sent is not None and _REQUEST_ID.match(sent) else self.id

    @property
    def user_agent(self) -> str:
        """The client's description of itself, cut to a sane length, without NUL."""
        return self.user_agent_for(by_server=False)

    def user_agent_for(self, *, by_server: bool) -> str:
        """As `user_agent`; a server may pass on what its client said (contract: account, 1.1)."""
        said = (self.header(b"x-forwarded-user-agent") if by_server else None) or self.header(b"user-agent") or ""
        return said.replace("\x00", "")[:MAX_USER_AGENT]

    @property
    def locale(self) -> str:
        """The language the client asks for, as it wrote it: parameter ``locale``, otherwise ``X-Appwrite-Locale``."""
        asked = (self.query() if self.method == "GET" else self.fields()).get("locale")
        return asked if isinstance(asked, str) else self.header(b"x-appwrite-locale") or "en"

    def behind_proxy(self, trusted: tuple[str, ...]) -> bool:
        """Whether the peer is a proxy whose forwarding headers we believe."""
        peer = self._scope.get("client")
        return peer is not None and _within(peer[0], trusted)

    def client_ip(self, trusted: tuple[str, ...]) -> str:
        """The client's address: the first of ``X-Forwarded-For`` behind a trusted proxy, otherwise the peer."""
        forwarded = self.headers.get(b"x-forwarded-for")
        if forwarded is not None and self.behind_proxy(trusted):
            first = forwarded.decode("latin-1").split(",", 1)[0].strip()
            if _is_address(first):
                return first
        peer = self._scope.get("client")
        return peer[0] if peer is not None else ""

    def is_https(self, trusted: tuple[str, ...]) -> bool:
        """Whether the client speaks TLS, to us or to the proxy."""
        forwarded = self.headers.get(b"x-forwarded-proto")
        if forwarded is not None and self.behind_proxy(trusted):
            return forwarded.strip().lower() == b"https"
        return bool(self._scope["scheme"] == "https")

    def host(self, trusted: tuple[str, ...]) -> str:
        """The host the client called, lower-case, without port."""
        return hostname(self.authority(trusted))

    def authority(self, trusted: tuple[str, ...]) -> str:
        """The host the client called, with its port if it named one."""
        forwarded = self.headers.get(b"x-forwarded-host") if self.behind_proxy(trusted) else None
        return (forwarded or self.headers.get(b"host", b"")).decode("latin-1")

    async def read_body(self) -> None:
        """Receive the whole body. Raises `GeneralArgumentInvalid` beyond `MAX_BODY_BYTES`."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise GeneralArgumentInvalid(f"The request body must be at most {MAX_BODY_BYTES} bytes long")
            chunks.append(chunk)
            if not message.get("more_body", False):
                break
        self.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @property
    def query_string(self) -> str:
        """The query as it was sent."""
        return bytes(self._scope["query_string"]).decode("latin-1")

    def query(self) -> JSONObject:
        """The query string's parameters."""
        sent: bytes = self._scope["query_string"]
        return _fields(parse_qsl(sent.decode("latin-1"), keep_blank_values=True)) if sent else {}

    def fields(self) -> JSONObject:
        """The body's parameters, from JSON or a form. A body that cannot be read counts as empty (contract 0)."""
        if not self.body:
            return {}
        kind = self.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
        if kind == b"application/x-www-form-urlencoded":
            return _fields(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            read = from_json(self.body, allow_inf_nan=False)
            if _HUGE_NUMBER.search(self.body):
                json.dumps(read, allow_nan=False)
        except ValueError:
            return {}
        return cast("JSONObject", read) if isinstance(read, dict) else {}


def hostname(authority: str) -> str:
    """The host of ``host[:port]``, lower-case; brackets of IPv6 stay."""
    authority = authority.strip().lower()
    if authority.startswith("["):
        return authority.partition("]")[0] + "]" if "]" in authority else authority
    return authority.partition(":")[0]


def _fields(pairs: Iterable[tuple[str, str]]) -> JSONObject:
    """Pairs as a mapping; ``name[]`` and ``name[0]`` make lists, in the order of their numbers."""
    plain: dict[str, JsonValue] = {}
    lists: dict[str, list[tuple[int, str]]] = {}
    for name, value in pairs:
        match = _INDEX.match(name)
        if match is None:
            plain[name] = value
        else:
            items = lists.setdefault(match[1], [])
            items.append((int(match[2][:6]) if match[2] else len(items), value))
    for name, items in lists.items():
        plain[name] = [value for _, value in sorted(items, key=lambda item: item[0])]
    return plain


def cookie_value(value: str) -> str:
    """What a cookie carries; ours are percent-encoded."""
    return unquote_plus(value.replace("+", "%2B")) if "%" in value else value


@lru_cache(maxsize=1024)
def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=64)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


@lru_cache(maxsize=1024)
def _within(address: str, networks: tuple[str, ...]) -> bool:
    if not _is_address(address):
        return False
    parsed = ip_address(address)
    return any(parsed in _network(network) for network in networks)


def as_mapping(value: Any) -> Mapping[str, Any] | None:
    """The value if it is a JSON object."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else None
