"""The accounts at providers that open the caller's account."""

from typing import Annotated

from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import IdentityRemoved
from accounts_es.domain.errors import GeneralCursorNotFound, UserIdentityNotFound, UserNotFound, UserUnauthorized
from accounts_es.http.context import Context
from accounts_es.http.listing import page_of, part_of
from accounts_es.http.models.tokens import IdentityList, identity
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id, Queries
from projections import identities


@operation(
    "GET",
    "/account/identities",
    id="account.listIdentities",
    scope="account",
    returns=IdentityList,
    raises=(GeneralCursorNotFound,),
)
async def list_identities(
    ctx: Context,
    *,
    queries: Annotated[list[str] | None, Queries()] = None,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> IdentityList:
    """The caller's identities, oldest first."""
    account = ctx.account
    rows = await identities.list_identities(ctx.reads, account.stream)
    linked = (await ctx.load(ACCOUNT, account.stream)).identities
    part = part_of(rows, page_of(queries or ()), key=lambda row: row.identity_id)
    listed = [identity(row, account.account_id, linked.get(row.identity_id)) for row in part]
    return {"total": len(rows) if total else 0, "identities": listed}


@operation(
    "DELETE",
    "/account/identities/{identityId}",
    id="account.deleteIdentity",
    scope="account",
    emits=(IdentityRemoved,),
    raises=(UserIdentityNotFound, UserUnauthorized, UserNotFound),
)
async def delete_identity(ctx: Context, *, identity_id: Annotated[str, Id()]) -> None:
    """Let a provider's account in no more; its sessions stay."""
    row = await identities.find(ctx.reads, ctx.project_id, identity_id)
    if row is None:
        raise UserIdentityNotFound
    if row.stream != ctx.account.stream:
        raise UserUnauthorized
    await ctx.execute(ACCOUNT, row.stream, commands.remove_identity, identity_id=identity_id)
