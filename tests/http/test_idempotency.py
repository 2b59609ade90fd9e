"""``Idempotency-Key``: a request sent twice is carried out once."""

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import httpx
import pytest

from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client


def keyed(client: Client, key: str, method: str, path: str, **fields: Any) -> httpx.Response:
    """A request with an idempotency key."""
    return client.request(method, path, json=fields, headers={"idempotency-key": key})


@pytest.fixture
def key() -> str:
    """A key nobody used."""
    return token_hex(16)


def test_T34_the_same_request_twice_is_one_event_and_one_answer(world: World, operator: Client, key: str) -> None:
    body = {"userId": "unique()", "email": an_email(), "name": "Once"}
    first = keyed(operator, key, "POST", "/users", **body)
    again = keyed(operator, key, "POST", "/users", **body)

    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert sorted(again.headers) == sorted(first.headers)
    assert [event.topic for event in world.log.of(first)] == ["account.signed_up", "account.target_added"]
    assert world.log.of(again) == []


def test_T34_the_answer_of_a_sign_in_comes_with_its_cookies_again(world: World, jane: Person, key: str) -> None:
    body = {"email": jane.email, "password": PASSWORD}
    first, again = (keyed(world.server.client(), key, "POST", "/account/sessions/email", **body) for _ in range(2))
    assert again.json() == first.json()
    assert again.headers.get_list("set-cookie") == first.headers.get_list("set-cookie")
    assert len(jane.ask("GET", "/account/sessions").json()["sessions"]) == 2


def test_T34_empty_answers_are_remembered_too(world: World, operator: Client, jane: Person, key: str) -> None:
    path = f"/users/{jane.account_id}/sessions/{jane.session_id}"
    answers = [keyed(operator, key, "DELETE", path) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 204]
    assert [answer.content for answer in answers] == [b"", b""]
    assert world.log.of(answers[1]) == []


def test_T34_a_key_belongs_to_one_request(operator: Client, jane: Person, key: str) -> None:
    path = f"/users/{jane.account_id}"
    keyed(operator, key, "PATCH", f"{path}/name", name="First")
    for method, other, fields in (
        ("PATCH", f"{path}/name", {"name": "Second"}),
        ("PATCH", f"{path}/prefs", {"prefs": {}}),
        ("DELETE", path, {}),
    ):
        answer = keyed(operator, key, method, other, **fields)
        assert (answer.status_code, answer.json()["type"]) == (409, "general_idempotency_key_reused")
    assert operator.ask("GET", path).json()["name"] == "First"


def test_T34_a_key_belongs_to_one_caller(world: World, jane: Person, key: str) -> None:
    other = world.person()
    assert keyed(jane.client, key, "PATCH", "/account/name", name="Mine").json()["name"] == "Mine"
    answer = keyed(other.client, key, "PATCH", "/account/name", name="Mine")
    assert answer.json()["$id"] == other.account_id
    assert len(world.log.of(answer)) == 1


def test_T34_a_key_belongs_to_one_project(world: World, operator: Client, key: str) -> None:
    project = world.project("idempotent")
    elsewhere = world.server.client(project=project, key=world.key("users.write", project=project))
    first = keyed(operator, key, "POST", "/users", userId=f"i{key[:20]}")
    other = keyed(elsewhere, key, "POST", "/users", userId=f"i{key[:20]}")
    assert len(world.log.of(first)) == len(world.log.of(other)) == 1


def test_T34_of_twenty_at_once_one_is_carried_out(world: World, operator: Client, key: str) -> None:
    body = {"userId": "unique()", "email": an_email()}
    with ThreadPoolExecutor(20) as together:
        answers = list(together.map(lambda _: keyed(operator, key, "POST", "/users", **body), range(20)))
    created = [answer for answer in answers if answer.status_code == 201]
    assert created
    assert len({answer.content for answer in created}) == 1
    rest = {answer.json()["type"] for answer in answers if answer.status_code != 201}
    # The answer of the one in progress is not known yet.
    assert rest <= {"general_idempotency_key_reused"}
    assert sum(len(world.log.of(answer)) for answer in answers) == 2


def test_a_refused_request_may_be_sent_again_with_the_same_key(world: World, operator: Client, key: str) -> None:
    taken = world.person()
    assert keyed(operator, key, "POST", "/users", userId="unique()", email="nonsense").status_code == 400
    assert keyed(operator, key, "POST", "/users", userId="unique()", email=taken.email).status_code == 409
    assert keyed(operator, key, "POST", "/users", userId="unique()", email=an_email()).status_code == 201


def test_a_request_that_changed_nothing_may_be_sent_again(
    world: World, operator: Client, jane: Person, key: str
) -> None:
    path = f"/users/{jane.account_id}/labels"
    assert [keyed(operator, key, "PUT", path, labels=[]).status_code for _ in range(2)] == [200, 200]
    operator.ask("PUT", path, labels=["later"])
    assert keyed(operator, key, "PUT", path, labels=[]).json()["labels"] == []


def test_whoever_lost_their_rights_does_not_get_the_old_answer(world: World, jane: Person, key: str) -> None:
    assert keyed(jane.client, key, "PATCH", "/account/name", name="Before").status_code == 200
    cookies = dict(jane.client.cookies)
    jane.ask("DELETE", "/account/sessions/current")
    jane.client.cookies.update(cookies)
    assert keyed(jane.client, key, "PATCH", "/account/name", name="Before").status_code == 401


@pytest.mark.parametrize("bad", ["", "k" * 256])
def test_a_key_has_1_to_255_characters(operator: Client, bad: str) -> None:
    answer = keyed(operator, bad, "POST", "/users", userId="unique()")
    assert (answer.status_code, answer.json()["type"]) == (400, "general_argument_invalid")
    assert keyed(operator, token_hex(100) + "k" * 55, "POST", "/users", userId="unique()").status_code == 201
