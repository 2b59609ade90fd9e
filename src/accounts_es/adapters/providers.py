"""The OAuth2 providers there are: what ``providers.toml`` says, and how a person is found in what they answer."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, Literal, NamedTuple, cast

from pydantic import BaseModel, ConfigDict

MOCKS: Final = frozenset({"mock", "mock-unverified"})
"""Providers that are this server itself, for tests."""


class Emails(BaseModel):
    """Where a provider lists addresses, and what the fields of each are called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    email: str
    verified: str = ""
    primary: str = ""


class Facts(BaseModel):
    """One provider. The file says what each field means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    authorize: str
    authorize_parameters: Mapping[str, str] = {}
    scopes: tuple[str, ...] = ()
    separator: str = " "
    scope_parameter: str = "scope"
    redirect: bool = True
    pkce: bool = False
    token: str
    token_at: str = ""
    refresh: str = ""
    method: Literal["GET", "POST"] = "POST"
    client: Literal["body", "basic", "none"] = "body"
    signed_secret: bool = False
    """Apple's: made for each request."""
    profile: str = ""
    profile_method: Literal["GET", "POST"] = "GET"
    profile_headers: Mapping[str, str] = {}
    details: str = ""
    bearer: str = "Bearer"
    claims: bool = False
    issuer: tuple[str, ...] = ()
    jwks: str = ""
    discovered: bool = False
    uid: str
    email: str = "email"
    name_at: str = "name"
    verified: str = ""
    verified_by_presence: bool = False
    only_verified: bool = False
    emails: Emails | None = None
    defaults: Mapping[str, str] = {}


class Person(NamedTuple):
    """Somebody, as a provider describes them; what it does not say is empty."""

    uid: str
    email: str
    email_verified: bool
    name: str


def person(facts: Facts, profile: Mapping[str, Any]) -> Person:
    """Who a profile is about."""
    email, verified = _text(at(profile, facts.email)), _affirms(facts, at(profile, facts.verified))
    if facts.emails is not None:
        email, listed = _best(facts.emails, at(profile, facts.emails.at))
        verified = listed if facts.emails.verified else bool(email) and verified
    if facts.only_verified and not verified:
        email = ""
    return Person(_text(at(profile, facts.uid)), email, bool(email) and verified, _name(facts.name_at, profile))


def at(value: Any, path: str) -> Any:
    """What is at a path of names and list positions; nothing where there is no such place."""
    if not path:
        return None
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = cast("Mapping[str, Any]", value).get(step)
        elif step.isdecimal() and int(step) < len(_listed(value)):
            value = _listed(value)[int(step)]
        else:
            return None
    return value


def _name(pattern: str, profile: Mapping[str, Any]) -> str:
    for alternative in pattern.split(" | "):
        found = " ".join(part for path in alternative.split() if (part := _text(at(profile, path))))
        if found:
            return found
    return ""


def _listed(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    # PostgreSQL has no NUL in text, and nobody's name or address has one.
    return str(value).replace("\x00", "") if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _affirms(facts: Facts, value: Any) -> bool:
    return bool(value) if facts.verified_by_presence else value in (True, "true")  # 1 == True


def _best(fields: Emails, listed: Any) -> tuple[str, bool]:
    """The primary address if it is verified, otherwise one that is, otherwise the primary or first, as unverified."""
    entries = [each for each in _listed(listed) if at(each, fields.email)]
    verified = [each for each in entries if at(each, fields.verified) is True]
    chosen = verified or entries
    primary = [each for each in chosen if at(each, fields.primary) is True]
    if not chosen:
        return "", False
    return _text(at((primary or chosen)[0], fields.email)), bool(verified)


def _read() -> Mapping[str, Facts]:
    text = files("accounts_es.adapters").joinpath("providers.toml").read_text("utf-8")
    return {name: Facts.model_validate(fields) for name, fields in tomllib.loads(text).items()}


PROVIDERS: Final = _read()
"""By the names the SDKs use."""
