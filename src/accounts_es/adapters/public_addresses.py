"""Where projects may send this server: to public addresses, and inside only where the operator says so.

Whoever may configure a project names hosts that we then connect to: its mail server, its OpenID provider, its webhooks.
Without a check that is a door into the network the server stands in. What is checked is the address that is connected
to, after the name was resolved: a name that resolves otherwise the second time gains nothing.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, cast

import httpx

_NAT64: Final = IPv6Network("64:ff9b::/96")
_ONE_REQUEST_EACH: Final = httpx.Limits(max_keepalive_connections=0)
"""Connections are made to addresses: one that is kept could serve another host at the same address, whose certificate
nobody has seen."""
_TIMEOUT: Final = 5.0
_LOOKUPS: Final = 100
"""Names that are looked up at once."""

Endpoint = tuple[socket.AddressFamily, str, int]
"""What a socket of this family connects to."""


class OutOfReach(OSError):  # noqa: N818
    """The host has no address that may be reached; the message does not say what it has."""

    def __init__(self) -> None:
        super().__init__("the host has no public address")


_Found = list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]]
_looked_up: dict[tuple[asyncio.AbstractEventLoop, str, int], asyncio.Future[_Found]] = {}


async def _resolved(host: str, port: int) -> _Found:
    """As the loop's ``getaddrinfo``, but that names which do not resolve hold up nobody.

    The loop has four threads for that, which the database's name needs as well. Here each name has a thread of its own,
    which everybody who asks for it waits for, and no one at the end of the process.
    """
    loop = asyncio.get_running_loop()
    key = (loop, host, port)
    if key not in _looked_up:
        if len(_looked_up) >= _LOOKUPS:
            raise socket.gaierror(socket.EAI_AGAIN, "too many names do not resolve")
        future = _looked_up[key] = loop.create_future()
        future.add_done_callback(lambda _: _looked_up.pop(key))
        threading.Thread(target=_look_up, args=(key, future), name="name lookup", daemon=True).start()
    return await asyncio.shield(_looked_up[key])


def _look_up(key: tuple[asyncio.AbstractEventLoop, str, int], future: asyncio.Future[_Found]) -> None:
    loop, host, port = key
    found: _Found | Exception
    try:
        found = cast("_Found", socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        found = error
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(_settle, future, found)


def _settle(future: asyncio.Future[_Found], found: "_Found | Exception") -> None:
    if isinstance(found, Exception):
        future.set_exception(found)
        future.exception()  # everybody who asked may have gone
    else:
        future.set_result(found)


class Reach:
    """Public addresses, and those of the networks that are allowed besides."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = tuple(ip_network(each) for each in allowed)

    def permits(self, address: str) -> bool:
        """Whether this address may be connected to."""
        ip = _meant(ip_address(address))
        return _is_public(ip) or any(ip in network for network in self._allowed)

    async def endpoints(self, host: str, port: int) -> list[Endpoint]:
        """Where the host may be reached. Raises `OutOfReach`, and `OSError` when there is no such host."""
        try:
            found = await _resolved(host, port)
        except UnicodeError:  # a label that is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, "no such host") from None
        permitted: list[Endpoint] = [
            (family, str(to[0]), port) for family, _, _, _, to in found if self.permits(str(to[0]))
        ]
        if not permitted:
            raise OutOfReach
        return permitted

    async def connect(self, host: str, port: int, patience: float) -> socket.socket:
        """A connected socket, to the first of its addresses that answers. Raises `OSError`."""
        failure: OSError = OutOfReach()
        async with asyncio.timeout(patience):
            for family, address, _ in await self.endpoints(host, port):
                endpoint = socket.socket(family, socket.SOCK_STREAM)
                endpoint.setblocking(False)
                try:
                    await asyncio.get_running_loop().sock_connect(endpoint, (address, port))
                except OSError as error:
                    endpoint.close()
                    failure = error
                except BaseException:
                    endpoint.close()
                    raise
                else:
                    return endpoint
        raise failure


class PublicTransport(httpx.AsyncBaseTransport):
    """HTTP(S) to addresses within reach only, also when an answer redirects. Raises `httpx.ConnectError` beyond.

    Answers are taken as they come: unpacked, a few bytes could be more than there is memory.
    """

    def __init__(self, reach: Reach, tls: ssl.SSLContext | None = None) -> None:
        self._reach = reach
        self._inner = httpx.AsyncHTTPTransport(tls or True, trust_env=False, limits=_ONE_REQUEST_EACH)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to the host's first address that answers; `Host` and the certificate stay the host's."""
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("connect") or _TIMEOUT):
                endpoints = await self._reach.endpoints(url.host, port)
        except TimeoutError:
            raise httpx.ConnectTimeout("the name takes too long to resolve", request=request) from None
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        request.extensions = {**request.extensions, "sni_hostname": url.raw_host.decode("ascii")}
        request.headers["accept-encoding"] = "identity"
        try:
            answer = await self._first_of(request, [address for _, address, _ in endpoints])
        finally:
            request.url = url
        answer.headers.pop("content-encoding", None)
        return answer

    async def _first_of(self, request: httpx.Request, addresses: Sequence[str]) -> httpx.Response:
        url = request.url
        for address in addresses[:-1]:
            request.url = url.copy_with(host=address)
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._inner.handle_async_request(request)
        request.url = url.copy_with(host=addresses[-1])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    site_local = isinstance(ip, IPv6Address) and ip.is_site_local
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or site_local)


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
