"""What a backend does with the accounts of its project."""

import json
from typing import Any

import pytest

from accounts_es.http.callers import ALL_KEY_SCOPES
from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client


def test_all_but_the_id_may_be_missing(operator: Client) -> None:
    user = operator.ask("POST", "/users", userId="unique()").json()
    assert (user["email"], user["phone"], user["name"], user["password"]) == ("", "", "", None)
    assert user["targets"] == []
    assert user["hash"] == "argon2"


def test_each_address_becomes_a_target(operator: Client) -> None:
    email = an_email()
    user = operator.ask("POST", "/users", userId="unique()", email=email.upper(), phone="+4930901820001").json()
    assert user["email"] == email
    assert [(each["providerType"], each["identifier"]) for each in user["targets"]] == [
        ("email", email),
        ("sms", "+4930901820001"),
    ]
    taken = operator.ask("POST", "/users", userId="unique()", phone="+4930901820001")
    assert (taken.status_code, taken.json()["type"]) == (409, "user_already_exists")
    assert operator.ask("DELETE", f"/users/{user['$id']}").status_code == 204
    assert operator.ask("POST", "/users", userId="unique()", phone="+4930901820001").status_code == 201


def test_what_the_server_changes_the_person_sees_at_once(operator: Client, jane: Person) -> None:
    path = f"/users/{jane.account_id}"
    assert operator.ask("PATCH", f"{path}/name", name="Renamed").json()["name"] == "Renamed"
    assert operator.ask("PATCH", f"{path}/prefs", prefs={"a": 1}).json() == {"a": 1}
    assert operator.ask("PUT", f"{path}/labels", labels=["vip"]).json()["labels"] == ["vip"]
    assert operator.ask("PATCH", f"{path}/verification", emailVerification=True).json()["emailVerification"] is True

    account = jane.ask("GET", "/account").json()
    assert (account["name"], account["prefs"], account["labels"]) == ("Renamed", {"a": 1}, ["vip"])
    assert account["emailVerification"] is True
    assert operator.ask("PATCH", f"{path}/verification", emailVerification=False).json()["emailVerification"] is False
    assert operator.ask("PATCH", f"{path}/name", name="").json()["name"] == "", "a server may take the name away"


def test_T27_labels_are_kept_once_in_the_order_they_were_given(world: World, operator: Client, jane: Person) -> None:
    path = f"/users/{jane.account_id}/labels"
    for labels, kept in (
        (["b", "a", "b", "c"], ["b", "a", "c"]),
        (["a", "B"], ["a", "B"]),
        (["B", "a"], ["B", "a"]),
        ([], []),
    ):
        answer = operator.ask("PUT", path, labels=labels)
        assert answer.json()["labels"] == kept
        assert jane.ask("GET", "/account").json()["labels"] == kept
    same = operator.ask("PUT", path, labels=[])
    assert world.log.of(same) == []


def test_T20_a_server_sees_and_ends_sessions(operator: Client, jane: Person) -> None:
    path = f"/users/{jane.account_id}/sessions"
    listed = operator.ask("GET", path).json()
    assert listed["total"] == 1
    assert [(each["$id"], each["current"]) for each in listed["sessions"]] == [(jane.session_id, False)]
    assert operator.get(path, params={"total": "false"}).json()["total"] == 0

    assert operator.ask("DELETE", f"{path}/{jane.session_id}").status_code == 204
    assert jane.ask("GET", "/account").status_code == 401
    gone = operator.ask("DELETE", f"{path}/{jane.session_id}")
    assert (gone.status_code, gone.json()["type"]) == (404, "user_session_not_found")

    jane.client.cookies.clear()
    jane.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD)
    assert operator.ask("DELETE", path).status_code == 204
    assert jane.ask("GET", "/account").status_code == 401
    assert operator.ask("DELETE", path).status_code == 204, "none left is what was asked for"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/prefs"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions"),
        ("DELETE", "/sessions/any"),
    ],
)
def test_nobody_is_not_found(operator: Client, method: str, path: str) -> None:
    answer = operator.ask(method, f"/users/nobody{path}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "user_not_found"
    assert answer.json()["message"] == "User with the requested ID could not be found."


# Keys -----------------------------------------------------------------------------------------------------------------


def test_T27_a_deleted_key_opens_nothing_from_the_next_request_on(world: World) -> None:
    client = world.server.client(key=world.key("users.read", key_id="short-lived"))
    assert client.ask("GET", "/users").status_code == 200
    world.drop_key("short-lived")
    answer = client.ask("GET", "/users")
    assert (answer.status_code, answer.json()["type"]) == (401, "user_unauthorized")


def test_a_key_opens_what_its_scopes_say(world: World, jane: Person) -> None:
    reader = world.server.client(key=world.key("users.read"))
    assert reader.ask("GET", f"/users/{jane.account_id}").status_code == 200
    assert reader.ask("PATCH", f"/users/{jane.account_id}/name", name="x").status_code == 401
    sessions = world.server.client(key=world.key("sessions.read", "sessions.write"))
    assert sessions.ask("GET", f"/users/{jane.account_id}/sessions").status_code == 200
    assert sessions.ask("GET", f"/users/{jane.account_id}").status_code == 401
    assert sessions.ask("DELETE", f"/users/{jane.account_id}/sessions").status_code == 204


def test_keys_that_are_none(world: World, log: Any) -> None:
    from datetime import UTC, datetime, timedelta

    expired = world.key(*ALL_KEY_SCOPES, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    elsewhere = world.key(*ALL_KEY_SCOPES, project=world.project("keys-elsewhere"))
    for key, refusal in (
        ("standard_unknown", "user_unauthorized"),
        ("nounderscore", "user_unauthorized"),
        ("", "user_unauthorized"),
        ("invented_key", "general_unauthorized_scope"),
        (expired, "project_key_expired"),
        (elsewhere, "user_unauthorized"),
    ):
        answer = world.server.client(key=key).ask("GET", "/users")
        assert (answer.status_code, answer.json()["type"]) == (401, refusal), key[:20]
        assert [event.topic for event in log.of(answer)] == ["security.access_denied"], key[:20]


def test_a_key_needs_its_project_in_the_header(world: World) -> None:
    answer = world.server.client(project=None, key=world.server.credentials["key"]).get("/users?project=default")
    assert (answer.status_code, answer.json()["type"]) == (403, "project_id_missing")


def test_the_key_decides_when_a_session_comes_along(world: World, jane: Person) -> None:
    jane.client.headers["x-appwrite-key"] = world.server.credentials["key"]
    assert jane.ask("GET", "/users").status_code == 200
    assert jane.ask("GET", "/account").status_code == 401
    again = jane.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD)
    assert again.json()["type"] == "user_session_already_exists"


def test_a_server_gets_the_secret_and_can_act_with_it(world: World, operator: Client, jane: Person) -> None:
    session = operator.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD).json()
    operator.cookies.clear()
    acting = world.server.client(x_appwrite_session=session["secret"])
    assert acting.ask("GET", "/account").json()["$id"] == jane.account_id
    assert acting.ask("GET", "/account/sessions/current").json()["$id"] == session["$id"]


# Lists ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd(world: World) -> Client:
    """A project with thirty people, u00 to u29, in this order."""
    project = world.project("crowd")
    client = world.server.client(project=project, key=world.key("users.read", "users.write", project=project))
    for nth in range(30):
        email = f"person{nth}@manchester.united.co.uk"
        client.ask("POST", "/users", userId=f"u{nth:02}", email=email, name=f"Person Number{nth}")
    return client


def query(method: str, *values: Any) -> str:
    return json.dumps({"method": method, "values": list(values)})


def ids(client: Client, *queries: str, **params: Any) -> list[str]:
    answer = client.get("/users", params={"queries[]": list(queries), **params})
    assert answer.status_code == 200, answer.text
    return [user["$id"] for user in answer.json()["users"]]


def numbers(*each: int) -> list[str]:
    return [f"u{nth:02}" for nth in each]


def test_a_list_has_25_unless_asked_otherwise(crowd: Client) -> None:
    assert ids(crowd) == numbers(*range(25))
    assert ids(crowd, query("limit", 3)) == numbers(0, 1, 2)
    assert ids(crowd, query("limit", 100)) == numbers(*range(30))
    assert ids(crowd, query("limit", 3), query("offset", 28)) == numbers(28, 29)
    assert ids(crowd, query("offset", 30)) == []
    assert ids(crowd, query("limit", 1), query("limit", 5)) == numbers(0), "the first of two counts"


def test_a_list_goes_on_from_a_cursor_in_both_directions(crowd: Client) -> None:
    assert ids(crowd, query("cursorAfter", "u09"), query("limit", 2)) == numbers(10, 11)
    assert ids(crowd, query("cursorBefore", "u09"), query("limit", 2)) == numbers(7, 8)
    assert ids(crowd, query("cursorBefore", "u00")) == []
    assert ids(crowd, query("cursorAfter", "u29")) == []
    walked: list[str] = []
    while page := ids(crowd, query("limit", 7), *([query("cursorAfter", walked[-1])] if walked else [])):
        walked += page
    assert walked == numbers(*range(30))


def test_a_cursor_must_be_somebody(crowd: Client) -> None:
    answer = crowd.get("/users", params={"queries[]": query("cursorAfter", "nobody")})
    assert (answer.status_code, answer.json()["type"]) == (400, "general_cursor_not_found")


def test_the_total_counts_what_matches_not_the_page(crowd: Client) -> None:
    def total(**params: Any) -> int:
        number = crowd.get("/users", params=params).json()["total"]
        assert isinstance(number, int)
        return number

    assert total() == 30
    assert total(**{"queries[]": query("limit", 1)}) == 30
    assert total(search="Number7") == 1
    for no in ("false", "0"):
        assert total(total=no) == 0
    for yes in ("true", "1"):
        assert total(total=yes) == 30
    assert len(crowd.get("/users?total=false").json()["users"]) == 25


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Number7", numbers(7)),
        ("number7", numbers(7)),
        ("u07", numbers(7)),
        ("person7@manchester.united.co.uk", numbers(*range(25))),
        ('"person7@manchester.united.co.uk"', numbers(7)),
        ("united.co.uk", numbers(*range(25))),
        ("manch", numbers(*range(25))),
        ("anchester", []),
        (">", []),
        ("'); DROP TABLE accounts_v2; --", []),
        ("nobody", []),
        ("Number1", numbers(1, *range(10, 20))),
    ],
)
def test_search_finds_words_and_the_beginning_of_the_last(crowd: Client, search: str, found: list[str]) -> None:
    assert ids(crowd, search=search) == found


def test_search_follows_every_change(world: World, operator: Client, jane: Person) -> None:
    path = f"/users/{jane.account_id}"
    word = f"w{jane.account_id}"
    assert ids(operator, search=word) == []
    operator.ask("PATCH", f"{path}/name", name=f"Somebody {word}")
    assert ids(operator, search=word) == [jane.account_id]
    operator.ask("PATCH", f"{path}/name", name="Somebody")
    operator.ask("PUT", f"{path}/labels", labels=[word])
    assert ids(operator, search=word) == [jane.account_id]
    operator.ask("DELETE", path)
    assert ids(operator, search=word) == []


def test_queries_may_be_numbered_or_not(crowd: Client) -> None:
    limit, offset = query("limit", 2), query("offset", 4)
    for params in (
        {"queries[]": [limit, offset]},
        {"queries[0]": limit, "queries[1]": offset},
        {"queries[1]": offset, "queries[0]": limit},
    ):
        users = crowd.get("/users", params=params).json()["users"]
        assert [user["$id"] for user in users] == numbers(4, 5)


@pytest.mark.parametrize(
    "bad",
    [
        query("limit", 0),
        query("limit", -1),
        query("limit", 1.5),
        query("limit", "1"),
        query("limit", True),
        query("limit"),
        query("limit", 1, 2),
        query("limit", 2**63),
        query("offset", -1),
        query("cursorAfter", "_a"),
        query("cursorAfter", 1),
        query("select", "name"),
        query("invented", 1),
        "limit(1)",
        "null",
        "[1]",
        '{"method":"limit","values":{"0":1}}',
        '{"method":["limit"],"values":[1]}',
        "{" * 2000,
    ],
)
def test_queries_that_are_none(crowd: Client, bad: str) -> None:
    answer = crowd.get("/users", params={"queries[]": bad})
    assert (answer.status_code, answer.json()["type"]) == (400, "general_argument_invalid")
    assert answer.json()["message"].startswith("Invalid `queries` param: ")


def test_the_biggest_numbers_ask_for_everything_or_nothing(crowd: Client) -> None:
    assert len(ids(crowd, query("limit", 2**63 - 1))) == 30
    assert ids(crowd, query("offset", 2**63 - 1)) == []
