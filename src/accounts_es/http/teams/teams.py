"""Begin, find, change and end teams."""

from typing import Annotated

from accounts_es.adapters.ids import stream_id, wire_id
from accounts_es.domain.errors import (
    DatabaseQueryOrderNull,
    GeneralCursorNotFound,
    GeneralQueryInvalid,
    TeamAlreadyExists,
    TeamNotFound,
    UserUnauthorized,
)
from accounts_es.domain.event import JSONObject
from accounts_es.domain.team import OWNER, TEAM, commands
from accounts_es.domain.team.events import MemberAdded, PrefsUpdated, TeamCreated, TeamDeleted, TeamRenamed
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries, attributes
from accounts_es.http.operation import operation
from accounts_es.http.rules import UNIQUE, Flag, Id, Key, Prefs, Text, Texts
from accounts_es.http.teams.access import by, visible
from projections import teams


@operation(
    "POST",
    "/teams",
    id="teams.create",
    scope="teams.write",
    returns=models.Team,
    status=201,
    emits=(TeamCreated, MemberAdded),
    raises=(TeamAlreadyExists,),
)
async def create(
    ctx: Context,
    *,
    team_id: Annotated[str, Id(custom=True)],
    name: Annotated[str, Text(128)],
    roles: Annotated[list[str] | None, Texts(Key(36), 100)] = None,
) -> models.Team:
    """Begin a team. People become its first member and owner; a team that a server makes is empty."""
    outcome = await ctx.execute(
        TEAM,
        stream_id("team"),
        commands.create_team,
        team_id=wire_id() if team_id == UNIQUE else team_id,
        name=name,
        by=by(ctx),
        membership_id=wire_id(),
        roles=roles if roles is not None else [OWNER],
    )
    return models.team(await teams.get_by_stream(ctx.reads, outcome.stream))


@operation(
    "GET",
    "/teams",
    id="teams.list",
    scope="teams.read",
    returns=models.TeamList,
    raises=(GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_teams(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries(attributes(teams.TEAMS_OF_PROJECT, name="name", total="total"))] = FIRST_PAGE,
    search: Annotated[str | None, Text(256)] = None,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.TeamList:
    """A page of the teams the caller is a member of, or of all teams for a server, and how many match."""
    account = by(ctx)
    if account is None:
        rows, matching = await teams.list_teams(
            ctx.reads, ctx.project_id, asked=queries, search=search, with_total=total
        )
    else:
        rows, matching = await teams.list_teams_of(ctx.reads, account, asked=queries, search=search, with_total=total)
    return {"total": matching, "teams": [models.team(row) for row in rows]}


@operation("GET", "/teams/{teamId}", id="teams.get", scope="teams.read", returns=models.Team, raises=(TeamNotFound,))
async def get(ctx: Context, *, team_id: Annotated[str, Id()]) -> models.Team:
    """One team."""
    return models.team(await visible(ctx, team_id))


@operation(
    "PUT",
    "/teams/{teamId}",
    id="teams.updateName",
    scope="teams.write",
    returns=models.Team,
    emits=(TeamRenamed,),
    raises=(TeamNotFound, UserUnauthorized),
)
async def update_name(ctx: Context, *, team_id: Annotated[str, Id()], name: Annotated[str, Text(128)]) -> models.Team:
    """Call a team something else."""
    team = await visible(ctx, team_id)
    await ctx.execute(TEAM, team.stream, commands.rename_team, name=name, by=by(ctx))
    return models.team(await teams.get_by_stream(ctx.reads, team.stream))


@operation(
    "DELETE",
    "/teams/{teamId}",
    id="teams.delete",
    scope="teams.write",
    emits=(TeamDeleted,),
    raises=(TeamNotFound, UserUnauthorized),
)
async def delete(ctx: Context, *, team_id: Annotated[str, Id()]) -> None:
    """End a team with all its memberships; its id is free again."""
    team = await visible(ctx, team_id)
    await ctx.execute(TEAM, team.stream, commands.delete_team, by=by(ctx))


@operation(
    "GET",
    "/teams/{teamId}/prefs",
    id="teams.getPrefs",
    scope="teams.read",
    returns=models.Preferences,
    raises=(TeamNotFound,),
)
async def get_prefs(ctx: Context, *, team_id: Annotated[str, Id()]) -> JSONObject:
    """A team's preferences, for all its members."""
    return models.team_prefs(await visible(ctx, team_id))


@operation(
    "PUT",
    "/teams/{teamId}/prefs",
    id="teams.updatePrefs",
    scope="teams.write",
    returns=models.Preferences,
    emits=(PrefsUpdated,),
    raises=(TeamNotFound, UserUnauthorized),
)
async def update_prefs(
    ctx: Context, *, team_id: Annotated[str, Id()], prefs: Annotated[JSONObject, Prefs()]
) -> JSONObject:
    """Replace a team's preferences as a whole."""
    team = await visible(ctx, team_id)
    await ctx.execute(TEAM, team.stream, commands.update_prefs, prefs=prefs, by=by(ctx))
    return models.team_prefs(await teams.get_by_stream(ctx.reads, team.stream))
