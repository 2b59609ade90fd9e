"""Takes a delivery to its webhook, and never inside our own network unless that is allowed."""

import asyncio
from typing import Final

import httpx

from accounts_es.adapters.public_addresses import PublicTransport, Reach
from accounts_es.reactors.webhooks.request import Outgoing

HOPS: Final = 3
"""Redirects that are followed."""
_SAME_REQUEST: Final = (307, 308)
"""Redirects that ask for the same request elsewhere; all others make another one of it."""
_SHOWN: Final = 1000
"""Characters of an answer that are shown."""


class Undelivered(Exception):  # noqa: N818
    """It was not taken. ``answer`` is the HTTP status, 0 without one; the text is for whoever set the webhook up."""

    def __init__(self, answer: int, text: str) -> None:
        super().__init__(text)
        self.answer = answer


class Sender:
    """Sends by HTTP(S). A delivery is taken when the answer is 2xx."""

    def __init__(self, reach: Reach, patience: float) -> None:
        self._patience = patience
        self._reach = reach
        self._ways: dict[bool, PublicTransport] = {}

    async def send(self, url: str, outgoing: Outgoing, *, tls: bool) -> int:
        """The status of the answer. Raises `Undelivered`."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._send(httpx.URL(url), outgoing, tls=tls)
        except TimeoutError:
            raise Undelivered(0, f"no answer within {self._patience:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Undelivered(0, f"{type(error).__name__}: {error}"[:_SHOWN]) from None

    async def close(self) -> None:
        """Close what is open."""
        for way in self._ways.values():
            await way.aclose()

    async def _send(self, url: httpx.URL, outgoing: Outgoing, *, tls: bool) -> int:
        headers = outgoing.headers
        for _ in range(HOPS + 1):
            request = httpx.Request("POST", url, headers=headers, content=outgoing.body, extensions=self._limits())
            answer = await self._way(tls=tls).handle_async_request(request)
            try:
                if answer.status_code not in _SAME_REQUEST:
                    if not answer.is_success:
                        raise Undelivered(answer.status_code, await _shown(answer))
                    return answer.status_code
                elsewhere = url.join(answer.headers.get("location", ""))
            finally:
                await answer.aclose()
            if elsewhere.scheme not in {"http", "https"} or (url.scheme, elsewhere.scheme) == ("https", "http"):
                raise Undelivered(answer.status_code, "it redirects to where nothing is sent")
            if _origin(elsewhere) != _origin(url):
                # What is meant for one server is not shown to another.
                headers = [each for each in headers if each[0] != b"authorization"]
            url = elsewhere
        raise Undelivered(0, f"it redirects more than {HOPS} times")

    def _way(self, *, tls: bool) -> PublicTransport:
        """Made when it is first needed: the certificates of the system take their place in memory."""
        if tls not in self._ways:
            self._ways[tls] = PublicTransport(self._reach, httpx.create_ssl_context(verify=tls))
        return self._ways[tls]

    def _limits(self) -> dict[str, dict[str, float]]:
        return {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._patience)}


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _shown(answer: httpx.Response) -> str:
    """The beginning of an answer: no more of it is read."""
    begun = b""
    async for part in answer.aiter_bytes():
        begun += part
        if len(begun) >= 4 * _SHOWN:
            break
    text = begun.decode("utf-8", "replace").replace("\x00", "")[:_SHOWN]
    return f"HTTP {answer.status_code}\n{text}".strip()
