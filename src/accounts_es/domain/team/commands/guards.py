"""What must hold before a team decides anything. ``by`` is the stream of the account that asks; None is a server."""

from accounts_es.domain.errors import MembershipNotFound, TeamNotFound, UserUnauthorized
from accounts_es.domain.team.aggregate import Membership, Team


def ensure_exists(team: Team) -> None:
    """Raises `TeamNotFound` before it begins and after its deletion."""
    if not team.exists:
        raise TeamNotFound


def ensure_visible(team: Team, by: str | None) -> Membership | None:
    """The membership of whoever asks. Raises `TeamNotFound` to those who are no members: they cannot even see it."""
    ensure_exists(team)
    if by is None:
        return None
    membership = team.membership_of(by)
    if membership is None or not membership.confirmed:
        raise TeamNotFound
    return membership


def ensure_owner(team: Team, by: str | None, message: str | None = None) -> None:
    """Raises `TeamNotFound` to strangers and `UserUnauthorized` to members who do not own the team."""
    membership = ensure_visible(team, by)
    if membership is not None and not membership.owns:
        raise UserUnauthorized(message)


def membership_in(team: Team, membership_id: str) -> Membership:
    """The membership. Raises `MembershipNotFound`."""
    membership = team.memberships.get(membership_id)
    if membership is None:
        raise MembershipNotFound
    return membership
