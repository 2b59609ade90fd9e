"""Begin, read and end an account."""

from typing import Annotated

from pydantic_core import to_json

from accounts_es.adapters.ids import stream_id, wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import AccountDeleted, SignedUp, TargetAdded
from accounts_es.domain.errors import PasswordPersonalData, UserAlreadyExists, UserNotFound
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.operation import Limit, operation
from accounts_es.http.policies import BEGINNING_REFUSALS, ensure_impersonal, ensure_may_begin, ensure_strong
from accounts_es.http.rules import UNIQUE, Email, Id, Password, Text
from projections import accounts


@operation(
    "POST",
    "/account",
    id="account.create",
    scope="sessions.write",
    returns=models.Account,
    status=201,
    emits=(SignedUp, TargetAdded),
    raises=(UserAlreadyExists, PasswordPersonalData, *BEGINNING_REFUSALS),
    auth_method="email-password",
    limits=(Limit(10, 3600, "url", "ip"),),
)
async def create(
    ctx: Context,
    *,
    user_id: Annotated[str, Id(custom=True)],
    email: Annotated[str, Email()],
    password: Annotated[str, Password()],
    name: Annotated[str, Text(128)] = "",
) -> models.Account:
    """Sign up with e-mail and password. No session is opened."""
    ctx.even = ctx.services.settings.private_sign_up
    made = wire_id() if user_id == UNIQUE else user_id
    ensure_strong(ctx, password)
    ensure_impersonal(ctx, password, account_id=made, email=email, name=name)
    await ensure_may_begin(ctx, email)
    try:
        outcome = await ctx.execute(
            ACCOUNT,
            stream_id("account"),
            commands.sign_up,
            account_id=made,
            email=email,
            name=name,
            password_hash=await ctx.services.passwords.hash(password),
            email_target_id=wire_id(),
        )
    except UserAlreadyExists:
        holder = await accounts.find_by_email(ctx.reads, ctx.project_id, email)
        if holder is None or not ctx.services.settings.private_sign_up:
            raise
        await ctx.refuse_sign_in("sign-up", "user_already_exists", email, holder)
        return models.account(accounts.newcomer(ctx.project_id, made, email, name, wire_id(), ctx.at))
    return models.account(await accounts.get_by_stream(ctx.reads, outcome.stream))


@operation("GET", "/account", id="account.get", scope="account", returns=models.Account, impersonable=True)
async def get(ctx: Context) -> bytes:
    """The account of the caller, or of the person the caller acts as."""
    impersonator = ctx.caller.impersonator
    if impersonator is None:
        return models.account_body(ctx.account)
    return to_json({**models.account(ctx.account), "impersonatorUserId": impersonator.account_id})


@operation(
    "DELETE",
    "/account",
    id="account.delete",
    scope="account",
    emits=(AccountDeleted,),
    raises=(UserNotFound,),
    impersonable=True,
)
async def delete(ctx: Context) -> None:
    """End the caller's own account, or that of the person the caller acts as, with its sessions."""
    await ctx.execute(ACCOUNT, ctx.account.stream, commands.delete_account)
