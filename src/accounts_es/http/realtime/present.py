"""Who is there: the sockets of one worker, found by account, team and role, each kept to what its owner may.

An identity is known here before it is read, so whoever changes what it opens finds the socket and looks at it again.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeVar

from accounts_es.adapters.ids import now
from accounts_es.domain.errors import Refusal
from accounts_es.eventstore.reads import Reads
from accounts_es.http.realtime.socket import BROKEN, POLICY, Access, Identity, Socket, access, reason

log = logging.getLogger(__name__)

_LONGEST_TIMER: Final = 86_400.0

K = TypeVar("K")
Index = dict[K, set[Socket]]


class Present:
    """The sockets there are."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self.by_project: Index[str] = {}
        self.by_account: Index[str] = {}
        self.by_team: Index[str] = {}
        self.by_role: Index[tuple[str, str]] = {}
        self.addresses: Counter[str] = Counter()
        self._looks: set[asyncio.Task[None]] = set()

    @property
    def sockets(self) -> int:
        """How many there are."""
        return self.addresses.total()

    def of_account(self, stream: str) -> int:
        """How many belong to an account."""
        return len(self.by_account.get(stream, ()))

    def come(self, socket: Socket) -> None:
        """There is one more."""
        self.addresses[socket.address] += 1

    def place(self, socket: Socket, project: str) -> None:
        """The socket is one of a project."""
        socket.project = project
        self.by_project.setdefault(project, set()).add(socket)

    def go(self, socket: Socket) -> None:
        """The socket is gone."""
        self.forget(socket)
        _drop(self.by_project, socket.project, socket)
        self.addresses[socket.address] -= 1
        if not self.addresses[socket.address]:
            del self.addresses[socket.address]

    async def identify(self, socket: Socket, identity: Identity) -> Access:
        """Find out what an identity opens, and keep the socket to it from now on. Raises as `access`."""
        async with socket.turn:
            self.forget(socket)
            socket.identity = identity
            # Known before it is read: what changes after the reading comes to our ears, and is looked at in its turn.
            self.by_account.setdefault(identity.stream, set()).add(socket)
            try:
                found = await access(self._reads, identity)
                self._settle(socket, found)
            except Refusal:
                self.forget(socket)
                raise
            except BaseException:
                # Neither who it was nor who it is: it comes back.
                socket.end(BROKEN, "Server Error")
                self.forget(socket)
                raise
            return found

    async def refresh(self, sockets: Iterable[Socket]) -> None:
        """Read again what those may; who may no longer is hung up on, and also who cannot be looked at."""
        await asyncio.gather(*map(self._look_at, tuple(sockets)))

    def forget(self, socket: Socket) -> None:
        """The socket hears nothing."""
        if socket.expiry is not None:
            socket.expiry.cancel()
            socket.expiry = None
        if socket.identity is not None:
            _drop(self.by_account, socket.identity.stream, socket)
        for each in socket.teams:
            _drop(self.by_team, each, socket)
        for role in socket.roles:
            _drop(self.by_role, (socket.project, role), socket)
        socket.account_id, socket.roles, socket.teams = None, frozenset(), frozenset()

    def _settle(self, socket: Socket, found: Access) -> None:
        self.forget(socket)
        socket.account_id, socket.roles, socket.teams = found.account.account_id, found.roles, found.teams
        self.by_account.setdefault(found.account.stream, set()).add(socket)
        for each in socket.teams:
            self.by_team.setdefault(each, set()).add(socket)
        for role in socket.roles:
            self.by_role.setdefault((socket.project, role), set()).add(socket)
        if found.until is not None:
            left = (found.until - now()).total_seconds()
            loop = asyncio.get_running_loop()
            socket.expiry = loop.call_later(max(0.0, min(left, _LONGEST_TIMER)), self._expire, socket)

    def _expire(self, socket: Socket) -> None:
        looking = asyncio.create_task(self._look_at(socket))
        self._looks.add(looking)
        looking.add_done_callback(self._looks.discard)

    async def _look_at(self, socket: Socket) -> None:
        async with socket.turn:
            if socket.identity is None or socket.ending is not None:
                return
            try:
                found = await access(self._reads, socket.identity)
            except Refusal as refused:
                socket.end(POLICY, reason(refused))
                self.forget(socket)
            except Exception as failure:  # noqa: BLE001 - whoever cannot be looked at hears nothing
                log.warning("roles cannot be read", extra={"error": type(failure).__name__})
                socket.end(BROKEN, "Server Error")
                self.forget(socket)
            else:
                if found.until is not None and found.until <= now():
                    socket.end(POLICY, "The session has ended")
                    self.forget(socket)
                elif socket.account_id is not None:
                    self._settle(socket, found)


def _drop(index: Index[K], key: K, socket: Socket) -> None:
    mine = index.get(key)
    if mine is not None:
        mine.discard(socket)
        if not mine:
            del index[key]
