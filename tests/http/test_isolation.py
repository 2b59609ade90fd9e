"""Projects know nothing of each other."""

import pytest

from accounts_es.http.callers import ALL_KEY_SCOPES
from accounts_es.http.operation import Operation, Source
from accounts_es.http.rules import Id
from accounts_es.http.table import OPERATIONS
from tests.http.calls import ready
from tests.support.running import PASSWORD, Person, World
from tests.support.server import Client

WITH_IDS = [
    each
    for each in OPERATIONS
    if any(one.source is Source.PATH and isinstance(one.rule, Id) for one in each.parameters)
    # These name what need not be there.
    and each.id not in {"access.protect", "access.listResources"}
    # Who comes with the address bar is answered with pages: tests/http/test_oauth.py.
    and not each.for_browsers
]


@pytest.fixture(scope="module")
def other(world: World) -> str:
    """Another project."""
    return world.project("other")


@pytest.fixture(scope="module")
def other_operator(world: World, other: str) -> Client:
    """A server of the other project, with a key for everything in it."""
    return world.server.client(project=other, key=world.key(*ALL_KEY_SCOPES, project=other))


@pytest.mark.parametrize("operation", WITH_IDS, ids=lambda each: each.id)
def test_T25_an_id_of_one_project_is_nothing_in_another_and_the_attempt_is_recorded(
    world: World, other: str, other_operator: Client, operation: Operation
) -> None:
    call = ready(world, operation)
    by_people = operation.group == "account" or not set(ALL_KEY_SCOPES) & set(operation.scopes)
    stranger = world.person(project=other).client if by_people else other_operator

    answer = call.send(stranger)

    assert answer.status_code == 404
    assert answer.json()["type"].endswith("_not_found")
    # That the key was used is noted once a day.
    (denied,) = [each for each in world.log.recorded(answer) if each.event.topic.startswith("security.")]
    assert denied.event.model_dump() == {"operation": operation.id, "reason": answer.json()["type"]}
    assert denied.meta.project == other
    assert denied.meta.actor.kind == ("account" if by_people else "key")
    assert call.send().status_code == operation.status, "it is still there for its own project"


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if "account" in each.scopes], ids=lambda each: each.id
)
def test_T25_a_session_of_one_project_is_nobody_in_another(world: World, other: str, operation: Operation) -> None:
    call = ready(world, operation)
    person = call.client
    quoted = person.cookies["a_session_default"]
    stranger = world.server.client(project=other, cookie=f"a_session_{other}={quoted}")

    answer = call.send(stranger)

    assert (answer.status_code, answer.json()["type"]) == (401, "general_unauthorized_scope")
    assert call.send().status_code == operation.status


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.scopes and not each.for_browsers], ids=lambda each: each.id
)
def test_T25_a_key_of_one_project_opens_nothing_in_another(
    world: World, other: str, operator: Client, operation: Operation
) -> None:
    answer = ready(world, operation).send(world.server.client(project=other, key=operator.headers["x-appwrite-key"]))
    assert (answer.status_code, answer.json()["type"]) == (401, "user_unauthorized")
    assert [event.topic for event in world.log.of(answer)] == ["security.access_denied"]


def test_T25_the_same_person_may_be_in_both(world: World, other: str, jane: Person, other_operator: Client) -> None:
    twin = world.server.client(project=other)
    body = {"email": jane.email, "password": "another password"}
    assert twin.ask("POST", "/account", userId=jane.account_id, **body).status_code == 201
    assert twin.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD).status_code == 401
    assert twin.ask("POST", "/account/sessions/email", **body).status_code == 201

    twin.ask("PATCH", "/account/name", name="Twin")
    assert jane.ask("GET", "/account").json()["name"] == "Jane Roe"
    assert twin.ask("DELETE", "/account").status_code == 204
    assert jane.ask("GET", "/account").status_code == 200


def test_T25_lists_and_searches_show_ones_own(
    world: World, other: str, jane: Person, operator: Client, other_operator: Client
) -> None:
    stranger = world.person(project=other)
    for mine, theirs, server in (
        (jane, stranger, operator),
        (stranger, jane, other_operator),
    ):
        found = server.get("/users", params={"search": f'"{mine.email}"'}).json()
        assert [each["$id"] for each in found["users"]] == [mine.account_id]
        assert server.get("/users", params={"search": f'"{theirs.email}"'}).json() == {"total": 0, "users": []}
        cursor = f'{{"method":"cursorAfter","values":["{theirs.account_id}"]}}'
        refused = server.get("/users", params={"queries[]": cursor})
        assert refused.json()["type"] == "general_cursor_not_found"
