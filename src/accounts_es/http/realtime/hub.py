"""What is told to the sockets of one worker, live and to those who come back.

Events come from the log in its order, whoever wrote them. What changes the roles of somebody who is connected is taken
into account before the event is told; roles are read as they are then, so nobody hears of a team they have left.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from pydantic_core import to_json

from accounts_es.domain.account import events as account
from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.errors import GeneralApiDisabled
from accounts_es.domain.event import Event, JSONObject, Recorded
from accounts_es.domain.project.events import ProtocolSwitched
from accounts_es.domain.team import events as team
from accounts_es.eventstore.follower import Follower, Row
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.moments import Moments
from accounts_es.http.models.dates import date
from accounts_es.http.models.teams import EVERYTHING
from accounts_es.http.realtime.present import Present
from accounts_es.http.realtime.socket import BROKEN, POLICY, Socket, reason
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
_MISSED: Final = """SELECT originator_id, originator_version, topic, state, notification_id
    FROM log.accounts_events WHERE originator_id = ANY(%s) AND notification_id > %s AND notification_id <= %s
    AND (topic = ANY(%s) OR topic <> ALL(%s)) ORDER BY notification_id LIMIT %s"""

_ANYBODY: Final = frozenset({team.MemberAdded.topic, team.MemberJoined.topic, ProtocolSwitched.topic})
"""What may matter to anybody in the project, whomever it is about."""
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
    """Tells those who are `present`."""

    def __init__(self, log_: EventLog, moments: Moments, follower: Follower) -> None:
        self._log = log_
        self._moments = moments
        self._teller = Teller(log_, moments)
        self._follower = follower
        self._following = False
        self._turn = asyncio.Lock()
        self.present = Present(log_.reads)
        self.position = 0
        """What happened up to here was told."""

    async def enter(self, socket: Socket) -> None:
        """Begin to hear of what happens. Raises psycopg's errors; `leave` must be called all the same."""
        self.present.come(socket)
        async with self._turn:
            if not self._following:
                await self._follower.follow(self.take)
                self._following, self.position = True, self._follower.position

    def leave(self, socket: Socket) -> None:
        """The socket is gone."""
        self.present.go(socket)
        if not self.present.addresses and self._following:
            self._follower.leave(self.take)
            self._following = False

    # Telling ----------------------------------------------------------------------------------------------------------

    async def take(self, rows: Sequence[Row]) -> None:
        """New events, in the order of the log."""
        groups = [list(group) for _, group in groupby(rows, key=lambda row: (row.request, row.stream))]
        concerning = [group for group in groups if self._concern(group)]
        if len(concerning) <= _TOGETHER:
            made = await asyncio.gather(*(self._prepare(group, self._teller) for group in concerning))
            prepared = {group[-1].position: each for group, each in zip(concerning, made, strict=True)}
            for group in groups:
                await self._tell_group(group, self._teller, prepared)
            return
        # Behind: most subjects have changed since. One walk along the log shows them all as they were.
        project, streams = concerning[0][0].project, {group[0].stream for group in concerning}
        try:
            async with self._moments.walk(project=project, streams=streams) as walk:
                teller = Teller(self._log, walk)
                for group in groups:
                    await self._tell_group(group, teller, {})
        except Exception:
            log.exception("not told", extra={"position": rows[-1].position})
            for group in groups:
                self._fail(group)
        self.position = rows[-1].position

    async def _tell_group(self, group: Sequence[Row], teller: Teller, prepared: dict[int, _Prepared | None]) -> None:
        end = group[-1].position
        # Asked again: who came meanwhile was told a position before this, and waits for what is after it.
        if end in prepared or self._concern(group):
            try:
                ready = prepared[end] if end in prepared else await self._prepare(group, teller)
                if ready is None:
                    self._fail(group)
                else:
                    await self._tell(ready)
            except Exception:
                log.exception("not told", extra={"position": end})
                self._fail(group)
        self.position = end

    def _concern(self, group: Sequence[Row]) -> bool:
        """Whether anybody who is connected might hear of it, or be another afterwards."""
        first, present = group[0], self.present
        if first.stream in present.by_account or first.stream in present.by_team:
            return True
        return first.project in present.by_project and any(row.topic in _ANYBODY for row in group)

    def _fail(self, group: Sequence[Row]) -> None:
        """Who could have missed something comes back and catches up."""
        stream, present = group[0].stream, self.present
        missing = [*present.by_account.get(stream, ()), *present.by_team.get(stream, ())]
        if any(row.topic in _ANYBODY for row in group):
            missing += present.by_project.get(group[0].project, ())
        for socket in missing:
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
            await self.present.refresh(touched)
        # Until there is nothing to wait for: somebody may have come in the meantime.
        while missing := [
            each for each in prepared.events if each.pattern not in prepared.ready and self._receivers(each)
        ]:
            for event in missing:
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
            await self.present.refresh(touched)

    def _receivers(self, event: WireEvent) -> list[tuple[Socket, list[str]]]:
        project, channels = event.recorded.meta.project, event.channels
        found: dict[Socket, list[str]] = {}
        for role in event.roles:
            for socket in self.present.by_role.get((project, role), ()):
                names = socket.hearing(channels)
                if names and socket.ending is None:
                    found[socket] = names
        return list(found.items())

    async def _touched(self, prepared: _Prepared) -> set[Socket]:
        """Whose roles or session may have changed. Where sockets were switched off, they end."""
        group, found, present = prepared.group, set[Socket](), self.present
        stream, project = group[0].stream, group[0].meta.project
        if stream in present.by_account:
            if not all(isinstance(each.event, _IRRELEVANT) for each in group):
                found |= present.by_account[stream]
            return found
        for recorded in group:
            match recorded.event:
                case team.TeamDeleted():
                    found |= present.by_team.get(stream, set())
                case team.MemberAdded(account=joined):
                    found |= present.by_account.get(joined, set())
                case team.MemberJoined(membership_id=membership):
                    row = await teams.find_membership(self._log.reads, project, membership)
                    found |= present.by_account.get(row.account, set()) if row is not None else set()
                case (
                    team.MemberLeft(membership_id=membership)
                    | team.MemberRemoved(membership_id=membership)
                    | team.MemberRolesChanged(membership_id=membership)
                ):
                    found |= present.by_role.get((project, f"member:{membership}"), set())
                case ProtocolSwitched(protocol="websocket", enabled=False):
                    for socket in present.by_project.get(project, ()):
                        socket.end(POLICY, reason(GeneralApiDisabled()))
                case _:
                    pass
        return found

    # Catching up ------------------------------------------------------------------------------------------------------

    async def missed(self, socket: Socket, names: Sequence[str], after: int, until: int) -> tuple[list[str], int]:
        """The frames for what these subscriptions missed between two positions, and how far they go.

        Raises `TooMuchMissed`, and what `decode` raises for what a later release wrote: it is not passed over.
        """
        if socket.identity is None or after >= until:
            return [], until
        streams = [socket.identity.stream, *socket.teams]
        asked = (streams, after, until, list(TOPICS), list(BY_TOPIC), MOST_MISSED + 1)
        rows = await self._log.reads.fetch(_MISSED, asked)
        if len(rows) > MOST_MISSED:
            raise TooMuchMissed
        frames: list[str] = []
        groups = _since_joined(socket, told_together(await self._log.decode(rows)))
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


def _since_joined(socket: Socket, groups: Sequence[Group]) -> list[Group]:
    """Without what happened in teams before the caller was a member of them: that is the others' own."""
    joined = {
        each.stream: each.position
        for group in groups
        for each in group
        if isinstance(each.event, team.MemberAdded | team.MemberJoined)
        and f"member:{each.event.membership_id}" in socket.roles
    }
    return [group for group in groups if group[-1].position >= joined.get(group[0].stream, 0)]
