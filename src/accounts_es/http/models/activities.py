"""What happened in a project, event by event: Appwrite's activities, and what we know besides."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, get_args

from typing_extensions import TypedDict

from accounts_es.adapters import countries
from accounts_es.domain.account import events as account
from accounts_es.domain.event import Event
from accounts_es.domain.project import events as project
from accounts_es.domain.resource import events as resource
from accounts_es.domain.security import events as security
from accounts_es.domain.team import events as team
from accounts_es.eventstore.audit_record import Record
from accounts_es.http.models.dates import date
from accounts_es.http.models.logs import NAMES, TEAM_NAMES
from projections.accounts import AccountRow

ACTIVITY_NAMES: Final[Mapping[type[Event], str]] = {
    **{event: name for event, name in NAMES.items() if name is not None},
    account.TokenIssued: "tokens.create",
    account.TokenRedeemed: "tokens.update",
    account.Accessed: "user.access",
    account.PasswordRehashed: "user.update",
    account.LegalHoldPlaced: "user.hold",
    account.LegalHoldLifted: "user.release",
    account.AccountErased: "user.erase",
    **{event: TEAM_NAMES[event.topic] for event in get_args(team.TeamEvent) if event.topic in TEAM_NAMES},
    project.ProjectCreated: "project.create",
    project.ProjectRenamed: "project.update",
    project.LabelsReplaced: "project.update",
    project.AuthMethodSwitched: "project.update",
    project.ServiceSwitched: "project.update",
    project.ProtocolSwitched: "project.update",
    project.PolicyChanged: "policy.update",
    project.DetailsForgotten: "project.forget",
    project.ProviderConfigured: "provider.update",
    project.SmtpConfigured: "smtp.update",
    project.SmtpTested: "smtp.test",
    project.EmailTemplateChanged: "template.update",
    project.ApiKeyCreated: "key.create",
    project.ApiKeyUpdated: "key.update",
    project.ApiKeyUsed: "key.use",
    project.ApiKeyDeleted: "key.delete",
    project.PlatformAdded: "platform.create",
    project.PlatformChanged: "platform.update",
    project.PlatformRemoved: "platform.delete",
    project.MockPhoneAdded: "mock.create",
    project.MockPhoneChanged: "mock.update",
    project.MockPhoneRemoved: "mock.delete",
    resource.ResourceProtected: "resource.create",
    resource.PermissionsReplaced: "resource.update",
    resource.ResourceReleased: "resource.delete",
    security.SignInRefused: "session.refuse",
    security.AccessDenied: "access.deny",
    security.RefusalsCounted: "access.count",
    security.AuditRead: "audit.read",
    security.AuditExported: "audit.export",
    security.AuditReadsCounted: "audit.count",
}
"""What an event is called, in the words of the contract's audit where it has some; otherwise by its topic."""

_Id = TypedDict("_Id", {"$id": str})


class _Unknown(TypedDict):
    """What only Appwrite's cloud knows."""

    continentCode: str
    city: str
    subdivisions: str
    isp: str
    autonomousSystemNumber: str
    autonomousSystemOrganization: str
    connectionType: str
    connectionUsageType: str
    connectionOrganization: str
    hostname: str
    sdk: str
    sdkVersion: str


ACTOR_TYPES: Final[Mapping[str, str]] = {"account": "user", "key": "keyProject", "guest": "guest", "system": "admin"}
RESOURCE_TYPES: Final[Mapping[str, str]] = {"account": "user"}
_PARTS: Final[Mapping[str, str]] = {
    "session_id": "session",
    "membership_id": "membership",
    "target_id": "target",
    "identity_id": "identity",
    "token_id": "token",
    "challenge_id": "challenge",
    "key_id": "key",
    "platform_id": "platform",
}
"""Fields that name a part of what an event is about."""
_UNKNOWN: Final[_Unknown] = {
    "continentCode": "",
    "city": "",
    "subdivisions": "",
    "isp": "",
    "autonomousSystemNumber": "",
    "autonomousSystemOrganization": "",
    "connectionType": "",
    "connectionUsageType": "",
    "connectionOrganization": "",
    "hostname": "",
    "sdk": "",
    "sdkVersion": "",
}
_NAMED: Final = {event.topic: name for event, name in ACTIVITY_NAMES.items()}


class ActivityEvent(_Id, _Unknown):
    """One event. From ``topic`` on it is what we tell besides the contract."""

    actorType: str
    actorId: str
    actorEmail: str
    actorName: str
    resourceParent: str
    resourceType: str
    resourceId: str
    resource: str
    event: str
    userAgent: str
    ip: str
    mode: str
    country: str
    time: str
    projectId: str
    teamId: str
    topic: str
    operation: str
    requestId: str
    correlationId: str
    stream: str
    streamVersion: int
    impersonatorId: str
    data: dict[str, Any]


class ActivityChange(TypedDict):
    """A field of what the event is about, before and after; what was or is not there is null."""

    field: str
    old: Any
    new: Any


class ActivityEventDetail(ActivityEvent):
    """One event and all it changed."""

    changes: list[ActivityChange]


class ActivityEventList(TypedDict):
    """A page of events."""

    total: int
    events: list[ActivityEvent]


def activity(record: Record, ids: Callable[[str], str | None], accounts: Mapping[str, AccountRow]) -> ActivityEvent:
    """One event. ``ids`` knows the ids of accounts and teams, ``accounts`` those there still are, by their streams."""
    who, _, impersonator = record.actor.partition("<")
    kind, _, identity = who.partition(":")
    actor = accounts.get(identity)
    subject, _, rest = record.about.partition("-")
    about = {
        "user": ids(record.about) or "",
        "team": ids(record.about) or "",
        "project": record.project,
        "resource": rest,
    }
    parent_type = RESOURCE_TYPES.get(subject, subject)
    parent_id = about.get(parent_type, "")
    parent = f"{parent_type}/{parent_id}" if parent_id else parent_type
    part, part_id = next(
        ((name, str(record.data[field])) for field, name in _PARTS.items() if record.data.get(field)), ("", "")
    )
    country = countries.country_of(record.ip or "")
    return {
        "$id": str(record.position),
        "actorType": ACTOR_TYPES.get(kind, kind),
        "actorId": (ids(identity) or "") if kind == "account" else identity,
        "actorEmail": actor.email or "" if actor is not None else "",
        "actorName": actor.name if actor is not None else "",
        "resourceParent": parent if part else "",
        "resourceType": part or parent_type,
        "resourceId": part_id or parent_id,
        "resource": f"{parent}/{part}/{part_id}" if part else parent,
        "event": _NAMED.get(record.topic, record.topic),
        "userAgent": record.user_agent or "",
        "ip": record.ip or "",
        "mode": "default",
        "country": country,
        **_UNKNOWN,
        "time": date(datetime.fromisoformat(record.time)),
        "projectId": record.project,
        "teamId": about["team"] if parent_type == "team" else "",
        "topic": record.topic,
        "operation": record.operation,
        "requestId": record.request,
        "correlationId": record.correlation,
        "stream": record.stream,
        "streamVersion": record.stream_version,
        "impersonatorId": ids(impersonator) or impersonator,
        "data": record.data,
    }
