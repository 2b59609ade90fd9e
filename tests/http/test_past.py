"""Reads as of an earlier moment answer what was answered then."""

import os
from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts_es.domain.security.events import AuditRead
from accounts_es.http.operation import OF_EVENTS, OF_STATE
from accounts_es.http.table import OPERATIONS
from tests.support.pastime import Past, differing
from tests.support.running import PASSWORD, Person, World, a_phone
from tests.support.server import Client

COMMANDS = int(os.environ.get("ACCOUNTS_PAST_COMMANDS", "60"))
"""The benchmark of record asks for 10,000."""


def head(world: World) -> int:
    ((position,),) = world.log.connection.execute("SELECT max(notification_id) FROM log.accounts_events").fetchall()
    return int(position)


@pytest.fixture
def user(operator: Client) -> str:
    """A user nobody else changes."""
    made = operator.ask("POST", "/users", userId="unique()", name="Jane", email=None)
    assert made.status_code == 201
    return str(made.json()["$id"])


def test_every_answer_as_of_then_is_the_one_given_then(world: World) -> None:
    past = Past(world, seed=COMMANDS, people=max(12, COMMANDS // 25), teams=max(4, COMMANDS // 100))
    past.run(COMMANDS, lists_every=max(20, COMMANDS // 20), at_most=3 if COMMANDS > 1000 else 100)

    assert list(differing(past, past.captured)) == []
    # Some of them were refusals, some not, and of both there were enough to mean something.
    statuses = [each.said[0] for each in past.captured]
    assert statuses.count(200) > COMMANDS
    assert statuses.count(404) > COMMANDS // 10
    assert {each.said[1].get("decision") for each in past.captured if each.body} == {True, False}


def test_a_time_means_the_position_reached_by_then(world: World, operator: Client, user: str) -> None:
    seen = []
    for name in ("One", "Two", "Three"):
        answer = operator.ask("PATCH", f"/users/{user}/name", name=name)
        ((at,),) = world.log.connection.execute(
            "SELECT recorded_at FROM log.accounts_events WHERE request_id = %s", (answer.headers["x-request-id"],)
        ).fetchall()
        seen.append((at, answer.json()))
    for at, then in seen:
        assert operator.get(f"/users/{user}", params={"at": at.isoformat()}).json() == then
        # What an answer shows is good to ask with: it has milliseconds.
        assert operator.get(f"/users/{user}", params={"at": then["$updatedAt"]}).json() == then
    before = seen[0][0] - timedelta(milliseconds=2)
    assert operator.get(f"/users/{user}", params={"at": before.isoformat()}).json()["name"] == "Jane"


def test_there_is_nobody_before_they_sign_up_and_nobody_after_they_leave(
    world: World, operator: Client, user: str
) -> None:
    there, then = head(world), operator.get(f"/users/{user}").json()
    assert operator.ask("DELETE", f"/users/{user}").status_code == 204
    gone = head(world)
    assert operator.ask("POST", "/users", userId=user, name="Next of the id").status_code == 201

    assert operator.get(f"/users/{user}?at={there}").json() == then
    for position in (there - 1, gone):
        answer = operator.get(f"/users/{user}?at={position}")
        assert (answer.status_code, answer.json()["type"]) == (404, "user_not_found")
    assert operator.get(f"/users/{user}?at={head(world)}").json()["name"] == "Next of the id"


@pytest.mark.parametrize("at", ["999999999999", "-1", "soon", "", "2999-01-01T00:00:00Z", "1.5"])
def test_a_moment_that_never_was_is_refused(operator: Client, user: str, at: str) -> None:
    answer = operator.get(f"/users/{user}", params={"at": at})
    assert (answer.status_code, answer.json()["type"]) == (400, "general_argument_invalid")
    assert "`at`" in answer.json()["message"]


def test_before_the_project_there_is_nothing(operator: Client) -> None:
    answer = operator.get("/users?at=0")
    assert (answer.status_code, answer.json()["type"]) == (404, "project_not_found")


def test_a_key_needs_the_scope_of_the_audit(world: World, user: str) -> None:
    at = head(world)
    without = world.server.client(key=world.key("users.read"))
    assert without.get(f"/users/{user}").status_code == 200
    assert without.get(f"/users/{user}?at={at}").json()["type"] == "general_unauthorized_scope"
    audit_alone = world.server.client(key=world.key("audit.read"))
    assert audit_alone.get(f"/users/{user}?at={at}").status_code == 401
    both = world.server.client(key=world.key("users.read", "audit.read"))
    assert both.get(f"/users/{user}?at={at}").status_code == 200


def test_people_read_their_own_past_and_nothing_elses(world: World, jane: Person) -> None:
    reads = ("", "/prefs", "/sessions", "/memberships", "/mfa/factors", "/identities", "/sessions/current")
    team = jane.ask("POST", "/teams", teamId="unique()", name="Crew").json()["$id"]
    at, then = head(world), {each: jane.client.get(f"/account{each}").json() for each in reads}
    assert jane.ask("PATCH", "/account/name", name="Janet").status_code == 200
    assert jane.ask("PATCH", "/account/prefs", prefs={"dark": True}).status_code == 200
    assert jane.ask("PATCH", "/account/phone", phone=a_phone(), password=PASSWORD).status_code == 200
    assert jane.ask("DELETE", f"/teams/{team}").status_code == 204
    for each in reads:
        assert jane.client.get(f"/account{each}?at={at}").json() == then[each]
    assert jane.client.get("/account").json()["name"] == "Janet"

    for path in (f"/teams?at={at}", f"/teams/{team}?at={at}"):
        assert jane.client.get(path).json()["type"] == "general_unauthorized_scope"
    began = jane.client.get("/account?at=1")
    assert began.status_code == 404
    question = {"action": {"name": "read"}, "resource": {"type": "notes", "id": "x"}}
    assert jane.ask("POST", f"/access/v1/evaluation?at={at}", **question).status_code == 401


def test_what_happened_has_no_moment(operator: Client, user: str) -> None:
    for each in ("logs", "export", "history", "history/blame"):
        assert operator.get(f"/users/{user}/{each}?at=1").json()["type"] == "general_argument_invalid"


def test_every_read_of_what_is_the_case_has_a_past() -> None:
    """Whoever adds one that tells what happened, or a file, says so in `OF_EVENTS`."""
    without = {
        each.id
        for each in OPERATIONS
        if each.method == "GET" and each.group in OF_STATE and not each.for_browsers and not each.has_past
    }
    assert without == OF_EVENTS
    assert not any(each.has_past and (each.emits or each.streams) for each in OPERATIONS)


def test_an_erased_person_is_in_no_past(world: World, operator: Client, user: str) -> None:
    at = head(world)
    assert operator.get(f"/users/{user}?at={at}").status_code == 200
    world.log.connection.execute(
        """DELETE FROM log.subject_keys WHERE subject =
           (SELECT stream FROM read.accounts_v2 WHERE account_id = %s)""",
        (user,),
    )
    assert operator.get(f"/users/{user}?at={at}").status_code == 404


# What if --------------------------------------------------------------------------------------------------------------


def ask(client: Client, person: str, thing: str, at: object = None) -> dict[str, Any]:
    question = {
        "subject": {"type": "user", "id": person},
        "action": {"name": "read"},
        "resource": {"type": "notes", "id": thing},
    }
    path = "/access/v1/evaluation" + (f"?at={at}" if at is not None else "")
    answer = client.ask("POST", path, **question)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_could_she_read_it_last_tuesday_and_why(world: World, operator: Client, user: str) -> None:
    thing, team = f"note-{user}", f"team-{user}"[:36]
    steps = [
        lambda: operator.ask("PUT", f"/resources/notes/{thing}", permissions=[f'read("team:{team}")']),
        lambda: operator.ask("POST", "/teams", teamId=team, name="Crew"),
        lambda: operator.ask("POST", f"/teams/{team}/memberships", userId=user, roles=["player"]),
        lambda: operator.ask("PATCH", f"/users/{user}/status", status=False),
        lambda: operator.ask("PATCH", f"/users/{user}/status", status=True),
        lambda: operator.ask("PUT", f"/resources/notes/{thing}", permissions=['read("label:vip")']),
        lambda: operator.ask("PUT", f"/users/{user}/labels", labels=["vip"]),
        lambda: operator.ask("DELETE", f"/resources/notes/{thing}"),
        lambda: operator.ask("PUT", f"/resources/notes/{thing}", permissions=['read("any")']),
        lambda: operator.ask("DELETE", f"/teams/{team}"),
        lambda: operator.ask("DELETE", f"/users/{user}"),
    ]
    given = [(head(world), ask(operator, user, thing))]
    for step in steps:
        assert step().status_code < 300
        position = head(world)
        given.append((position, ask(operator, user, thing)))
    assert [answer["decision"] for _, answer in given] == [
        False, False, False, True, False, True, False, True, False, True, True, False,
    ]  # fmt: skip
    for position, answer in given:
        assert ask(operator, user, thing, position) == answer

    questions = {"evaluations": [{}], "action": {"name": "read"}, "resource": {"type": "notes", "id": thing}}
    questions["subject"] = {"type": "user", "id": user}
    answer = operator.ask("POST", f"/access/v1/evaluations?at={given[3][0]}", **questions)
    assert answer.json()["evaluations"] == [given[3][1]]


def test_asking_about_the_past_denies_nobody_anything(world: World, operator: Client, user: str) -> None:
    before = ask(operator, user, "unknown", head(world))
    denied = "SELECT count(*) FROM log.accounts_events WHERE topic = 'security.access_denied'"
    count = world.log.connection.execute(denied).fetchall()
    assert before["decision"] is False
    assert ask(operator, user, "unknown", head(world))["decision"] is False
    assert world.log.connection.execute(denied).fetchall() == count


def test_decisions_that_were_recorded_were_right(world: World, operator: Client, user: str) -> None:
    """A denial stands in the log where it was decided: asked as of the event before, the answer is the same."""
    thing = f"note-{user}"
    assert operator.ask("PUT", f"/resources/notes/{thing}", permissions=['read("label:vip")']).status_code == 200
    answer = operator.ask(
        "POST",
        "/access/v1/evaluation",
        subject={"type": "user", "id": user},
        action={"name": "read"},
        resource={"type": "notes", "id": thing},
    )
    (denied,) = world.log.recorded(answer)
    assert denied.event.topic == "security.access_denied"
    assert operator.ask("PUT", f"/users/{user}/labels", labels=["vip"]).status_code == 200
    assert ask(operator, user, thing)["decision"] is True
    assert ask(operator, user, thing, denied.position) == answer.json()
    assert isinstance(denied.meta.at, datetime)


def test_T50_a_server_s_look_at_the_past_is_on_record_and_one_s_own_is_not(
    world: World, operator: Client, user: str, jane: Person
) -> None:
    at = head(world)
    ((stream,),) = world.log.connection.execute(
        "SELECT stream FROM read.accounts_v2 WHERE account_id = %s", (user,)
    ).fetchall()
    (read,) = world.log.of(operator.get(f"/users/{user}?at={at}"))
    assert isinstance(read, AuditRead)
    assert (read.attributes, read.count, read.about) == (("at",), 1, stream)
    assert [each.topic for each in world.log.of(operator.get(f"/users?at={at}"))] == [AuditRead.topic]
    assert world.log.of(operator.get(f"/users/{user}")) == []
    assert not any(isinstance(each, AuditRead) for each in world.log.of(jane.client.get(f"/account?at={at}")))
