"""Sign in, look at one's sessions, sign out."""

from datetime import timedelta
from typing import Annotated

from accounts_es.adapters.ids import fingerprint, session_secret, stream_id, wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import SessionCreated, SessionDeleted, SignedUp
from accounts_es.domain.errors import UserBlocked, UserInvalidCredentials, UserNotFound, UserSessionNotFound
from accounts_es.domain.values import SESSION_SECONDS
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.operation import Limit, guesses, operation
from accounts_es.http.rules import Email, Id, Password
from projections import accounts, sessions

CURRENT = "current"


@operation(
    "POST",
    "/account/sessions/email",
    id="account.createEmailPasswordSession",
    scope="sessions.write",
    returns=models.Session,
    status=201,
    emits=(SessionCreated, SessionDeleted),
    raises=(UserInvalidCredentials, UserBlocked, UserNotFound),
    aliases=("/account/sessions",),
    opens_session=True,
    even=True,
    limits=guesses("param:email"),
)
async def create_email_password_session(
    ctx: Context, *, email: Annotated[str, Email()], password: Annotated[str, Password()]
) -> models.Session:
    """Sign in with e-mail and password. Unknown people, wrong passwords and people without one look alike."""
    account = await accounts.find_by_email(ctx.reads, ctx.project_id, email)
    stored = account.password_hash if account is not None else None
    matches = await ctx.services.passwords.matches(stored, password)
    if account is None or not matches:
        await ctx.refuse_sign_in("email-password", "invalid_credentials", email, account)
        raise UserInvalidCredentials
    if not account.active:
        await ctx.refuse_sign_in("email-password", "blocked", email, account)
        raise UserBlocked
    secret, session_id = session_secret(), wire_id()
    expires_at = ctx.at + timedelta(seconds=SESSION_SECONDS)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.create_session,
        session_id=session_id,
        secret_hash=fingerprint(secret),
        provider="email",
        provider_uid=email,
        factors=("password",),
        expires_at=expires_at,
        checked_password_hash=stored,
    )
    row = await sessions.get(ctx.reads, account.stream, session_id)
    shown = ctx.open_session(account.account_id, secret, expires_at)
    return models.session(row, account.account_id, locale=ctx.request.locale, current=True, secret=shown)


@operation(
    "POST",
    "/account/sessions/anonymous",
    id="account.createAnonymousSession",
    scope="sessions.write",
    returns=models.Session,
    status=201,
    emits=(SignedUp, SessionCreated),
    opens_session=True,
    limits=(Limit(50, 3600, "ip"),),
)
async def create_anonymous_session(ctx: Context) -> models.Session:
    """Sign in without saying who one is: a new account with nothing but a session."""
    stream, account_id, session_id, secret = stream_id("account"), wire_id(), wire_id(), session_secret()
    expires_at = ctx.at + timedelta(seconds=SESSION_SECONDS)
    await ctx.execute(
        ACCOUNT,
        stream,
        commands.sign_up_anonymously,
        account_id=account_id,
        session_id=session_id,
        secret_hash=fingerprint(secret),
        expires_at=expires_at,
    )
    row = await sessions.get(ctx.reads, stream, session_id)
    shown = ctx.open_session(account_id, secret, expires_at)
    return models.session(row, account_id, locale=ctx.request.locale, current=True, secret=shown)


@operation("GET", "/account/sessions", id="account.listSessions", scope="account", returns=models.SessionList)
async def list_sessions(ctx: Context) -> models.SessionList:
    """The caller's sessions, oldest first."""
    rows, total = await sessions.list_sessions(ctx.reads, ctx.account.stream)
    current = ctx.session.session_id if ctx.session is not None else ""
    account_id = ctx.account.account_id
    locale = ctx.request.locale
    listed = [models.session(row, account_id, locale=locale, current=row.session_id == current) for row in rows]
    return {"total": total, "sessions": listed}


@operation(
    "GET",
    "/account/sessions/{sessionId}",
    id="account.getSession",
    scope="account",
    returns=models.Session,
    raises=(UserSessionNotFound,),
)
async def get_session(ctx: Context, *, session_id: Annotated[str, Id()]) -> models.Session:
    """One of the caller's sessions; ``current`` is the one the request came with."""
    row = await sessions.get(ctx.reads, ctx.account.stream, _own(ctx, session_id))
    current = _is_current(ctx, row.session_id)
    return models.session(row, ctx.account.account_id, locale=ctx.request.locale, current=current)


@operation(
    "DELETE",
    "/account/sessions/{sessionId}",
    id="account.deleteSession",
    scope="account",
    emits=(SessionDeleted,),
    raises=(UserSessionNotFound, UserNotFound),
    limits=(Limit(100, 3600, "url", "ip"),),
)
async def delete_session(ctx: Context, *, session_id: Annotated[str, Id()]) -> None:
    """End one of the caller's sessions; ``current`` signs out."""
    ending = _own(ctx, session_id)
    await ctx.execute(ACCOUNT, ctx.account.stream, commands.delete_session, session_id=ending, reason="signed_out")
    if _is_current(ctx, ending):
        ctx.close_session()


@operation(
    "DELETE",
    "/account/sessions",
    id="account.deleteSessions",
    scope="account",
    emits=(SessionDeleted,),
    raises=(UserNotFound,),
    limits=(Limit(100, 3600, "url", "ip"),),
)
async def delete_sessions(ctx: Context) -> None:
    """End all of the caller's sessions, this one included."""
    await ctx.execute(ACCOUNT, ctx.account.stream, commands.delete_sessions, reason="signed_out_everywhere")
    if ctx.session is not None:
        ctx.close_session()


def _own(ctx: Context, session_id: str) -> str:
    if session_id != CURRENT:
        return session_id
    if ctx.session is None:
        raise UserSessionNotFound
    return ctx.session.session_id


def _is_current(ctx: Context, session_id: str) -> bool:
    return ctx.session is not None and ctx.session.session_id == session_id
