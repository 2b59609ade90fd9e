"""Sign in with what a provider gave to an app: an ID token, checked without a browser in between."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

from accounts_es.adapters.id_tokens import IdTokenBroken, Issuer, KeysAway, shows_nonce
from accounts_es.adapters.providers import PROVIDERS, person
from accounts_es.domain.account.profiles import Profile, ProviderTokens
from accounts_es.domain.errors import (
    ProjectProviderDisabled,
    Refusal,
    UserInvalidToken,
    UserMissingId,
    UserOauth2ProviderFailure,
)
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project.aggregate import Provider
from accounts_es.http import models
from accounts_es.http.account import arriving
from accounts_es.http.context import Context
from accounts_es.http.models.providers import SHAPES
from accounts_es.http.operation import Limit, operation
from accounts_es.http.rules import Choice, Number, Text

NATIVE: Final = tuple(name for name, shape in SHAPES.items() if shape.native)
"""Whose ID tokens apps get. A provider's settings may name another ``issuer`` and ``jwks_url``."""
MAX_TOKEN: Final = 16_384
MAX_LIFE: Final = 31_536_000


@operation(
    "POST",
    "/account/sessions/id-token",
    id="account.createIdTokenSession",
    scope="sessions.write",
    returns=models.Session,
    status=201,
    emits=(*arriving.EMITS, *arriving.SESSION_EMITS),
    raises=(
        ProjectProviderDisabled,
        UserInvalidToken,
        UserMissingId,
        UserOauth2ProviderFailure,
        *arriving.REFUSALS,
    ),
    limits=(Limit(50, 3600, "ip"),),
)
async def create_id_token_session(
    ctx: Context,
    *,
    provider: Annotated[str, Choice(NATIVE)],
    id_token: Annotated[str, Text(MAX_TOKEN)],
    nonce: Annotated[str, Text(2048, shortest=0)] = "",
    access_token: Annotated[str, Text(MAX_TOKEN, shortest=0)] = "",
    access_token_expiry: Annotated[int, Number(0, MAX_LIFE)] = 0,
    name: Annotated[str, Text(128, shortest=0)] = "",
) -> models.Session:
    """Sign in with an ID token that an app got from Apple or Google. Whoever is signed in links the identity.

    ``nonce`` is what the app made up before it hashed it for the provider. ``accessToken`` is only kept for the app, on
    the session; ``name`` only serves somebody new whose token names nobody.
    """
    configured = (await ctx.load(PROJECT, ctx.required_project.stream)).providers.get(provider)
    if configured is None or not configured.native_enabled:
        raise ProjectProviderDisabled
    try:
        claims = await _checked(ctx, configured, id_token, nonce)
        profile = _profile(provider, claims, name)
    except Refusal as refused:
        await ctx.refuse_sign_in(provider, refused.wire_type, "", ctx.caller.account)
        raise
    account = await arriving.arrive(ctx, profile)
    expires_at = ctx.at + timedelta(seconds=access_token_expiry) if access_token and access_token_expiry else None
    return await arriving.open_session(
        ctx, account, profile, ProviderTokens(access_token, access_expires_at=expires_at)
    )


async def _checked(ctx: Context, configured: Provider, id_token: str, nonce: str) -> Mapping[str, Any]:
    audiences = [each for each in (configured.client_id, *configured.native_client_ids) if each]
    try:
        claims = await ctx.services.id_tokens.read(id_token, _issuer(configured), audiences)
    except KeysAway:
        raise UserOauth2ProviderFailure from None
    except IdTokenBroken as broken:
        raise UserInvalidToken(f"The ID token is not accepted: {broken}.") from None
    apple = configured.provider == "apple"
    if (apple or "nonce" in claims) and not shows_nonce(claims.get("nonce"), nonce, hashed_only=apple):
        raise UserInvalidToken("The ID token is not accepted: its nonce is another.")
    return claims


def _issuer(configured: Provider) -> Issuer:
    known = PROVIDERS[configured.provider]
    issuer, keys = _text(configured.settings, "issuer"), _text(configured.settings, "jwks_url")
    return Issuer((issuer,) if issuer else known.issuer, keys or known.jwks)


def _text(settings: JSONObject, name: str) -> str:
    value = settings.get(name)
    return value if isinstance(value, str) else ""


def _profile(provider: str, claims: Mapping[str, Any], name: str) -> Profile:
    """Raises `UserMissingId`."""
    said = person(PROVIDERS[provider], claims)
    if not said.uid:
        raise UserMissingId
    return arriving.profile_of(provider, said, name=said.name or name)
