"""How a session travels (contract: account, 1.2): two cookies, a header for those who lose cookies, one encoding."""

import base64
import binascii
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import quote

from publicsuffixlist import PublicSuffixList
from pydantic_core import from_json, to_json

from accounts_es.domain.values import is_id
from accounts_es.http.origins import RawHeaders, origin_host
from accounts_es.http.requests import Request, as_mapping, cookie_value

_LONG_AGO: Final = "Thu, 01 Jan 1970 00:00:01 GMT"
MAX_ENCODED: Final = 1024


class Credential(NamedTuple):
    """Who a session secret says it belongs to, and the secret."""

    account_id: str
    secret: str


def encode(credential: Credential) -> str:
    """The text that SDKs carry: base64 of compact JSON."""
    text = to_json({"id": credential.account_id, "secret": credential.secret})
    return base64.b64encode(text).decode()


def decode(text: str) -> Credential | None:
    """The credential of an encoded text; nothing when it cannot be read."""
    if not 0 < len(text) <= MAX_ENCODED:
        return None
    try:
        read = as_mapping(from_json(base64.b64decode(text, validate=True)))
    except (binascii.Error, ValueError):
        return None
    if read is None:
        return None
    account_id, secret = read.get("id"), read.get("secret")
    if isinstance(account_id, str) and isinstance(secret, str) and is_id(account_id) and secret:
        return Credential(account_id, secret)
    return None


def cookie_name(project_id: str) -> str:
    """The session cookie of a project; names are lower-case on the wire."""
    return f"a_session_{project_id}".lower()


def presented(request: Request, project_id: str) -> tuple[Credential | None, bool]:
    """The session credential of a request, and whether the fallback header was needed to look for it."""
    name = cookie_name(project_id)
    if b"cookie" in request.headers:
        cookies = request.cookies
        for each in (name, f"{name}_legacy"):
            found = decode(cookie_value(cookies[each])) if each in cookies else None
            if found is not None:
                return found, False
    header = request.header(b"x-appwrite-session")
    if header is not None:
        found = decode(header)
        if found is not None:
            return found, False
    fallback = request.header(b"x-fallback-cookies")
    if fallback is None:
        return None, True
    try:
        jar = as_mapping(from_json(fallback))
    except ValueError:
        return None, True
    text = jar.get(f"a_session_{project_id}", jar.get(name)) if jar is not None else None
    return (decode(text) if isinstance(text, str) else None), True


class Jar(NamedTuple):
    """Where cookies of this request would live."""

    host: str
    secure: bool
    page: str | None
    """The origin (or referer) of the page that calls."""


def opened(jar: Jar, project_id: str, encoded: str, expires_at: datetime) -> RawHeaders:
    """The headers of a new session."""
    seconds = max(int((expires_at - datetime.now(UTC)).total_seconds()), 0)
    until = f"expires={format_datetime(expires_at.astimezone(UTC), usegmt=True)}; max-age={seconds}"
    headers = _cookies(jar, project_id, quote(encoded, safe=""), until)
    if _needs_fallback(jar):
        headers.append((b"x-fallback-cookies", to_json({f"a_session_{project_id}": encoded})))
    return headers


def closed(jar: Jar, project_id: str) -> RawHeaders:
    """The headers that make a client forget its session."""
    headers = _cookies(jar, project_id, "deleted", f"expires={_LONG_AGO}; max-age=0")
    if _needs_fallback(jar):
        headers.append((b"x-fallback-cookies", b"[]"))
    return headers


def bound(jar: Jar, name: str, value: str, *, seconds: int) -> tuple[bytes, bytes]:
    """The header of a cookie for browsers that come back from elsewhere; no page can read it."""
    secure = "; secure" if jar.secure else ""
    return (
        b"set-cookie",
        f"{name}={value}; max-age={seconds}; path=/v1/account; httponly; samesite=Lax{secure}".encode(),
    )


def _cookies(jar: Jar, project_id: str, value: str, until: str) -> RawHeaders:
    name = cookie_name(project_id)
    domain = "" if _is_bare(jar.host) else f"; domain=.{jar.host}"
    rest = f"{until}; path=/{domain}{'; secure' if jar.secure else ''}; httponly"
    return [
        (b"set-cookie", f"{name}_legacy={value}; {rest}".encode("latin-1", "replace")),
        (b"set-cookie", f"{name}={value}; {rest}; samesite=None".encode("latin-1", "replace")),
    ]


@lru_cache(maxsize=1024)
def _is_bare(host: str) -> bool:
    """Whether the host has no domain to set cookies on: localhost, an address, or nothing at all."""
    if host in {"", "localhost"}:
        return True
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(maxsize=1024)
def _registrable(host: str) -> str | None:
    return None if _is_bare(host) else _suffixes().privatesuffix(host)


def _needs_fallback(jar: Jar) -> bool:
    """Cookies do not reach a page of another site, so it gets the session in a header as well."""
    ours = _registrable(jar.host)
    page = origin_host(jar.page) if jar.page else None
    return ours is None or page is None or _registrable(page) != ours
