"""The teams an account is in, or invited to, for servers."""

from typing import Annotated

from accounts_es.domain.errors import (
    DatabaseQueryOrderNull,
    GeneralCursorNotFound,
    GeneralQueryInvalid,
    UserNotFound,
)
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id, Text
from accounts_es.http.teams.memberships import ATTRIBUTES, shown
from projections import accounts, teams


@operation(
    "GET",
    "/users/{userId}/memberships",
    id="users.listMemberships",
    scope="users.read",
    returns=models.MembershipList,
    raises=(UserNotFound, GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_memberships(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = FIRST_PAGE,
    search: Annotated[str | None, Text(256)] = None,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.MembershipList:
    """A page of an account's memberships, invitations among them, and how many match."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    rows, matching = await teams.list_memberships_of(
        ctx.reads, account.stream, asked=queries, search=search, with_total=total
    )
    return {"total": matching, "memberships": await shown(ctx, rows, models.NAMES_AND_ID)}
