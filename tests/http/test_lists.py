"""Questions about lists, over the wire."""

import json
from typing import Any

import httpx
import pytest

from tests.support.running import World
from tests.support.server import Client


@pytest.fixture(scope="module")
def staff(world: World) -> Client:
    """A project with six people, s0 to s5; whose number is even has no e-mail address."""
    project = world.project("staff")
    client = world.server.client(project=project, key=world.key("users.read", "users.write", project=project))
    for nth, name in enumerate(("Zoe", "adam", "Bea", "bea", "Élodie", "100%")):
        addresses = {"email": f"{name.encode('idna').decode().strip('%')}@example.com"} if nth % 2 else {}
        made = client.ask("POST", "/users", userId=f"s{nth}", name=name, **addresses)
        assert made.status_code == 201, made.text
    client.ask("PUT", "/users/s1/labels", labels=["vip", "beta"])
    client.ask("PUT", "/users/s2/labels", labels=["vip"])
    client.ask("PATCH", "/users/s3/verification", emailVerification=True)
    return client


def query(method: str, attribute: str | None = None, *values: Any) -> str:
    return json.dumps({"method": method, "attribute": attribute, "values": list(values)})


def ask(client: Client, *queries: str, **params: Any) -> httpx.Response:
    return client.get("/users", params={"queries[]": list(queries), **params})


def ids(client: Client, *queries: str) -> list[str]:
    answer = ask(client, *queries)
    assert answer.status_code == 200, answer.text
    users = [user["$id"] for user in answer.json()["users"]]
    assert answer.json()["total"] >= len(users)
    return users


@pytest.mark.parametrize(
    ("queries", "found"),
    [
        ([query("equal", "name", "bea")], ["s2", "s3"]),
        ([query("startsWith", "name", "éL")], ["s4"]),
        ([query("contains", "name", "%")], ["s5"]),
        ([query("contains", "name", "_")], []),
        ([query("isNull", "email")], ["s0", "s2", "s4"]),
        ([query("equal", "email", "")], []),
        ([query("endsWith", "email", "EXAMPLE.com"), query("notEqual", "$id", "s5")], ["s1", "s3"]),
        ([query("contains", "labels", "vip", "none")], ["s1", "s2"]),
        ([query("containsAll", "labels", "vip", "beta")], ["s1"]),
        ([query("notContains", "labels", "vip")], ["s0", "s3", "s4", "s5"]),
        ([query("equal", "emailVerification", True)], ["s3"]),
        ([query("equal", "status", False)], []),
        ([query("isNull", "passwordUpdate"), query("limit", None, 1)], ["s0"]),
        ([query("greaterThan", "$createdAt", "2020-01-01"), query("lessThan", "registration", "2020-01-01")], []),
        ([query("orderAsc", "name")], ["s5", "s1", "s2", "s3", "s0", "s4"]),
        ([query("orderDesc", "name"), query("cursorAfter", None, "s3")], ["s1", "s5"]),
        ([query("orderDesc", "name"), query("cursorBefore", None, "s3")], ["s4", "s0", "s2"]),
        ([query("orderAsc", "email"), query("limit", None, 4)], ["s0", "s2", "s4", "s5"]),
    ],
)
def test_filters_and_orders(staff: Client, queries: list[str], found: list[str]) -> None:
    assert ids(staff, *queries) == found


def test_what_a_date_reads_as_finds_it_again(staff: Client) -> None:
    user = staff.get("/users/s4").json()
    for name in ("$createdAt", "$updatedAt", "registration"):
        assert "s4" in ids(staff, query("equal", name, user[name]))
        assert "s4" not in ids(staff, query("greaterThan", name, user[name]))
        assert "s4" not in ids(staff, query("lessThan", name, user[name]))


def test_filters_search_and_the_total_go_together(staff: Client) -> None:
    answer = ask(staff, query("isNotNull", "email"), query("limit", None, 1), search="example").json()
    assert (answer["total"], [user["$id"] for user in answer["users"]]) == (3, ["s1"])
    answer = ask(staff, query("isNotNull", "email"), query("offset", None, 2), search="example").json()
    assert (answer["total"], len(answer["users"])) == (3, 1)
    answer = ask(staff, query("offset", None, 9)).json()
    assert (answer["total"], answer["users"]) == (6, [])


@pytest.mark.parametrize(
    ("queries", "type_"),
    [
        ([query("cursorAfter", None, "nobody")], "general_cursor_not_found"),
        ([query("cursorAfter", None, "s0"), query("orderAsc", "email")], "database_query_order_null"),
        ([query("search", "name", "bea")], "general_query_invalid"),
        ([query("notSearch", "email", "bea")], "general_query_invalid"),
        ([query("equal", "labels", "vip")], "general_argument_invalid"),
        ([query("select", None, "name")], "general_argument_invalid"),
        ([query("equal", 'name" OR true --', "a")], "general_argument_invalid"),
        ([query("orderAsc", "name; DROP TABLE read.accounts_v2")], "general_argument_invalid"),
    ],
)
def test_refusals(staff: Client, queries: list[str], type_: str) -> None:
    answer = ask(staff, *queries)
    assert (answer.status_code, answer.json()["type"]) == (400, type_)


def test_an_array_is_not_compared_as_the_contract_says_it(staff: Client) -> None:
    message = ask(staff, query("equal", "labels", "vip")).json()["message"]
    said = 'Invalid `queries` param: Invalid query: Cannot query equal on attribute "labels" because it is an array.'
    assert message == said


@pytest.mark.parametrize(
    "value", ["' OR '1'='1", "'; DELETE FROM read.accounts_v2; --", "\\", "%", "$1", "%s", '"', "\n"]
)
@pytest.mark.parametrize("method", ["equal", "startsWith", "contains", "lessThan", "notContains"])
def test_values_are_only_values(staff: Client, method: str, value: str) -> None:
    for name in ("name", "email", "phone", "$id"):
        assert ask(staff, query(method, name, value)).status_code == 200
    assert len(ids(staff)) == 6


def test_everything_at_once_is_still_one_question(staff: Client) -> None:
    group = json.dumps({"method": "or", "values": [{"method": "contains", "attribute": "name", "values": ["e"]}] * 40})
    assert ids(staff, *[group] * 12, query("orderDesc", "name"), query("orderAsc", "email")) == ["s4", "s0", "s2", "s3"]


@pytest.mark.parametrize("path", ["/users/s0/logs"])
def test_logs_are_asked_by_number_only(staff: Client, path: str) -> None:
    assert staff.get(path, params={"queries[]": query("limit", None, 1)}).status_code == 200
    for method in ("cursorAfter", "orderAsc", "equal"):
        answer = staff.get(path, params={"queries[]": query(method, "userId", "s0")})
        assert (answer.status_code, answer.json()["type"]) == (400, "general_argument_invalid")
