"""Webhooks as servers set them up. What they deliver: tests/delivery and tests/faults."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts_es.domain.project.events import WebhookAdded, WebhookChanged, WebhookRewound, WebhookSecretRotated
from tests.support.running import World
from tests.support.server import Client, Log

PLAIN = {"name": "The CRM", "url": "http://localhost:1/hook", "events": ["users.*"], "enabled": False}


def make(client: Client, **fields: Any) -> dict[str, Any]:
    made = client.ask("POST", "/webhooks", **{"webhookId": "unique()", **PLAIN, **fields})
    assert made.status_code == 201, made.text
    return made.json()


def test_what_is_secret_is_shown_once_and_sealed_in_the_log(world: World, log: Log) -> None:
    client = world.settling
    answer = client.ask(
        "POST", "/webhooks", webhookId="unique()", **PLAIN, authUsername="them", authPassword="their password"
    )
    made = answer.json()
    assert len(made["secret"]) == 128
    assert (made["authUsername"], made["authPassword"], made["format"]) == ("them", "", "appwrite")
    path = f"/webhooks/{made['$id']}"
    assert client.ask("GET", path).json() == {**made, "secret": ""}
    (added,) = log.of(answer)
    assert isinstance(added, WebhookAdded)
    assert (added.secret, added.auth_password) == (made["secret"], "their password")
    stored = log.connection.execute(
        "SELECT string_agg(convert_from(state, 'UTF8'), '') FROM log.accounts_events WHERE request_id = %s",
        (answer.headers["x-request-id"],),
    ).fetchone()
    assert stored is not None
    assert made["secret"] not in stored[0]
    assert "their password" not in stored[0]


def test_a_secret_is_rotated_to_a_given_or_a_new_one(world: World, log: Log) -> None:
    client = world.settling
    made = make(client, secret="eight or more")
    assert made["secret"] == "eight or more"
    answer = client.ask("PATCH", f"/webhooks/{made['$id']}/secret")
    assert len(answer.json()["secret"]) == 128
    assert log.of(answer) == [WebhookSecretRotated(webhook_id=made["$id"], secret=answer.json()["secret"])]
    given = client.ask("PATCH", f"/webhooks/{made['$id']}/secret", secret="another one")
    assert given.json()["secret"] == "another one"
    assert client.ask("PATCH", f"/webhooks/{made['$id']}/secret", secret="short").status_code == 400


def test_a_change_says_all_of_it_and_keeps_a_password_nobody_is_shown(world: World, log: Log) -> None:
    client = world.settling
    made = make(client, authUsername="them", authPassword="their password", tls=False)
    assert made["tls"] is False
    answer = client.ask("PUT", f"/webhooks/{made['$id']}", **{**PLAIN, "name": "Other"}, authUsername="them")
    (changed,) = log.of(answer)
    assert isinstance(changed, WebhookChanged)
    assert (changed.auth_password, changed.tls, changed.name) == ("their password", True, "Other")
    answer = client.ask("PUT", f"/webhooks/{made['$id']}", **PLAIN)
    assert answer.json()["authUsername"] == ""
    assert log.of(client.ask("PUT", f"/webhooks/{made['$id']}", **PLAIN)) == []


def test_webhooks_are_listed_by_what_they_are(world: World) -> None:
    client = world.settling
    one, two = make(client, name="List one"), make(client, name="List two", events=["teams.*"])
    assert two["$id"] in ids(client, "contains", "events", "teams.*")
    assert one["$id"] not in ids(client, "contains", "events", "teams.*")
    assert ids(client, "equal", "name", "List one") == [one["$id"]]
    assert ids(client, "greaterThan", "attempts", 0) == []


def ids(client: Client, method: str, attribute: str, value: object) -> list[str]:
    query = json.dumps({"method": method, "attribute": attribute, "values": [value]})
    return [each["$id"] for each in client.get("/webhooks", params={"queries[]": query}).json()["webhooks"]]


def test_a_webhook_is_rewound_to_a_position_or_a_time(world: World, log: Log) -> None:
    client = world.settling
    made = make(client)
    begun = made["position"]
    world.person()
    answer = client.ask("POST", f"/webhooks/{made['$id']}/rewind", to=3)
    assert answer.json()["position"] == 3
    assert log.of(answer) == [WebhookRewound(webhook_id=made["$id"], position=3)]
    to_creation = client.ask("POST", f"/webhooks/{made['$id']}/rewind", to=made["$createdAt"])
    assert begun - 10 <= to_creation.json()["position"] <= begun
    before_all = client.ask("POST", f"/webhooks/{made['$id']}/rewind", to="2000-01-01T00:00:00.000+00:00")
    assert before_all.json()["position"] <= 1
    forward = client.ask("POST", f"/webhooks/{made['$id']}/rewind", to=datetime.now(UTC).isoformat())
    assert forward.json()["position"] > begun
    beyond = client.ask("POST", f"/webhooks/{made['$id']}/rewind", to=10**15)
    assert beyond.json()["type"] == "webhook_position_invalid"


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/hook",
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00::1]/",
        "http://0.0.0.0:80/",
        "http://[::ffff:10.0.0.1]/",
        "ftp://example.org/",
        "http://them@localhost:1/",
        "http://localhost:99999/",
        "file:///etc/passwd",
    ],
)
def test_nobody_is_told_inside_our_own_network(world: World, url: str) -> None:
    refused = world.settling.ask("POST", "/webhooks", webhookId="unique()", **{**PLAIN, "url": url})
    assert (refused.status_code, refused.json()["type"]) == (400, "general_argument_invalid")
    made = make(world.settling)
    refused = world.settling.ask("PUT", f"/webhooks/{made['$id']}", **{**PLAIN, "url": url})
    assert refused.status_code == 400


@pytest.mark.parametrize("name", ["databases.*", "users", "users.*.sing"])
def test_only_events_of_users_and_teams_are_told(world: World, name: str) -> None:
    refused = world.settling.ask("POST", "/webhooks", webhookId="unique()", **{**PLAIN, "events": [name]})
    assert (refused.status_code, refused.json()["type"]) == (400, "general_argument_invalid")
