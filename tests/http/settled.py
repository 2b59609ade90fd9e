"""What must have happened before the operations of a project's own settings."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from accounts_es.http.models.projects import PLATFORM_FIELDS
from tests.support.running import Person, World, a_phone

if TYPE_CHECKING:
    from tests.http.calls import Call

Prepare = Callable[[World, Person, "Call"], None]

MUST_BE_RIGHT: Final = {
    "project.updateUserLimitPolicy": {"total"},
    "project.updatePasswordHistoryPolicy": {"total"},
    "project.updateSMTP": {"enabled"},
}
"""As in `tests.http.calls`."""


def _settings(world: World, method: str, path: str, **fields: Any) -> Any:
    answer = world.settling.ask(method, f"/project{path}", **fields)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


def _has_key(world: World, _person: Person, call: "Call") -> None:
    made = _settings(world, "POST", "/keys", keyId="unique()", name="For a test", scopes=["users.read"])
    call.path["keyId"] = made["$id"]


def _has_platform(kind: str, field_name: str) -> Prepare:
    def prepare(world: World, _person: Person, call: "Call") -> None:
        fields = {"platformId": "unique()", "name": "For a test", field_name: "for-a-test.example.org"}
        call.path["platformId"] = _settings(world, "POST", f"/platforms/{kind}", **fields)["$id"]

    return prepare


def _keeps_all(world: World, _person: Person, _call: "Call") -> None:
    _settings(world, "PATCH", "/retention", deletedAccounts=0, refusals=0, origins=0)


def _has_room(world: World, _person: Person, _call: "Call") -> None:
    for phone in _settings(world, "GET", "/mock-phones")["mockNumbers"]:
        _settings(world, "DELETE", f"/mock-phones/{phone['number']}")


def _has_mock_phone(world: World, person: Person, call: "Call") -> None:
    _has_room(world, person, call)
    call.path["number"] = a_phone()
    _settings(world, "POST", "/mock-phones", number=call.path["number"], otp="000000")


def _differs(*settings: str, **values: Any) -> Prepare:
    """The policy is not yet what the call makes it."""

    def prepare(world: World, _person: Person, call: "Call") -> None:
        other = {name: not call.fields[name] for name in settings} | values
        _settings(world, "PATCH", call.operation.paths[0].removeprefix("/project"), **other)

    return prepare


def _method(world: World, _person: Person, call: "Call") -> None:
    call.path["methodId"] = "invites"
    _settings(world, "PATCH", "/auth-methods/invites", enabled=not call.fields["enabled"])


def _service(world: World, _person: Person, call: "Call") -> None:
    call.path["serviceId"] = "storage"
    _settings(world, "PATCH", "/services/storage", enabled=not call.fields["enabled"])


def _protocol(world: World, _person: Person, call: "Call") -> None:
    call.path["protocolId"] = "graphql"
    _settings(world, "PATCH", "/protocols/graphql", enabled=not call.fields["enabled"])


def _policy(_world: World, _person: Person, call: "Call") -> None:
    call.path["policyId"] = "session-limit"


def _labels(world: World, _person: Person, _call: "Call") -> None:
    _settings(world, "PUT", "/labels", labels=["other"])


def _provider(_world: World, _person: Person, call: "Call") -> None:
    call.path["providerId"] = "github"


def _no_server(_world: World, _person: Person, call: "Call") -> None:
    call.fields["enabled"] = False


def _has_smtp(world: World, _person: Person, call: "Call") -> None:
    """As configured by a tool, which tries no server."""
    changes = {"enabled": True, "host": "localhost", "port": 1, "sender_email": "shop@example.org"}
    world.smtp(changes, project="settled")
    if "templateId" in call.path:
        call.path["templateId"] = "recovery"


def _has_webhook(world: World, _person: Person, call: "Call") -> None:
    fields = {"url": "http://localhost:1/hook", "events": ["users.*"], "enabled": False}
    made = world.settling.ask("POST", "/webhooks", webhookId="unique()", name="For a test", **fields)
    assert made.status_code == 201, made.text
    call.path["webhookId"] = made.json()["$id"]


PREPARED: Final[Mapping[str, Prepare]] = {
    "project.updateRetention": _keeps_all,
    **dict.fromkeys(("project.getKey", "project.updateKey", "project.deleteKey"), _has_key),
    **{
        f"project.update{kind.capitalize()}Platform": _has_platform(kind, name)
        for kind, name in PLATFORM_FIELDS.items()
    },
    **dict.fromkeys(("project.getPlatform", "project.deletePlatform"), _has_platform("web", "hostname")),
    "project.createMockPhone": _has_room,
    **dict.fromkeys(("project.getMockPhone", "project.updateMockPhone", "project.deleteMockPhone"), _has_mock_phone),
    "project.updateAuthMethod": _method,
    "project.updateService": _service,
    "project.updateProtocol": _protocol,
    "project.updateLabels": _labels,
    **dict.fromkeys(
        ("webhooks.get", "webhooks.update", "webhooks.delete", "webhooks.updateSecret", "webhooks.rewind"), _has_webhook
    ),
    "project.getPolicy": _policy,
    "project.updateSMTP": _no_server,
    **dict.fromkeys(("project.createSMTPTest", "project.updateEmailTemplate", "project.getEmailTemplate"), _has_smtp),
    **dict.fromkeys(("project.getOAuth2Provider", "project.updateOAuth2Provider"), _provider),
    **{
        f"project.update{policy}Policy": _differs("enabled")
        for policy in (
            "SessionAlert",
            "SessionInvalidation",
            "PasswordDictionary",
            "PasswordPersonalData",
            "DenyAliasedEmail",
            "DenyDisposableEmail",
            "DenyFreeEmail",
            "DenyCorporateEmail",
        )
    },
    "project.updateUserLimitPolicy": _differs(total=None),
    "project.updatePasswordHistoryPolicy": _differs(total=None),
    "project.updateSessionLimitPolicy": _differs(total=10),
    "project.updateSessionDurationPolicy": _differs(duration=31_000_000),
    "project.updatePasswordStrengthPolicy": _differs(min=8),
    "project.updateMembershipPrivacyPolicy": _differs("userId"),
    "project.updateMFAFactorsPolicy": _differs("custom"),
}
