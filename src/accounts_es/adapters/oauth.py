"""The client's side of OAuth 2 (RFC 6749, 7636) and OpenID Connect, with what the providers made of them.

The protocol is two requests; what is odd about 45 providers is in their file. A library would leave the oddities to us.
"""

import base64
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import httpx
import jwt
from pydantic import JsonValue
from pydantic_core import from_json

from accounts_es.adapters.id_tokens import IdTokenBroken, IdTokens, Issuer, KeysAway
from accounts_es.adapters.providers import Facts, Person, at, person

log = logging.getLogger(__name__)

_PLACEHOLDER: Final = re.compile(r"\{([\w.]+)\}")
_MAX_ANSWER: Final = 1024 * 1024
_DISCOVERED_FOR: Final = 3600.0
_APPLE_LIFE: Final = timedelta(minutes=5)


class ProviderFailed(Exception):  # noqa: N818
    """The provider could not be asked, or its answer is of no use; the message holds no secret."""


class NotConfigured(Exception):  # noqa: N818
    """The project does not say what is needed to talk to the provider."""


@dataclass(frozen=True, slots=True)
class App:
    """A project's registration at a provider."""

    provider: str
    facts: Facts
    client_id: str
    settings: Mapping[str, JsonValue]
    root: str
    """Where this server is reached; tests have providers there."""

    def setting(self, name: str) -> str:
        """A setting that is a text; empty without one."""
        value = self.settings.get(name) or self.facts.defaults.get(name)
        return value if isinstance(value, str) else ""

    @property
    def complete(self) -> bool:
        """Whether there are an id and a secret."""
        if not self.client_id:
            return False
        if self.facts.signed_secret:
            return all(self.setting(name) for name in ("client_secret", "key_id", "team_id"))
        return self.facts.client == "none" or bool(self.setting("client_secret"))

    def fill(self, template: str, grant: "Grant | None" = None) -> str:
        """The template with its placeholders replaced. Raises `NotConfigured`."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("token."):
                found = _of_token(grant, name.removeprefix("token."))
            else:
                found = {"client_id": self.client_id, "root": self.root}.get(name) or self.setting(name)
            if not found:
                raise NotConfigured
            return found.rstrip("/") if found.startswith(("https://", "http://")) else quote(found, safe=":")

        # A domain may be given with a scheme of its own.
        return re.sub(r"^https://(?=https?://)", "", _PLACEHOLDER.sub(value, template))


class Grant(NamedTuple):
    """What a provider gave for a code."""

    answer: Mapping[str, Any]
    access: str
    refresh: str
    expires_in: int | None
    id_token: str


class Asking(NamedTuple):
    """What goes along to the provider's page."""

    state: str
    redirect_uri: str
    verifier: str
    nonce: str
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Endpoints:
    authorize: str
    token: str
    profile: str
    issuer: Issuer | None


class OAuth:
    """Talks to providers."""

    def __init__(self, client: httpx.AsyncClient, id_tokens: IdTokens) -> None:
        self._client = client
        self._id_tokens = id_tokens
        self._discovered: dict[str, tuple[float, Mapping[str, Any]]] = {}

    async def authorize_url(self, app: App, asking: Asking) -> str:
        """Where to send somebody who wants to sign in. Raises `NotConfigured` and `ProviderFailed`."""
        facts, endpoints = app.facts, await self._endpoints(app)
        parameters = {**facts.authorize_parameters}
        parameters |= {"client_id": app.client_id, "response_type": "code", "state": asking.state}
        if facts.redirect:
            parameters["redirect_uri"] = asking.redirect_uri
        scopes = dict.fromkeys((*facts.scopes, *asking.scopes))
        if scopes:
            parameters[facts.scope_parameter] = facts.separator.join(scopes)
        if facts.pkce:
            digest = hashlib.sha256(asking.verifier.encode()).digest()
            parameters |= {"code_challenge": _base64url(digest), "code_challenge_method": "S256"}
        if endpoints.issuer is not None:
            parameters["nonce"] = asking.nonce
        prompt, age = app.settings.get("prompt"), app.settings.get("max_age")
        if isinstance(prompt, list) and prompt:
            parameters["prompt"] = " ".join(str(each) for each in prompt)
        if isinstance(age, int):
            parameters["max_age"] = str(age)
        return _with(endpoints.authorize, parameters)

    async def exchange(self, app: App, code: str, asking: Asking) -> Grant:
        """The tokens for a code. Raises `NotConfigured` and `ProviderFailed`."""
        fields = {"grant_type": "authorization_code", "code": code}
        if app.facts.redirect:
            fields["redirect_uri"] = asking.redirect_uri
        if app.facts.pkce:
            fields["code_verifier"] = asking.verifier
        return await self._grant(app, (await self._endpoints(app)).token, fields)

    async def refresh(self, app: App, refresh_token: str) -> Grant:
        """Newer tokens. Raises `NotConfigured` and `ProviderFailed`."""
        url = app.fill(app.facts.refresh) if app.facts.refresh else (await self._endpoints(app)).token
        grant = await self._grant(app, url, {"grant_type": "refresh_token", "refresh_token": refresh_token})
        return grant if grant.refresh else grant._replace(refresh=refresh_token)

    async def who(self, app: App, grant: Grant, nonce: str) -> Person:
        """Who gave the tokens. Raises `NotConfigured` and `ProviderFailed`."""
        facts, endpoints = app.facts, await self._endpoints(app)
        claims: Mapping[str, Any] = {}
        if endpoints.issuer is not None:
            claims = await self._claims(app, grant, endpoints.issuer, nonce)
        elif facts.claims:
            claims = _unsigned(app, grant)
        if facts.claims:
            return person(facts, claims)
        profile = await self._profile(app, facts.profile_method, endpoints.profile, grant)
        if facts.details:
            profile = {**profile, "details": await self._ask(*self._signed(app, "GET", facts.details, grant))}
        found = person(facts, profile)
        if claims and found.uid != claims.get("sub"):
            # OpenID Connect Core, 5.3.2: otherwise somebody's token could be shown with somebody else's profile.
            raise ProviderFailed("its profile is not that of its ID token")
        return found

    async def _profile(self, app: App, method: str, template: str, grant: Grant) -> Mapping[str, Any]:
        read = await self._ask(*self._signed(app, method, template, grant))
        if not isinstance(read, Mapping):
            raise ProviderFailed("its profile is no JSON object")
        return cast("Mapping[str, Any]", read)

    def _signed(self, app: App, method: str, template: str, grant: Grant) -> tuple[str, str, dict[str, Any]]:
        url, bearer = app.fill(template, grant), app.facts.bearer
        headers = {name: app.fill(value, grant) for name, value in app.facts.profile_headers.items()}
        if bearer.startswith("?"):
            url = _with(url, {bearer[1:]: grant.access})
        else:
            headers["authorization"] = f"{bearer} {grant.access}"
        return method, url, {"headers": headers}

    async def _grant(self, app: App, url: str, fields: dict[str, str]) -> Grant:
        facts, more = app.facts, dict[str, Any]()
        secret = _apple_secret(app) if facts.signed_secret else app.setting("client_secret")
        registration = {"client_id": app.client_id, **({"client_secret": secret} if facts.client != "none" else {})}
        match facts.client:
            case "basic":
                # RFC 6749, 2.3.1: both are encoded as in a form before they are joined.
                more["auth"] = (quote(app.client_id, safe=""), quote(secret, safe=""))
            case "body" | "none":
                fields = {**fields, **registration}
        if facts.method == "GET":
            url = _with(url, fields)
        else:
            more["data"] = fields
        answer = await self._ask(facts.method, url, more)
        found = at(answer, facts.token_at) if facts.token_at else answer
        access = at(found, "access_token")
        if not isinstance(access, str) or not access:
            raise ProviderFailed("it gave no access token")
        refresh, expires_in, id_token = (at(found, name) for name in ("refresh_token", "expires_in", "id_token"))
        return Grant(
            answer=cast("Mapping[str, Any]", answer),
            access=access,
            refresh=refresh if isinstance(refresh, str) else "",
            expires_in=int(expires_in) if isinstance(expires_in, int) or str(expires_in).isdecimal() else None,
            id_token=id_token if isinstance(id_token, str) else "",
        )

    async def _claims(self, app: App, grant: Grant, issuer: Issuer, nonce: str) -> Mapping[str, Any]:
        try:
            claims = await self._id_tokens.read(grant.id_token, issuer, [app.client_id])
        except (IdTokenBroken, KeysAway) as broken:
            raise ProviderFailed(f"its ID token is not accepted: {broken}") from None
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise ProviderFailed("its ID token is not the one that was asked for")
        return claims

    async def _endpoints(self, app: App) -> _Endpoints:
        facts = app.facts
        well_known = app.setting("well_known_url")
        if facts.discovered and well_known:
            found = await self._discover(well_known)
            texts = [found.get(key) for key in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")]
            issuer, keys = found.get("issuer"), found.get("jwks_uri")
            if all(isinstance(each, str) for each in (*texts, issuer, keys)):
                authorize, token, profile = (cast("str", each) for each in texts)
                return _Endpoints(authorize, token, profile, Issuer((str(issuer),), str(keys)))
            raise ProviderFailed("its discovery document lacks an endpoint")
        issuer_known = Issuer(facts.issuer, facts.jwks) if facts.jwks else None
        return _Endpoints(app.fill(facts.authorize), app.fill(facts.token), facts.profile, issuer_known)

    async def _discover(self, url: str) -> Mapping[str, Any]:
        known = self._discovered.get(url)
        if known is None or time.monotonic() - known[0] > _DISCOVERED_FOR:
            found = await self._ask("GET", url, {})
            if not isinstance(found, Mapping):
                raise ProviderFailed("its discovery document is no JSON object")
            known = self._discovered[url] = time.monotonic(), cast("Mapping[str, Any]", found)
        return known[1]

    async def _ask(self, method: str, url: str, more: dict[str, Any]) -> Any:
        """The answer's JSON, or form. Raises `ProviderFailed`."""
        headers = {"accept": "application/json", "user-agent": "accounts-es", **more.pop("headers", {})}
        try:
            async with self._client.stream(method, url, headers=headers, **more) as answer:
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_ANSWER:
                        raise ProviderFailed("its answer is too long")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("provider away", extra={"error": type(error).__name__})
            raise ProviderFailed("it cannot be reached") from None
        if answer.status_code >= 300:
            raise ProviderFailed(f"it answered {answer.status_code}")
        try:
            return from_json(bytes(body))
        except ValueError:
            return dict(parse_qsl(body.decode("utf-8", "replace")))


def _of_token(grant: Grant | None, name: str) -> str:
    if grant is None:
        return ""
    if name == "access_token.prefix":
        return grant.access.partition(".")[0]
    value = at(grant.answer, name)
    return value if isinstance(value, str) else ""


def _unsigned(app: App, grant: Grant) -> Mapping[str, Any]:
    """The claims of a token that came from the provider itself over TLS (OpenID Connect Core, 3.1.3.7, 6)."""
    options: Any = {"verify_signature": False, "verify_aud": True, "verify_exp": True}
    try:
        return jwt.decode(grant.id_token, options=options, audience=app.client_id, algorithms=["RS256"])
    except jwt.PyJWTError:
        raise ProviderFailed("its ID token is not accepted") from None


def _apple_secret(app: App) -> str:
    """Apple's client secret is a statement signed by the app's key."""
    now = datetime.now(UTC)
    claims = {
        "iss": app.setting("team_id"),
        "iat": now,
        "exp": now + _APPLE_LIFE,
        "aud": "https://appleid.apple.com",
        "sub": app.client_id,
    }
    try:
        return jwt.encode(claims, app.setting("client_secret"), "ES256", headers={"kid": app.setting("key_id")})
    except (jwt.PyJWTError, ValueError, TypeError):
        raise NotConfigured from None


def _with(url: str, parameters: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(parameters, quote_via=quote)) if part)
    return urlunsplit(parts._replace(query=query))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
