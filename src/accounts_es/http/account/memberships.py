"""The teams the caller is in, or invited to."""

from typing import Annotated

from accounts_es.domain.errors import DatabaseQueryOrderNull, GeneralCursorNotFound, GeneralQueryInvalid
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Text
from accounts_es.http.teams.memberships import ATTRIBUTES, shown
from projections import teams


@operation(
    "GET",
    "/account/memberships",
    id="account.listMemberships",
    scope="account",
    returns=models.MembershipList,
    raises=(GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_memberships(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = FIRST_PAGE,
    search: Annotated[str | None, Text(256)] = None,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.MembershipList:
    """A page of the caller's memberships, invitations among them, and how many match."""
    rows, matching = await teams.list_memberships_of(
        ctx.reads, ctx.account.stream, asked=queries, search=search, with_total=total
    )
    return {"total": matching, "memberships": await shown(ctx, rows, models.NAMES_AND_ID)}
