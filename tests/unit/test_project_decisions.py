"""What projects decide, command by command."""

import pytest

from accounts_es.domain.errors import (
    KeyAlreadyExists,
    KeyNotFound,
    MockNumberAlreadyExists,
    MockNumberNotFound,
    ProjectAlreadyExists,
    ProjectNotFound,
)
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import commands as project_commands
from accounts_es.domain.project.events import (
    ApiKeyCreated,
    ApiKeyDeleted,
    AuthMethodSwitched,
    MockPhoneRemoved,
    PlatformAdded,
    PlatformRemoved,
    PolicyChanged,
    ProjectCreated,
)
from tests.support.examples import (
    api_key_created,
    mock_phone_added,
    platform_added,
    project_created,
    provider_configured,
)
from tests.support.given_when_then import project


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


def test_a_host_is_let_in_once_whatever_its_platform_is_called() -> None:
    story = project.given(project_created, platform_added)
    story.when(project_commands.add_platform, platform_id="web2", hostname="*.example.org").then_nothing()
    story.when(project_commands.add_platform, platform_id="web2", hostname="example.com").then(
        PlatformAdded(platform_id="web2", hostname="example.com")
    )


def test_a_host_is_shut_out_once() -> None:
    story = project.given(project_created, platform_added)
    without = story.when(project_commands.remove_platform, platform_id="web").then(PlatformRemoved(platform_id="web"))
    without.when(project_commands.remove_platform, platform_id="web").then_nothing()


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


PROJECT_COMMANDS = [
    (project_commands.create_api_key, {"key_id": "k", "name": "n", "scopes": [], "secret_hash": "h"}),
    (project_commands.delete_api_key, {"key_id": "k"}),
    (project_commands.add_platform, {"platform_id": "p", "hostname": "h"}),
    (project_commands.remove_platform, {"platform_id": "p"}),
    (project_commands.change_policy, {"policy": "session_limit", "settings": {"total": 1}}),
    (project_commands.switch_auth_method, {"method": "anonymous", "enabled": False}),
    (project_commands.add_mock_phone, {"number": "+4930901820", "otp": "123456"}),
    (project_commands.remove_mock_phone, {"number": "+4930901820"}),
    (project_commands.configure_provider, {"provider": "google", "enabled": True, "settings": {}}),
]


@pytest.mark.parametrize(
    ("command", "arguments"), PROJECT_COMMANDS, ids=[each.__name__ for each, _ in PROJECT_COMMANDS]
)
def test_nothing_is_decided_about_a_project_that_does_not_exist(command, arguments) -> None:
    project.when(command, **arguments).then_refused(ProjectNotFound)


def test_every_command_is_covered_here() -> None:
    assert {each.__name__ for each, _ in PROJECT_COMMANDS} | {"create_project"} == set(project_commands.__all__)
