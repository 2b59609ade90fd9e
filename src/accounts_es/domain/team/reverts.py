"""How the facts of a team are undone."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic_core import from_json, to_json

from accounts_es.domain.reverts import WHOLE, Irreversible, Kept, Reverts
from accounts_es.domain.team import events
from accounts_es.domain.team.aggregate import TEAM, Membership, Team
from accounts_es.domain.team.events import TeamEvent

_WRITE: Final = "teams.write"


def _existence(_now: Team, then: Team, _of: str) -> Iterator[TeamEvent]:
    if not then.exists:
        yield events.TeamDeleted()
        return
    yield events.TeamCreated(team_id=then.team_id, name=then.name)
    if then.prefs:
        yield events.PrefsUpdated(prefs=then.prefs)
    for membership in then.memberships.values():
        yield _again(membership)


def _again(membership: Membership) -> TeamEvent:
    """The membership, or the invitation without its link: that was sent, and is good for nothing any more."""
    who = {"membership_id": membership.membership_id, "account": membership.account}
    if membership.confirmed:
        return events.MemberAdded(**who, roles=membership.roles)
    return events.MemberInvited(**who, roles=membership.roles, secret_hash="")


def _name(_now: Team, then: Team, _of: str) -> Iterator[TeamEvent]:
    yield events.TeamRenamed(name=then.name)


def _prefs(_now: Team, then: Team, _of: str) -> Iterator[TeamEvent]:
    yield events.PrefsUpdated(prefs=then.prefs)


def _membership_of(team: Team, membership_id: str) -> tuple[str, tuple[str, ...], bool] | None:
    known = team.memberships.get(membership_id)
    return (known.account, known.roles, known.confirmed) if known is not None else None


def _membership(now: Team, then: Team, of: str) -> Iterator[TeamEvent]:
    known, wanted = now.memberships.get(of), then.memberships.get(of)
    if wanted is None:
        yield events.MemberRemoved(membership_id=of)
    elif known is None:
        if now.membership_of(wanted.account) is not None:
            raise Irreversible("the account has another membership of the team by now")
        yield _again(wanted)
    elif known.confirmed and not wanted.confirmed:
        yield events.MemberRemoved(membership_id=of)
        yield _again(wanted)
    else:
        if wanted.confirmed and not known.confirmed:
            yield events.MemberJoined(membership_id=of)
        if wanted.roles != known.roles:
            yield events.MemberRolesChanged(membership_id=of, roles=wanted.roles)


def _shown(value: tuple[str, tuple[str, ...], bool]) -> dict[str, Any]:
    return {"roles": list(value[1]), "confirm": value[2]}


TEAM_REVERTS: Final[Reverts[Team, TeamEvent]] = Reverts(
    decider=TEAM,
    fields={
        WHOLE: Kept(_WRITE, lambda team, _: team.exists, _existence),
        "name": Kept(_WRITE, lambda team, _: team.name, _name),
        "prefs": Kept(_WRITE, lambda team, _: to_json(team.prefs), _prefs, from_json),
        "membership": Kept(_WRITE, _membership_of, _membership, _shown),
    },
    sets={
        events.TeamCreated: (WHOLE, ""),
        events.TeamDeleted: (WHOLE, ""),
        events.TeamRenamed: ("name", ""),
        events.PrefsUpdated: ("prefs", ""),
        events.MemberInvited: ("membership", "membership_id"),
        events.MemberJoined: ("membership", "membership_id"),
        events.MemberAdded: ("membership", "membership_id"),
        events.MemberRolesChanged: ("membership", "membership_id"),
        events.MemberLeft: ("membership", "membership_id"),
        events.MemberRemoved: ("membership", "membership_id"),
    },
    never={events.InvitationRenewed: "a secret that was sent stays sent: take the invitation back instead"},
)
