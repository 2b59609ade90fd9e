"""Every method of Project that the official server SDKs have and this server answers: a backend sets up its project."""

import re
from typing import Any

import pytest

from accounts_es.http.models.providers import SHAPES
from tests.support.backends import Backend
from tests.support.calls import Calls
from tests.support.running import World
from tests.support.script import refused


def ask(backend: Backend, method: str, **params: Any) -> Any:
    if not backend.has(method, "Project"):
        pytest.skip(f"this SDK has no {method}")
    return backend.call("Project", method, **params)


def test_the_project(keyed: Backend) -> None:
    assert ask(keyed, "get")["name"] == "Default"
    assert ask(keyed, "updateLabels", labels=["shop"])["labels"] == ["shop"]
    services = ask(keyed, "updateService", serviceId="storage", enabled=False)["services"]
    assert [each["$id"] for each in services if not each["enabled"]] == ["storage"]
    protocols = ask(keyed, "updateProtocol", protocolId="graphql", enabled=True)["protocols"]
    assert all(each["enabled"] for each in protocols)
    methods = ask(keyed, "updateAuthMethod", methodId="invites", enabled=True)["authMethods"]
    assert all(each["enabled"] for each in methods)


def test_keys(keyed: Backend) -> None:
    key = ask(keyed, "createKey", keyId="unique()", name="Reader", scopes=["users.read"])
    assert keyed.acting(setKey=key["secret"]).call("Users", "list")["users"] is not None
    assert ask(keyed, "getKey", keyId=key["$id"])["secret"] == ""
    assert key["$id"] in [each["$id"] for each in ask(keyed, "listKeys")["keys"]]
    end = "2100-01-01T00:00:00.000+00:00"
    changed = ask(keyed, "updateKey", keyId=key["$id"], name="Lister", scopes=["teams.read"], expire=end)
    assert (changed["name"], changed["scopes"], changed["expire"]) == ("Lister", ["teams.read"], end)
    ask(keyed, "deleteKey", keyId=key["$id"])
    with refused("key_not_found"):
        ask(keyed, "getKey", keyId=key["$id"])


def test_ephemeral_keys(keyed: Backend) -> None:
    key = ask(keyed, "createEphemeralKey", scopes=["users.read"], duration=60)
    brief = keyed.acting(setKey=key["secret"])
    brief.call("Users", "list")
    with refused("general_unauthorized_scope"):
        brief.call("Users", "create", userId="unique()")


PLATFORMS = {
    "Web": "hostname",
    "Apple": "bundleIdentifier",
    "Android": "applicationId",
    "Windows": "packageIdentifierName",
    "Linux": "packageName",
}


@pytest.mark.parametrize("kind", PLATFORMS)
def test_platforms(keyed: Backend, kind: str) -> None:
    field = PLATFORMS[kind]
    made = ask(keyed, f"create{kind}Platform", platformId="unique()", name="Ours", **{field: "one.example"})
    assert (made["type"], made[field]) == (kind.lower(), "one.example")
    changed = ask(keyed, f"update{kind}Platform", platformId=made["$id"], name="Ours", **{field: "two.example"})
    assert changed[field] == "two.example"
    assert ask(keyed, "getPlatform", platformId=made["$id"])["name"] == "Ours"
    assert made["$id"] in [each["$id"] for each in ask(keyed, "listPlatforms")["platforms"]]
    ask(keyed, "deletePlatform", platformId=made["$id"])


POLICIES: dict[str, dict[str, Any]] = {
    "DenyAliasedEmail": {"enabled": False},
    "DenyCorporateEmail": {"enabled": False},
    "DenyDisposableEmail": {"enabled": False},
    "DenyFreeEmail": {"enabled": False},
    "MembershipPrivacy": {"userId": False, "userMFA": False},
    "PasswordDictionary": {"enabled": False},
    "PasswordHistory": {"total": None},
    "PasswordPersonalData": {"enabled": False},
    "PasswordStrength": {"min": 8, "symbols": False},
    "SessionAlert": {"enabled": False},
    "SessionDuration": {"duration": 31_536_000},
    "SessionInvalidation": {"enabled": True},
    "SessionLimit": {"total": 10},
    "UserLimit": {"total": None},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_policies(keyed: Backend, policy: str) -> None:
    ask(keyed, f"update{policy}Policy", **POLICIES[policy])
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", policy).lower()
    read = ask(keyed, "getPolicy", policyId=name)
    assert read["$id"] == name
    assert all(read[setting] == (value or 0) for setting, value in POLICIES[policy].items())


def test_policies_are_listed(keyed: Backend) -> None:
    if keyed.name == "python":
        pytest.skip("this SDK knows no policy of a newer kind in the list")
    assert "session-limit" in [each["$id"] for each in ask(keyed, "listPolicies")["policies"]]


def test_mock_phones(keyed: Backend) -> None:
    number = "+4930901877"
    assert ask(keyed, "createMockPhone", number=number, otp="123456")["otp"] == "123456"
    assert ask(keyed, "updateMockPhone", number=number, otp="654321")["otp"] == "654321"
    assert ask(keyed, "getMockPhone", number=number)["otp"] == "654321"
    assert number in [each["number"] for each in ask(keyed, "listMockPhones")["mockNumbers"]]
    ask(keyed, "deleteMockPhone", number=number)


METHODS = {
    **{name: name[0].upper() + name[1:] for name in SHAPES},
    "fusionauth": "FusionAuth",
    "github": "GitHub",
    "tradeshiftBox": "TradeshiftSandbox",
    "wordpress": "WordPress",
}


UNREAD_BY_PYTHON = {"appwrite", "paypal", "tradeshift"}
"""Providers whose answers the Python SDK takes for no model of its own when it asks for one."""


NOT_IN_THE_SDK = {"huggingface", "kakao", "yammer"}


@pytest.mark.parametrize("name", [each for each in SHAPES if each not in NOT_IN_THE_SDK])
def test_providers(keyed: Backend, name: str) -> None:
    shape = SHAPES[name]
    given = {shape.client_id: "client", shape.secret: "secret", "enabled": False}
    answer = ask(keyed, f"updateOAuth2{METHODS[name]}", **given)
    assert (answer[shape.client_id], answer[shape.secret]) == ("client", "")
    if keyed.name != "python" or name not in UNREAD_BY_PYTHON:
        assert ask(keyed, "getOAuth2Provider", providerId=name)[shape.client_id] == "client"


def test_providers_are_listed(keyed: Backend) -> None:
    listed = ask(keyed, "listOAuth2Providers")
    assert listed["total"] == len(listed["providers"]) == len(SHAPES)


def test_smtp_and_templates(keyed: Backend, world: World) -> None:
    said = ask(keyed, "updateSMTP", host="localhost", port=1, senderEmail="shop@example.org", enabled=False)
    assert (said["smtpHost"], said["smtpPassword"]) == ("localhost", "")
    assert "{{project}}" in ask(keyed, "getEmailTemplate", templateId="recovery", locale="fr")["subject"]
    world.smtp({"enabled": True})
    try:
        ask(keyed, "createSMTPTest", emails=["nobody@example.org"])
        words = {"subject": "Vergessen?", "message": "<p>{{redirect}}</p>"}
        changed = ask(keyed, "updateEmailTemplate", templateId="recovery", locale="de", **words)
        assert changed["subject"] == "Vergessen?"
        assert changed in ask(keyed, "listEmailTemplates")["templates"]
    finally:
        world.smtp({"enabled": False})


def test_what_was_called_is_written_down(calls: Calls, world: World) -> None:
    assert world
    calls.held()
