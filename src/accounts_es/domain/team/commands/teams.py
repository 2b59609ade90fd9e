"""How a team begins and what it is called."""

from collections.abc import Iterator

from accounts_es.domain.errors import TeamAlreadyExists, TeamNotFound
from accounts_es.domain.team.aggregate import Team
from accounts_es.domain.team.events import TeamCreated, TeamEvent, TeamRenamed


def create_team(team: Team, *, team_id: str, name: str) -> Iterator[TeamEvent]:
    """Begin a team. Raises `TeamAlreadyExists`."""
    if team.exists:
        raise TeamAlreadyExists
    yield TeamCreated(team_id=team_id, name=name)


def rename_team(team: Team, *, name: str) -> Iterator[TeamEvent]:
    """Call the team something else. Raises `TeamNotFound`."""
    if not team.exists:
        raise TeamNotFound
    if name != team.name:
        yield TeamRenamed(name=name)
