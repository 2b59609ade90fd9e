"""Sign in, look at one's sessions, sign out."""

from datetime import timedelta
from typing import Annotated

from accounts_es.adapters.ids import fingerprint, stream_id, wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.aggregate import SENT_TO
from accounts_es.domain.account.events import (
    IdentityLinked,
    PasswordRehashed,
    SessionCreated,
    SessionDeleted,
    SessionExtended,
    SessionTokensRenewed,
    SignedUp,
    TokenRedeemed,
    VerifiedEmail,
    VerifiedPhone,
)
from accounts_es.domain.errors import (
    UserBlocked,
    UserCountExceeded,
    UserInvalidCredentials,
    UserInvalidToken,
    UserNotFound,
    UserSessionNotFound,
)
from accounts_es.http import models
from accounts_es.http.account import opening
from accounts_es.http.account.registrations import renewed_tokens
from accounts_es.http.context import Context
from accounts_es.http.models.tokens import bare_secret
from accounts_es.http.operation import Limit, guesses, operation
from accounts_es.http.policies import ensure_may_begin
from accounts_es.http.rules import Email, Id, Password, Text
from projections import accounts, sessions

CURRENT = "current"


@operation(
    "POST",
    "/account/sessions/email",
    id="account.createEmailPasswordSession",
    scope="sessions.write",
    returns=models.Session,
    status=201,
    emits=(SessionCreated, SessionDeleted, PasswordRehashed),
    raises=(UserInvalidCredentials, UserBlocked, UserNotFound),
    aliases=("/account/sessions",),
    opens_session=True,
    auth_method="email-password",
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
    if account is None or stored is None or not matches:
        await ctx.refuse_sign_in("email-password", "invalid_credentials", email, account)
        raise UserInvalidCredentials
    if not account.active:
        await ctx.refuse_sign_in("email-password", "blocked", email, account)
        raise UserBlocked
    new = opening.new_session(ctx)
    await opening.alert(ctx, account)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.create_session,
        session_id=new.session_id,
        secret_hash=fingerprint(new.secret),
        provider="email",
        provider_uid=email,
        factors=("password",),
        expires_at=new.expires_at,
        checked_password_hash=stored,
        limit=new.limit,
    )
    if ctx.services.passwords.is_outdated(stored):
        stronger = await ctx.services.passwords.hash(password)
        await ctx.execute(
            ACCOUNT,
            account.stream,
            commands.rehash_password,
            password_hash=stronger,
            checked_password_hash=stored,
        )
    return await opening.answer(ctx, account.stream, account.account_id, new)


@operation(
    "POST",
    "/account/sessions/anonymous",
    id="account.createAnonymousSession",
    scope="sessions.write",
    returns=models.Session,
    status=201,
    emits=(SignedUp, SessionCreated),
    raises=(UserCountExceeded,),
    opens_session=True,
    auth_method="anonymous",
    limits=(Limit(50, 3600, "ip"),),
)
async def create_anonymous_session(ctx: Context) -> models.Session:
    """Sign in without saying who one is: a new account with nothing but a session."""
    await ensure_may_begin(ctx, None)
    stream, account_id, new = stream_id("account"), wire_id(), opening.new_session(ctx)
    await ctx.execute(
        ACCOUNT,
        stream,
        commands.sign_up_anonymously,
        account_id=account_id,
        session_id=new.session_id,
        secret_hash=fingerprint(new.secret),
        expires_at=new.expires_at,
    )
    return await opening.answer(ctx, stream, account_id, new)


REDEEMING = (TokenRedeemed, VerifiedEmail, VerifiedPhone, SessionCreated, *opening.EVICTING)


@operation(
    "POST",
    "/account/sessions/token",
    id="account.createSession",
    scope="sessions.write",
    returns=models.Session,
    status=201,
    emits=REDEEMING,
    raises=(UserInvalidToken, UserBlocked),
    opens_session=True,
    even=True,
    limits=guesses("param:userId"),
)
async def create_session(
    ctx: Context, *, user_id: Annotated[str, Id()], secret: Annotated[str, Text(256)]
) -> models.Session:
    """Sign in with a one-time secret: of a magic URL, a code by mail or SMS, or one that a server made."""
    return await _redeem(ctx, user_id, secret)


@operation(
    "PUT",
    "/account/sessions/magic-url",
    id="account.updateMagicURLSession",
    scope="sessions.write",
    returns=models.Session,
    status=201,
    emits=REDEEMING,
    raises=(UserInvalidToken, UserBlocked),
    opens_session=True,
    even=True,
    limits=guesses("param:userId"),
)
async def update_magic_url_session(
    ctx: Context, *, user_id: Annotated[str, Id()], secret: Annotated[str, Text(256)]
) -> models.Session:
    """As `create_session`, as older SDKs call it."""
    return await _redeem(ctx, user_id, secret)


@operation(
    "PUT",
    "/account/sessions/phone",
    id="account.updatePhoneSession",
    scope="sessions.write",
    returns=models.Session,
    status=201,
    emits=REDEEMING,
    raises=(UserInvalidToken, UserBlocked),
    opens_session=True,
    even=True,
    limits=guesses("param:userId"),
)
async def update_phone_session(
    ctx: Context, *, user_id: Annotated[str, Id()], secret: Annotated[str, Text(256)]
) -> models.Session:
    """As `create_session`, as older SDKs call it."""
    return await _redeem(ctx, user_id, secret)


async def _redeem(ctx: Context, user_id: str, secret: str) -> models.Session:
    account = await accounts.find(ctx.reads, ctx.project_id, user_id)
    if account is None:
        await ctx.refuse_sign_in("token", "unknown", user_id, None)
        raise UserInvalidToken
    try:
        wrapped = ctx.services.jwts.unwrap(ctx.project_id, secret)
        if wrapped is not None:
            identity_id, digest = await _identity_behind(ctx, account, *wrapped)
            return await _redeem_for(ctx, account, digest, identity_id)
        return await _redeem_for(ctx, account, ctx.token_digest(account.stream, bare_secret(user_id, secret)))
    except (UserInvalidToken, UserBlocked) as refused:
        await ctx.refuse_sign_in("token", refused.wire_type, user_id, account)
        raise


async def _identity_behind(ctx: Context, account: accounts.AccountRow, secret: str, provider: str) -> tuple[str, str]:
    """The identity an OAuth2 token was issued for, and the token's digest. Raises `UserInvalidToken`."""
    state = await ctx.load(ACCOUNT, account.stream)
    issued = {token.secret_hash for token in state.tokens.values()}
    for identity in state.identities.values():
        digest = oauth_digest(ctx, account.stream, identity.identity_id, secret)
        if identity.provider == provider and digest in issued:
            return identity.identity_id, digest
    raise UserInvalidToken


def oauth_digest(ctx: Context, stream: str, identity_id: str, secret: str) -> str:
    """What is stored of the secret of an OAuth2 sign-in: good for one identity, and only as it came wrapped."""
    return ctx.token_digest(stream, f"{identity_id}\x1f{secret}")


async def _redeem_for(
    ctx: Context, account: accounts.AccountRow, digest: str, identity_id: str | None = None
) -> models.Session:
    new = opening.new_session(ctx)
    if ctx.rules.policies.session_alert.enabled:
        tokens = (await ctx.load(ACCOUNT, account.stream)).tokens.values()
        # Whoever signs in by mail has just been told by that mail.
        if not any(token.secret_hash == digest and SENT_TO.get(token.purpose) == "email" for token in tokens):
            await opening.alert(ctx, account)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.sign_in_with_token,
        secret_hash=digest,
        now=ctx.at,
        session_id=new.session_id,
        session_secret_hash=fingerprint(new.secret),
        expires_at=new.expires_at,
        identity_id=identity_id,
        limit=new.limit,
        evict=not ctx.services.settings.trust_unverified,
    )
    return await opening.answer(ctx, account.stream, account.account_id, new)


@operation("GET", "/account/sessions", id="account.listSessions", scope="account", returns=models.SessionList)
async def list_sessions(ctx: Context) -> models.SessionList:
    """The caller's sessions, oldest first."""
    rows, total = await sessions.list_sessions(ctx.reads, ctx.account.stream)
    current = ctx.session.session_id if ctx.session is not None else ""
    return {"total": total, "sessions": await opening.describe(ctx, rows, ctx.account.account_id, current=current)}


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
    return await _described(ctx, _own(ctx, session_id))


@operation(
    "PATCH",
    "/account/sessions/{sessionId}",
    id="account.updateSession",
    scope="account",
    returns=models.Session,
    emits=(SessionExtended, SessionTokensRenewed, IdentityLinked),
    raises=(UserSessionNotFound, UserNotFound),
    limits=(Limit(10, 3600, "url", "ip"),),
)
async def update_session(ctx: Context, *, session_id: Annotated[str, Id()]) -> models.Session:
    """Keep one of the caller's sessions for its whole length from now on, with newer tokens of its provider."""
    extending, account = _own(ctx, session_id), ctx.account
    expires_at = ctx.at + timedelta(seconds=ctx.rules.policies.session_duration.duration)
    tokens = await renewed_tokens(ctx, account.stream, extending)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.extend_session,
        session_id=extending,
        expires_at=expires_at,
        tokens=tokens,
    )
    return await _described(ctx, extending)


@operation(
    "DELETE",
    "/account/sessions/{sessionId}",
    id="account.deleteSession",
    scope="account",
    mfa_pending=True,
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


async def _described(ctx: Context, session_id: str) -> models.Session:
    row = await sessions.get(ctx.reads, ctx.account.stream, session_id)
    current = ctx.session.session_id if ctx.session is not None else ""
    (described,) = await opening.describe(ctx, [row], ctx.account.account_id, current=current)
    return described


def _is_current(ctx: Context, session_id: str) -> bool:
    return ctx.session is not None and ctx.session.session_id == session_id
