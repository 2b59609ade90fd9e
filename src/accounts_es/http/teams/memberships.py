"""Who is in a team, and as what."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from accounts_es.domain.errors import (
    DatabaseQueryOrderNull,
    GeneralCursorNotFound,
    GeneralQueryInvalid,
    MembershipNotFound,
    TeamInviteNotFound,
    TeamMembershipMismatch,
    TeamNotFound,
    UserUnauthorized,
)
from accounts_es.domain.project.policies import MembershipPrivacy
from accounts_es.domain.team import TEAM, commands
from accounts_es.domain.team.events import MemberLeft, MemberRemoved, MemberRolesChanged
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries, attributes
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id, Key, Text, Texts
from accounts_es.http.teams.access import by, is_server, membership_of, visible
from projections import accounts, teams
from projections.teams import MembershipRow

ATTRIBUTES = attributes(
    teams.MEMBERSHIPS_OF_TEAM,
    userId="account_id",
    teamId="team_id",
    invited="invited_at",
    joined="joined_at",
    confirm="confirmed",
    roles="roles",
)


@operation(
    "GET",
    "/teams/{teamId}/memberships",
    id="teams.listMemberships",
    scope="teams.read",
    returns=models.MembershipList,
    raises=(TeamNotFound, GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_memberships(
    ctx: Context,
    *,
    team_id: Annotated[str, Id()],
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = FIRST_PAGE,
    search: Annotated[str | None, Text(256)] = None,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.MembershipList:
    """A page of a team's memberships, those only invited among them, and how many match."""
    team = await visible(ctx, team_id)
    rows, matching = await teams.list_memberships(
        ctx.reads, team.stream, asked=queries, search=search, with_total=total
    )
    return {"total": matching, "memberships": await shown(ctx, rows, seen_by(ctx))}


@operation(
    "GET",
    "/teams/{teamId}/memberships/{membershipId}",
    id="teams.getMembership",
    scope="teams.read",
    returns=models.Membership,
    raises=(TeamNotFound, MembershipNotFound, TeamMembershipMismatch),
)
async def get_membership(
    ctx: Context, *, team_id: Annotated[str, Id()], membership_id: Annotated[str, Id()]
) -> models.Membership:
    """One membership."""
    row = await membership_of(ctx, await visible(ctx, team_id), membership_id)
    return (await shown(ctx, [row], seen_by(ctx)))[0]


@operation(
    "PATCH",
    "/teams/{teamId}/memberships/{membershipId}",
    id="teams.updateMembership",
    scope="teams.write",
    returns=models.Membership,
    emits=(MemberRolesChanged,),
    raises=(TeamNotFound, MembershipNotFound, TeamMembershipMismatch, UserUnauthorized),
)
async def update_membership(
    ctx: Context,
    *,
    team_id: Annotated[str, Id()],
    membership_id: Annotated[str, Id()],
    roles: Annotated[list[str], Texts(Key(81), 100)],
) -> models.Membership:
    """Give a member exactly these roles."""
    team = await visible(ctx, team_id)
    await membership_of(ctx, team, membership_id)
    await ctx.execute(TEAM, team.stream, commands.change_roles, membership_id=membership_id, roles=roles, by=by(ctx))
    return await answer(ctx, membership_id, known_by(ctx))


@operation(
    "DELETE",
    "/teams/{teamId}/memberships/{membershipId}",
    id="teams.deleteMembership",
    scope="teams.write",
    emits=(MemberLeft, MemberRemoved),
    raises=(TeamInviteNotFound, TeamNotFound, TeamMembershipMismatch, UserUnauthorized),
)
async def delete_membership(
    ctx: Context, *, team_id: Annotated[str, Id()], membership_id: Annotated[str, Id()]
) -> None:
    """Leave a team, or end somebody else's membership or invitation as its owner."""
    row = await teams.find_membership(ctx.reads, ctx.project_id, membership_id)
    if row is None:
        raise TeamInviteNotFound
    team = await visible(ctx, team_id)
    if row.team != team.stream:
        raise TeamMembershipMismatch
    await ctx.execute(TEAM, team.stream, commands.end_membership, membership_id=membership_id, by=by(ctx))


def seen_by(ctx: Context) -> MembershipPrivacy:
    """What the caller sees of members: servers everything, people what the project lets them."""
    return models.EVERYTHING if is_server(ctx) else ctx.rules.policies.membership_privacy


async def shown(ctx: Context, rows: Sequence[MembershipRow], seen: MembershipPrivacy) -> list[models.Membership]:
    """Memberships, with what may be seen of their accounts."""
    found = await asyncio.gather(*(ctx.reads.load(accounts.BY_STREAM, (row.account,)) for row in rows))
    return [models.membership(row, account, seen) for row, account in zip(rows, found, strict=True)]


def known_by(ctx: Context) -> MembershipPrivacy:
    """What whoever has just changed a membership sees of it: whose it is, and what members see."""
    if is_server(ctx):
        return models.NAMES_AND_ID
    seen = ctx.rules.policies.membership_privacy
    return MembershipPrivacy(user_id=True, user_email=seen.user_email, user_name=seen.user_name)


async def answer(ctx: Context, membership_id: str, seen: MembershipPrivacy) -> models.Membership:
    """A membership that was just changed."""
    row = await teams.get_membership(ctx.reads, ctx.project_id, membership_id)
    return (await shown(ctx, [row], seen))[0]
