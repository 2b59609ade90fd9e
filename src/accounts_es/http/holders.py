"""Whose one-time secret it is, without telling strangers who exists (ASVS V6.3.8)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from accounts_es.domain.errors import UserInvalidToken, UserNotFound
from accounts_es.http.context import Context
from projections import accounts
from projections.accounts import AccountRow


def tells(ctx: Context) -> bool:
    """Whether the caller may learn that nobody is behind an address: servers, and everybody where it is so set."""
    return ctx.caller.kind == "key" or ctx.services.settings.tell_unknown


async def holder(ctx: Context, user_id: str) -> AccountRow:
    """The account. For an unknown one raises `UserNotFound` to callers who may know, `UserInvalidToken` to others."""
    account = await accounts.find(ctx.reads, ctx.project_id, user_id)
    if account is not None:
        return account
    await ctx.refuse_sign_in("token", "unknown", user_id, None)
    raise UserNotFound if tells(ctx) else UserInvalidToken


@asynccontextmanager
async def guess(ctx: Context, method: str, account: AccountRow) -> AsyncGenerator[None]:
    """Where a secret of an account is shown: a wrong one is recorded (ASVS V16.3.1)."""
    try:
        yield
    except UserInvalidToken:
        await ctx.refuse_sign_in(method, "invalid_token", account.account_id, account)
        raise


def strangers_id(ctx: Context, email: str) -> str:
    """The user id that somebody without an account is told: always the same for one address, and nobody's."""
    return ctx.services.application.log.keys.digest(ctx.project_id, "stranger", email).hex()[:20]
