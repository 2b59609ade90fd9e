"""What happened to a team, for servers: members do not see where others come from."""

import asyncio
from typing import Annotated

from accounts_es.domain.errors import TeamNotFound, UserUnauthorized
from accounts_es.domain.security.events import AuditRead
from accounts_es.eventstore import activity
from accounts_es.eventstore.activity import Deed
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id
from accounts_es.http.teams.access import is_server, visible
from projections import accounts
from projections.accounts import AccountRow


@operation(
    "GET",
    "/teams/{teamId}/logs",
    id="teams.listLogs",
    scope="teams.read",
    returns=models.LogList,
    emits=(AuditRead,),
    raises=(TeamNotFound, UserUnauthorized),
)
async def list_logs(
    ctx: Context,
    *,
    team_id: Annotated[str, Id()],
    queries: Annotated[Asked, Queries()] = FIRST_PAGE,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.LogList:
    """What happened to a team and its memberships, newest first, and who did it. For servers."""
    team = await visible(ctx, team_id)
    if not is_server(ctx):
        raise UserUnauthorized("Only servers may see the log of a team.")
    log, topics = ctx.services.application.log, models.TEAM_TOPICS
    found, number = await asyncio.gather(
        activity.deeds(log, team.stream, topics, offset=queries.offset, limit=queries.limit),
        activity.count(log, team.stream, topics) if total else asyncio.sleep(0, 0),
    )
    by = await asyncio.gather(*(_by(ctx, deed) for deed in found))
    await ctx.note_audit_read(AuditRead(count=len(found), about=team.stream))
    locale = ctx.request.locale
    logs = [models.team_log(deed, account, locale) for deed, account in zip(found, by, strict=True)]
    return {"total": number, "logs": logs}


async def _by(ctx: Context, deed: Deed) -> AccountRow | None:
    actor = deed.first.meta.actor
    return await ctx.reads.load(accounts.BY_STREAM, (actor.id,)) if actor.kind == "account" else None
