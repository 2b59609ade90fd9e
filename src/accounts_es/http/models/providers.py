"""What each OAuth2 provider is configured with, in the words of the SDKs (contract: cross-cutting, 15)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import TypedDict

from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import Project
from accounts_es.domain.project.aggregate import Provider as KnownProvider
from accounts_es.domain.project.commands.settings import SECRET
from accounts_es.http.rules import Choice, Flag, Number, Rule, Text, Texts

PROMPTS: Final = ("none", "login", "consent", "select_account")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a provider calls the client's id and secret, and what it wants besides."""

    client_id: str = "clientId"
    secret: str = "clientSecret"  # noqa: S105 - the name of one
    extras: tuple[str, ...] = ()
    native: bool = False
    """Whether apps get ID tokens from it."""


NATIVE: Final = ("nativeEnabled", "nativeClientIds")
"""The switch of sign-ins with ID tokens, and the clients they may be meant for besides the one of the browser."""
SIGNER: Final = ("issuer", "jwksURL")
"""Who signs ID tokens, where that is not the provider itself."""
SHAPES: Final[dict[str, Shape]] = {
    "amazon": Shape(),
    "apple": Shape("serviceId", "p8File", ("keyId", "teamId", *SIGNER), native=True),
    "appwrite": Shape(),
    "auth0": Shape(extras=("endpoint",)),
    "authentik": Shape(extras=("endpoint",)),
    "autodesk": Shape(),
    "bitbucket": Shape("key", "secret"),
    "bitly": Shape(),
    "box": Shape(),
    "dailymotion": Shape("apiKey", "apiSecret"),
    "discord": Shape(),
    "disqus": Shape("publicKey", "secretKey"),
    "dropbox": Shape("appKey", "appSecret"),
    "etsy": Shape("keyString", "sharedSecret"),
    "facebook": Shape("appId", "appSecret"),
    "figma": Shape(),
    "fusionauth": Shape(extras=("endpoint",)),
    "github": Shape(),
    "gitlab": Shape("applicationId", "secret", ("endpoint",)),
    "google": Shape(extras=("prompt", *SIGNER), native=True),
    "huggingface": Shape(),
    "kakao": Shape(),
    "keycloak": Shape(extras=("endpoint", "realmName")),
    "kick": Shape(),
    "linkedin": Shape("clientId", "primaryClientSecret"),
    "microsoft": Shape("applicationId", "applicationSecret", ("tenant",)),
    "notion": Shape("oauthClientId", "oauthClientSecret"),
    "oidc": Shape(extras=("wellKnownURL", "authorizationURL", "tokenURL", "userInfoURL", "prompt", "maxAge")),
    "okta": Shape(extras=("domain", "authorizationServerId")),
    "paypal": Shape("clientId", "secretKey"),
    "paypalSandbox": Shape("clientId", "secretKey"),
    "podio": Shape(),
    "salesforce": Shape("customerKey", "customerSecret"),
    "slack": Shape(),
    "spotify": Shape(),
    "stripe": Shape("clientId", "apiSecretKey"),
    "tradeshift": Shape("oauth2ClientId", "oauth2ClientSecret"),
    "tradeshiftBox": Shape("oauth2ClientId", "oauth2ClientSecret"),
    "twitch": Shape(),
    "wordpress": Shape(),
    "x": Shape("customerKey", "secretKey"),
    "yahoo": Shape(),
    "yammer": Shape(),
    "yandex": Shape(),
    "zoho": Shape(),
    "zoom": Shape(),
}
_RULES: Final[dict[str, Rule]] = {
    "prompt": Texts(Choice(PROMPTS), len(PROMPTS)),
    "maxAge": Number(0, 2**31 - 1),
    "p8File": Text(16_384, shortest=0),
    "nativeEnabled": Flag(),
    "nativeClientIds": Texts(Text(256), 100),
}
FIELDS: Final[dict[str, Rule]] = {
    name: _RULES.get(name, Text(2048, shortest=0))
    for shape in SHAPES.values()
    for name in (shape.client_id, shape.secret, *shape.extras, *(NATIVE if shape.native else ()))
}
"""All that any provider is configured with."""


class ProviderList(TypedDict):
    """A page of providers."""

    total: int
    providers: list[dict[str, Any]]


def setting(field: str) -> str:
    """What a field is kept as: ``wellKnownURL`` is ``well_known_url``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field).lower()


def changes(provider: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `adjust_provider` takes, of the fields given that are this provider's."""
    shape = SHAPES[provider]
    kept: JSONObject = {setting(name): given[name] for name in shape.extras if name in given}
    if shape.secret in given:
        kept[SECRET] = given[shape.secret]
    ids = given.get("nativeClientIds") if shape.native else None
    return {
        "client_id": given.get(shape.client_id),
        "native_enabled": given.get("nativeEnabled") if shape.native else None,
        "native_client_ids": tuple(dict.fromkeys(ids)) if ids is not None else None,
        "settings": kept,
    }


def provider(project: Project, name: str) -> dict[str, Any]:
    """A provider as it is configured. Its secret is never answered."""
    known, shape = project.providers.get(name), SHAPES[name]
    kept = known.settings if known is not None else {}
    empty: dict[str, Any] = {"prompt": [], "maxAge": None}
    return {
        "$id": name,
        "enabled": known is not None and known.enabled,
        shape.client_id: known.client_id if known is not None else "",
        shape.secret: "",
        **{each: kept.get(setting(each), empty.get(each, "")) for each in shape.extras},
        **(_native(known) if shape.native else {}),
    }


def _native(known: KnownProvider | None) -> dict[str, Any]:
    return {
        "nativeEnabled": known is not None and known.native_enabled,
        "nativeClientIds": list(known.native_client_ids) if known is not None else [],
    }
