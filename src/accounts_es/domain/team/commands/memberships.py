"""Who is in a team, who may join, and as what."""

from collections.abc import Iterator, Sequence, Set

from accounts_es.domain.errors import (
    GeneralResourceLocked,
    MembershipAlreadyConfirmed,
    TeamInvalidSecret,
    TeamInviteMismatch,
    TeamInviteNotFound,
    UserUnauthorized,
)
from accounts_es.domain.team.aggregate import Membership, Team
from accounts_es.domain.team.commands.guards import ensure_exists, ensure_owner, ensure_visible, membership_in
from accounts_es.domain.team.events import (
    InvitationRenewed,
    MemberAdded,
    MemberInvited,
    MemberJoined,
    MemberLeft,
    MemberRemoved,
    MemberRolesChanged,
    TeamEvent,
)

NOT_TO_INVITE = "User is not allowed to send invitations for this team"
NOT_TO_MODIFY = "User is not allowed to modify roles"
"""What the contract says to members who are no owners (users-teams, 2.7 and 2.10)."""


def invite_member(
    team: Team, *, membership_id: str, account: str, roles: Sequence[str], secret_hash: str, by: str | None
) -> Iterator[TeamEvent]:
    """Let an account join with a secret; who is invited already gets another secret and keeps the roles.

    Raises `TeamNotFound`, `UserUnauthorized`, `MembershipAlreadyConfirmed`, and `GeneralResourceLocked` when the link
    on its way names another membership than the one there is.
    """
    ensure_owner(team, by, NOT_TO_INVITE)
    known = _not_confirmed(team, account)
    if known is not None and known.membership_id != membership_id:
        raise GeneralResourceLocked
    if known is not None:
        yield InvitationRenewed(membership_id=known.membership_id, secret_hash=secret_hash)
    else:
        yield MemberInvited(membership_id=membership_id, account=account, roles=_once(roles), secret_hash=secret_hash)


def add_member(team: Team, *, membership_id: str, account: str, roles: Sequence[str]) -> Iterator[TeamEvent]:
    """Make an account a member, as servers do; who is invited already joins with the roles of the invitation.

    Raises `TeamNotFound` and `MembershipAlreadyConfirmed`.
    """
    ensure_exists(team)
    known = _not_confirmed(team, account)
    if known is not None:
        yield MemberJoined(membership_id=known.membership_id)
    else:
        yield MemberAdded(membership_id=membership_id, account=account, roles=_once(roles))


def accept_invitation(team: Team, *, membership_id: str, secret_hash: str, accounts: Set[str]) -> Iterator[TeamEvent]:
    """Join with the secret of the invitation, once. ``accounts`` are all that somebody says it is for.

    Raises `TeamNotFound`, `MembershipNotFound`, `TeamInvalidSecret`, `TeamInviteMismatch` and
    `MembershipAlreadyConfirmed`.
    """
    ensure_exists(team)
    membership = membership_in(team, membership_id)
    if not membership.secret_hash or membership.secret_hash != secret_hash:
        raise TeamInvalidSecret
    if accounts != {membership.account}:
        raise TeamInviteMismatch
    if membership.confirmed:
        raise MembershipAlreadyConfirmed
    yield MemberJoined(membership_id=membership_id)


def change_roles(team: Team, *, membership_id: str, roles: Sequence[str], by: str | None = None) -> Iterator[TeamEvent]:
    """Give a member, or somebody invited, exactly these roles.

    Raises `TeamNotFound`, `MembershipNotFound` and `UserUnauthorized`.
    """
    ensure_visible(team, by)
    membership = membership_in(team, membership_id)
    ensure_owner(team, by, NOT_TO_MODIFY)
    if _once(roles) != membership.roles:
        yield MemberRolesChanged(membership_id=membership_id, roles=_once(roles))


def end_membership(team: Team, *, membership_id: str, by: str | None = None) -> Iterator[TeamEvent]:
    """Leave the team, or end somebody else's membership as an owner or a server. The last owner may leave.

    Raises `TeamNotFound`, `TeamInviteNotFound` and `UserUnauthorized`.
    """
    asking = ensure_visible(team, by)
    membership = team.memberships.get(membership_id)
    if membership is None:
        raise TeamInviteNotFound
    if asking is None:
        yield MemberRemoved(membership_id=membership_id)
    elif asking == membership:
        yield MemberLeft(membership_id=membership_id)
    elif asking.owns:
        yield MemberRemoved(membership_id=membership_id)
    else:
        raise UserUnauthorized


def _not_confirmed(team: Team, account: str) -> Membership | None:
    membership = team.membership_of(account)
    if membership is not None and membership.confirmed:
        raise MembershipAlreadyConfirmed
    return membership


def _once(roles: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(roles))
