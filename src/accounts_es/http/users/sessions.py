"""The sessions of an account, for servers."""

from typing import Annotated

from accounts_es.adapters.ids import fingerprint
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import SessionCreated, SessionDeleted
from accounts_es.domain.errors import UserBlocked, UserNotFound, UserSessionNotFound
from accounts_es.http import cookies, models
from accounts_es.http.account import opening
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id
from projections import accounts, sessions


@operation(
    "GET",
    "/users/{userId}/sessions",
    id="users.listSessions",
    scope=("users.read", "sessions.read"),
    returns=models.SessionList,
    raises=(UserNotFound,),
)
async def list_sessions(
    ctx: Context, *, user_id: Annotated[str, Id()], total: Annotated[bool, Flag(loose=True)] = True
) -> models.SessionList:
    """An account's sessions, oldest first."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    rows, number = await sessions.list_sessions(ctx.reads, account.stream)
    listed = await opening.describe(ctx, rows, account.account_id)
    return {"total": number if total else 0, "sessions": listed}


@operation(
    "POST",
    "/users/{userId}/sessions",
    id="users.createSession",
    scope=("users.write", "sessions.write"),
    returns=models.Session,
    status=201,
    emits=(SessionCreated,),
    raises=(UserNotFound, UserBlocked),
)
async def create_session(ctx: Context, *, user_id: Annotated[str, Id()]) -> models.Session:
    """Open a session of an account, for the server to act with or to hand on. No cookie is set, no session ends."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    new = opening.new_session(ctx)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.create_session,
        session_id=new.session_id,
        secret_hash=fingerprint(new.secret),
        provider="server",
        factors=("server",),
        expires_at=new.expires_at,
        limit=0,
    )
    row = await sessions.get(ctx.reads, account.stream, new.session_id)
    secret = cookies.encode(cookies.Credential(account.account_id, new.secret))
    return models.session(row, account.account_id, locale=ctx.request.locale, secret=secret)


@operation(
    "DELETE",
    "/users/{userId}/sessions/{sessionId}",
    id="users.deleteSession",
    scope=("users.write", "sessions.write"),
    emits=(SessionDeleted,),
    raises=(UserNotFound, UserSessionNotFound),
)
async def delete_session(ctx: Context, *, user_id: Annotated[str, Id()], session_id: Annotated[str, Id()]) -> None:
    """End one session of an account."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    await ctx.execute(ACCOUNT, account.stream, commands.delete_session, session_id=session_id, reason="revoked")


@operation(
    "DELETE",
    "/users/{userId}/sessions",
    id="users.deleteSessions",
    scope=("users.write", "sessions.write"),
    emits=(SessionDeleted,),
    raises=(UserNotFound,),
)
async def delete_sessions(ctx: Context, *, user_id: Annotated[str, Id()]) -> None:
    """End all sessions of an account."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    await ctx.execute(ACCOUNT, account.stream, commands.delete_sessions, reason="revoked")
