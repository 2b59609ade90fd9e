"""The sockets of one worker, and who of them hears what.

Events come from the log in its order, whoever wrote them. What changes the roles of somebody who is connected is taken
into account before the event is told; roles are read as they are then, so nobody hears of a team they have left.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple, TypeVar

from pydantic_core import to_json

from accounts_es.adapters.ids import now
from accounts_es.domain.account import events as account
from accounts_es.domain.errors import Refusal
from accounts_es.domain.event import Event, JSONObject, Recorded
from accounts_es.domain.team import events as team
from accounts_es.eventstore.follower import Follower, Row
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.moments import Moments
from accounts_es.http.models.dates import date
from accounts_es.http.models.teams import EVERYTHING
from accounts_es.http.realtime.socket import BROKEN, POLICY, Access, Identity, Socket, access, reason
from accounts_es.http.wire_events import TOPICS, Group, Payload, WireEvent, told_together
from accounts_es.http.wire_payloads import Gone, Teller
from projections import projects, teams

log = logging.getLogger(__name__)

MOST_MISSED: Final = 1000
"""Events that a client may catch up on; beyond that it has to read anew."""
_CHUNK: Final = 1024 * 1024
"""Of frames that are made before they are sent."""
_TOGETHER: Final = 20
"""Groups that are made ready at the same time."""
_LONGEST_TIMER: Final = 86_400.0
_MISSED: Final = """SELECT originator_id, originator_version, topic, state, notification_id
    FROM log.accounts_events WHERE originator_id = ANY(%s) AND notification_id > %s AND notification_id <= %s
    AND topic = ANY(%s) ORDER BY notification_id LIMIT %s"""

_JOINING: Final = frozenset({team.MemberAdded.topic, team.MemberJoined.topic})
_IRRELEVANT: Final = (
    account.NameChanged,
    account.PrefsUpdated,
    account.Accessed,
    account.TargetAdded,
    account.TargetChanged,
    account.TargetRemoved,
    account.TokenIssued,
    account.SessionCreated,
    account.SessionTokensRenewed,
)
"""What changes nobody's roles and ends no session; whatever else happens to an account, its sockets are looked at."""


K = TypeVar("K")


class TooMuchMissed(Exception):  # noqa: N818
    """More than `MOST_MISSED` events."""


class Told(NamedTuple):
    """An event ready to be sent to some, and where in the log its group begins and ends."""

    event: WireEvent
    payload: JSONObject
    head: str

    def frame(self, subscriptions: Sequence[str], position: int) -> str:
        """The frame for one socket. ``position``: where to go on after it."""
        return f'{self.head},"position":{position},"subscriptions":{to_json(subscriptions).decode()}}}}}'


@dataclass(slots=True)
class _Prepared:
    """A group with what could be made ready before its turn."""

    group: tuple[Recorded[Event], ...]
    events: tuple[WireEvent, ...]
    ready: dict[tuple[str, ...], Told | None]


class Hub:
    """Where sockets are found by account, team and role."""

    def __init__(self, log_: EventLog, moments: Moments, follower: Follower) -> None:
        self._log = log_
        self._moments = moments
        self._teller = Teller(log_, moments)
        self._follower = follower
        self._following = False
        self._turn = asyncio.Lock()
        self._by_account: dict[str, set[Socket]] = {}
        self._by_team: dict[str, set[Socket]] = {}
        self._by_role: dict[tuple[str, str], set[Socket]] = {}
        self._projects: Counter[str] = Counter()
        self.addresses: Counter[str] = Counter()
        self._looks: set[asyncio.Task[None]] = set()
        self.position = 0
        """What happened up to here was told."""

    @property
    def sockets(self) -> int:
        """How many there are."""
        return self.addresses.total()

    def of_account(self, stream: str) -> int:
        """How many belong to an account."""
        return len(self._by_account.get(stream, ()))

    # Coming and going -------------------------------------------------------------------------------------------------

    async def enter(self, socket: Socket) -> None:
        """Begin to hear of what happens. Raises psycopg's errors; `leave` must be called all the same."""
        self.addresses[socket.address] += 1
        async with self._turn:
            if not self._following:
                await self._follower.follow(self.take)
                self._following, self.position = True, self._follower.position

    def leave(self, socket: Socket) -> None:
        """The socket is gone."""
        self._forget(socket)
        _count(self.addresses, socket.address, -1)
        if not self.addresses and self._following:
            self._follower.leave(self.take)
            self._following = False

    async def identify(self, socket: Socket, identity: Identity | None) -> Access | None:
        """Find out what an identity opens, and keep the socket to it from now on. Raises as `access`."""
        async with socket.turn:
            self._forget(socket)
            socket.identity = identity
            if identity is None:
                return None
            # Known before it is read: what changes after the reading comes to our ears, and is looked at in its turn.
            self._by_account.setdefault(identity.stream, set()).add(socket)
            _count(self._projects, socket.project, 1)
            try:
                found = await access(self._log.reads, identity)
                self._settle(socket, found)
            except BaseException:
                self._forget(socket)
                raise
            finally:
                _count(self._projects, socket.project, -1)
            return found

    def _settle(self, socket: Socket, found: Access) -> None:
        self._forget(socket)
        socket.account_id, socket.roles, socket.teams = found.account.account_id, found.roles, found.teams
        self._by_account.setdefault(found.account.stream, set()).add(socket)
        for each in socket.teams:
            self._by_team.setdefault(each, set()).add(socket)
        for role in socket.roles:
            self._by_role.setdefault((socket.project, role), set()).add(socket)
        _count(self._projects, socket.project, 1)
        if found.until is not None:
            left = (found.until - now()).total_seconds()
            loop = asyncio.get_running_loop()
            socket.expiry = loop.call_later(max(0.0, min(left, _LONGEST_TIMER)), self._expire, socket)

    def _forget(self, socket: Socket) -> None:
        """The socket hears nothing."""
        if socket.expiry is not None:
            socket.expiry.cancel()
            socket.expiry = None
        if socket.account_id is not None:
            _count(self._projects, socket.project, -1)
        if socket.identity is not None:
            _drop(self._by_account, socket.identity.stream, socket)
        for each in socket.teams:
            _drop(self._by_team, each, socket)
        for role in socket.roles:
            _drop(self._by_role, (socket.project, role), socket)
        socket.account_id, socket.roles, socket.teams = None, frozenset(), frozenset()

    def _expire(self, socket: Socket) -> None:
        looking = asyncio.create_task(self._look_at(socket))
        self._looks.add(looking)
        looking.add_done_callback(self._looks.discard)

    async def _refresh(self, sockets: Iterable[Socket]) -> None:
        """Read again what those may; who may no longer is hung up on, and also who cannot be looked at."""
        await asyncio.gather(*map(self._look_at, tuple(sockets)))

    async def _look_at(self, socket: Socket) -> None:
        async with socket.turn:
            if socket.identity is None or socket.ending is not None:
                return
            try:
                found = await access(self._log.reads, socket.identity)
            except Refusal as refused:
                socket.end(POLICY, reason(refused))
                self._forget(socket)
            except Exception as failure:  # noqa: BLE001 - whoever cannot be looked at hears nothing
                log.warning("roles cannot be read", extra={"error": type(failure).__name__})
                socket.end(BROKEN, "Server Error")
                self._forget(socket)
            else:
                if found.until is not None and found.until <= now():
                    socket.end(POLICY, "The session has ended")
                    self._forget(socket)
                elif socket.account_id is not None:
                    self._settle(socket, found)

    # Telling ----------------------------------------------------------------------------------------------------------

    async def take(self, rows: Sequence[Row]) -> None:
        """New events, in the order of the log."""
        groups = [list(group) for _, group in groupby(rows, key=lambda row: (row.request, row.stream))]
        concerning = [group for group in groups if self._concern(group)]
        if len(concerning) <= _TOGETHER:
            prepared = await asyncio.gather(*(self._prepare(group, self._teller) for group in concerning))
            for group, each in zip(concerning, prepared, strict=True):
                await self._tell_group(group, each)
        else:
            # Behind: most subjects have changed since. One walk along the log shows them all as they were.
            project, streams = concerning[0][0].project, {group[0].stream for group in concerning}
            try:
                async with self._moments.walk(project=project, streams=streams) as walk:
                    teller = Teller(self._log, walk)
                    for group in concerning:
                        await self._tell_group(group, await self._prepare(group, teller))
            except Exception:
                log.exception("not told", extra={"position": rows[-1].position})
                for group in concerning:
                    self._fail(group)
        self.position = rows[-1].position

    async def _tell_group(self, group: Sequence[Row], prepared: _Prepared | None) -> None:
        try:
            if prepared is None:
                self._fail(group)
            else:
                await self._tell(prepared)
        except Exception:
            log.exception("not told", extra={"position": group[-1].position})
            self._fail(group)
        self.position = group[-1].position

    def _concern(self, group: Sequence[Row]) -> bool:
        """Whether anybody who is connected might hear of it, or be another afterwards."""
        first = group[0]
        if first.stream in self._by_account or first.stream in self._by_team:
            return True
        return first.project in self._projects and any(row.topic in _JOINING for row in group)

    def _fail(self, group: Sequence[Row]) -> None:
        """Who could have missed something comes back and catches up."""
        stream = group[0].stream
        for socket in [*self._by_account.get(stream, ()), *self._by_team.get(stream, ())]:
            socket.end(BROKEN, "Server Error")

    async def _prepare(self, rows: Sequence[Row], teller: Teller) -> _Prepared | None:
        try:
            group = tuple(await self._log.decode([row[:5] for row in rows]))
            events = await teller.events(group)
            ready: dict[tuple[str, ...], Told | None] = {}
            for event in events:
                if self._receivers(event):
                    ready[event.pattern] = await self.told(event, teller)
        except Exception:
            log.exception("cannot be told", extra={"position": rows[-1].position})
            return None
        return _Prepared(group, events, ready)

    async def told(self, event: WireEvent, teller: Teller | None = None) -> Told | None:
        """The event with its payload, as members see each other; nothing if there is nothing left to tell."""
        shown = EVERYTHING
        if event.payload is Payload.MEMBERSHIP:
            project = await projects.find(self._log.reads, event.recorded.meta.project)
            if project is None:
                return None
            shown = project.rules.policies.membership_privacy
        try:
            payload = await (teller or self._teller).payload(event, shown)
        except Gone:
            return None
        data = {
            "events": event.names,
            "channels": event.channels,
            "timestamp": date(event.recorded.meta.at),
            "payload": payload,
        }
        return Told(event, payload, f'{{"type":"event","data":{to_json(data).decode()[:-1]}')

    async def _tell(self, prepared: _Prepared) -> None:
        group = prepared.group
        ends = any(isinstance(each.event, team.TeamDeleted) for each in group)
        touched = await self._touched(prepared)
        if touched and not ends:
            await self._refresh(touched)
        for event in prepared.events:
            if event.pattern not in prepared.ready and self._receivers(event):
                prepared.ready[event.pattern] = await self.told(event)
        # From here to the last frame nothing is awaited: who subscribes comes before all of it or after.
        begin, end = group[0].position - 1, group[-1].position
        waiting: dict[Socket, tuple[Told, list[str]]] = {}
        for event in prepared.events:
            told = prepared.ready.get(event.pattern)
            if told is None:
                continue
            for socket, hearing in self._receivers(event):
                names = [name for name in hearing if socket.subscriptions[name].takes(told.payload)]
                if not names:
                    continue
                if socket in waiting:
                    # Not the last of its group: whoever goes on after it is told the group again.
                    before, subscriptions = waiting[socket]
                    socket.put(before.frame(subscriptions, begin))
                waiting[socket] = (told, names)
        for socket, (told, names) in waiting.items():
            socket.put(told.frame(names, end))
        self.position = end
        if touched and ends:
            await self._refresh(touched)

    def _receivers(self, event: WireEvent) -> list[tuple[Socket, list[str]]]:
        project, channels = event.recorded.meta.project, event.channels
        found: dict[Socket, list[str]] = {}
        for role in event.roles:
            for socket in self._by_role.get((project, role), ()):
                names = socket.hearing(channels)
                if names and socket.ending is None:
                    found[socket] = names
        return list(found.items())

    async def _touched(self, prepared: _Prepared) -> set[Socket]:
        """Whose roles or session may have changed."""
        group, found = prepared.group, set[Socket]()
        stream, project = group[0].stream, group[0].meta.project
        if stream in self._by_account:
            if not all(isinstance(each.event, _IRRELEVANT) for each in group):
                found |= self._by_account[stream]
            return found
        for recorded in group:
            match recorded.event:
                case team.TeamDeleted():
                    found |= self._by_team.get(stream, set())
                case team.MemberAdded(account=joined):
                    found |= self._by_account.get(joined, set())
                case team.MemberJoined(membership_id=membership):
                    row = await teams.find_membership(self._log.reads, project, membership)
                    found |= self._by_account.get(row.account, set()) if row is not None else set()
                case (
                    team.MemberLeft(membership_id=membership)
                    | team.MemberRemoved(membership_id=membership)
                    | team.MemberRolesChanged(membership_id=membership)
                ):
                    found |= self._by_role.get((project, f"member:{membership}"), set())
                case _:
                    pass
        return found

    # Catching up ------------------------------------------------------------------------------------------------------

    async def missed(self, socket: Socket, names: Sequence[str], after: int, until: int) -> tuple[list[str], int]:
        """The frames for what these subscriptions missed between two positions, and how far they go.

        Raises `TooMuchMissed`.
        """
        if socket.identity is None or after >= until:
            return [], until
        streams = [socket.identity.stream, *socket.teams]
        rows = await self._log.reads.fetch(_MISSED, (streams, after, until, list(TOPICS), MOST_MISSED + 1))
        if len(rows) > MOST_MISSED:
            raise TooMuchMissed
        frames: list[str] = []
        groups = told_together(await self._log.decode(rows))
        if not groups:
            return frames, until
        async with self._moments.walk(project=socket.project, streams=streams) as walk:
            teller = Teller(self._log, walk)
            for group in groups:
                frames += await self._missed_group(socket, names, group, teller)
                if sum(map(len, frames)) > _CHUNK:
                    # Whoever else walks has waited long enough, and so has the memory.
                    return frames, group[-1].position
        return frames, until

    async def _missed_group(self, socket: Socket, names: Sequence[str], group: Group, teller: Teller) -> list[str]:
        frames: list[str] = []
        wanted = [
            event
            for event in await teller.events(group)
            if socket.may_hear(event.roles) and not set(names).isdisjoint(socket.hearing(event.channels))
        ]
        for event in wanted:
            told = await self.told(event, teller)
            # Asked again: roles and subscriptions may have changed while it was made.
            if told is None or not socket.may_hear(event.roles):
                continue
            hearing = [
                name
                for name in socket.hearing(event.channels)
                if name in names and socket.subscriptions[name].takes(told.payload)
            ]
            if hearing:
                position = group[-1].position if event is wanted[-1] else group[0].position - 1
                frames.append(told.frame(hearing, position))
        return frames


def _count(counts: Counter[str], key: str, by: int) -> None:
    counts[key] += by
    if not counts[key]:
        del counts[key]


def _drop(index: dict[K, set[Socket]], key: K, socket: Socket) -> None:
    mine = index.get(key)
    if mine is not None:
        mine.discard(socket)
        if not mine:
            del index[key]
