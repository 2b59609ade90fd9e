"""Whom a provider's account opens, and what becomes of somebody who signed in there (contract: cross-cutting, 10.3).

What opens an account is the provider together with its id of the person. An address only counts when it is verified on
both sides: otherwise whoever registered somebody else's address first, here or there, would share the account with its
owner (ASVS V6.8.1).
"""

from typing import Final

from accounts_es.adapters.ids import fingerprint, stream_id, wire_id
from accounts_es.adapters.providers import Person
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.commands.sessions import PROVIDER_FACTORS
from accounts_es.domain.account.events import (
    EmailChanged,
    IdentityLinked,
    NameChanged,
    SessionCreated,
    SessionDeleted,
    SignedUp,
    TargetAdded,
    VerifiedEmail,
)
from accounts_es.domain.account.profiles import Profile, ProviderTokens
from accounts_es.domain.errors import (
    GeneralBadRequest,
    Refusal,
    UserAlreadyExists,
    UserBlocked,
    UserNotFound,
    UserTargetAlreadyExists,
    UserUnauthorized,
)
from accounts_es.domain.values import is_email
from accounts_es.http import models
from accounts_es.http.account import opening
from accounts_es.http.context import Context
from accounts_es.http.policies import BEGINNING_REFUSALS, ensure_may_begin
from projections import accounts, identities
from projections.accounts import AccountRow

EMITS: Final = (SignedUp, IdentityLinked, EmailChanged, TargetAdded, VerifiedEmail, NameChanged)
"""What `arrive` records."""
SESSION_EMITS: Final = (SessionCreated, SessionDeleted)
"""What `open_session` records besides."""
REFUSALS: Final = (
    GeneralBadRequest,
    UserAlreadyExists,
    UserBlocked,
    UserNotFound,
    UserUnauthorized,
    *BEGINNING_REFUSALS,
)
"""What `arrive` and `open_session` raise."""


def profile_of(provider: str, said: Person, *, name: str, tokens: ProviderTokens | None = None) -> Profile:
    """What counts of what a provider says: an address only if it is one."""
    email = said.email.strip().lower()
    known = is_email(email)
    return Profile(provider, said.uid, email if known else "", known and said.email_verified, name[:128], tokens)


async def arrive(ctx: Context, profile: Profile) -> AccountRow:
    """The account of somebody who signed in at a provider: the caller's, one that is known, or a new one.

    Raises `UserAlreadyExists` when the caller cannot have the identity or its address, `GeneralBadRequest` when the
    address is somebody's and not verified on both sides, `UserUnauthorized` when there is nobody and no address,
    `UserBlocked`, and what `ensure_may_begin` raises.
    """
    stream = ctx.caller.account.stream if ctx.caller.account is not None else None
    try:
        if stream is None:
            stream = await _find(ctx, profile) or await _begin(ctx, profile)
        await _come(ctx, profile, stream)
    except Refusal as refused:
        account = await accounts.get_by_stream(ctx.reads, stream) if stream is not None else None
        await ctx.refuse_sign_in(profile.provider, refused.wire_type, profile.email, account)
        raise
    return await accounts.get_by_stream(ctx.reads, stream)


async def _come(ctx: Context, profile: Profile, stream: str) -> None:
    try:
        await ctx.services.application.execute(
            ctx.meta(),
            ACCOUNT,
            stream,
            commands.come_from_provider,
            profile=profile,
            identity_id=wire_id(),
            target_id=wire_id(),
        )
    except UserTargetAlreadyExists:
        raise UserAlreadyExists from None


async def _find(ctx: Context, profile: Profile) -> str | None:
    known = await identities.find_by_uid(ctx.reads, ctx.project_id, profile.provider, profile.uid)
    if known is not None:
        return known.stream
    if not profile.email:
        return None
    account = await accounts.find_by_email(ctx.reads, ctx.project_id, profile.email)
    if account is not None:
        if not (profile.email_verified and account.email_verified):
            raise GeneralBadRequest
        return account.stream
    other = await identities.find_by_email(ctx.reads, ctx.project_id, profile.email)
    if other is not None:
        linked = (await ctx.load(ACCOUNT, other.stream)).identities.get(other.identity_id)
        if linked is None or not (profile.email_verified and linked.provider_email_verified):
            raise GeneralBadRequest
        return other.stream
    return None


async def _begin(ctx: Context, profile: Profile) -> str:
    if not profile.email:
        raise UserUnauthorized
    await ensure_may_begin(ctx, profile.email)
    try:
        outcome = await ctx.services.application.execute(
            ctx.meta(),
            ACCOUNT,
            stream_id("account"),
            commands.begin_with_provider,
            profile=profile,
            account_id=wire_id(),
            identity_id=wire_id(),
            target_id=wire_id(),
        )
    except (UserAlreadyExists, UserTargetAlreadyExists):
        # Somebody was first with this identity or address: perhaps the same person, twice at once.
        stream = await _find(ctx, profile)
        if stream is None:
            raise GeneralBadRequest from None
        return stream
    return outcome.stream


async def open_session(ctx: Context, account: AccountRow, profile: Profile, tokens: ProviderTokens) -> models.Session:
    """Open a session for somebody who arrived; it takes the place of the one they came with, if any."""
    new = opening.new_session(ctx)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.create_session,
        session_id=new.session_id,
        secret_hash=fingerprint(new.secret),
        provider=profile.provider,
        provider_uid=profile.uid,
        factors=PROVIDER_FACTORS,
        expires_at=new.expires_at,
        provider_access_token=tokens.access,
        provider_refresh_token=tokens.refresh,
        provider_access_token_expires_at=tokens.access_expires_at,
        replaces=ctx.session.session_id if ctx.session is not None else None,
        limit=new.limit,
    )
    return await opening.answer(ctx, account.stream, account.account_id, new)
