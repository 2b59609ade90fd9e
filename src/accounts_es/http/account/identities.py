"""The accounts at providers that open the caller's account."""

from typing import Annotated

from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import IdentityRemoved
from accounts_es.domain.errors import (
    DatabaseQueryOrderNull,
    GeneralCursorNotFound,
    GeneralQueryInvalid,
    UserIdentityNotFound,
    UserNotFound,
    UserUnauthorized,
)
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries, attributes
from accounts_es.http.models.tokens import IdentityList, identity
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id
from projections import identities

ATTRIBUTES = attributes(
    identities.LISTING,
    provider="provider",
    providerUid="provider_uid",
    providerEmail="provider_email",
    providerAccessTokenExpiry="access_token_expires_at",
)


@operation(
    "GET",
    "/account/identities",
    id="account.listIdentities",
    scope="account",
    returns=IdentityList,
    raises=(GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_identities(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = FIRST_PAGE,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> IdentityList:
    """A page of the caller's identities, oldest first unless asked otherwise, and how many match."""
    account = ctx.account
    rows, matching = await identities.list_identities(ctx.reads, account.stream, asked=queries, with_total=total)
    linked = (await ctx.load(ACCOUNT, account.stream)).identities
    listed = [identity(row, account.account_id, linked.get(row.identity_id)) for row in rows]
    return {"total": matching, "identities": listed}


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
