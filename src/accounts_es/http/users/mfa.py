"""The second factors of an account, for servers: they need not show one."""

from typing import Annotated

from accounts_es.adapters.ids import recovery_codes
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import (
    AuthenticatorRemoved,
    MfaSwitchedOff,
    MfaSwitchedOn,
    RecoveryCodesGenerated,
)
from accounts_es.domain.errors import (
    UserAuthenticatorNotFound,
    UserInvalidToken,
    UserNotFound,
    UserRecoveryCodesAlreadyExists,
    UserRecoveryCodesNotFound,
)
from accounts_es.http import models
from accounts_es.http.account.mfa import AUTHENTICATORS, factors_of
from accounts_es.http.context import Context
from accounts_es.http.models.tokens import MfaChallengeSecret, MfaFactors, MfaRecoveryCodes
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id
from projections import accounts


@operation(
    "PATCH",
    "/users/{userId}/mfa",
    id="users.updateMFA",
    scope="users.write",
    returns=models.User,
    emits=(MfaSwitchedOn, MfaSwitchedOff),
    raises=(UserNotFound,),
)
async def update_mfa(ctx: Context, *, user_id: Annotated[str, Id()], mfa: Annotated[bool, Flag()]) -> models.User:
    """Ask an account for a second factor at every sign-in, or no longer."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    outcome = await ctx.execute(ACCOUNT, account.stream, commands.switch_mfa, on=mfa)
    return models.user(await accounts.get_after(ctx.reads, account, outcome.recorded))


@operation(
    "GET",
    "/users/{userId}/mfa/factors",
    id="users.listMFAFactors",
    scope="users.read",
    returns=MfaFactors,
    raises=(UserNotFound,),
)
async def list_factors(ctx: Context, *, user_id: Annotated[str, Id()]) -> MfaFactors:
    """The second factors an account can be asked for."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    return factors_of(ctx, await ctx.load(ACCOUNT, account.stream))


@operation(
    "DELETE",
    "/users/{userId}/mfa/authenticators/{type}",
    id="users.deleteMFAAuthenticator",
    scope="users.write",
    emits=(AuthenticatorRemoved,),
    raises=(UserNotFound, UserAuthenticatorNotFound),
)
async def delete_authenticator(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    type: Annotated[str, AUTHENTICATORS],  # noqa: A002, ARG001 - the wire's name
) -> None:
    """Take away an account's authenticator, as when it was lost. Whether two factors are asked for stays as it is."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    await ctx.execute(ACCOUNT, account.stream, commands.remove_authenticator, now=ctx.at, by_owner=False)


@operation(
    "GET",
    "/users/{userId}/mfa/recovery-codes",
    id="users.getMFARecoveryCodes",
    scope="users.read",
    returns=MfaRecoveryCodes,
    raises=(UserNotFound, UserRecoveryCodesNotFound),
)
async def get_recovery_codes(ctx: Context, *, user_id: Annotated[str, Id()]) -> MfaRecoveryCodes:
    """An account's recovery codes that are not spent."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    left = (await ctx.load(ACCOUNT, account.stream)).recovery_codes_left
    if not left:
        raise UserRecoveryCodesNotFound
    return {"recoveryCodes": list(left)}


@operation(
    "PATCH",
    "/users/{userId}/mfa/recovery-codes",
    id="users.createMFARecoveryCodes",
    scope="users.write",
    returns=MfaRecoveryCodes,
    status=201,
    emits=(RecoveryCodesGenerated,),
    raises=(UserNotFound, UserRecoveryCodesAlreadyExists),
)
async def create_recovery_codes(ctx: Context, *, user_id: Annotated[str, Id()]) -> MfaRecoveryCodes:
    """Make an account's six recovery codes, for the server to hand on."""
    account, codes = await accounts.get(ctx.reads, ctx.project_id, user_id), recovery_codes()
    await ctx.execute(ACCOUNT, account.stream, commands.generate_recovery_codes, codes=codes)
    return {"recoveryCodes": list(codes)}


@operation(
    "PUT",
    "/users/{userId}/mfa/recovery-codes",
    id="users.updateMFARecoveryCodes",
    scope="users.write",
    returns=MfaRecoveryCodes,
    emits=(RecoveryCodesGenerated,),
    raises=(UserNotFound, UserRecoveryCodesNotFound),
)
async def update_recovery_codes(ctx: Context, *, user_id: Annotated[str, Id()]) -> MfaRecoveryCodes:
    """Make six other recovery codes; the old ones are good for nothing any more."""
    account, codes = await accounts.get(ctx.reads, ctx.project_id, user_id), recovery_codes()
    await ctx.execute(
        ACCOUNT, account.stream, commands.regenerate_recovery_codes, codes=codes, now=ctx.at, by_owner=False
    )
    return {"recoveryCodes": list(codes)}


@operation(
    "GET",
    "/users/{userId}/mfa/challenges/{challengeId}",
    id="users.getMFAChallenge",
    scope="users.read",
    returns=MfaChallengeSecret,
    raises=(UserNotFound, UserInvalidToken),
)
async def get_challenge(
    ctx: Context, *, user_id: Annotated[str, Id()], challenge_id: Annotated[str, Id()]
) -> MfaChallengeSecret:
    """The code of an open challenge of the factor custom, which only servers deliver."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    challenge = (await ctx.load(ACCOUNT, account.stream)).challenges.get(challenge_id)
    if challenge is None or challenge.factor != "custom" or challenge.expires_at <= ctx.at:
        raise UserInvalidToken
    return {
        "$id": challenge_id,
        "$createdAt": models.date(challenge.created_at),
        "userId": account.account_id,
        "expire": models.date(challenge.expires_at),
        "code": challenge.code,
    }
