"""What a team decides."""

from accounts_es.domain.team.commands.memberships import (
    accept_invitation,
    add_member,
    change_roles,
    end_membership,
    invite_member,
)
from accounts_es.domain.team.commands.teams import create_team, delete_team, rename_team, update_prefs

__all__ = [
    "accept_invitation",
    "add_member",
    "change_roles",
    "create_team",
    "delete_team",
    "end_membership",
    "invite_member",
    "rename_team",
    "update_prefs",
]
