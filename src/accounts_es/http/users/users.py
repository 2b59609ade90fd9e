"""Create, find and delete accounts."""

from typing import Annotated

from accounts_es.adapters.ids import stream_id, wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import AccountDeleted, SignedUp, TargetAdded
from accounts_es.domain.errors import (
    DatabaseQueryOrderNull,
    GeneralCursorNotFound,
    GeneralQueryInvalid,
    PasswordPersonalData,
    UserAlreadyExists,
    UserNotFound,
    UserTargetAlreadyExists,
)
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries, attributes
from accounts_es.http.operation import operation
from accounts_es.http.policies import ADDRESS_REFUSALS, ensure_address, ensure_impersonal, ensure_strong
from accounts_es.http.rules import UNIQUE, Email, Flag, Id, Password, Phone, Text
from projections import accounts
from projections.accounts import AccountRow


@operation(
    "POST",
    "/users",
    id="users.create",
    scope="users.write",
    returns=models.User,
    status=201,
    emits=(SignedUp, TargetAdded),
    raises=(UserAlreadyExists, UserTargetAlreadyExists, PasswordPersonalData, *ADDRESS_REFUSALS),
)
async def create(
    ctx: Context,
    *,
    user_id: Annotated[str, Id(custom=True)],
    email: Annotated[str | None, Email()] = None,
    phone: Annotated[str | None, Phone()] = None,
    password: Annotated[str | None, Password()] = None,
    name: Annotated[str, Text(128)] = "",
) -> models.User:
    """Create an account; all but its id may be missing."""
    made = wire_id() if user_id == UNIQUE else user_id
    if password is not None:
        ensure_strong(ctx, password)
        ensure_impersonal(ctx, password, account_id=made, email=email, name=name, phone=phone)
    if email is not None:
        ensure_address(ctx, email)
    outcome = await ctx.execute(
        ACCOUNT,
        stream_id("account"),
        commands.sign_up,
        account_id=made,
        email=email,
        phone=phone,
        name=name,
        password_hash=await ctx.services.passwords.hash(password) if password is not None else None,
        email_target_id=wire_id(),
        phone_target_id=wire_id(),
    )
    return models.user(await accounts.get_by_stream(ctx.reads, outcome.stream))


ATTRIBUTES = attributes(
    accounts.LISTING,
    name="name",
    email="email",
    phone="phone",
    status="active",
    labels="labels",
    registration="registered_at",
    passwordUpdate="password_updated_at",
    emailVerification="email_verified",
    phoneVerification="phone_verified",
    impersonator="impersonator",
    accessedAt="accessed_at",
)


@operation(
    "GET",
    "/users",
    id="users.list",
    scope="users.read",
    returns=models.UserList,
    raises=(GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
    for_impersonators=True,
)
async def list_users(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = FIRST_PAGE,
    search: Annotated[str | None, Text(256)] = None,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.UserList:
    """A page of the project's accounts, in the order they signed up unless asked otherwise, and how many match."""
    rows, matching = await accounts.list_accounts(
        ctx.reads, ctx.project_id, asked=queries, search=search, with_total=total
    )
    return {"total": matching, "users": [_seen(ctx, row) for row in rows]}


@operation(
    "GET",
    "/users/{userId}",
    id="users.get",
    scope="users.read",
    returns=models.User,
    raises=(UserNotFound,),
    for_impersonators=True,
)
async def get(ctx: Context, *, user_id: Annotated[str, Id()]) -> models.User:
    """One account."""
    return _seen(ctx, await accounts.get(ctx.reads, ctx.project_id, user_id))


def _seen(ctx: Context, row: AccountRow) -> models.User:
    """An account as the caller may see it: hashes are for servers, not for people who may act as others."""
    user = models.user(row)
    return user if ctx.caller.kind == "key" else {**user, "password": None, "hashOptions": {"type": user["hash"]}}


@operation(
    "DELETE",
    "/users/{userId}",
    id="users.delete",
    scope="users.write",
    emits=(AccountDeleted,),
    raises=(UserNotFound,),
)
async def delete(ctx: Context, *, user_id: Annotated[str, Id()]) -> None:
    """End an account, with its sessions; its id and addresses are free again."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    await ctx.execute(ACCOUNT, account.stream, commands.delete_account)
