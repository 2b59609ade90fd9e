"""Which pages may call from a browser (contract: cross-cutting, 6), and the headers that tell the browser."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from accounts_es.domain.errors import GeneralUnknownOrigin

RawHeaders = list[tuple[bytes, bytes]]

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_WEB: Final = frozenset({"http", "https", "browser-extension", "tauri"})

_APPS: Final = {
    "appwrite-android": "android",
    "appwrite-ios": "apple",
    "appwrite-macos": "apple",
    "appwrite-watchos": "apple",
    "appwrite-tvos": "apple",
    "appwrite-windows": "windows",
    "appwrite-linux": "linux",
}
"""The schemes apps call with, each with the kind of platform they are registered as."""

_ALLOWED_HEADERS: Final = (
    "Accept, Origin, Cookie, Set-Cookie, Content-Type, Content-Range, X-Appwrite-Project, X-Appwrite-Key, "
    "X-Appwrite-Dev-Key, X-Appwrite-Locale, X-Appwrite-Mode, X-Appwrite-JWT, X-Appwrite-Organization, "
    "X-Appwrite-Response-Format, X-Appwrite-Timeout, X-Appwrite-ID, X-Appwrite-Timestamp, X-Appwrite-Session, "
    "X-Appwrite-Platform, X-Appwrite-Impersonate-User-Id, X-Appwrite-Impersonate-User-Email, "
    "X-Appwrite-Impersonate-User-Phone, X-SDK-Version, X-SDK-Name, X-SDK-Language, X-SDK-Platform, X-SDK-GraphQL, "
    "X-SDK-Profile, Range, Cache-Control, Expires, Pragma, X-Fallback-Cookies, X-Requested-With, X-Forwarded-For, "
    "X-Forwarded-User-Agent"
)

_CORS: Final[RawHeaders] = [
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", _ALLOWED_HEADERS.encode()),
    (b"access-control-expose-headers", b"X-Appwrite-Session, X-Fallback-Cookies"),
    (b"access-control-allow-credentials", b"true"),
    (b"access-control-max-age", b"86400"),
]


@lru_cache(maxsize=1024)
def origin_host(origin: str) -> str | None:
    """The host of an origin of a web page, lower-case; nothing for other schemes and for what is no origin."""
    try:
        parts = urlsplit(origin.strip().lower())
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in _WEB or not host:
        return None
    return f"[{host}]" if ":" in host else host


def is_trusted(origin: str, hosts: Iterable[str]) -> bool:
    """Whether one of the hosts covers the origin: exactly, as ``*.domain`` (not the domain itself), or ``*``.

    An app is covered by ``<kind>:<identifier>``.
    """
    host = origin_host(origin)
    if host is None:
        scheme, _, identifier = origin.strip().lower().partition("://")
        app = f"{_APPS.get(scheme)}:{identifier.strip('/')}"
        return any(app == allowed.lower() for allowed in hosts)
    for allowed in hosts:
        if allowed in {"*", host}:
            return True
        if allowed.startswith("*.") and host.endswith(allowed[1:]) and host != allowed[2:]:
            return True
        if allowed == "localhost" and host in _LOOPBACK:
            return True
    return False


def allow(origin: str | None, hosts: Iterable[str]) -> RawHeaders:
    """The headers for a page's request; the one that lets it read the answer only for a trusted origin.

    Requests without ``Origin`` come from no page of another site and need none of them.
    """
    if origin is None:
        return []
    if not is_trusted(origin, hosts):
        return _CORS
    return [*_CORS, (b"access-control-allow-origin", origin.lower().encode("latin-1", "replace")), (b"vary", b"Origin")]


def unknown_origin(origin: str) -> GeneralUnknownOrigin:
    """The refusal, naming the host that would have to be registered."""
    host = origin_host(origin) or "this origin"
    return GeneralUnknownOrigin(
        f"Invalid Origin. Register your new client ({host}) as a new Web platform on your project"
    )
