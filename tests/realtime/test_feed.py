"""The feed of events for servers: whole, in order, resumable, and nothing personal in it unless that is allowed."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from accounts_es.domain.security.events import AuditRead
from accounts_es.http.wire_events import TOPICS
from tests.support.running import Person, World
from tests.support.server import Client, Server

REDACTED = "[redacted]"
READS = "security.audit_read"
"""What the topics of reads begin with, counted ones too."""


@pytest.fixture(scope="module")
def follower(world: World) -> Client:
    """A server that may follow what happens."""
    return world.server.client(key=world.key("events.read", key_id="follower"))


@pytest.fixture(scope="module")
def knowing(world: World) -> Client:
    """A server that may see who it happens to as well."""
    return world.server.client(key=world.key("events.read", "events.read.personal", key_id="knowing"))


def page(client: Client, after: int, **asked: Any) -> dict[str, Any]:
    """A page of the feed."""
    answer = client.get("/events", params={"after": after, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()


def everything(client: Client, after: int = 0, **asked: Any) -> list[dict[str, Any]]:
    """All pages, without what says that they were read."""
    found: list[dict[str, Any]] = []
    while True:
        told = page(client, after, **asked)
        found += [each for each in told["events"] if not each["topic"].startswith(READS)]
        after = told["position"]
        if not told["more"]:
            return found


def newest(client: Client) -> int:
    """Where the log ends."""
    after = 0
    while (told := page(client, after))["events"] or told["more"]:
        after = told["position"]
    return after


@contextmanager
def streaming(client: Client, after: int, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The feed as Server-Sent Events: their ids and data."""
    given = {**client.headers, "accept": "text/event-stream", **headers}
    url = f"{client.base_url}events"
    with (
        httpx.Client(trust_env=False, timeout=30) as plain,
        plain.stream("GET", url, params={"after": after}, headers=given) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield sent(answer.iter_lines())


def sent(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Events as a browser would dispatch them."""
    event: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name in {"id", "data"}:
            event[name] = value
        elif not line and event:
            if "data" in event:
                told = {"id": int(event["id"]), **json.loads(event["data"])}
                if not told["topic"].startswith(READS):
                    yield told
            event = {}


def test_every_event_of_the_project_from_the_first_on_in_pages_of_any_size(world: World, follower: Client) -> None:
    jane = world.person()
    jane.ask("PATCH", "/account/name", name="Janet")
    rows = world.log.connection.execute(
        """SELECT notification_id, topic FROM log.accounts_events WHERE project_id = 'default'
           AND NOT starts_with(topic, 'security.audit_read') ORDER BY 1"""
    ).fetchall()
    for limit in (7, 100, 1000):
        found = everything(follower, limit=limit)
        assert [(each["position"], each["topic"]) for each in found][: len(rows)] == rows
    assert found[0]["topic"] == "project.created"
    middle = rows[len(rows) // 2][0]
    assert [each["position"] for each in everything(follower, middle)][:3] == [
        each for each, _ in rows if each > middle
    ][:3]


def test_what_is_personal_is_marked_unless_the_key_may_see_it(world: World, follower: Client, knowing: Client) -> None:
    begin = newest(follower)
    jane = world.person()
    jane.ask("PATCH", "/account/prefs", prefs={"secret-plan": "tea"})
    jane.ask("POST", "/teams", teamId="unique()", name="Crew of Jane")
    text = json.dumps(everything(follower, begin))
    for personal in (jane.email, jane.account_id, "Jane Roe", "secret-plan", "Crew of Jane", "127.0.0.1"):
        assert personal not in text
    signed_up = next(each for each in everything(follower, begin) if each["topic"] == "account.signed_up")
    assert signed_up["data"]["email"] == signed_up["data"]["account_id"] == signed_up["ip"] == REDACTED
    assert signed_up["events"] == ["users.*.create", "users.*"]
    shown = next(each for each in everything(knowing, begin) if each["topic"] == "account.signed_up")
    assert (shown["data"]["email"], shown["data"]["password_hash"]) == (jane.email, "[hash]")
    assert shown["events"] == [
        f"users.{jane.account_id}.create", "users.*.create", f"users.{jane.account_id}", "users.*"
    ]  # fmt: skip
    assert shown["ip"] == "127.0.0.1"
    whole = json.dumps(everything(knowing, begin))
    for row in world.log.read("notification_id > %s", begin):
        for secret in ("secret_hash", "password_hash"):
            value = getattr(row.event, secret, None)
            assert value is None or value not in whole


def test_patterns_pick_events_by_name_and_by_topic(world: World, follower: Client, knowing: Client) -> None:
    begin = newest(follower)
    jane, joe = world.person(), world.person()
    for person in (jane, joe):
        person.ask("PATCH", "/account/name", name="Janet")
    topics = [each["topic"] for each in everything(follower, begin, **{"events[]": ["users.*.update.name"]})]
    assert topics == ["account.name_changed"] * 2
    topics = [each["topic"] for each in everything(follower, begin, **{"events[]": ["account.session_*"]})]
    assert topics == ["account.session_created"] * 2
    hers = f"users.{jane.account_id}.update.name"
    (only,) = everything(knowing, begin, **{"events[]": [hers]})
    assert only["events"][2] == hers
    assert everything(follower, begin, **{"events[]": [hers]}) == []
    made = everything(follower, begin, **{"events[]": ["users.*.create"]}, limit=1)
    assert [each["topic"] for each in made] == ["account.signed_up"] * 2


def test_other_projects_are_not_in_it(world: World, follower: Client) -> None:
    project = world.project("fed-elsewhere")
    elsewhere = world.server.client(project=project, key=world.key("events.read", project=project))
    begin = newest(follower)
    joe = world.person(project=project)
    assert everything(follower, begin) == []
    found = everything(elsewhere)
    assert found[0]["topic"] == "project.created"
    assert "account.signed_up" in {each["topic"] for each in found}
    stolen = world.server.client(project=project, key=follower.headers["x-appwrite-key"])
    assert stolen.get("/events").status_code == 401
    assert joe.client.get("/events").status_code == 401


def test_an_empty_page_is_waited_for(world: World, second: Server, follower: Client) -> None:
    jane = world.person()
    begin = newest(follower)
    started = time.monotonic()
    accounts = {"events[]": ["account.*"]}
    told = page(follower, begin, wait=1, **accounts)
    assert (told["more"], told["events"]) == (False, [])
    assert time.monotonic() - started >= 1
    later = threading.Timer(0.3, lambda: jane.ask("PATCH", "/account/name", name="Janet"))
    later.start()
    there = second.client(key=follower.headers["x-appwrite-key"])
    started = time.monotonic()
    told = page(there, begin, wait=30, **accounts)
    later.join()
    assert [each["topic"] for each in told["events"]] == ["account.name_changed"]
    assert time.monotonic() - started < 5
    started = time.monotonic()
    patient = page(follower, told["position"], wait=2, **{"events[]": ["teams.*.delete"]})
    assert patient["events"] == []


def test_events_are_sent_as_they_happen_and_go_on_where_they_broke_off(world: World, follower: Client) -> None:
    jane = world.person()
    begin = newest(follower)
    with streaming(follower, begin) as told:
        for nth in range(5):
            jane.ask("PATCH", "/account/name", name=f"N{nth}")
            event = next(told)
            assert (event["topic"], event["id"]) == ("account.name_changed", event["position"])
            if nth == 2:
                middle = event["id"]
    with streaming(follower, 0, **{"last-event-id": str(middle)}) as told:
        assert [next(told)["topic"] for _ in range(2)] == ["account.name_changed"] * 2


def test_T27_a_key_that_is_gone_follows_no_longer(world: World, jane: Person) -> None:
    client = world.server.client(key=world.key("events.read", key_id="short-lived"))
    with streaming(client, newest(client)) as told:
        jane.ask("PATCH", "/account/name", name="Janet")
        assert next(told)["topic"] == "account.name_changed"
        world.drop_key("short-lived")
        jane.ask("PATCH", "/account/name", name="Joan")
        assert list(told) == []


def test_who_is_asked_to_stop_does_not_wait_for_followers(
    world: World, jane: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stopped") / "data"
    with Server(folder, database_url=world.conninfo) as server:
        client = server.client(key=world.key("events.read"))
        begin = newest(client)
        with streaming(client, begin) as told:
            jane.ask("PATCH", "/account/name", name="Janet")
            next(told)
            client.close()
            started = time.monotonic()
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            assert list(told) == []
            stopping.join()
            assert time.monotonic() - started < 10


def test_T50_who_follows_is_on_record_and_does_not_follow_themselves(world: World, jane: Person) -> None:
    client = world.server.client(key=world.key("events.read", key_id="watchful"))
    begin = newest(world.server.client(key=world.key("events.read")))
    jane.ask("PATCH", "/account/name", name="Janet")
    jane.ask("PATCH", "/account/name", name="Joan")
    pattern = f"users.{jane.account_id}.*"
    read = client.get("/events", params={"after": begin, "limit": 1})
    (event,) = world.log.of(read)
    assert isinstance(event, AuditRead)
    assert (event.count, event.attributes) == (1, ())
    (recorded,) = world.log.recorded(read)
    assert (str(recorded.meta.actor), recorded.meta.operation) == ("key:watchful", "events.list")
    # Reading on is counted, and who has nothing but reads before them waits.
    again = client.get("/events", params={"after": read.json()["position"]})
    assert world.log.of(again) == []
    after, told = again.json()["position"], again.json()
    while told["events"]:
        told = page(client, after)
        after = told["position"]
    other = world.server.client(key=world.key("events.read", key_id="curious"))
    asked = other.get("/events", params={"after": begin, "events[]": ["account.*", pattern]})
    (event,) = world.log.of(asked)
    assert isinstance(event, AuditRead)
    assert event.attributes == ("events",)
    assert event.question
    assert jane.account_id not in repr(event)
    assert world.log.of(other.get("/events", params={"after": after + 10**6})) == []


def test_what_a_request_recorded_is_called_by_its_name_wherever_a_page_ends(
    world: World, follower: Client, jane: Person
) -> None:
    """A token that is redeemed is told as what it was for, which the facts after it say."""
    for nth in range(240):
        jane.ask("PATCH", "/account/prefs", prefs={"nth": nth})
    world.token(jane.account_id, "verification", "secret", datetime.now(UTC) + timedelta(hours=1))
    done = jane.ask("PUT", "/account/verifications/email", userId=jane.account_id, secret="secret")
    assert done.status_code == 200
    rows = world.log.connection.execute(
        """SELECT notification_id, topic FROM log.accounts_events WHERE project_id = 'default' AND topic = ANY(%s)
           ORDER BY notification_id""",
        (list(TOPICS),),
    ).fetchall()
    redeemed = max(nth for nth, row in enumerate(rows) if row[1] == "account.token_redeemed")
    asked = {"events[]": ["users.*.verification.*.update"]}
    for beside in range(200, 232):
        (only,) = everything(follower, rows[redeemed - beside][0], **asked)
        assert only["topic"] == "account.token_redeemed"


def test_T36_what_a_later_release_wrote_is_waited_for_and_not_passed_over(database: str, tmp_path: Path) -> None:
    with Server(tmp_path / "data", database_url=database) as server, server.owner() as owner:
        operator = server.operator()
        before = operator.ask("POST", "/users", userId="unique()", email="a@example.org")
        assert before.status_code == 201
        added = owner.execute(
            """INSERT INTO log.accounts_events (originator_id, originator_version, topic, state, project_id,
                   recorded_at, actor, operation, request_id, correlation_id)
               VALUES ('account-9', 1, 'account.levitated', '{"v": 1}', 'default', now(), 'system', 'x', 'r', 'r')
               RETURNING notification_id"""
        ).fetchone()
        owner.commit()
        assert added is not None
        reached = added[0] - 1
        operator.ask("POST", "/users", userId="unique()", email="b@example.org")
        for asked in ({}, {"events[]": ["users.*.create"]}):
            told = page(operator, 0, limit=1000, **asked)
            assert (told["position"], told["more"]) == (reached, False)
            assert "account.signed_up" in {each["topic"] for each in told["events"]}
            assert page(operator, reached, **asked) == {"position": reached, "more": False, "events": []}
