"""One open socket: who is behind it, what they want to hear of, and what waits to be sent."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import JsonValue
from pydantic_core import to_json
from starlette.types import Send

from accounts_es.domain.errors import (
    Refusal,
    UserBlocked,
    UserMoreFactorsRequired,
    UserSessionNotFound,
)
from accounts_es.eventstore.reads import Reads
from accounts_es.http.gates import lacks_factor
from accounts_es.http.realtime.subscriptions import Subscription
from accounts_es.http.roles import GUEST, roles_of_account
from projections import accounts, sessions, teams
from projections.accounts import AccountRow

MOST_WAITING: Final = 256
"""Frames that may wait for a client that reads slowly; one more, and the socket is closed."""
MOST_WAITING_BYTES: Final = 1024 * 1024

POLICY: Final = 1008
"""Close: the SDK does not come back by itself."""
BROKEN: Final = 1011
LATER: Final = 1013
"""Close: the SDK comes back."""


class Ending(NamedTuple):
    """Why a socket is closed."""

    code: int
    reason: str


class Identity(NamedTuple):
    """What a socket was let in with. A JWT that is bound to no session has no ``session_id``."""

    stream: str
    session_id: str
    until: datetime | None
    """When the JWT ends."""


class Access(NamedTuple):
    """What an identity opens now."""

    account: AccountRow
    roles: frozenset[str]
    teams: frozenset[str]
    """The streams of the teams it is a member of."""
    until: datetime | None


async def access(reads: Reads, identity: Identity) -> Access:
    """Read afresh. Raises `UserSessionNotFound`, `UserBlocked`, `UserMoreFactorsRequired`."""
    reading = reads.load(accounts.BY_STREAM, (identity.stream,))
    session = sessions.find(reads, identity.stream, identity.session_id) if identity.session_id else None
    member_of = await teams.member_of(reads, identity.stream)
    account, found = await reading, await session if session is not None else None
    if account is None or (session is not None and found is None):
        raise UserSessionNotFound
    if not account.active:
        raise UserBlocked
    until = identity.until
    if found is not None:
        if identity.until is None and lacks_factor(account, found):
            raise UserMoreFactorsRequired
        until = min(found.expires_at, until) if until is not None else found.expires_at
    roles = frozenset(("any", *roles_of_account(account, member_of)))
    return Access(account, roles, frozenset(each.team for each in member_of), until)


@dataclass(slots=True, eq=False)
class Socket:
    """Frames go out in the order they were put; nothing waits without bound."""

    project: str
    address: str
    identity: Identity | None = None
    account_id: str | None = None
    roles: frozenset[str] = frozenset(GUEST)
    teams: frozenset[str] = frozenset()
    subscriptions: dict[str, Subscription] = field(default_factory=dict[str, Subscription])
    ending: Ending | None = None
    expiry: asyncio.TimerHandle | None = None
    resting: bool = False
    """While missed messages are sent, new ones wait."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of whoever finds out what the caller may."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _frames: deque[str] = field(default_factory=deque[str])
    _bytes: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, frame: str) -> None:
        """Send a frame when the client reads; a client that does not is hung up on."""
        if self.ending is not None:
            return
        if len(self._frames) >= MOST_WAITING or self._bytes + len(frame) > MOST_WAITING_BYTES:
            self.end(LATER, "The client reads too slowly")
            return
        self._frames.append(frame)
        self._bytes += len(frame)
        self._wake.set()

    def end(self, code: int, reason: str) -> None:
        """Close the socket, at once: nothing that waits is sent any more."""
        if self.ending is None:
            self.ending = Ending(code, reason)
            self._frames.clear()
            self._bytes = 0
            self.ended.set()

    def rest(self, resting: bool) -> None:  # noqa: FBT001 - a switch
        """Whether frames that were put wait."""
        self.resting = resting
        self._wake.set()

    async def send_all(self, send: Send) -> None:
        """Send what is put, as fast as the client reads."""
        while True:
            if not self._frames or self.resting:
                self._wake.clear()
                await self._wake.wait()
                continue
            frame = self._frames.popleft()
            self._bytes -= len(frame)
            await send({"type": "websocket.send", "text": frame})

    def hearing(self, channels: Sequence[str]) -> list[str]:
        """The subscriptions that are about one of these channels."""
        return [name for name, each in self.subscriptions.items() if each.hears(channels)]

    def may_hear(self, roles: Iterable[str]) -> bool:
        """Whether the caller is one of those who may."""
        return not self.roles.isdisjoint(roles)


def frame(kind: str, data: JsonValue) -> str:
    """A message to the client."""
    return to_json({"type": kind, "data": data}).decode()


def response(to: str, **said: JsonValue) -> str:
    """An answer to a message of the client."""
    return frame("response", {"to": to, "success": True, **said})


def error(code: int, message: str) -> str:
    """What went wrong."""
    return frame("error", {"code": code, "message": message})


PONG: Final = '{"type":"pong"}'


def reason(refused: Refusal) -> str:
    """Why somebody is let in no longer, in the 123 bytes a closing frame has for it."""
    return refused.message.encode()[:120].decode(errors="ignore")
