"""How a team begins, what it is called, what it keeps, and how it ends."""

from collections.abc import Iterator, Sequence

from pydantic_core import to_json

from accounts_es.domain.errors import TeamAlreadyExists
from accounts_es.domain.event import JSONObject
from accounts_es.domain.team.aggregate import OWNER, Team
from accounts_es.domain.team.commands.guards import ensure_owner
from accounts_es.domain.team.events import (
    MemberAdded,
    PrefsUpdated,
    TeamCreated,
    TeamDeleted,
    TeamEvent,
    TeamRenamed,
)


def create_team(
    team: Team,
    *,
    team_id: str,
    name: str,
    by: str | None = None,
    membership_id: str = "",
    roles: Sequence[str] = (OWNER,),
) -> Iterator[TeamEvent]:
    """Begin a team. Whoever makes one owns it, whatever other roles are asked for. Raises `TeamAlreadyExists`."""
    if team.exists:
        raise TeamAlreadyExists
    yield TeamCreated(team_id=team_id, name=name)
    if by is not None:
        yield MemberAdded(membership_id=membership_id, account=by, roles=tuple(dict.fromkeys((*roles, OWNER))))


def rename_team(team: Team, *, name: str, by: str | None = None) -> Iterator[TeamEvent]:
    """Call the team something else. Raises `TeamNotFound` and `UserUnauthorized`."""
    ensure_owner(team, by)
    if name != team.name:
        yield TeamRenamed(name=name)


def update_prefs(team: Team, *, prefs: JSONObject, by: str | None = None) -> Iterator[TeamEvent]:
    """Replace the team's preferences as a whole. Raises `TeamNotFound` and `UserUnauthorized`."""
    ensure_owner(team, by)
    # Compared as bytes: in Python 1 == True, and dicts ignore the order of keys.
    if to_json(prefs) != to_json(team.prefs):
        yield PrefsUpdated(prefs=prefs)


def delete_team(team: Team, *, by: str | None = None) -> Iterator[TeamEvent]:
    """End the team with its memberships; its id is free again. Raises `TeamNotFound` and `UserUnauthorized`."""
    ensure_owner(team, by)
    yield TeamDeleted()
