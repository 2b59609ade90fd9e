"""What the API answers about a project, its keys and its settings (contract: cross-cutting, 15; users-teams, 4)."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final

from typing_extensions import TypedDict

from accounts_es.domain.project import AUTH_METHODS, PROTOCOLS, SERVICES
from accounts_es.domain.project import MockPhone as KnownPhone
from accounts_es.domain.project import Platform as KnownPlatform
from accounts_es.domain.project import Policies as KnownPolicies
from accounts_es.domain.project import Project as KnownProject
from accounts_es.domain.project.events import PlatformKind
from accounts_es.http.models.dates import date
from projections.api_keys import ApiKeyRow

Switched = TypedDict("Switched", {"$id": str, "enabled": bool})
"""A way to authenticate, a service or a protocol."""

Project = TypedDict(
    "Project",
    {
        "$id": str,
        "$createdAt": str,
        "$updatedAt": str,
        "name": str,
        "teamId": str,
        "region": str,
        "devKeys": list[Any],
        "smtpEnabled": bool,
        "smtpSenderName": str,
        "smtpSenderEmail": str,
        "smtpReplyToName": str,
        "smtpReplyToEmail": str,
        "smtpHost": str,
        "smtpPort": int,
        "smtpUsername": str,
        "smtpPassword": str,
        "smtpSecure": str,
        "pingCount": int,
        "pingedAt": str,
        "labels": list[str],
        "status": str,
        "onboarding": dict[str, Any],
        "authMethods": list[Switched],
        "services": list[Switched],
        "protocols": list[Switched],
        "blocks": list[Any],
        "consoleAccessedAt": str,
        "wafEnabled": bool,
    },
)

Key = TypedDict(
    "Key",
    {
        "$id": str,
        "$createdAt": str,
        "$updatedAt": str,
        "name": str,
        "expire": str,
        "scopes": list[str],
        "secret": str,
        "accessedAt": str,
        "sdks": list[str],
    },
)


class KeyList(TypedDict):
    """A page of keys."""

    total: int
    keys: list[Key]


PLATFORM_FIELDS: Final[dict[PlatformKind, str]] = {
    "web": "hostname",
    "apple": "bundleIdentifier",
    "android": "applicationId",
    "windows": "packageIdentifierName",
    "linux": "packageName",
}
"""What each kind of platform is recognised by."""


class PlatformList(TypedDict):
    """A page of platforms."""

    total: int
    platforms: list[dict[str, Any]]


class PolicyList(TypedDict):
    """The policies."""

    total: int
    policies: list[dict[str, Any]]


MockNumber = TypedDict("MockNumber", {"number": str, "otp": str, "$createdAt": str, "$updatedAt": str})


class MockNumberList(TypedDict):
    """A page of mock phones."""

    total: int
    mockNumbers: list[MockNumber]


def _switched(names: Iterable[str], off: Collection[str]) -> list[Switched]:
    return [{"$id": each, "enabled": each not in off} for each in names]


def project(known: KnownProject) -> Project:
    """A project. Passwords are never answered; what this server does not have is empty."""
    smtp = known.smtp
    return {
        "$id": known.project_id,
        "$createdAt": date(known.created_at),
        "$updatedAt": date(known.updated_at),
        "name": known.name,
        "teamId": "",
        "region": "default",
        "devKeys": [],
        "smtpEnabled": smtp.enabled,
        "smtpSenderName": smtp.sender_name,
        "smtpSenderEmail": smtp.sender_email,
        "smtpReplyToName": smtp.reply_to_name,
        "smtpReplyToEmail": smtp.reply_to_email,
        "smtpHost": smtp.host,
        "smtpPort": smtp.port,
        "smtpUsername": smtp.username,
        "smtpPassword": "",
        "smtpSecure": smtp.security,
        "pingCount": 0,
        "pingedAt": "",
        "labels": list(known.labels),
        "status": "active",
        "onboarding": {},
        "authMethods": _switched(AUTH_METHODS, known.methods_off),
        "services": _switched(SERVICES, known.services_off),
        "protocols": _switched(PROTOCOLS, known.protocols_off),
        "blocks": [],
        "consoleAccessedAt": "",
        "wafEnabled": False,
    }


def key(row: ApiKeyRow, *, secret: str = "") -> Key:
    """A key; its secret is known when it is made, and never again."""
    return {
        "$id": row.key_id,
        "$createdAt": date(row.created_at),
        "$updatedAt": date(row.updated_at),
        "name": row.name,
        "expire": date(row.expires_at),
        "scopes": row.scopes,
        "secret": secret,
        "accessedAt": date(row.used_at),
        "sdks": row.sdks,
    }


def ephemeral_key(key_id: str, at: datetime, expires_at: datetime, scopes: list[str], secret: str) -> Key:
    """A key that is stored nowhere."""
    return {
        "$id": key_id,
        "$createdAt": date(at),
        "$updatedAt": date(at),
        "name": "",
        "expire": date(expires_at),
        "scopes": scopes,
        "secret": secret,
        "accessedAt": "",
        "sdks": [],
    }


def platform(known: KnownPlatform) -> dict[str, Any]:
    """A platform, with the field of its kind."""
    return {
        "$id": known.platform_id,
        "$createdAt": date(known.created_at),
        "$updatedAt": date(known.updated_at),
        "name": known.name,
        "type": known.kind,
        PLATFORM_FIELDS[known.kind]: known.identifier,
    }


POLICY_NAMES: Final = {name: name.replace("_", "-") for name in KnownPolicies.model_fields if name != "retention"}
"""Those the contract knows; retention has a place of its own."""
PRIVACY_FIELDS: Final = {
    "userId": "user_id",
    "userEmail": "user_email",
    "userPhone": "user_phone",
    "userName": "user_name",
    "userMFA": "user_mfa",
    "userAccessedAt": "user_accessed_at",
}
_WIRE: Final = {name: wire for wire, name in PRIVACY_FIELDS.items()}


def policy(policies: KnownPolicies, name: str) -> dict[str, Any]:
    """One policy, with its settings."""
    settings: dict[str, Any] = getattr(policies, name).model_dump()
    return {"$id": POLICY_NAMES[name], **{_WIRE.get(each, each): value for each, value in settings.items()}}


def mock_number(known: KnownPhone) -> MockNumber:
    """A mock phone."""
    return {
        "number": known.number,
        "otp": known.otp,
        "$createdAt": date(known.created_at),
        "$updatedAt": date(known.updated_at),
    }
