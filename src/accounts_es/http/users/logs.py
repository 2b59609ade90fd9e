"""What happened to an account, for servers."""

from typing import Annotated

from accounts_es.domain.errors import UserNotFound
from accounts_es.domain.security.events import AuditRead
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.account.logs import logs_of
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id
from projections import accounts


@operation(
    "GET",
    "/users/{userId}/logs",
    id="users.listLogs",
    scope="users.read",
    returns=models.LogList,
    emits=(AuditRead,),
    raises=(UserNotFound,),
)
async def list_logs(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    queries: Annotated[Asked, Queries()] = FIRST_PAGE,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.LogList:
    """What happened to an account, newest first: sign-ins, refused ones, and every change, whoever made it."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    found = await logs_of(ctx, account, queries, total=total)
    await ctx.note_audit_read(AuditRead(count=len(found["logs"]), about=account.stream))
    return found
