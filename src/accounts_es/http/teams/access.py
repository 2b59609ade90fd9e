"""Who may see a team, and in whose name it is changed. Servers may see and change all."""

from accounts_es.domain.errors import MembershipNotFound, TeamMembershipMismatch, TeamNotFound, UserUnauthorized
from accounts_es.domain.team import OWNER
from accounts_es.http.context import Context
from accounts_es.http.roles import roles_of
from projections import teams
from projections.teams import MembershipRow, TeamRow


def by(ctx: Context) -> str | None:
    """Who asks, for commands: an account's stream, or nothing for a server. Nobody else gets as far as a command."""
    return None if is_server(ctx) else ctx.account.stream


def is_server(ctx: Context) -> bool:
    """Whether a server asks, which may see and do everything its scopes allow."""
    return ctx.caller.kind == "key"


async def visible(ctx: Context, team_id: str) -> TeamRow:
    """The team. Raises `TeamNotFound`, also to people who are no members."""
    reading = teams.find(ctx.reads, ctx.project_id, team_id)
    seen = is_server(ctx) or f"team:{team_id}" in await roles_of(ctx)
    team = await reading
    if team is None or not seen:
        raise TeamNotFound
    return team


async def owned(ctx: Context, team_id: str, message: str) -> TeamRow:
    """The team, for what comes before its own decision. Raises `TeamNotFound` and `UserUnauthorized`."""
    team = await visible(ctx, team_id)
    if not is_server(ctx) and f"team:{team_id}/{OWNER}" not in await roles_of(ctx):
        raise UserUnauthorized(message)
    return team


async def membership_of(ctx: Context, team: TeamRow, membership_id: str) -> MembershipRow:
    """A membership of this team. Raises `MembershipNotFound` and `TeamMembershipMismatch`."""
    membership = await teams.find_membership(ctx.reads, ctx.project_id, membership_id)
    if membership is None:
        raise MembershipNotFound
    if membership.team != team.stream:
        raise TeamMembershipMismatch
    return membership
