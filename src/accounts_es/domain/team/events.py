"""The facts of a team. Storage format: read `accounts_es.domain.event` before you change a line.

Members are named by the streams of their accounts, never by ids or addresses: those are sealed with the keys of the
accounts, and vanish with them.
"""

from typing import TypeAlias

from accounts_es.domain.event import Event, JSONObject, Personal


class TeamCreated(Event, topic="team.created", version=2):
    """A team came to be. Its id and name are whatever somebody chose, so both are sealed."""

    upcasters = {1: dict}  # noqa: RUF012

    team_id: Personal[str]
    name: Personal[str]


class TeamRenamed(Event, topic="team.renamed", version=2):
    """The team is called something else."""

    upcasters = {1: dict}  # noqa: RUF012

    name: Personal[str]


class PrefsUpdated(Event, topic="team.prefs_updated"):
    """The team's preferences were replaced as a whole."""

    prefs: Personal[JSONObject]


class MemberInvited(Event, topic="team.member_invited"):
    """An account may join. ``secret_hash`` is a keyed digest of the secret and of the address it was sent to."""

    membership_id: str
    account: str
    roles: tuple[str, ...]
    secret_hash: str


class InvitationRenewed(Event, topic="team.invitation_renewed"):
    """The invitation was sent again, with another secret; the one before is good for nothing any more."""

    membership_id: str
    secret_hash: str


class MemberJoined(Event, topic="team.member_joined"):
    """Whoever was invited is a member now: the secret was shown, or a server said so."""

    membership_id: str


class MemberAdded(Event, topic="team.member_added"):
    """An account became a member without being asked: who made the team, and whom a server adds."""

    membership_id: str
    account: str
    roles: tuple[str, ...]


class MemberRolesChanged(Event, topic="team.member_roles_changed"):
    """A member has exactly these roles in the team."""

    membership_id: str
    roles: tuple[str, ...]


class MemberLeft(Event, topic="team.member_left"):
    """A member went."""

    membership_id: str


class MemberRemoved(Event, topic="team.member_removed"):
    """An owner or a server ended a membership, or took an invitation back."""

    membership_id: str


class TeamDeleted(Event, topic="team.deleted"):
    """The team is gone, with its memberships and claims."""


TeamEvent: TypeAlias = (
    TeamCreated
    | TeamRenamed
    | PrefsUpdated
    | MemberInvited
    | InvitationRenewed
    | MemberJoined
    | MemberAdded
    | MemberRolesChanged
    | MemberLeft
    | MemberRemoved
    | TeamDeleted
)
