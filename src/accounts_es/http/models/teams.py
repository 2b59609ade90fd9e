"""Teams and memberships (contract: users-teams, part 6)."""

from typing import Final

from pydantic_core import from_json
from typing_extensions import TypedDict

from accounts_es.domain.project.policies import MembershipPrivacy
from accounts_es.http.models.accounts import Preferences
from accounts_es.http.models.dates import date
from projections.accounts import AccountRow
from projections.teams import MembershipRow, TeamRow

Team = TypedDict(
    "Team",
    {"$id": str, "$createdAt": str, "$updatedAt": str, "name": str, "total": int, "prefs": Preferences},
)


class TeamList(TypedDict):
    """A page of teams."""

    total: int
    teams: list[Team]


Membership = TypedDict(
    "Membership",
    {
        "$id": str,
        "$createdAt": str,
        "$updatedAt": str,
        "userId": str,
        "userName": str,
        "userEmail": str,
        "userPhone": str,
        "teamId": str,
        "teamName": str,
        "invited": str,
        "joined": str,
        "confirm": bool,
        "mfa": bool,
        "userAccessedAt": str,
        "roles": list[str],
    },
)


class MembershipList(TypedDict):
    """A page of memberships."""

    total: int
    memberships: list[Membership]


EVERYTHING: Final = MembershipPrivacy(
    user_id=True, user_email=True, user_phone=True, user_name=True, user_mfa=True, user_accessed_at=True
)
"""What servers see of members."""
NAMES_AND_ID: Final = MembershipPrivacy(user_id=True, user_email=True, user_name=True)
"""What is seen of oneself, and of whom one invites (contract: users-teams, 2.7)."""


def team(row: TeamRow) -> Team:
    """A team with the number of its members."""
    return {
        "$id": row.team_id,
        "$createdAt": date(row.created_at),
        "$updatedAt": date(row.updated_at),
        "name": row.name,
        "total": row.total,
        "prefs": team_prefs(row),
    }


def team_prefs(row: TeamRow) -> Preferences:
    """The preferences of a team."""
    prefs: Preferences = from_json(row.prefs)
    return prefs


def membership(row: MembershipRow, account: AccountRow | None, shown: MembershipPrivacy) -> Membership:
    """A membership with as much of its account as is ``shown``; nothing of one that has just gone."""
    joined = row.joined_at is not None
    return {
        "$id": row.membership_id,
        "$createdAt": date(row.created_at),
        "$updatedAt": date(row.updated_at),
        "userId": row.account_id if shown.user_id else "",
        "userName": account.name if account is not None and shown.user_name else "",
        "userEmail": account.email or "" if account is not None and shown.user_email else "",
        "userPhone": account.phone or "" if account is not None and shown.user_phone else "",
        "teamId": row.team_id,
        "teamName": row.team_name,
        "invited": date(row.invited_at),
        "joined": date(row.joined_at),
        "confirm": joined,
        "mfa": account is not None and shown.user_mfa and account.mfa and account.has_second_factor,
        "userAccessedAt": date(account.accessed_at) if account is not None and shown.user_accessed_at else "",
        "roles": row.roles,
    }
