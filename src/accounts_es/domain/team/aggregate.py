"""The state of a team and how each fact changes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, assert_never

from pydantic import JsonValue

from accounts_es.domain.decider import Claim, Decider
from accounts_es.domain.errors import GeneralResourceLocked, TeamAlreadyExists
from accounts_es.domain.event import JSONObject
from accounts_es.domain.team import events
from accounts_es.domain.team.events import TeamEvent

OWNER: Final = "owner"
"""The role whose members may change the team."""


@dataclass(frozen=True, slots=True)
class Membership:
    """An account (by its stream) in the team, or invited to it."""

    membership_id: str
    account: str
    roles: tuple[str, ...]
    secret_hash: str = ""
    confirmed: bool = False

    @property
    def owns(self) -> bool:
        """Whether it lets its account change the team."""
        return self.confirmed and OWNER in self.roles


@dataclass(frozen=True, slots=True)
class Team:
    """What is true of a team after its events. ``exists`` is false before it begins and after its deletion.

    A membership ends with its account, which is a fact of the account alone: memberships of accounts that are gone
    stay here, and nobody can act on them (docs/decisions/0006).
    """

    exists: bool = False
    team_id: str = ""
    name: str = ""
    prefs: JSONObject = field(default_factory=dict[str, JsonValue])
    memberships: Mapping[str, Membership] = field(default_factory=dict[str, Membership])

    def membership_of(self, account: str) -> Membership | None:
        """The one membership an account has, confirmed or not."""
        return next((each for each in self.memberships.values() if each.account == account), None)


def evolve(team: Team, event: TeamEvent, _at: datetime) -> Team:
    """The team after one more fact."""
    match event:
        case events.TeamCreated():
            return Team(exists=True, team_id=event.team_id, name=event.name)
        case events.TeamRenamed():
            return replace(team, name=event.name)
        case events.PrefsUpdated():
            return replace(team, prefs=event.prefs)
        case events.MemberInvited():
            return _with(team, Membership(event.membership_id, event.account, event.roles, event.secret_hash))
        case events.InvitationRenewed():
            return _changed(team, event.membership_id, secret_hash=event.secret_hash)
        case events.MemberJoined():
            return _changed(team, event.membership_id, confirmed=True)
        case events.MemberAdded():
            return _with(team, Membership(event.membership_id, event.account, event.roles, confirmed=True))
        case events.MemberRolesChanged():
            return _changed(team, event.membership_id, roles=event.roles)
        case events.MemberLeft() | events.MemberRemoved():
            left = {key: each for key, each in team.memberships.items() if key != event.membership_id}
            return replace(team, memberships=left)
        case events.TeamDeleted():
            return Team()
        case _:
            assert_never(event)


def _with(team: Team, membership: Membership) -> Team:
    return replace(team, memberships={**team.memberships, membership.membership_id: membership})


def _changed(team: Team, membership_id: str, **changes: Any) -> Team:
    membership = team.memberships.get(membership_id)
    return team if membership is None else _with(team, replace(membership, **changes))


def claims(team: Team) -> frozenset[Claim]:
    """A team's id and those of its memberships are its own within the project."""
    if not team.exists:
        return frozenset()
    members = {Claim("team.membership_id", membership_id) for membership_id in team.memberships}
    return frozenset({Claim("team.id", team.team_id), *members})


TEAM: Decider[Team, TeamEvent] = Decider(
    category="team",
    initial=Team(),
    evolve=evolve,
    claims=claims,
    # Ids of memberships are ours and random: who meets one that is taken may simply try again.
    taken={"team.id": TeamAlreadyExists, "team.membership_id": GeneralResourceLocked},
)
