"""A new password for those who forgot theirs, by link or by code."""

from typing import Annotated

from accounts_es.adapters.ids import hex_secret, numeric_code, security_phrase, wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.commands.tokens import token_of
from accounts_es.domain.account.events import (
    PasswordChanged,
    TokenIssued,
    TokenPurpose,
    TokenRedeemed,
    VerifiedEmail,
)
from accounts_es.domain.errors import (
    PasswordPersonalData,
    PasswordRecentlyUsed,
    UserBlocked,
    UserInvalidToken,
    UserNotFound,
)
from accounts_es.http import notices, redirects
from accounts_es.http.account.opening import EVICTING
from accounts_es.http.account.tokens import CODE_LIFE, LINK_LIFE, Issue, issue
from accounts_es.http.context import Context
from accounts_es.http.holders import holder, strangers_id, tells
from accounts_es.http.models.tokens import Token, token
from accounts_es.http.operation import Limit, operation
from accounts_es.http.policies import ensure_impersonal, ensure_new, ensure_strong
from accounts_es.http.rules import Email, Flag, Id, Password, Text, Url
from projections import accounts
from projections.accounts import AccountRow

RECOVERING = (TokenRedeemed, PasswordChanged, VerifiedEmail, *EVICTING)


@operation(
    "POST",
    "/account/recovery",
    id="account.createRecovery",
    scope="sessions.write",
    returns=Token,
    status=201,
    emits=(TokenIssued,),
    raises=(UserNotFound, UserBlocked),
    even=True,
    limits=(Limit(10, 3600, "url", "param:email"), Limit(10, 3600, "url", "ip")),
)
async def create_recovery(ctx: Context, *, email: Annotated[str, Email()], url: Annotated[str, Url()]) -> Token:
    """Mail a link to choose another password. Nobody learns here whether somebody has the address."""
    redirects.ensure_allowed(ctx, "url", url)
    account = await _recovering(ctx, email)
    new = Issue("recovery", hex_secret(256), LINK_LIFE, email)
    if account is None:
        return _for_nobody(ctx, email, new)
    expire = (ctx.at + new.life).isoformat(timespec="milliseconds")
    link = redirects.link(url, userId=account.account_id, secret=new.secret, expire=expire)
    notices.mail(ctx, "recovery", email, account.name, link=link, life=new.life)
    return await issue(ctx, account.stream, account.account_id, new)


@operation(
    "PUT",
    "/account/recovery",
    id="account.updateRecovery",
    scope="sessions.write",
    returns=Token,
    emits=RECOVERING,
    raises=(UserNotFound, UserInvalidToken, PasswordRecentlyUsed, PasswordPersonalData),
    limits=(Limit(10, 3600, "url", "param:userId"),),
)
async def update_recovery(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    secret: Annotated[str, Text(256)],
    password: Annotated[str, Password()],
) -> Token:
    """Choose another password with the secret of the link."""
    return await _recover(ctx, "recovery", user_id, secret, password)


@operation(
    "POST",
    "/account/recovery/otp",
    id="account.createRecoveryOTP",
    scope="sessions.write",
    returns=Token,
    status=201,
    emits=(TokenIssued,),
    raises=(UserNotFound, UserBlocked),
    even=True,
    limits=(Limit(10, 3600, "url", "param:email"), Limit(10, 3600, "url", "ip")),
)
async def create_recovery_otp(
    ctx: Context, *, email: Annotated[str, Email()], phrase: Annotated[bool, Flag()] = False
) -> Token:
    """Mail a code of six digits to choose another password. Nobody learns here whether somebody has the address."""
    account = await _recovering(ctx, email)
    new, words = Issue("recovery-otp", numeric_code(), CODE_LIFE, email), security_phrase() if phrase else ""
    if account is None:
        return _for_nobody(ctx, email, new, phrase=words)
    notices.mail(
        ctx, "recovery-otp", email, account.name, otp=new.secret, phrase=words, life=new.life, **notices.agent(ctx)
    )
    return await issue(ctx, account.stream, account.account_id, new, phrase=words)


@operation(
    "PUT",
    "/account/recovery/otp",
    id="account.updateRecoveryOTP",
    scope="sessions.write",
    returns=Token,
    emits=RECOVERING,
    raises=(UserNotFound, UserInvalidToken, PasswordRecentlyUsed, PasswordPersonalData),
    limits=(Limit(10, 3600, "url", "param:userId"),),
)
async def update_recovery_otp(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    secret: Annotated[str, Text(256)],
    password: Annotated[str, Password()],
) -> Token:
    """Choose another password with the code."""
    return await _recover(ctx, "recovery-otp", user_id, secret, password)


async def _recovering(ctx: Context, email: str) -> AccountRow | None:
    """Whose password is to be recovered; nobody for unknown and blocked people, unless the caller may know."""
    account = await accounts.find_by_email(ctx.reads, ctx.project_id, email)
    if account is not None and account.active:
        return account
    await ctx.refuse_sign_in("recovery", "unknown" if account is None else "blocked", email, account)
    if tells(ctx):
        raise UserNotFound if account is None else UserBlocked
    return None


def _for_nobody(ctx: Context, email: str, new: Issue, *, phrase: str = "") -> Token:
    """What somebody would be answered."""
    return token(wire_id(), strangers_id(ctx, email), ctx.at, ctx.at + new.life, phrase=phrase)


async def _recover(ctx: Context, purpose: TokenPurpose, user_id: str, secret: str, password: str) -> Token:
    ensure_strong(ctx, password)
    account = await holder(ctx, user_id)
    policies, digest = ctx.rules.policies, ctx.token_digest(account.stream, secret)
    try:
        # Before the password is looked at: only who holds the secret may learn what was used before.
        state = await ctx.load(ACCOUNT, account.stream)
        redeemed = token_of(state, purposes=(purpose,), secret_hash=digest, now=ctx.at)
        history = await ensure_new(ctx, account.stream, password)
        ensure_impersonal(
            ctx, password, account_id=account.account_id, email=account.email, name=account.name, phone=account.phone
        )
        hashed = await ctx.services.passwords.hash(password)
        notices.warn(ctx, "password-changed", account)
        await ctx.execute(
            ACCOUNT,
            account.stream,
            commands.recover_password,
            purpose=purpose,
            secret_hash=digest,
            now=ctx.at,
            password_hash=hashed,
            history=history,
            history_length=policies.password_history.total,
            end_sessions=policies.session_invalidation.enabled,
            evict=not ctx.services.settings.trust_unverified,
        )
    except UserInvalidToken:
        await ctx.refuse_sign_in(purpose, "invalid_token", user_id, account)
        raise
    return token(redeemed.token_id, account.account_id, ctx.at, redeemed.expires_at)
