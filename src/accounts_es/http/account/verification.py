"""Showing that an address or a number is one's own."""

from typing import Annotated

from accounts_es.adapters.ids import hex_secret, numeric_code, security_phrase, wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.commands.tokens import token_of
from accounts_es.domain.account.events import TokenIssued, TokenPurpose, TokenRedeemed, VerifiedEmail, VerifiedPhone
from accounts_es.domain.errors import (
    UserEmailAlreadyVerified,
    UserEmailNotFound,
    UserInvalidToken,
    UserNotFound,
    UserPhoneAlreadyVerified,
    UserPhoneNotFound,
)
from accounts_es.http import notices, redirects
from accounts_es.http.account.tokens import CODE_LIFE, LINK_LIFE, Issue
from accounts_es.http.context import Context
from accounts_es.http.holders import guess, holder
from accounts_es.http.models.tokens import Token, bare_secret, token
from accounts_es.http.operation import Limit, operation
from accounts_es.http.rules import Flag, Id, Text, Url


@operation(
    "POST",
    "/account/verifications/email",
    id="account.createEmailVerification",
    scope="account",
    returns=Token,
    status=201,
    emits=(TokenIssued,),
    raises=(UserEmailNotFound, UserEmailAlreadyVerified, UserNotFound),
    aliases=("/account/verification",),
    limits=(Limit(10, 3600, "url", "user"),),
)
async def create_email_verification(ctx: Context, *, url: Annotated[str, Url()]) -> Token:
    """Mail a link that verifies the caller's address."""
    redirects.ensure_allowed(ctx, "url", url)
    email = _own_email(ctx)
    new = Issue("verification", hex_secret(256), LINK_LIFE, email)
    expire = (ctx.at + new.life).isoformat(timespec="milliseconds")
    link = redirects.link(url, userId=ctx.account.account_id, secret=new.secret, expire=expire)
    notices.mail(ctx, "verification", email, ctx.account.name, link=link, life=new.life)
    return await _issue_for_email(ctx, new)


@operation(
    "PUT",
    "/account/verifications/email",
    id="account.updateEmailVerification",
    scope="public",
    returns=Token,
    emits=(TokenRedeemed, VerifiedEmail),
    raises=(UserNotFound, UserInvalidToken),
    aliases=("/account/verification",),
    limits=(Limit(10, 3600, "url", "param:userId"),),
)
async def update_email_verification(
    ctx: Context, *, user_id: Annotated[str, Id()], secret: Annotated[str, Text(256)]
) -> Token:
    """Verify an address with the secret of the link."""
    return await _verify_email(ctx, "verification", user_id, secret)


@operation(
    "POST",
    "/account/verifications/email/otp",
    id="account.createEmailVerificationOTP",
    scope="account",
    returns=Token,
    status=201,
    emits=(TokenIssued,),
    raises=(UserEmailNotFound, UserEmailAlreadyVerified, UserNotFound),
    limits=(Limit(10, 3600, "url", "user"),),
)
async def create_email_verification_otp(ctx: Context, *, phrase: Annotated[bool, Flag()] = False) -> Token:
    """Mail a code of six digits that verifies the caller's address."""
    email = _own_email(ctx)
    new, words = Issue("verification-otp", numeric_code(), CODE_LIFE, email), security_phrase() if phrase else ""
    values = {"otp": new.secret, "phrase": words, **notices.agent(ctx)}
    notices.mail(ctx, "verification-otp", email, ctx.account.name, life=new.life, **values)
    return await _issue_for_email(ctx, new, phrase=words)


@operation(
    "PUT",
    "/account/verifications/email/otp",
    id="account.updateEmailVerificationOTP",
    scope="public",
    returns=Token,
    emits=(TokenRedeemed, VerifiedEmail),
    raises=(UserNotFound, UserInvalidToken),
    limits=(Limit(10, 3600, "url", "param:userId"),),
)
async def update_email_verification_otp(
    ctx: Context, *, user_id: Annotated[str, Id()], secret: Annotated[str, Text(256)]
) -> Token:
    """Verify an address with the code."""
    return await _verify_email(ctx, "verification-otp", user_id, secret)


@operation(
    "POST",
    "/account/verifications/phone",
    id="account.createPhoneVerification",
    scope="account",
    returns=Token,
    status=201,
    emits=(TokenIssued,),
    raises=(UserPhoneNotFound, UserPhoneAlreadyVerified, UserNotFound),
    aliases=("/account/verification/phone",),
    auth_method="phone",
    limits=(Limit(10, 3600, "url", "user"), Limit(10, 3600, "url", "ip")),
)
async def create_phone_verification(ctx: Context) -> Token:
    """Send a code of six digits that verifies the caller's number."""
    account = ctx.account
    if not account.phone:
        raise UserPhoneNotFound
    new = Issue("phone", ctx.rules.mock_phones.get(account.phone) or numeric_code(), LINK_LIFE, account.phone)
    notices.text(ctx, "verification", account.phone, otp=new.secret, life=new.life)
    token_id, expires_at = wire_id(), ctx.at + new.life
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.issue_phone_verification,
        token_id=token_id,
        secret_hash=ctx.token_digest(account.stream, new.secret),
        expires_at=expires_at,
        sent_to=new.sent_to,
    )
    return token(token_id, account.account_id, ctx.at, expires_at)


@operation(
    "PUT",
    "/account/verifications/phone",
    id="account.updatePhoneVerification",
    scope="public",
    returns=Token,
    emits=(TokenRedeemed, VerifiedPhone),
    raises=(UserNotFound, UserInvalidToken),
    aliases=("/account/verification/phone",),
    limits=(Limit(10, 3600, "param:userId"),),
)
async def update_phone_verification(
    ctx: Context, *, user_id: Annotated[str, Id()], secret: Annotated[str, Text(256)]
) -> Token:
    """Verify a number with the code."""
    account = await holder(ctx, user_id)
    digest = ctx.token_digest(account.stream, bare_secret(user_id, secret))
    async with guess(ctx, "phone-verification", account):
        state = await ctx.load(ACCOUNT, account.stream)
        redeemed = token_of(state, purposes=("phone",), secret_hash=digest, now=ctx.at)
        await ctx.execute(ACCOUNT, account.stream, commands.verify_phone_with_token, secret_hash=digest, now=ctx.at)
    return token(redeemed.token_id, account.account_id, ctx.at, redeemed.expires_at)


def _own_email(ctx: Context) -> str:
    if not ctx.account.email:
        raise UserEmailNotFound
    return ctx.account.email


async def _issue_for_email(ctx: Context, new: Issue, *, phrase: str = "") -> Token:
    token_id, expires_at, stream = wire_id(), ctx.at + new.life, ctx.account.stream
    await ctx.execute(
        ACCOUNT,
        stream,
        commands.issue_email_verification,
        token_id=token_id,
        purpose=new.purpose,
        secret_hash=ctx.token_digest(stream, new.secret),
        expires_at=expires_at,
        sent_to=new.sent_to,
    )
    return token(token_id, ctx.account.account_id, ctx.at, expires_at, phrase=phrase)


async def _verify_email(ctx: Context, purpose: TokenPurpose, user_id: str, secret: str) -> Token:
    account = await holder(ctx, user_id)
    digest = ctx.token_digest(account.stream, secret)
    async with guess(ctx, purpose, account):
        state = await ctx.load(ACCOUNT, account.stream)
        redeemed = token_of(state, purposes=(purpose,), secret_hash=digest, now=ctx.at)
        await ctx.execute(
            ACCOUNT,
            account.stream,
            commands.verify_email_with_token,
            purpose=purpose,
            secret_hash=digest,
            now=ctx.at,
        )
    return token(redeemed.token_id, account.account_id, ctx.at, redeemed.expires_at)
