"""The state of a team and how each fact changes it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from accounts_es.domain.decider import Claim, Decider
from accounts_es.domain.errors import TeamAlreadyExists
from accounts_es.domain.team.events import TeamCreated, TeamEvent, TeamRenamed


@dataclass(frozen=True, slots=True)
class Team:
    """What is true of a team after its events."""

    exists: bool = False
    team_id: str = ""
    name: str = ""


def evolve(team: Team, event: TeamEvent, _at: datetime) -> Team:
    """The team after one more fact."""
    match event:
        case TeamCreated():
            return Team(exists=True, team_id=event.team_id, name=event.name)
        case TeamRenamed():
            return replace(team, name=event.name)
        case _:
            assert_never(event)


def claims(team: Team) -> frozenset[Claim]:
    """A team's id is its own within the project."""
    return frozenset({Claim("team.id", team.team_id)}) if team.exists else frozenset()


TEAM: Decider[Team, TeamEvent] = Decider(
    category="team", initial=Team(), evolve=evolve, claims=claims, taken={"team.id": TeamAlreadyExists}
)
