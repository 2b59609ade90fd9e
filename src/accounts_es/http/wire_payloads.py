"""What is told with an event: the response model of its subject, as it was right after the event, or before an end.

A subject that did not change since is read from the live read model; everything else from a moment.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from accounts_es.domain.account.events import ChallengeCreated, PrefsUpdated, SignedUp, TokenIssued, TokenRedeemed
from accounts_es.domain.event import Event, JSONObject, Recorded
from accounts_es.domain.project.policies import MembershipPrivacy
from accounts_es.domain.team.events import PrefsUpdated as TeamPrefsUpdated
from accounts_es.domain.team.events import TeamCreated
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.moments import Moments, Walk
from accounts_es.eventstore.reads import Reads
from accounts_es.http.models import accounts as account_models
from accounts_es.http.models import sessions as session_models
from accounts_es.http.models import teams as team_models
from accounts_es.http.models import tokens as token_models
from accounts_es.http.models.dates import date
from accounts_es.http.wire_events import Group, Payload, WireEvent, is_told, wire_events
from projections import accounts, identities, sessions, teams

_MEMBER: Final = "SELECT account FROM memberships_v1 WHERE team = %s AND membership_id = %s"


class Gone(Exception):  # noqa: N818
    """Nothing can be told any more: whom the event is about was erased."""


class Teller:
    """Tells groups of events. Needs a started log and moments."""

    def __init__(self, log: EventLog, moments: Moments | Walk) -> None:
        self._log = log
        self._moments = moments

    async def events(self, group: Group) -> tuple[WireEvent, ...]:
        """What there is to tell of a group; nothing of somebody who was erased."""
        if not is_told(group):
            return ()
        subject_id = await self._subject_id(group[0])
        return wire_events(group, subject_id) if subject_id else ()

    async def payload(self, event: WireEvent, shown: MembershipPrivacy = team_models.EVERYTHING) -> JSONObject:
        """The response model, with as much of a member as is ``shown``. Raises `Gone`."""
        recorded, project = event.recorded, event.recorded.meta.project
        stream = recorded.stream
        match event.payload:
            case Payload.PREFS | Payload.TEAM_PREFS if recorded.erased:
                raise Gone
            case Payload.PREFS | Payload.TEAM_PREFS:
                # They were replaced as a whole, so the event has all of them.
                return cast("PrefsUpdated | TeamPrefsUpdated", recorded.event).prefs
            case Payload.ACCOUNT | Payload.TARGET:
                return _of_account(await self._account(event), event)
            case Payload.SESSION:
                async with self._as_of(event, stream) as reads:
                    return await _session(reads, stream, event)
            case Payload.IDENTITY:
                async with self._as_of(event, stream) as reads:
                    identity = await identities.find(reads, project, event.pattern[3])
                if identity is None:
                    raise Gone
                return cast("JSONObject", token_models.identity(identity, event.pattern[1], None))
            case Payload.CHALLENGE:
                made = cast("ChallengeCreated", recorded.event)
                return {
                    "$id": made.challenge_id,
                    "$createdAt": date(recorded.meta.at),
                    "userId": event.pattern[1],
                    "expire": date(made.expires_at),
                }
            case Payload.TOKEN:
                return await self._token(event)
            case Payload.TEAM:
                return cast("JSONObject", team_models.team(await self._team(event)))
            case Payload.MEMBERSHIP:
                return await self._membership(event, shown)

    async def _subject_id(self, first: Recorded[Event]) -> str:
        """The id of the account or team; it never changes."""
        if isinstance(first.event, SignedUp):
            return first.event.account_id
        if isinstance(first.event, TeamCreated):
            return first.event.team_id
        is_account = first.stream.startswith("account-")
        lookup = accounts.BY_STREAM if is_account else teams.BY_STREAM
        row: Any = await self._log.reads.load(cast("Any", lookup), (first.stream,))
        if row is None:
            async with self._moments.at(
                first.position - 1, project=first.meta.project, streams=[first.stream]
            ) as reads:
                row = await reads.load(cast("Any", lookup), (first.stream,))
        if row is None:
            return ""
        return str(row.account_id if is_account else row.team_id)

    @asynccontextmanager
    async def _as_of(self, event: WireEvent, *streams: str) -> AsyncGenerator[Reads]:
        position = event.group[0].position - 1 if event.before else event.position
        async with self._moments.at(position, project=event.recorded.meta.project, streams=streams) as reads:
            yield reads

    async def _account(self, event: WireEvent) -> accounts.AccountRow:
        stream = event.recorded.stream
        if not event.before:
            live = await self._log.reads.load(accounts.BY_STREAM, (stream,))
            # Read after the event was stored, and no event beyond it has changed it.
            if live is not None and live.version <= event.group[-1].stream_version:
                return live
        async with self._as_of(event, stream) as reads:
            row = await reads.load(accounts.BY_STREAM, (stream,))
        if row is None:
            raise Gone
        return row

    async def _team(self, event: WireEvent) -> teams.TeamRow:
        """The team; of its members those count that are there now."""
        stream = event.recorded.stream
        live = await self._log.reads.load(teams.BY_STREAM, (stream,))
        if not event.before and live is not None and live.updated_at == event.group[-1].meta.at:
            return live
        async with self._as_of(event, stream) as reads:
            row = await reads.load(teams.BY_STREAM, (stream,))
        if row is None:
            raise Gone
        return row if live is None else row._replace(total=live.total)

    async def _membership(self, event: WireEvent, shown: MembershipPrivacy) -> JSONObject:
        project, team, membership_id = event.recorded.meta.project, event.recorded.stream, event.pattern[3]
        live = await teams.find_membership(self._log.reads, project, membership_id)
        if not event.before and live is not None and live.updated_at == event.recorded.meta.at:
            account = await self._log.reads.load(accounts.BY_STREAM, (live.account,))
            return cast("JSONObject", team_models.membership(live, account, shown))
        async with self._as_of(event, team) as reads:
            found = await reads.fetch(_MEMBER, (team, membership_id))
        if not found:
            raise Gone
        async with self._as_of(event, team, str(found[0][0])) as reads:
            row = await teams.find_membership(reads, project, membership_id)
            account = await reads.load(accounts.BY_STREAM, (str(found[0][0]),))
        if row is None:
            raise Gone
        return cast("JSONObject", team_models.membership(row, account, shown))

    async def _token(self, event: WireEvent) -> JSONObject:
        """The token, without its secret: the log holds none."""
        fact = cast("TokenIssued | TokenRedeemed", event.recorded.event)
        issued = next(
            each
            for each in await self._log.load(event.recorded.stream)
            if isinstance(each.event, TokenIssued) and each.event.token_id == fact.token_id
        )
        made = cast("TokenIssued", issued.event)
        return cast("JSONObject", token_models.token(made.token_id, event.pattern[1], issued.meta.at, made.expires_at))


async def _session(reads: Reads, stream: str, event: WireEvent) -> JSONObject:
    found, _ = await sessions.list_sessions(reads, stream)
    row = next((each for each in found if each.session_id == event.pattern[3]), None)
    if row is None:
        raise Gone
    return cast("JSONObject", session_models.session(row, event.pattern[1], current=True))


def _of_account(row: accounts.AccountRow, event: WireEvent) -> JSONObject:
    account = account_models.account(row)
    if event.payload is Payload.ACCOUNT:
        return cast("JSONObject", account)
    target = next((each for each in account["targets"] if each["$id"] == event.pattern[3]), None)
    if target is None:
        raise Gone
    return cast("JSONObject", target)
