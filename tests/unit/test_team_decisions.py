"""What teams decide, command by command."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts_es.domain.errors import (
    GeneralResourceLocked,
    MembershipAlreadyConfirmed,
    MembershipNotFound,
    TeamAlreadyExists,
    TeamInvalidSecret,
    TeamInviteMismatch,
    TeamInviteNotFound,
    TeamNotFound,
    UserUnauthorized,
)
from accounts_es.domain.team import commands
from accounts_es.domain.team.events import (
    InvitationRenewed,
    MemberAdded,
    MemberInvited,
    MemberJoined,
    MemberLeft,
    MemberRemoved,
    MemberRolesChanged,
    PrefsUpdated,
    TeamCreated,
    TeamDeleted,
    TeamRenamed,
)
from tests.support.examples import member_added, member_invited, member_joined, team_created, team_deleted
from tests.support.given_when_then import team

SECRET = member_invited.secret_hash
OWNER, PLAYER, STRANGER = "account-1", "account-2", "account-3"

ACCEPT: dict[str, Any] = {"membership_id": "membership", "secret_hash": SECRET, "accounts": {PLAYER}}

begun = team.given(team_created, member_added)
invited = begun.given(member_invited)
joined = invited.given(member_joined)
"""A team with an owner, then with somebody invited as player and coach, who then joins."""


# The team itself ------------------------------------------------------------------------------------------------------


def test_a_team_begins_once() -> None:
    story = team.when(commands.create_team, team_id="crew", name="Crew").then(TeamCreated(team_id="crew", name="Crew"))
    story.when(commands.create_team, team_id="crew", name="Crew").then_refused(TeamAlreadyExists)


@pytest.mark.parametrize(
    ("roles", "has"),
    [
        (["owner"], ("owner",)),
        (["player"], ("player", "owner")),
        (["owner", "a", "a"], ("owner", "a")),
        ([], ("owner",)),
    ],
)
def test_who_makes_a_team_owns_it(roles: list[str], has: tuple[str, ...]) -> None:
    team.when(commands.create_team, team_id="crew", name="Crew", by=OWNER, membership_id="founder", roles=roles).then(
        TeamCreated(team_id="crew", name="Crew"), MemberAdded(membership_id="founder", account=OWNER, roles=has)
    )


def test_a_team_is_renamed_only_to_another_name() -> None:
    renamed = begun.when(commands.rename_team, name="Others", by=OWNER).then(TeamRenamed(name="Others"))
    renamed.when(commands.rename_team, name="Others", by=OWNER).then_nothing()


def test_preferences_are_replaced_as_a_whole_and_compared_as_bytes() -> None:
    changed = begun.when(commands.update_prefs, prefs={"a": 1, "b": 2}, by=OWNER).then(
        PrefsUpdated(prefs={"a": 1, "b": 2})
    )
    changed.when(commands.update_prefs, prefs={"a": 1, "b": 2}, by=OWNER).then_nothing()
    changed.when(commands.update_prefs, prefs={"a": True, "b": 2}).then(PrefsUpdated(prefs={"a": True, "b": 2}))
    changed.when(commands.update_prefs, prefs={"b": 2, "a": 1}).then(PrefsUpdated(prefs={"b": 2, "a": 1}))


def test_a_deleted_team_is_gone_and_may_begin_anew() -> None:
    gone = joined.when(commands.delete_team, by=OWNER).then(TeamDeleted())
    gone.when(commands.delete_team).then_refused(TeamNotFound)
    again = gone.when(commands.create_team, team_id="crew", name="New").then(TeamCreated(team_id="crew", name="New"))
    assert again.state.memberships == {}


# Who may --------------------------------------------------------------------------------------------------------------

FOR_OWNERS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (commands.rename_team, {"name": "x"}),
    (commands.update_prefs, {"prefs": {"x": 1}}),
    (commands.delete_team, {}),
    (
        commands.invite_member,
        {"membership_id": "m", "account": "account-9", "roles": [], "secret_hash": "h" * 64},
    ),
    (commands.change_roles, {"membership_id": "founder", "roles": []}),
    (commands.end_membership, {"membership_id": "founder"}),
]
for_owners = pytest.mark.parametrize(
    ("command", "arguments"), FOR_OWNERS, ids=[each.__name__ for each, _ in FOR_OWNERS]
)


@for_owners
def test_members_who_do_not_own_the_team_may_not(command: Callable[..., Any], arguments: dict[str, Any]) -> None:
    joined.when(command, **arguments, by=PLAYER).then_refused(UserUnauthorized)


@for_owners
@pytest.mark.parametrize("who", [STRANGER, PLAYER], ids=["a stranger", "somebody invited"])
def test_to_others_there_is_no_team(command: Callable[..., Any], arguments: dict[str, Any], who: str) -> None:
    invited.when(command, **arguments, by=who).then_refused(TeamNotFound)


@for_owners
def test_owners_and_servers_may(command: Callable[..., Any], arguments: dict[str, Any]) -> None:
    assert joined.when(command, **arguments, by=OWNER).decide(joined.state)
    assert joined.when(command, **arguments, by=None).decide(joined.state)


EVERY_COMMAND = [
    *FOR_OWNERS,
    (commands.add_member, {"membership_id": "m", "account": STRANGER, "roles": []}),
    (commands.accept_invitation, ACCEPT),
]
every_command = pytest.mark.parametrize(
    ("command", "arguments"), EVERY_COMMAND, ids=[each.__name__ for each, _ in EVERY_COMMAND]
)


@every_command
def test_nothing_is_decided_about_a_team_that_does_not_exist(
    command: Callable[..., Any], arguments: dict[str, Any]
) -> None:
    owner = {"by": OWNER} if (command, arguments) in FOR_OWNERS else {}
    team.when(command, **arguments, **owner).then_refused(TeamNotFound)
    joined.given(team_deleted).when(command, **arguments, **owner).then_refused(TeamNotFound)


def test_every_command_is_covered_here() -> None:
    assert {each.__name__ for each, _ in EVERY_COMMAND} | {"create_team"} == set(commands.__all__)


# Memberships ----------------------------------------------------------------------------------------------------------

INVITE = {"membership_id": "new", "account": PLAYER, "roles": ["player", "player"], "secret_hash": "h" * 64}
ADD = {"membership_id": "new", "account": PLAYER, "roles": ["player", "player"]}


def test_somebody_is_invited_and_joins_with_the_secret_once() -> None:
    story = begun.when(commands.invite_member, **INVITE, by=OWNER).then(
        MemberInvited(membership_id="new", account=PLAYER, roles=("player",), secret_hash="h" * 64)
    )
    accept = {"membership_id": "new", "secret_hash": "h" * 64, "accounts": {PLAYER}}
    member = story.when(commands.accept_invitation, **accept).then(MemberJoined(membership_id="new"))
    member.when(commands.accept_invitation, **accept).then_refused(MembershipAlreadyConfirmed)


def test_an_invitation_sent_again_keeps_its_roles_and_the_old_secret_dies() -> None:
    again = {**INVITE, "membership_id": "membership"}
    renewed = invited.when(commands.invite_member, **again, by=OWNER).then(
        InvitationRenewed(membership_id="membership", secret_hash="h" * 64)
    )
    assert renewed.state.memberships["membership"].roles == ("player", "coach")
    renewed.when(
        commands.accept_invitation, membership_id="membership", secret_hash=SECRET, accounts={PLAYER}
    ).then_refused(TeamInvalidSecret)


def test_a_link_to_another_membership_than_the_one_there_is_must_not_go_out() -> None:
    invited.when(commands.invite_member, **INVITE, by=OWNER).then_refused(GeneralResourceLocked)


@pytest.mark.parametrize("accounts", [{STRANGER}, {PLAYER, STRANGER}, {"", PLAYER}, {""}])
def test_an_invitation_is_for_one_account_whoever_else_knows_the_secret(accounts: set[str]) -> None:
    for story in (invited, joined):
        story.when(
            commands.accept_invitation, membership_id="membership", secret_hash=SECRET, accounts=accounts
        ).then_refused(TeamInviteMismatch)


def test_a_member_is_not_invited() -> None:
    joined.when(commands.invite_member, **INVITE, by=OWNER).then_refused(MembershipAlreadyConfirmed)
    joined.when(commands.add_member, **ADD).then_refused(MembershipAlreadyConfirmed)


def test_a_server_adds_members_without_asking() -> None:
    begun.when(commands.add_member, **ADD).then(MemberAdded(membership_id="new", account=PLAYER, roles=("player",)))
    invited.when(commands.add_member, **ADD).then(MemberJoined(membership_id="membership"))


@pytest.mark.parametrize("membership_id", ["founder", "membership"])
@pytest.mark.parametrize("secret_hash", ["", "h" * 64])
def test_nobody_joins_with_another_secret_or_none(membership_id: str, secret_hash: str) -> None:
    for story in (invited, joined):
        shown = {**ACCEPT, "membership_id": membership_id, "secret_hash": secret_hash}
        story.when(commands.accept_invitation, **shown).then_refused(TeamInvalidSecret)


def test_a_membership_that_does_not_exist() -> None:
    joined.when(commands.accept_invitation, **{**ACCEPT, "membership_id": "x"}).then_refused(MembershipNotFound)
    joined.when(commands.change_roles, membership_id="x", roles=[], by=OWNER).then_refused(MembershipNotFound)
    joined.when(commands.end_membership, membership_id="x", by=OWNER).then_refused(TeamInviteNotFound)


def test_roles_are_replaced_and_owner_is_not_put_back() -> None:
    changed = begun.when(commands.change_roles, membership_id="founder", roles=["a", "b", "a"], by=OWNER).then(
        MemberRolesChanged(membership_id="founder", roles=("a", "b"))
    )
    changed.when(commands.change_roles, membership_id="founder", roles=["a", "b"]).then_nothing()
    changed.when(commands.change_roles, membership_id="founder", roles=["owner"], by=OWNER).then_refused(
        UserUnauthorized
    )


def test_a_member_leaves_and_so_does_the_last_owner() -> None:
    story = joined.when(commands.end_membership, membership_id="founder", by=OWNER).then(
        MemberLeft(membership_id="founder")
    )
    story.when(commands.end_membership, membership_id="membership", by=OWNER).then_refused(TeamNotFound)
    story.when(commands.end_membership, membership_id="membership", by=PLAYER).then(
        MemberLeft(membership_id="membership")
    )


def test_an_owner_ends_any_membership_and_takes_invitations_back() -> None:
    for story in (invited, joined):
        without = story.when(commands.end_membership, membership_id="membership", by=OWNER).then(
            MemberRemoved(membership_id="membership")
        )
        without.when(
            commands.accept_invitation, membership_id="membership", secret_hash=SECRET, accounts={PLAYER}
        ).then_refused(MembershipNotFound)


def test_of_two_owners_who_remove_each_other_the_second_is_a_stranger_by_then() -> None:
    both = joined.given(MemberRolesChanged(membership_id="membership", roles=("owner",)))
    one = both.when(commands.end_membership, membership_id="founder", by=PLAYER).then(
        MemberRemoved(membership_id="founder")
    )
    one.when(commands.end_membership, membership_id="membership", by=OWNER).then_refused(TeamNotFound)
