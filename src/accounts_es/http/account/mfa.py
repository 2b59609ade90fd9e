"""Second factors (contract: account, 2.12)."""

from datetime import timedelta
from typing import Annotated, Final, cast

from accounts_es.adapters import totp
from accounts_es.adapters.ids import numeric_code, recovery_codes, wire_id
from accounts_es.domain.account import ACCOUNT, Account, commands
from accounts_es.domain.account.events import (
    AuthenticatorAdded,
    AuthenticatorRemoved,
    AuthenticatorUsed,
    AuthenticatorVerified,
    ChallengeCreated,
    ChallengePassed,
    Factor,
    MfaSwitchedOff,
    MfaSwitchedOn,
    RecoveryCodesGenerated,
    RecoveryCodeUsed,
    SessionFactorAdded,
)
from accounts_es.domain.errors import (
    UserAuthenticatorAlreadyVerified,
    UserAuthenticatorNotFound,
    UserAuthMethodUnsupported,
    UserEmailNotFound,
    UserEmailNotVerified,
    UserInvalidToken,
    UserNotFound,
    UserPhoneNotFound,
    UserPhoneNotVerified,
    UserRecoveryCodesAlreadyExists,
    UserRecoveryCodesNotFound,
    UserSessionNotFound,
)
from accounts_es.http import models, notices
from accounts_es.http.account import opening
from accounts_es.http.context import Context
from accounts_es.http.holders import guess
from accounts_es.http.models.tokens import MfaChallenge, MfaFactors, MfaRecoveryCodes, MfaType
from accounts_es.http.operation import Limit, guesses, operation
from accounts_es.http.rules import Choice, Flag, Text
from projections import accounts, sessions

AUTHENTICATORS: Final = Choice(("totp",))
FACTORS: Final = Choice(("email", "phone", "totp", "recoveryCode", "custom"), folded=True)
"""In any case: the SDKs write ``recoverycode`` (contract: account, 6)."""
CHALLENGE_LIFE: Final = timedelta(hours=1)


@operation(
    "PATCH",
    "/account/mfa",
    id="account.updateMFA",
    scope="account",
    returns=models.Account,
    emits=(MfaSwitchedOn, MfaSwitchedOff, SessionFactorAdded),
    raises=(UserNotFound, UserSessionNotFound),
)
async def update_mfa(ctx: Context, *, mfa: Annotated[bool, Flag()]) -> models.Account:
    """Ask for a second factor at every sign-in, or no longer."""
    if mfa != ctx.account.mfa:
        notices.warn(ctx, "mfa-changed", ctx.account)
    session_id = ctx.required_session.session_id
    outcome = await ctx.execute(ACCOUNT, ctx.account.stream, commands.switch_mfa, on=mfa, session_id=session_id)
    return models.account(await accounts.get_after(ctx.reads, ctx.account, outcome.recorded))


@operation(
    "GET", "/account/mfa/factors", id="account.listMFAFactors", scope="account", returns=MfaFactors, mfa_pending=True
)
async def list_factors(ctx: Context) -> MfaFactors:
    """The second factors the caller can be asked for."""
    return factors_of(ctx, await ctx.load(ACCOUNT, ctx.account.stream))


def factors_of(ctx: Context, account: Account) -> MfaFactors:
    """Those an account has and the project allows."""
    allowed = ctx.rules.policies.mfa_factors
    return {
        "totp": allowed.totp and account.authenticator is not None and account.authenticator.verified,
        "phone": allowed.phone and bool(account.phone) and account.phone_verified,
        "email": allowed.email and bool(account.email) and account.email_verified,
        "recoveryCode": bool(account.recovery_codes_left),
        "custom": allowed.custom,
    }


@operation(
    "POST",
    "/account/mfa/authenticators/{type}",
    id="account.createMFAAuthenticator",
    scope="account",
    returns=MfaType,
    emits=(AuthenticatorAdded,),
    raises=(UserAuthenticatorAlreadyVerified, UserNotFound),
)
async def create_authenticator(ctx: Context, *, type: Annotated[str, AUTHENTICATORS]) -> MfaType:  # noqa: A002, ARG001 - the wire's name
    """Make the seed of an authenticator, in place of one that was never verified."""
    seed, account = totp.new_seed(), ctx.account
    await ctx.execute(ACCOUNT, account.stream, commands.add_authenticator, secret=seed)
    label = account.email or account.phone or account.name or account.account_id
    return {"secret": seed, "uri": totp.uri(seed, issuer=ctx.required_project.name, account=label)}


@operation(
    "PUT",
    "/account/mfa/authenticators/{type}",
    id="account.updateMFAAuthenticator",
    scope="account",
    returns=models.Account,
    emits=(AuthenticatorVerified, SessionFactorAdded),
    raises=(
        UserAuthenticatorNotFound,
        UserAuthenticatorAlreadyVerified,
        UserInvalidToken,
        UserSessionNotFound,
        UserNotFound,
    ),
    limits=guesses("user")[1:],
)
async def update_authenticator(
    ctx: Context,
    *,
    type: Annotated[str, AUTHENTICATORS],  # noqa: A002, ARG001 - the wire's name
    otp: Annotated[str, Text(256)],
) -> models.Account:
    """Show the authenticator's first code: from now on it counts."""
    stream, session_id = ctx.account.stream, ctx.required_session.session_id
    steps = _steps(await ctx.load(ACCOUNT, stream), otp, ctx)
    async with guess(ctx, "mfa-totp", ctx.account):
        await ctx.execute(ACCOUNT, stream, commands.verify_authenticator, steps=steps, session_id=session_id)
    return models.account(await accounts.get_by_stream(ctx.reads, stream))


@operation(
    "DELETE",
    "/account/mfa/authenticators/{type}",
    id="account.deleteMFAAuthenticator",
    scope="account",
    emits=(AuthenticatorRemoved,),
    raises=(UserAuthenticatorNotFound, UserNotFound),
    fresh_factor=True,
)
async def delete_authenticator(ctx: Context, *, type: Annotated[str, AUTHENTICATORS]) -> None:  # noqa: A002, ARG001 - the wire's name
    """Do without the authenticator, after a second factor shown within 30 minutes."""
    session_id = ctx.required_session.session_id
    notices.warn(ctx, "mfa-changed", ctx.account)
    await ctx.execute(ACCOUNT, ctx.account.stream, commands.remove_authenticator, now=ctx.at, session_id=session_id)


@operation(
    "POST",
    "/account/mfa/challenges",
    id="account.createMFAChallenge",
    scope="account",
    returns=MfaChallenge,
    status=201,
    emits=(ChallengeCreated,),
    raises=(
        UserEmailNotFound,
        UserEmailNotVerified,
        UserPhoneNotFound,
        UserPhoneNotVerified,
        UserNotFound,
    ),
    aliases=("/account/mfa/challenge",),
    mfa_pending=True,
    limits=(Limit(10, 3600, "url", "user"),),
)
async def create_challenge(ctx: Context, *, factor: Annotated[str, FACTORS]) -> MfaChallenge:
    """Ask for a second factor; a code goes out by mail or SMS where the factor is one."""
    asked, account = cast("Factor", factor), ctx.account
    _ensure_allowed(ctx, asked)
    code, sent_to = "", None
    if asked == "email":
        code, sent_to = numeric_code(), account.email or ""
        values = {"otp": code, **notices.agent(ctx)}
        notices.mail(ctx, "mfa-challenge", sent_to, account.name, life=CHALLENGE_LIFE, **values)
    elif asked == "phone":
        sent_to = account.phone or ""
        code = ctx.rules.mock_phones.get(sent_to) or numeric_code()
        notices.text(ctx, "mfa", sent_to, otp=code, life=CHALLENGE_LIFE)
    elif asked == "custom":
        code = numeric_code()
    challenge_id, expires_at = wire_id(), ctx.at + CHALLENGE_LIFE
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.create_challenge,
        challenge_id=challenge_id,
        factor=asked,
        code_hash=ctx.token_digest(account.stream, code) if code else "",
        code=code if asked == "custom" else "",
        expires_at=expires_at,
        sent_to=sent_to,
    )
    return {
        "$id": challenge_id,
        "$createdAt": models.date(ctx.at),
        "userId": account.account_id,
        "expire": models.date(expires_at),
    }


@operation(
    "PUT",
    "/account/mfa/challenges",
    id="account.updateMFAChallenge",
    scope="account",
    returns=models.Session,
    emits=(ChallengePassed, AuthenticatorUsed, RecoveryCodeUsed),
    raises=(UserInvalidToken, UserSessionNotFound, UserNotFound),
    aliases=("/account/mfa/challenge",),
    mfa_pending=True,
    limits=(Limit(10, 3600, "url", "param:challengeId"), *guesses("user")[1:]),
)
async def update_challenge(
    ctx: Context, *, challenge_id: Annotated[str, Text(256)], otp: Annotated[str, Text(256)]
) -> models.Session:
    """Show the second factor that was asked for; the session has it from now on."""
    account, session_id = ctx.account, ctx.required_session.session_id
    state = await ctx.load(ACCOUNT, account.stream)
    challenge = state.challenges.get(challenge_id)
    if challenge is not None:
        _ensure_allowed(ctx, challenge.factor)
    try:
        await ctx.execute(
            ACCOUNT,
            account.stream,
            commands.pass_challenge,
            challenge_id=challenge_id,
            session_id=session_id,
            now=ctx.at,
            code_hash=ctx.token_digest(account.stream, otp),
            steps=_steps(state, otp, ctx),
            recovery_code=otp.lower(),
        )
    except UserInvalidToken:
        factor = challenge.factor if challenge is not None else "unknown"
        await ctx.refuse_sign_in(f"mfa-{factor}", "invalid_token", account.email or account.account_id, account)
        raise
    row = await sessions.get(ctx.reads, account.stream, session_id)
    (described,) = await opening.describe(ctx, [row], account.account_id, current=session_id)
    return described


@operation(
    "POST",
    "/account/mfa/recovery-codes",
    id="account.createMFARecoveryCodes",
    scope="account",
    returns=MfaRecoveryCodes,
    status=201,
    emits=(RecoveryCodesGenerated,),
    raises=(UserRecoveryCodesAlreadyExists, UserNotFound),
)
async def create_recovery_codes(ctx: Context) -> MfaRecoveryCodes:
    """Make six codes that each stand in for a lost factor, once."""
    codes = recovery_codes()
    await ctx.execute(ACCOUNT, ctx.account.stream, commands.generate_recovery_codes, codes=codes)
    return {"recoveryCodes": list(codes)}


@operation(
    "GET",
    "/account/mfa/recovery-codes",
    id="account.getMFARecoveryCodes",
    scope="account",
    returns=MfaRecoveryCodes,
    raises=(UserRecoveryCodesNotFound,),
    fresh_factor=True,
)
async def get_recovery_codes(ctx: Context) -> MfaRecoveryCodes:
    """The codes that are not spent, after a second factor shown within 30 minutes."""
    left = (await ctx.load(ACCOUNT, ctx.account.stream)).recovery_codes_left
    if not left:
        raise UserRecoveryCodesNotFound
    return {"recoveryCodes": list(left)}


@operation(
    "PATCH",
    "/account/mfa/recovery-codes",
    id="account.updateMFARecoveryCodes",
    scope="account",
    returns=MfaRecoveryCodes,
    emits=(RecoveryCodesGenerated,),
    raises=(UserRecoveryCodesNotFound, UserNotFound),
    fresh_factor=True,
)
async def update_recovery_codes(ctx: Context) -> MfaRecoveryCodes:
    """Make six other codes, after a second factor shown within 30 minutes."""
    codes, session_id = recovery_codes(), ctx.required_session.session_id
    await ctx.execute(
        ACCOUNT,
        ctx.account.stream,
        commands.regenerate_recovery_codes,
        codes=codes,
        now=ctx.at,
        session_id=session_id,
    )
    return {"recoveryCodes": list(codes)}


def _ensure_allowed(ctx: Context, factor: Factor) -> None:
    """Raises `UserAuthMethodUnsupported` for a factor that the project does without."""
    if factor != "recoveryCode" and not getattr(ctx.rules.policies.mfa_factors, factor):
        raise UserAuthMethodUnsupported(f"The {factor} factor is disabled for this project")


def _steps(account: Account, code: str, ctx: Context) -> tuple[int, ...]:
    return totp.steps_of(account.authenticator.secret, code, ctx.at) if account.authenticator is not None else ()
