"""One-time secrets that sign in: by mail, by SMS, and the JWT that a session hands on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from accounts_es.adapters.ids import hex_secret, numeric_code, security_phrase, stream_id, wire_id
from accounts_es.adapters.jwts import JwtClaims
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import SignedUp, TargetAdded, TokenIssued, TokenPurpose
from accounts_es.domain.errors import (
    UserAlreadyExists,
    UserJwtCreationDenied,
    UserNotFound,
    UserSessionNotFound,
)
from accounts_es.http import notices, redirects
from accounts_es.http.context import Context
from accounts_es.http.models.tokens import Jwt, Token, phone_secret, token
from accounts_es.http.operation import Limit, operation
from accounts_es.http.pages import MAGIC_URL
from accounts_es.http.policies import BEGINNING_REFUSALS, ensure_may_begin
from accounts_es.http.rules import UNIQUE, Email, Flag, Id, Number, Phone, Url
from projections import accounts
from projections.accounts import AccountRow

LINK_LIFE: Final = timedelta(hours=1)
CODE_LIFE: Final = timedelta(minutes=15)
"""Contract: account, 1.7."""


@dataclass(frozen=True, slots=True)
class Issue:
    """A one-time secret about to be issued."""

    purpose: TokenPurpose
    secret: str
    life: timedelta
    sent_to: str | None = None
    """The address it goes to by itself; nothing for one that a server hands on."""


async def issue(ctx: Context, stream: str, account_id: str, new: Issue, *, phrase: str = "", shown: str = "") -> Token:
    """Record the secret of an account that exists; its message must be waiting. ``shown`` is what servers get."""
    token_id, expires_at = wire_id(), ctx.at + new.life
    await ctx.execute(
        ACCOUNT,
        stream,
        commands.issue_token,
        token_id=token_id,
        purpose=new.purpose,
        secret_hash=ctx.token_digest(stream, new.secret),
        expires_at=expires_at,
        sent_to=new.sent_to,
    )
    return token(
        token_id,
        account_id,
        ctx.at,
        expires_at,
        secret=(shown or new.secret) if ctx.caller.kind == "key" else "",
        phrase=phrase,
    )


async def _begin_or_find(
    ctx: Context,
    find: Callable[[], Awaitable[AccountRow | None]],
    user_id: str,
    *,
    email: str | None,
    phone: str | None,
) -> AccountRow:
    """The account with this address, made if there is none. Raises `UserAlreadyExists` when the id is taken."""
    known = await find()
    if known is not None:
        return known
    await ensure_may_begin(ctx, email)
    messages, ctx.messages = ctx.messages, ()
    try:
        outcome = await ctx.services.application.execute(
            ctx.meta(),
            ACCOUNT,
            stream_id("account"),
            commands.sign_up,
            account_id=wire_id() if user_id == UNIQUE else user_id,
            email=email,
            phone=phone,
            email_target_id=wire_id(),
            phone_target_id=wire_id(),
        )
    except UserAlreadyExists:
        # Somebody may have been first with this very address.
        known = await find()
        if known is None:
            raise
        return known
    finally:
        ctx.messages = messages
    return await accounts.get_by_stream(ctx.reads, outcome.stream)


BEGINNING = (SignedUp, TargetAdded, TokenIssued)


@operation(
    "POST",
    "/account/tokens/magic-url",
    id="account.createMagicURLToken",
    scope="sessions.write",
    returns=Token,
    status=201,
    emits=BEGINNING,
    raises=(UserAlreadyExists, UserNotFound, *BEGINNING_REFUSALS),
    aliases=("/account/sessions/magic-url",),
    auth_method="magic-url",
    even=True,
    limits=(Limit(60, 3600, "url", "param:email"), Limit(60, 3600, "url", "ip")),
)
async def create_magic_url_token(
    ctx: Context,
    *,
    user_id: Annotated[str, Id(custom=True)],
    email: Annotated[str, Email()],
    url: Annotated[str | None, Url()] = None,
    phrase: Annotated[bool, Flag()] = False,
) -> Token:
    """Mail a link that signs in, to somebody known or new. ``userId`` only counts for the new."""
    if url is not None:
        redirects.ensure_allowed(ctx, "url", url)
    account = await _begin_or_find(
        ctx, lambda: accounts.find_by_email(ctx.reads, ctx.project_id, email), user_id, email=email, phone=None
    )
    new, words = Issue("magic-url", hex_secret(64), LINK_LIFE, email), security_phrase() if phrase else ""
    page = url or ctx.root + MAGIC_URL
    parameters = {"userId": account.account_id, "secret": new.secret, "expire": _expiry(ctx, new)}
    link = redirects.link(page, **parameters, project=ctx.project_id)
    notices.mail(ctx, "magic-url", email, account.name, link=link, phrase=words, life=new.life, **notices.agent(ctx))
    return await issue(ctx, account.stream, account.account_id, new, phrase=words)


@operation(
    "POST",
    "/account/tokens/email",
    id="account.createEmailToken",
    scope="sessions.write",
    returns=Token,
    status=201,
    emits=BEGINNING,
    raises=(UserAlreadyExists, UserNotFound, *BEGINNING_REFUSALS),
    auth_method="email-otp",
    even=True,
    limits=(Limit(10, 3600, "url", "param:email"), Limit(10, 3600, "url", "ip")),
)
async def create_email_token(
    ctx: Context,
    *,
    user_id: Annotated[str, Id(custom=True)],
    email: Annotated[str, Email()],
    phrase: Annotated[bool, Flag()] = False,
) -> Token:
    """Mail a code of six digits that signs in, to somebody known or new."""
    account = await _begin_or_find(
        ctx, lambda: accounts.find_by_email(ctx.reads, ctx.project_id, email), user_id, email=email, phone=None
    )
    new, words = Issue("email-otp", numeric_code(), CODE_LIFE, email), security_phrase() if phrase else ""
    notices.mail(ctx, "otp", email, account.name, otp=new.secret, phrase=words, life=new.life, **notices.agent(ctx))
    return await issue(ctx, account.stream, account.account_id, new, phrase=words)


@operation(
    "POST",
    "/account/tokens/phone",
    id="account.createPhoneToken",
    scope="sessions.write",
    returns=Token,
    status=201,
    emits=BEGINNING,
    raises=(UserAlreadyExists, UserNotFound, *BEGINNING_REFUSALS),
    aliases=("/account/sessions/phone",),
    auth_method="phone",
    even=True,
    limits=(Limit(10, 3600, "url", "param:phone"), Limit(10, 3600, "url", "ip")),
)
async def create_phone_token(
    ctx: Context, *, user_id: Annotated[str, Id(custom=True)], phone: Annotated[str, Phone()]
) -> Token:
    """Send a code of six digits that signs in, to a number known or new."""
    account = await _begin_or_find(
        ctx, lambda: accounts.find_by_phone(ctx.reads, ctx.project_id, phone), user_id, email=None, phone=phone
    )
    new = Issue("phone", ctx.rules.mock_phones.get(phone) or numeric_code(), CODE_LIFE, phone)
    notices.text(ctx, "login", phone, otp=new.secret, life=new.life)
    return await issue(ctx, account.stream, account.account_id, new, shown=phone_secret(account.account_id, new.secret))


@operation(
    "POST",
    "/account/jwts",
    id="account.createJWT",
    scope="account",
    returns=Jwt,
    status=201,
    raises=(UserJwtCreationDenied, UserSessionNotFound),
    aliases=("/account/jwt",),
    auth_method="jwt",
    silent="a JWT is derived from a session, and good for nothing once that is gone",
    limits=(Limit(120, 60, "url", "user"),),
)
async def create_jwt(ctx: Context, *, duration: Annotated[int, Number(0, 3600)] = 900) -> Jwt:
    """A token that stands for the caller's session for at most an hour; 0 seconds count as one."""
    if ctx.caller.kind == "jwt":
        raise UserJwtCreationDenied
    claims = JwtClaims(ctx.account.account_id, ctx.required_session.session_id)
    return {"jwt": ctx.services.jwts.mint(ctx.project_id, claims, ctx.at, timedelta(seconds=max(duration, 1)))}


def _expiry(ctx: Context, new: Issue) -> str:
    return (ctx.at + new.life).isoformat(timespec="milliseconds")
