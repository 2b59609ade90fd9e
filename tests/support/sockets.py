"""A client of the realtime protocol, as thin as can be."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.running import Person
from tests.support.server import Server

SOON = 10.0


class Listener:
    """One open socket. What it was told is kept."""

    def __init__(
        self,
        server: Server,
        *,
        project: str = "default",
        session: str | None = None,
        cookies: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        query: str = "",
    ) -> None:
        given = dict(headers or {})
        if session is not None:
            given["x-appwrite-session"] = session
        if cookies:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        url = f"{server.url.replace('http://', 'ws://')}/realtime?project={project}{query}"
        self._open = ExitStack()
        self.connection: ClientConnection = self._open.enter_context(
            connect(url, additional_headers=given, proxy=None, open_timeout=20)
        )
        self.events: list[dict[str, Any]] = []

    def receive(self, limit: float = SOON) -> dict[str, Any]:
        """The next frame. Raises `TimeoutError`, ``ConnectionClosed``."""
        told = json.loads(self.connection.recv(limit))
        if told["type"] == "event":
            self.events.append(told["data"])
        return told

    def until(self, found: Callable[[dict[str, Any]], bool], limit: float = SOON) -> dict[str, Any]:
        """The first frame that is looked for; others are kept if they are events."""
        end = time.monotonic() + limit
        while True:
            told = self.receive(max(0.01, end - time.monotonic()))
            if found(told):
                return told

    def said(self, kind: str, limit: float = SOON) -> dict[str, Any]:
        """The data of the next frame of a kind."""
        return self.until(lambda told: told["type"] == kind, limit)["data"]

    def answered(self, to: str) -> dict[str, Any]:
        """The data of the next response, or the error that came instead."""
        told = self.until(lambda each: each["type"] == "error" or each.get("data", {}).get("to") == to)
        return told["data"]

    def event(self, name: str, limit: float = SOON) -> dict[str, Any]:
        """The next event of this name."""
        return self.until(lambda told: told["type"] == "event" and name in told["data"]["events"], limit)["data"]

    def say(self, type: str, data: Any = None) -> None:  # noqa: A002 - the wire's name
        """A message to the server."""
        self.connection.send(json.dumps({"type": type, **({"data": data} if data is not None else {})}))

    def subscribe(self, *channels: str, name: str = "first", queries: list[str] | None = None, **more: Any) -> Any:
        """Subscribe, as the SDK does; the answer."""
        row = {"subscriptionId": name, "channels": list(channels), "queries": queries or [], **more}
        self.say("subscribe", [row])
        return self.answered("subscribe")

    def nothing_yet(self) -> None:
        """Nothing was told until now: what is answered comes after it."""
        before = len(self.events)
        self.say("ping")
        self.until(lambda told: told["type"] == "pong")
        assert self.events[before:] == []

    def ended(self, limit: float = SOON) -> tuple[int, str]:
        """The code and the reason of the end, which comes soon."""
        with pytest.raises(ConnectionClosed) as closed:
            self.until(lambda _: False, limit)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason

    def close(self) -> None:
        """Hang up."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def listening(server: Server, person: Person, *channels: str, query: str = "") -> Listener:
    """Somebody's socket with their cookies, subscribed."""
    listener = Listener(server, cookies=dict(person.client.cookies.items()), query=query)
    assert listener.said("connected")["user"]["$id"] == person.account_id
    if channels:
        assert listener.subscribe(*channels)["success"] is True
    return listener
