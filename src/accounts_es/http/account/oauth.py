"""Sign in at a provider, in the browser (contract: cross-cutting, 10).

Three steps: this server sends the browser to the provider, the provider sends it back to the callback, and from there
it goes on to the page that does the work, so that the cookies of this server come along whatever the provider's method.

What began in a browser ends in that browser: it holds a cookie that the sealed ``state`` must name. Otherwise somebody
could make others sign in to, or link, an account that is not theirs (RFC 9700, 4.7). A server that begins the token
flow for its user has no browser; then nobody's account is linked, and the page that gets the secret has to know its
user.
"""

import secrets
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import urlencode

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from accounts_es.adapters.ids import fingerprint, hex_secret, wire_id
from accounts_es.adapters.jwts import WRAPPED_LIFE
from accounts_es.adapters.oauth import App, Asking, NotConfigured, ProviderFailed
from accounts_es.adapters.oauth_states import STATE_LIFE, State, StateBroken
from accounts_es.adapters.providers import PROVIDERS
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.commands.identities import identity_of
from accounts_es.domain.account.events import TokenIssued
from accounts_es.domain.account.profiles import Profile, ProviderTokens
from accounts_es.domain.errors import (
    GeneralArgumentInvalid,
    ProjectInvalidFailureUrl,
    ProjectInvalidSuccessUrl,
    ProjectProviderDisabled,
    ProjectProviderUnsupported,
    Refusal,
    UserMissingId,
    UserOauth2ProviderError,
    UserOauth2ProviderFailure,
    UserUnauthorized,
)
from accounts_es.http import cookies, redirects
from accounts_es.http.account import arriving
from accounts_es.http.account.registrations import app_of, tokens_of
from accounts_es.http.account.sessions import oauth_digest
from accounts_es.http.callers import GUEST
from accounts_es.http.context import Context
from accounts_es.http.operation import Limit, Redirect, operation
from accounts_es.http.pages import OAUTH_FAILURE, OAUTH_SUCCESS
from accounts_es.http.requests import as_mapping
from accounts_es.http.rules import Choice, Id, Printable, Text, Texts, Url
from projections.accounts import AccountRow

NAMES: Final = tuple(PROVIDERS)
LIMITS: Final = (Limit(50, 3600, "ip"),)
BROWSER: Final = "a_oauth2"
"""The cookie that binds a sign-in to the browser it began in."""
_STATE: Final = Text(8192)
"""Longer than the contract's: sealing what it holds takes more than writing it down."""


@operation(
    "GET",
    "/account/sessions/oauth2/{provider}",
    id="account.createOAuth2Session",
    scope="sessions.write",
    returns=Redirect,
    status=301,
    raises=(ProjectProviderDisabled, ProjectProviderUnsupported, UserOauth2ProviderFailure),
    limits=LIMITS,
)
async def create_oauth2_session(
    ctx: Context,
    *,
    provider: Annotated[str, Choice(NAMES)],
    success: Annotated[str | None, Url()] = None,
    failure: Annotated[str | None, Url()] = None,
    scopes: Annotated[list[str] | None, Texts(Text(4096), 100)] = None,
    state: Annotated[str, Printable(256)] = "",
) -> Redirect:
    """Send the browser to a provider; it comes back with a session."""
    return await _begin(ctx, provider, success, failure, scopes, state, token=False)


@operation(
    "GET",
    "/account/tokens/oauth2/{provider}",
    id="account.createOAuth2Token",
    scope="sessions.write",
    returns=Redirect,
    status=301,
    raises=(ProjectProviderDisabled, ProjectProviderUnsupported, UserOauth2ProviderFailure),
    limits=LIMITS,
)
async def create_oauth2_token(
    ctx: Context,
    *,
    provider: Annotated[str, Choice(NAMES)],
    success: Annotated[str | None, Url()] = None,
    failure: Annotated[str | None, Url()] = None,
    scopes: Annotated[list[str] | None, Texts(Text(4096), 100)] = None,
    state: Annotated[str, Printable(256)] = "",
) -> Redirect:
    """Send the browser to a provider; its page gets a one-time secret to open a session with."""
    return await _begin(ctx, provider, success, failure, scopes, state, token=True)


@operation(
    "GET",
    "/account/sessions/oauth2/callback/{provider}/{projectId}",
    id="oauth2.callback",
    returns=Redirect,
    status=301,
)
async def callback(
    ctx: Context,
    *,
    provider: Annotated[str, Choice(NAMES)],
    project_id: Annotated[str, Id()],
    code: Annotated[str, Text(2048, shortest=0)] = "",
    state: Annotated[str, _STATE] = "",
    error: Annotated[str, Text(2048, shortest=0)] = "",
) -> Redirect:
    """Where providers send people back to."""
    described = _plain(ctx.request.query(), "error_description")
    return _go_on(ctx, provider, project_id, code=code, state=state, error=error, error_description=described)


@operation(
    "POST",
    "/account/sessions/oauth2/callback/{provider}/{projectId}",
    id="oauth2.callbackForm",
    returns=Redirect,
    status=301,
    silent="the browser goes on to where the work is done",
)
async def callback_form(
    ctx: Context,
    *,
    provider: Annotated[str, Choice(NAMES)],
    project_id: Annotated[str, Id()],
    code: Annotated[str, Text(2048, shortest=0)] = "",
    state: Annotated[str, _STATE] = "",
    error: Annotated[str, Text(2048, shortest=0)] = "",
    user: Annotated[str, Text(4096, shortest=0)] = "",
) -> Redirect:
    """Where providers that post a form send people back to."""
    described = _plain(ctx.request.fields(), "error_description")
    return _go_on(
        ctx, provider, project_id, code=code, state=state, error=error, error_description=described, user=user
    )


@operation(
    "GET",
    "/account/sessions/oauth2/{provider}/redirect",
    id="oauth2.redirect",
    scope="public",
    returns=Redirect,
    status=301,
    emits=(*arriving.EMITS, *arriving.SESSION_EMITS, TokenIssued),
    raises=(
        ProjectInvalidSuccessUrl,
        ProjectInvalidFailureUrl,
        ProjectProviderDisabled,
        ProjectProviderUnsupported,
        UserMissingId,
        UserOauth2ProviderError,
        UserOauth2ProviderFailure,
        *arriving.REFUSALS,
    ),
    limits=LIMITS,
)
async def redirect(
    ctx: Context,
    *,
    provider: Annotated[str, Choice(NAMES)],
    state: Annotated[str, _STATE],
    code: Annotated[str, Text(2048, shortest=0)] = "",
    error: Annotated[str, Text(2048, shortest=0)] = "",
    user: Annotated[str, Text(4096, shortest=0)] = "",
) -> Redirect:
    """Do what the sign-in was begun for, and send the browser to the page that began it."""
    known, bound = _opened(ctx, provider, state)
    _ensure_pages(ctx, known)
    if not bound:
        ctx.caller = GUEST
    described = f"{error}: {_plain(ctx.request.query(), 'error_description')}" if error else "no code"
    try:
        profile, tokens = await _signed_in(ctx, provider, known, code if not error else "", user, described)
        account = await arriving.arrive(ctx, profile)
        if known.token:
            return await _hand_secret(ctx, known, account, profile)
        await arriving.open_session(ctx, account, profile, tokens)
        return _opened_page(ctx, known)
    except Refusal as refused:
        return _failed(ctx, known, refused)


# The steps ------------------------------------------------------------------------------------------------------------


async def _begin(
    ctx: Context,
    provider: str,
    success: str | None,
    failure: str | None,
    scopes: list[str] | None,
    app_state: str,
    *,
    token: bool,
) -> Redirect:
    for name, url in (("success", success), ("failure", failure)):
        if url:
            redirects.ensure_allowed(ctx, name, url)
    app = await app_of(ctx, provider)
    # A server has no browser to bind the sign-in to; who asks for a session always has one.
    by_server = token and ctx.caller.kind == "key"
    state = State(
        provider=provider,
        success=success or "",
        failure=failure or "",
        app_state=app_state,
        token=token,
        redirect_uri=f"{ctx.root}/v1/account/sessions/oauth2/callback/{provider}/{ctx.project_id}",
        verifier=secrets.token_urlsafe(64),
        nonce=secrets.token_urlsafe(16),
        browser="" if by_server else fingerprint(_browser(ctx)),
    )
    sealed = ctx.services.states.seal(ctx.project_id, state)
    asking = Asking(sealed, state.redirect_uri, state.verifier, state.nonce, tuple(scopes or ()))
    try:
        return Redirect(await ctx.services.oauth.authorize_url(app, asking))
    except NotConfigured:
        raise ProjectProviderDisabled from None
    except ProviderFailed as failed:
        raise UserOauth2ProviderFailure(f"{app.facts.name}: {failed}") from None


def _browser(ctx: Context) -> str:
    """What the browser holds while it signs in; the same for sign-ins that go on at once."""
    held = ctx.request.cookies.get(BROWSER, "")
    if len(held) != 64:
        held = hex_secret(64)
    ctx.headers.append(cookies.bound(ctx.jar, BROWSER, held, seconds=STATE_LIFE))
    return held


def _go_on(ctx: Context, provider: str, project_id: str, **parameters: str) -> Redirect:
    said = {name: value for name, value in parameters.items() if value} | {"project": project_id}
    return Redirect(f"{ctx.root}/v1/account/sessions/oauth2/{provider}/redirect?{urlencode(said)}")


def _opened(ctx: Context, provider: str, text: str) -> tuple[State, bool]:
    """The state, and whether it is bound to this browser. Raises `GeneralArgumentInvalid`."""
    broken = GeneralArgumentInvalid("Invalid `state` param: The sign-in took too long, or began in another browser.")
    try:
        state = ctx.services.states.open(ctx.project_id, text)
    except StateBroken:
        raise broken from None
    if state.provider != provider:
        raise broken
    if not state.browser:
        return state, False
    if not secrets.compare_digest(state.browser, fingerprint(ctx.request.cookies.get(BROWSER, ""))):
        raise broken
    return state, True


def _ensure_pages(ctx: Context, state: State) -> None:
    """The project may have other platforms than when the sign-in began."""
    for url, refusal in ((state.success, ProjectInvalidSuccessUrl), (state.failure, ProjectInvalidFailureUrl)):
        if url:
            try:
                redirects.ensure_allowed(ctx, "url", url)
            except GeneralArgumentInvalid:
                raise refusal from None


async def _signed_in(
    ctx: Context, provider: str, state: State, code: str, user: str, described: str
) -> tuple[Profile, ProviderTokens]:
    """Whom the provider says this is, and its tokens; without a code, what it said is the reason."""
    try:
        app = await app_of(ctx, provider)
        if not code:
            raise UserOauth2ProviderError(f"The {app.facts.name} OAuth2 provider returned an error: {described}")
        return await _profile(ctx, app, state, code, user)
    except Refusal as refused:
        await ctx.refuse_sign_in(provider, refused.wire_type, "", ctx.caller.account)
        raise


async def _profile(ctx: Context, app: App, state: State, code: str, user: str) -> tuple[Profile, ProviderTokens]:
    asking = Asking("", state.redirect_uri, state.verifier, state.nonce)
    try:
        grant = await ctx.services.oauth.exchange(app, code, asking)
        person = await ctx.services.oauth.who(app, grant, state.nonce)
    except NotConfigured:
        raise ProjectProviderDisabled from None
    except ProviderFailed as failed:
        raise UserOauth2ProviderFailure(f"{app.facts.name}: {failed}") from None
    if not person.uid:
        raise UserMissingId
    tokens = tokens_of(grant, ctx.at)
    return arriving.profile_of(app.provider, person, name=person.name or _first_name(user), tokens=tokens), tokens


async def _hand_secret(ctx: Context, state: State, account: AccountRow, profile: Profile) -> Redirect:
    """The token flow's end: a secret that only opens a session as this identity, and not for long."""
    identity = identity_of(await ctx.load(ACCOUNT, account.stream), profile.provider, profile.uid)
    if identity is None:
        raise UserUnauthorized  # removed a moment ago, elsewhere
    secret = hex_secret(64)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.issue_token,
        token_id=wire_id(),
        purpose="oauth2",
        secret_hash=oauth_digest(ctx, account.stream, identity.identity_id, secret),
        expires_at=ctx.at + WRAPPED_LIFE,
    )
    wrapped = ctx.services.jwts.wrap(ctx.project_id, secret, profile.provider, ctx.at)
    page = state.success or ctx.root + OAUTH_SUCCESS
    return Redirect(redirects.link(page, secret=wrapped, userId=account.account_id, **_app_state(state)))


def _opened_page(ctx: Context, state: State) -> Redirect:
    if state.success:
        return Redirect(redirects.link(state.success, **_app_state(state)) if state.app_state else state.success)
    # Our own page hands the session on to the app that opened the browser, which does not share its cookies.
    name = cookies.cookie_name(ctx.project_id)
    parameters = {"project": ctx.project_id, "domain": ctx.jar.host, "key": name, "secret": ctx.opened_secret}
    return Redirect(redirects.link(ctx.root + OAUTH_SUCCESS, **parameters, **_app_state(state)))


def _app_state(state: State) -> dict[str, str]:
    """What the application wants to have back, to know that it sent this person away."""
    return {"state": state.app_state} if state.app_state else {}


def _failed(ctx: Context, state: State, refused: Refusal) -> Redirect:
    said = to_json({"message": refused.message, "type": refused.wire_type, "code": refused.status}).decode()
    if state.failure:
        return Redirect(redirects.link(state.failure, error=said, **_app_state(state)))
    return Redirect(redirects.link(ctx.root + OAUTH_FAILURE, error=said, project=ctx.project_id, **_app_state(state)))


def _plain(sent: Mapping[str, JsonValue], name: str) -> str:
    value = sent.get(name)
    return value[:2048] if isinstance(value, str) else ""


def _first_name(user: str) -> str:
    """Apple says the name once, beside the code: ``{"name": {"firstName", "lastName"}}``."""
    try:
        read = as_mapping(from_json(user)) if user else None
    except ValueError:
        return ""
    name = as_mapping(read.get("name")) if read is not None else None
    parts = (name.get("firstName"), name.get("lastName")) if name is not None else ()
    return " ".join(part for part in parts if isinstance(part, str) and part)
