"""What projects decide, command by command."""

from datetime import date, timedelta
from typing import Any

import pytest

from accounts_es.domain.errors import (
    KeyAlreadyExists,
    KeyCreationDenied,
    KeyNotFound,
    MockNumberAlreadyExists,
    MockNumberLimitExceeded,
    MockNumberNotFound,
    PlatformAlreadyExists,
    PlatformMethodUnsupported,
    PlatformNotFound,
    ProjectAlreadyExists,
    ProjectNotFound,
    ProjectSmtpConfigInvalid,
)
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import Grant
from accounts_es.domain.project import commands as project_commands
from accounts_es.domain.project.events import (
    ApiKeyCreated,
    ApiKeyDeleted,
    ApiKeyUpdated,
    ApiKeyUsed,
    AuthMethodSwitched,
    EmailTemplateChanged,
    LabelsReplaced,
    MockPhoneChanged,
    MockPhoneRemoved,
    PlatformAdded,
    PlatformChanged,
    PlatformRemoved,
    PolicyChanged,
    ProjectCreated,
    ProjectRenamed,
    ProtocolSwitched,
    ProviderConfigured,
    ServiceSwitched,
    SmtpConfigured,
    SmtpTested,
)
from tests.support.examples import (
    api_key_created,
    mock_phone_added,
    platform_added,
    project_created,
    provider_configured,
    smtp_configured,
)
from tests.support.given_when_then import project
from tests.support.metadata import NOON


def test_a_project_begins_once() -> None:
    story = project.when(project_commands.create_project, project_id="default", name="Default").then(
        ProjectCreated(project_id="default", name="Default")
    )
    story.when(project_commands.create_project, project_id="default", name="Other").then_refused(ProjectAlreadyExists)


def test_a_key_is_given_once_and_taken_back_once() -> None:
    story = (
        project.given(project_created)
        .when(project_commands.create_api_key, key_id="k", name="Key", scopes=["users.read"], secret_hash="h" * 64)
        .then(ApiKeyCreated(key_id="k", name="Key", scopes=("users.read",), secret_hash="h" * 64))
    )
    story.when(project_commands.create_api_key, key_id="k", name="Other", scopes=[], secret_hash="i" * 64).then_refused(
        KeyAlreadyExists
    )
    without = story.when(project_commands.delete_api_key, key_id="k").then(ApiKeyDeleted(key_id="k"))
    without.when(project_commands.delete_api_key, key_id="k").then_refused(KeyNotFound)


def test_a_key_that_was_taken_back_leaves_the_others() -> None:
    other = api_key_created.model_copy(update={"key_id": "other"})
    story = project.given(project_created, api_key_created, other, ApiKeyDeleted(key_id="backend"))
    assert list(story.state.keys) == ["other"]


def test_a_platform_is_added_once_under_its_id() -> None:
    story = project.given(project_created, platform_added)
    story.when(project_commands.add_platform, platform_id="web", identifier="example.com").then_refused(
        PlatformAlreadyExists
    )
    story.when(project_commands.add_platform, platform_id="web2", identifier="*.example.org").then(
        PlatformAdded(platform_id="web2", kind="web", name="*.example.org", identifier="*.example.org")
    )


def test_a_platform_changes_by_the_method_of_its_kind() -> None:
    story = project.given(project_created, platform_added)
    change = {"platform_id": "web", "name": "Ours", "identifier": "example.com"}
    changed = story.when(project_commands.change_platform, kind="web", **change).then(PlatformChanged(**change))
    changed.when(project_commands.change_platform, kind="web", **change).then_nothing()
    changed.when(project_commands.change_platform, kind="apple", **change).then_refused(PlatformMethodUnsupported)
    project.given(project_created).when(project_commands.change_platform, kind="web", **change).then_refused(
        PlatformNotFound
    )


def test_a_platform_is_removed_once() -> None:
    story = project.given(project_created, platform_added)
    without = story.when(project_commands.remove_platform, platform_id="web").then(PlatformRemoved(platform_id="web"))
    without.when(project_commands.remove_platform, platform_id="web").then_refused(PlatformNotFound)


def test_a_platform_of_the_first_shape_is_a_website_called_like_its_host() -> None:
    was = PlatformAdded.from_shape(1, {"platform_id": "web", "hostname": "example.org"})
    assert was == PlatformAdded(platform_id="web", kind="web", name="example.org", identifier="example.org")


def test_a_project_is_called_and_labelled_only_something_else() -> None:
    story = project.given(project_created)
    renamed = story.when(project_commands.rename_project, name="Shop").then(ProjectRenamed(name="Shop"))
    renamed.when(project_commands.rename_project, name="Shop").then_nothing()
    labelled = story.when(project_commands.replace_project_labels, labels=["a", "b", "a"]).then(
        LabelsReplaced(labels=("a", "b"))
    )
    labelled.when(project_commands.replace_project_labels, labels=["a", "b"]).then_nothing()


SOON, LATER = NOON + timedelta(hours=1), NOON + timedelta(hours=2)


@pytest.mark.parametrize(
    ("scopes", "until", "scopes_of", "until_of", "within"),
    [
        (["a"], None, ["a", "b"], None, True),
        (["a"], SOON, ["a"], LATER, True),
        (["a"], LATER, ["a"], LATER, True),
        ([], None, [], None, True),
        (["a"], LATER, ["a"], SOON, False),
        (["a"], None, ["a"], LATER, False),
        (["a", "c"], SOON, ["a", "b"], None, False),
    ],
)
def test_T23_a_key_gives_no_more_than_it_has(scopes, until, scopes_of, until_of, within) -> None:
    granter = Grant.of(scopes_of, until_of)
    given = {"key_id": "k", "name": "Key", "scopes": scopes, "expires_at": until, "granter": granter}
    decision = project.given(project_created).when(project_commands.create_api_key, **given, secret_hash="h")
    if within:
        decision.then(ApiKeyCreated(key_id="k", name="Key", scopes=tuple(scopes), secret_hash="h", expires_at=until))
    else:
        decision.then_refused(KeyCreationDenied)


def test_T23_a_key_can_be_narrowed_by_whoever_manages_keys_and_widened_by_nobody_who_has_less() -> None:
    story = project.given(project_created, api_key_created)
    lesser = Grant.of(["users.read", "keys.write"], None)
    same = {"key_id": "backend", "name": "Backend", "expires_at": api_key_created.expires_at, "granter": lesser}
    both = ["users.read", "users.write"]
    story.when(project_commands.update_api_key, **same, scopes=both).then_nothing()
    story.when(project_commands.update_api_key, **{**same, "name": "x"}, scopes=both).then(
        ApiKeyUpdated(key_id="backend", name="x", scopes=tuple(both), expires_at=api_key_created.expires_at)
    )
    story.when(project_commands.update_api_key, **{**same, "expires_at": None}, scopes=both).then_refused(
        KeyCreationDenied
    )
    story.when(project_commands.update_api_key, **same, scopes=[*both, "teams.read"]).then_refused(KeyCreationDenied)
    story.when(project_commands.update_api_key, **{**same, "expires_at": None}, scopes=["users.read"]).then(
        ApiKeyUpdated(key_id="backend", name="Backend", scopes=("users.read",))
    )
    story.when(project_commands.update_api_key, **{**same, "key_id": "other"}, scopes=[]).then_refused(KeyNotFound)


def test_the_use_of_a_key_is_noted_once_a_day() -> None:
    story = project.given(project_created, api_key_created)
    used = story.when(project_commands.note_key_use, key_id="backend", sdk="Node.js", now=NOON).then(
        ApiKeyUsed(key_id="backend", sdk="Node.js")
    )
    used.when(project_commands.note_key_use, key_id="backend", sdk="Dart", now=LATER).then_nothing()
    day_after = NOON + timedelta(days=1, minutes=1)
    used.when(project_commands.note_key_use, key_id="backend", sdk="", now=day_after).then(ApiKeyUsed(key_id="backend"))
    story.when(project_commands.note_key_use, key_id="gone", sdk="", now=NOON).then_nothing()


def test_a_policy_changes_by_the_settings_named_and_keeps_the_others() -> None:
    story = (
        project.given(project_created)
        .when(project_commands.change_policy, policy="password_strength", settings={"min": 12})
        .then(PolicyChanged(policy="password_strength", settings={"min": 12}))
    )
    story.when(project_commands.change_policy, policy="password_strength", settings={"min": 12}).then_nothing()
    both = story.when(project_commands.change_policy, policy="password_strength", settings={"number": True}).then(
        PolicyChanged(policy="password_strength", settings={"number": True})
    )
    assert both.state.policies.password_strength.model_dump() == {
        "min": 12,
        "uppercase": False,
        "lowercase": False,
        "number": True,
        "symbols": False,
    }


@pytest.mark.parametrize(
    ("policy", "settings"), [("forgotten", {"on": True}), ("session_limit", {"total": -1}), ("session_limit", {"x": 1})]
)
def test_a_policy_nobody_knows_any_more_changes_nothing(policy: str, settings: JSONObject) -> None:
    story = project.given(project_created, PolicyChanged(policy=policy, settings=settings))
    assert story.state.policies == project.state.policies


def test_a_way_to_sign_in_is_switched_off_and_on() -> None:
    story = project.given(project_created)
    story.when(project_commands.switch_auth_method, method="anonymous", enabled=True).then_nothing()
    off = story.when(project_commands.switch_auth_method, method="anonymous", enabled=False).then(
        AuthMethodSwitched(method="anonymous", enabled=False)
    )
    assert off.state.methods_off == {"anonymous"}
    off.when(project_commands.switch_auth_method, method="anonymous", enabled=True).then(
        AuthMethodSwitched(method="anonymous", enabled=True)
    )


@pytest.mark.parametrize(
    ("command", "event", "what"),
    [
        (project_commands.switch_service, ServiceSwitched, {"service": "teams"}),
        (project_commands.switch_protocol, ProtocolSwitched, {"protocol": "rest"}),
    ],
)
def test_services_and_protocols_are_switched_off_and_on(command: Any, event: Any, what: dict[str, str]) -> None:
    story = project.given(project_created)
    story.when(command, **what, enabled=True).then_nothing()
    off = story.when(command, **what, enabled=False).then(event(**what, enabled=False))
    off.when(command, **what, enabled=False).then_nothing()
    on = off.when(command, **what, enabled=True).then(event(**what, enabled=True))
    assert (on.state.services_off, on.state.protocols_off) == (frozenset(), frozenset())


def test_a_mock_number_is_added_once_and_removed_once() -> None:
    story = project.given(project_created, mock_phone_added)
    story.when(project_commands.add_mock_phone, number="+4930901822", otp="654321").then_refused(
        MockNumberAlreadyExists
    )
    without = story.when(project_commands.remove_mock_phone, number="+4930901822").then(
        MockPhoneRemoved(number="+4930901822")
    )
    without.when(project_commands.remove_mock_phone, number="+4930901822").then_refused(MockNumberNotFound)


def test_a_provider_configured_the_same_is_no_change() -> None:
    story = project.given(project_created, provider_configured)
    same = provider_configured.model_dump()
    story.when(project_commands.configure_provider, **same).then_nothing()
    story.when(project_commands.configure_provider, **{**same, "enabled": False}).then(
        provider_configured.model_copy(update={"enabled": False})
    )


def test_a_mock_number_takes_another_code() -> None:
    story = project.given(project_created, mock_phone_added)
    changed = story.when(project_commands.change_mock_phone, number="+4930901822", otp="654321").then(
        MockPhoneChanged(number="+4930901822", otp="654321")
    )
    changed.when(project_commands.change_mock_phone, number="+4930901822", otp="654321").then_nothing()
    story.when(project_commands.change_mock_phone, number="+4930901820", otp="1").then_refused(MockNumberNotFound)


def test_there_are_ten_mock_numbers_at_most() -> None:
    ten = [mock_phone_added.model_copy(update={"number": f"+493090182{nth}"}) for nth in range(10)]
    story = project.given(project_created, *ten)
    story.when(project_commands.add_mock_phone, number="+4930901830", otp="654321").then_refused(
        MockNumberLimitExceeded
    )


def test_a_provider_is_adjusted_by_what_is_named_and_keeps_its_secret() -> None:
    story = project.given(project_created, provider_configured)
    story.when(project_commands.adjust_provider, provider="google", enabled=False, settings={"prompt": ["none"]}).then(
        provider_configured.model_copy(
            update={"enabled": False, "settings": {"client_secret": "their-secret", "prompt": ["none"]}}
        )
    )
    project.given(project_created).when(
        project_commands.adjust_provider, provider="github", client_id="id", settings={}
    ).then(ProviderConfigured(provider="github", enabled=False, client_id="id", settings={}))


@pytest.mark.parametrize("place", ["endpoint", "domain", "well_known_url", "token_url"])
def test_a_provider_s_secret_is_shown_to_no_other_server(place: str) -> None:
    kept = {place: "https://id.example.org", "client_secret": "their-secret"}
    known = ProviderConfigured(provider="oidc", enabled=True, client_id="id", settings=kept)
    story = project.given(project_created, known)

    def moved(**settings: str) -> ProviderConfigured:
        return known.model_copy(update={"settings": settings})

    elsewhere = {place: "https://evil.example.org"}
    story.when(project_commands.adjust_provider, provider="oidc", settings=elsewhere).then(moved(**elsewhere))
    both = {**elsewhere, "client_secret": "another"}
    story.when(project_commands.adjust_provider, provider="oidc", settings=both).then(moved(**both))
    same = {**kept, "user_info_url": "https://id.example.org/me"}
    story.when(
        project_commands.adjust_provider,
        provider="oidc",
        settings={place: kept[place], "user_info_url": same["user_info_url"]},
    ).then(moved(**same))


def test_a_provider_s_secret_is_not_shown_to_a_server_that_is_named_later() -> None:
    known = ProviderConfigured(provider="gitlab", enabled=True, settings={"client_secret": "their-secret"})
    project.given(project_created, known).when(
        project_commands.adjust_provider, provider="gitlab", settings={"endpoint": "evil.example.org"}
    ).then(known.model_copy(update={"settings": {"endpoint": "evil.example.org"}}))


def test_an_smtp_password_is_shown_to_no_other_host_and_not_in_the_open() -> None:
    known = SmtpConfigured(
        enabled=True, host="smtp.example.org", security="tls", sender_email="shop@example.org", password="secret"
    )
    story = project.given(project_created, known)
    for change in ({"host": "smtp.example.com"}, {"security": ""}):
        story.when(project_commands.configure_smtp, changes=change).then(
            known.model_copy(update={**change, "password": ""})
        )
        story.when(project_commands.configure_smtp, changes={**change, "password": "secret"}).then(
            known.model_copy(update=change)
        )
    for change in ({"port": 465, "security": "ssl"}, {"username": "another"}, {"host": "smtp.example.org", "port": 25}):
        story.when(project_commands.configure_smtp, changes=change).then(known.model_copy(update=change))


def test_smtp_changes_by_the_fields_named_and_needs_a_host_and_a_sender() -> None:
    story = project.given(project_created)
    on = {"host": "smtp.example.org", "sender_email": "shop@example.org", "enabled": True, "password": "secret"}
    story.when(project_commands.configure_smtp, changes={**on, "host": ""}).then_refused(ProjectSmtpConfigInvalid)
    story.when(project_commands.configure_smtp, changes={**on, "sender_email": ""}).then_refused(
        ProjectSmtpConfigInvalid
    )
    configured = story.when(project_commands.configure_smtp, changes=on).then(SmtpConfigured(**on))
    configured.when(project_commands.configure_smtp, changes=on).then_nothing()
    configured.when(project_commands.configure_smtp, changes={"port": 25}).then(SmtpConfigured(**on, port=25))


def test_mail_is_tried_and_worded_only_with_smtp() -> None:
    story = project.given(project_created)
    worded = {"template": "recovery", "locale": "de", "changes": {"subject": "Hallo"}}
    story.when(project_commands.try_smtp, recipients=1).then_refused(ProjectSmtpConfigInvalid)
    story.when(project_commands.change_email_template, **worded).then_refused(ProjectSmtpConfigInvalid)
    story = story.given(smtp_configured)
    story.when(project_commands.try_smtp, recipients=1).then(SmtpTested(recipients=1))
    changed = story.when(project_commands.change_email_template, **worded).then(
        EmailTemplateChanged(template="recovery", locale="de", subject="Hallo")
    )
    changed.when(project_commands.change_email_template, **worded).then_nothing()
    changed.when(
        project_commands.change_email_template, template="recovery", locale="de", changes={"message": "x"}
    ).then(EmailTemplateChanged(template="recovery", locale="de", subject="Hallo", message="x"))


PROJECT_COMMANDS = [
    (project_commands.forget_details, {"kind": "origins", "before": date(2026, 1, 31)}),
    (project_commands.create_api_key, {"key_id": "k", "name": "n", "scopes": [], "secret_hash": "h"}),
    (project_commands.delete_api_key, {"key_id": "k"}),
    (project_commands.update_api_key, {"key_id": "k", "name": "n", "scopes": []}),
    (project_commands.rename_project, {"name": "n"}),
    (project_commands.replace_project_labels, {"labels": ["l"]}),
    (project_commands.add_platform, {"platform_id": "p", "identifier": "h"}),
    (project_commands.change_platform, {"platform_id": "p", "kind": "web", "name": "n", "identifier": "h"}),
    (project_commands.change_mock_phone, {"number": "+4930901820", "otp": "123456"}),
    (project_commands.adjust_provider, {"provider": "google", "settings": {}}),
    (project_commands.configure_smtp, {"changes": {}}),
    (project_commands.try_smtp, {"recipients": 1}),
    (project_commands.change_email_template, {"template": "recovery", "locale": "en", "changes": {}}),
    (project_commands.remove_platform, {"platform_id": "p"}),
    (project_commands.change_policy, {"policy": "session_limit", "settings": {"total": 1}}),
    (project_commands.switch_auth_method, {"method": "anonymous", "enabled": False}),
    (project_commands.switch_service, {"service": "teams", "enabled": False}),
    (project_commands.switch_protocol, {"protocol": "rest", "enabled": False}),
    (project_commands.add_mock_phone, {"number": "+4930901820", "otp": "123456"}),
    (project_commands.remove_mock_phone, {"number": "+4930901820"}),
    (project_commands.configure_provider, {"provider": "google", "enabled": True, "settings": {}}),
    (
        project_commands.add_webhook,
        {"webhook_id": "w", "name": "n", "url": "u", "events": [], "secret": "s", "position": 0},
    ),
    (project_commands.change_webhook, {"webhook_id": "w", "name": "n", "url": "u", "events": []}),
    (project_commands.rotate_webhook_secret, {"webhook_id": "w", "secret": "s"}),
    (project_commands.rewind_webhook, {"webhook_id": "w", "position": 0}),
    (project_commands.remove_webhook, {"webhook_id": "w"}),
]


@pytest.mark.parametrize(
    ("command", "arguments"), PROJECT_COMMANDS, ids=[each.__name__ for each, _ in PROJECT_COMMANDS]
)
def test_nothing_is_decided_about_a_project_that_does_not_exist(command, arguments) -> None:
    project.when(command, **arguments).then_refused(ProjectNotFound)


UNHEEDED = {"create_project", "note_key_use", "disable_webhook"}
"""Commands to whom a project that does not exist is nothing to refuse."""


def test_every_command_is_covered_here() -> None:
    assert {each.__name__ for each, _ in PROJECT_COMMANDS} | UNHEEDED == set(project_commands.__all__)
