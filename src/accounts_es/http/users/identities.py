"""The accounts at providers that open the accounts of a project, for servers."""

import asyncio
from typing import Annotated, Final

from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import IdentityRemoved
from accounts_es.domain.errors import (
    DatabaseQueryOrderNull,
    GeneralCursorNotFound,
    GeneralQueryInvalid,
    UserIdentityNotFound,
)
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http.account import identities as own
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries, attributes
from accounts_es.http.models.tokens import Identity, IdentityList, identity
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id, Text
from projections import identities
from projections.identities import IdentityRow

ATTRIBUTES: Final = {**own.ATTRIBUTES, **attributes(identities.IDENTITIES_OF_PROJECT, userId="account_id")}


@operation(
    "GET",
    "/users/identities",
    id="users.listIdentities",
    scope="users.read",
    returns=IdentityList,
    raises=(GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_identities(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = FIRST_PAGE,
    search: Annotated[str | None, Text(256)] = None,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> IdentityList:
    """A page of the identities of all accounts, and how many match. There is nothing in them to search in."""
    rows, matching = await identities.list_identities_of_project(
        ctx.reads, ctx.project_id, asked=queries, search=search, with_total=total
    )
    return {"total": matching, "identities": await asyncio.gather(*(_shown(ctx, row) for row in rows))}


@operation(
    "DELETE",
    "/users/identities/{identityId}",
    id="users.deleteIdentity",
    scope="users.write",
    emits=(IdentityRemoved,),
    raises=(UserIdentityNotFound,),
)
async def delete_identity(ctx: Context, *, identity_id: Annotated[str, Id()]) -> None:
    """Let a provider's account in no more; the sessions it opened stay."""
    row = await identities.find(ctx.reads, ctx.project_id, identity_id)
    if row is None:
        raise UserIdentityNotFound
    await ctx.execute(ACCOUNT, row.stream, commands.remove_identity, identity_id=identity_id)


async def _shown(ctx: Context, row: IdentityRow) -> Identity:
    account = await ctx.load(ACCOUNT, row.stream)
    return identity(row, account.account_id, account.identities.get(row.identity_id))
