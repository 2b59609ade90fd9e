"""What projects decide about webhooks, and what can be subscribed to."""

import pytest

from accounts_es.domain.errors import ProjectNotFound, WebhookAlreadyExists, WebhookNotFound
from accounts_es.domain.project import commands
from accounts_es.domain.project.events import (
    WebhookAdded,
    WebhookChanged,
    WebhookDisabled,
    WebhookRemoved,
    WebhookRewound,
    WebhookSecretRotated,
)
from accounts_es.domain.project.subscriptions import is_subscription
from tests.support.examples import project_created, webhook_added, webhook_changed
from tests.support.given_when_then import project

known = project.given(project_created, webhook_added)
SAME = {"webhook_id": "crm", "name": "The CRM", "url": webhook_added.url, "events": webhook_added.events}


def test_a_webhook_begins_once_and_names_each_event_once() -> None:
    story = project.given(project_created).when(
        commands.add_webhook,
        webhook_id="crm",
        name="The CRM",
        url="https://crm.example.org",
        events=["users.*", "users.*"],
        secret="s" * 8,
        position=7,
    )
    told = WebhookAdded(
        webhook_id="crm",
        name="The CRM",
        url="https://crm.example.org",
        events=("users.*",),
        secret="s" * 8,
        position=7,
    )
    after = story.then(told)
    after.when(commands.add_webhook, **told.model_dump()).then_refused(WebhookAlreadyExists)
    project.when(commands.add_webhook, **told.model_dump()).then_refused(ProjectNotFound)


def test_a_webhook_changes_as_a_whole_but_for_its_secret() -> None:
    after = known.when(commands.change_webhook, **webhook_changed.model_dump()).then(webhook_changed)
    assert after.state.webhooks["crm"].secret == webhook_added.secret
    after.when(commands.change_webhook, **webhook_changed.model_dump()).then_nothing()


def test_a_password_nobody_is_shown_stays_with_its_user_name() -> None:
    named = known.when(commands.change_webhook, **SAME, auth_username="accounts")
    named.then_nothing()
    plain = {**SAME, "format": "appwrite"}
    known.when(commands.change_webhook, **SAME).then(WebhookChanged.model_validate(plain))
    other = {**plain, "auth_username": "other"}
    known.when(commands.change_webhook, **SAME, auth_username="other").then(WebhookChanged.model_validate(other))


def test_saving_one_that_fails_counts_anew() -> None:
    again = WebhookChanged.model_validate(
        {**SAME, "auth_username": "accounts", "auth_password": webhook_added.auth_password}
    )
    known.when(commands.change_webhook, **SAME, auth_username="accounts", failing=True).then(again)


def test_a_webhook_is_disabled_once_and_enabled_by_a_change() -> None:
    disabled = known.when(commands.disable_webhook, webhook_id="crm", attempts=10).then(
        WebhookDisabled(webhook_id="crm", attempts=10)
    )
    disabled.when(commands.disable_webhook, webhook_id="crm", attempts=10).then_nothing()
    known.when(commands.disable_webhook, webhook_id="other", attempts=10).then_nothing()
    disabled.when(commands.change_webhook, **SAME, auth_username="accounts").then(
        WebhookChanged.model_validate(
            {**SAME, "auth_username": "accounts", "auth_password": webhook_added.auth_password}
        )
    )


def test_a_secret_is_rotated_and_a_webhook_rewound_and_removed() -> None:
    rotated = known.when(commands.rotate_webhook_secret, webhook_id="crm", secret="another-secret").then(
        WebhookSecretRotated(webhook_id="crm", secret="another-secret")
    )
    assert rotated.state.webhooks["crm"].secret == "another-secret"
    rotated.when(commands.rotate_webhook_secret, webhook_id="crm", secret="another-secret").then_nothing()
    known.when(commands.rewind_webhook, webhook_id="crm", position=7).then(WebhookRewound(webhook_id="crm", position=7))
    gone = known.when(commands.remove_webhook, webhook_id="crm").then(WebhookRemoved(webhook_id="crm"))
    gone.when(commands.remove_webhook, webhook_id="crm").then_refused(WebhookNotFound)
    gone.when(commands.rewind_webhook, webhook_id="crm", position=7).then_refused(WebhookNotFound)
    gone.when(commands.change_webhook, **SAME).then_refused(WebhookNotFound)


@pytest.mark.parametrize(
    "name",
    [
        "users.*",
        "users.walter",
        "users.*.create",
        "users.*.update",
        "users.*.update.email",
        "users.*.sessions.*",
        "users.walter.sessions.s1.create",
        "users.*.verification.*.update",
        "teams.*.update.prefs",
        "teams.*.memberships.*.update.status",
    ],
)
def test_names_that_can_be_subscribed_to(name: str) -> None:
    assert is_subscription(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "*",
        "users",
        "users.",
        "users.*.sing",
        "users.*.create.email",
        "users.*.update.colour",
        "users.*.sessions",
        "users.*.sessions.*.sing",
        "teams.*.update.email",
        "teams.*.memberships.*.create.status",
        "users.*.update.email.now",
        "databases.*",
        "users.-walter",
        "users.*\n",
    ],
)
def test_names_that_cannot(name: str) -> None:
    assert not is_subscription(name)


def test_a_password_nobody_is_shown_is_shown_to_no_other_server() -> None:
    elsewhere = {**SAME, "url": "https://elsewhere.example.org/hook", "format": "appwrite", "auth_username": "accounts"}
    known.when(commands.change_webhook, **elsewhere).then(WebhookChanged.model_validate(elsewhere))
