"""What a server hands to somebody who is to sign in, or to act for a while."""

from datetime import timedelta
from typing import Annotated, Final

from accounts_es.adapters.ids import hex_secret
from accounts_es.adapters.jwts import JwtClaims
from accounts_es.domain.account.events import TokenIssued
from accounts_es.domain.errors import UserNotFound, UserSessionNotFound
from accounts_es.http.account.tokens import Issue, issue
from accounts_es.http.context import Context
from accounts_es.http.models.tokens import Jwt, Token
from accounts_es.http.operation import operation
from accounts_es.http.rules import Id, Number
from projections import accounts, sessions
from projections.accounts import AccountRow

RECENT: Final = "recent"
"""The newest session there is, or none."""


@operation(
    "POST",
    "/users/{userId}/tokens",
    id="users.createToken",
    scope="users.write",
    returns=Token,
    status=201,
    emits=(TokenIssued,),
    raises=(UserNotFound,),
)
async def create_token(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    length: Annotated[int, Number(4, 128)] = 6,
    expire: Annotated[int, Number(60, 31_536_000)] = 900,
) -> Token:
    """A one-time secret of so many hex digits that opens a session within so many seconds; the server delivers it."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    new = Issue("custom", hex_secret(length), timedelta(seconds=expire))
    return await issue(ctx, account.stream, account.account_id, new)


@operation(
    "POST",
    "/users/{userId}/jwts",
    id="users.createJWT",
    scope="users.write",
    returns=Jwt,
    status=201,
    raises=(UserNotFound, UserSessionNotFound),
    silent="a JWT is derived from an account or one of its sessions, and good for nothing once that is gone",
)
async def create_jwt(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    session_id: Annotated[str, Id()] = RECENT,
    duration: Annotated[int, Number(0, 3600)] = 900,
) -> Jwt:
    """A token that stands for a session, or for an account without one, for an hour at most; 0 seconds count as 1."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    claims = JwtClaims(account.account_id, await _session_of(ctx, account, session_id))
    return {"jwt": ctx.services.jwts.mint(ctx.project_id, claims, ctx.at, timedelta(seconds=max(duration, 1)))}


async def _session_of(ctx: Context, account: AccountRow, asked: str) -> str:
    """The session asked for, or nothing. Raises `UserSessionNotFound` for one that is named and not there."""
    if asked != RECENT:
        return (await sessions.get(ctx.reads, account.stream, asked)).session_id
    rows, _ = await sessions.list_sessions(ctx.reads, account.stream)
    return next((row.session_id for row in reversed(rows) if row.expires_at > ctx.at), "")
