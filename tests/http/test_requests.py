"""Whatever arrives is answered: in one shape, without a guess at what it meant, and never with a stack trace."""

import gzip
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client, Server

JSON = {"content-type": "application/json"}


def missing(answer: httpx.Response, name: str) -> None:
    """The parameter was not seen."""
    assert answer.status_code == 400
    assert answer.json()["message"] == f'Param "{name}" is not optional.'


# Bodies ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"garbage",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b'{"prefs": {"a": NaN}}',
        b'{"prefs": {"a": Infinity}}',
        b'{"prefs": {"a": -1e999}}',
        b'{"prefs": {"a": 1e999}}',
        b'{"prefs": {"a": "\xff"}}',
        b'{"prefs": {"a": "\\ud800"}}',
        b'{"prefs": {"\\udfff": 1}}',
        b'{"prefs": {}} trailing',
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b'{"prefs":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        b"[" * 500_000,
        gzip.compress(b'{"prefs": {}}', mtime=0),
    ],
    ids=lambda each: repr(each[:30]),
)
def test_a_body_that_cannot_be_read_counts_as_empty(jane: Person, body: bytes) -> None:
    missing(jane.client.patch("/account/prefs", content=body, headers=JSON), "prefs")
    assert jane.ask("GET", "/account/prefs").json() == {}


@pytest.mark.parametrize(
    "prefs",
    [
        {"nul": "a\x00b", "\x00": 1},
        {"big": 2**53, "bigger": 10**30, "negative": -(10**18)},
        {"small": 1e-300, "large": 1.7e308, "zero": -0.0},
        {"": "", " ": " ", "$id": "x", "__proto__": {}},
        {"emoji": "🜚👩‍👩‍👧", "bidi": "\u202e", "line": "\u2028\r\n\t"},
        {"html": "</script><script>alert(1)</script>", "sql": "'; DROP TABLE x; --", "format": "%s %(a)s {0} $1"},
        {"b": 1, "a": 2, "c": [3, [4, [5]], {"e": 6, "d": 7}]},
        {str(nth): nth for nth in range(5000)},
    ],
    ids=lambda each: ascii(next(iter(each))),
)
def test_preferences_come_back_as_they_were_sent(jane: Person, prefs: dict[str, object]) -> None:
    answer = jane.ask("PATCH", "/account/prefs", prefs=prefs)
    assert answer.status_code == 200, answer.text[:200]
    back = jane.client.get("/account/prefs")
    assert json.dumps(back.json()) == json.dumps(prefs), "values and the order of keys"


def test_names_keep_every_character(jane: Person) -> None:
    for name in ("Zoë", "👩‍👩‍👧", "a\r\nb", "\x1b[31mred", "=1+1", "\u202ereverse", "<b>", "\ufeffbom"):
        assert jane.ask("PATCH", "/account/name", name=name).json()["name"] == name
        assert jane.ask("GET", "/account").json()["name"] == name


def test_nesting_deep_enough_to_be_read_can_be_read_back(jane: Person) -> None:
    body = b'{"prefs":{"a":' + b"[" * 150 + b"]" * 150 + b"}}"
    answer = jane.client.patch("/account/prefs", content=body, headers=JSON)
    assert answer.status_code == 200
    assert jane.client.get("/account/prefs").content == b'{"a":' + b"[" * 150 + b"]" * 150 + b"}"


def test_the_last_of_two_equal_names_counts(jane: Person) -> None:
    answer = jane.client.patch("/account/name", content=b'{"name":"first","name":"second"}', headers=JSON)
    assert answer.json()["name"] == "second"


def test_unknown_parameters_are_ignored(jane: Person) -> None:
    assert jane.ask("PATCH", "/account/name", name="Jane", nonsense={"a": [1]}).status_code == 200
    assert jane.client.get("/account", params={"nonsense": "1"}).status_code == 200


def test_parameters_of_the_query_do_not_stand_in_for_the_body(jane: Person) -> None:
    missing(jane.client.patch("/account/name?name=Query", json={}), "name")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "text/plain", "", "APPLICATION/JSON"]
)
def test_json_is_read_whatever_it_is_called(jane: Person, kind: str) -> None:
    answer = jane.client.patch("/account/name", content=b'{"name":"Typed"}', headers={"content-type": kind})
    assert answer.json()["name"] == "Typed"


def test_a_form_is_read_as_well(guest: Client) -> None:
    email = an_email()
    form = {"userId": "unique()", "email": email, "password": PASSWORD, "name": "Fräulein Größe"}
    assert guest.post("/account", data=form).json()["name"] == "Fräulein Größe"
    assert guest.post("/account/sessions/email", data={"email": email, "password": PASSWORD}).status_code == 201


def test_a_form_makes_lists_of_brackets(operator: Client, jane: Person) -> None:
    for form, labels in (
        ([("labels[]", "a"), ("labels[]", "b")], ["a", "b"]),
        ([("labels[1]", "b"), ("labels[0]", "a")], ["a", "b"]),
        ([("labels[999999999999999999999]", "a")], ["a"]),
    ):
        answer = operator.put(
            f"/users/{jane.account_id}/labels",
            content=urlencode(form),
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert answer.json()["labels"] == labels


def test_a_body_of_a_megabyte_is_read_and_one_byte_more_is_not(jane: Person) -> None:
    limit = 1024 * 1024
    stem = b'{"name":"Jane","x":"'
    body = stem + b"x" * (limit - len(stem) - 2) + b'"}'
    assert len(body) == limit
    assert jane.client.patch("/account/name", content=body, headers=JSON).status_code == 200
    answer = jane.client.patch("/account/name", content=body + b" ", headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (400, "general_argument_invalid")

    def chunks() -> Iterator[bytes]:
        for _ in range(17):
            yield b" " * 65536

    answer = jane.client.patch("/account/name", content=chunks(), headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (400, "general_argument_invalid")
    assert jane.ask("GET", "/account").status_code == 200


# Paths, headers, sockets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/"),
        ("GET", ""),
        ("POST", "/account/name"),
        ("HEAD", "/users"),
        ("PURGE", "/account"),
        ("GET", "/account//sessions"),
        ("GET", "/users/a/b/c/d/e"),
        ("GET", "/users/%2e%2e/account"),
    ],
)
def test_there_is_no_such_route(guest: Client, method: str, path: str) -> None:
    answer = guest.request(method, path)
    assert answer.status_code == 404
    if method != "HEAD":
        assert answer.json()["type"] == "general_route_not_found"


def test_the_path_is_one_whether_or_not_a_slash_ends_it(jane: Person) -> None:
    assert jane.ask("GET", "/account/").json() == jane.ask("GET", "/account").json()


def test_the_project_may_be_named_in_the_query(world: World) -> None:
    answer = world.server.client(project=None).get("/account?project=default")
    assert (answer.status_code, answer.json()["type"]) == (401, "general_unauthorized_scope")
    for nonsense in ("%00", "a%00", "%FF", "nowhere", "", "a" * 5000):
        answer = world.server.client(project=None).get(f"/account?project={nonsense}")
        assert (answer.status_code, answer.json()["type"]) == (404, "project_not_found"), nonsense[:10]


def exchange(server: Server, raw: bytes) -> bytes:
    """Send bytes, read until the server closes the connection."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as wire:
        wire.sendall(raw)
        received = b""
        while chunk := wire.recv(65536):
            received += chunk
        return received


def get(path: bytes, *headers: bytes) -> bytes:
    lines = [b"GET " + path + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        get(b"/v1/account", b"X-Appwrite-Project: default", b"Cookie: " + b"a=b; " * 2000),
        get(b"/v1/account", b"X-Appwrite-Project: default", b"X-Fallback-Cookies: " + b"[" * 30_000),
        get(b"/v1/account", b"X-Appwrite-Project: default", b"User-Agent: " + b"\xff" * 5000),
        get(b"/v1/account", b"X-Appwrite-Project: default", b"X-Forwarded-For: " + b"1," * 5000),
        get(b"/v1/account", b"X-Appwrite-Project: default", b"X-Appwrite-Session: \xff\xfe"),
        get(b"/v1/account", b"X-Appwrite-Project: default", b"X-Request-Id: " + b"x" * 5000),
        get(b"/v1/account", b"X-Appwrite-Project: default", b"Idempotency-Key: " + b"x" * 5000),
        get(b"/v1/account", b"X-Appwrite-Project: \xff\xfe"),
        get(b"/v1/account?" + b"a=b&" * 5000, b"X-Appwrite-Project: default"),
        get(b"/v1/account?%ff%fe=%ed%a0%80&a[b][c]=d&[]=e&=f", b"X-Appwrite-Project: default"),
        get(b"/v1/account", b"X-Appwrite-Project: default", b"Host: [::1", b"Origin: http://[::1"),
        get(b"/v1/account", *[b"X-Nothing: a"] * 500, b"X-Appwrite-Project: default"),
    ],
    ids=lambda raw: repr(raw[:70]),
)
def test_strange_requests_get_ordinary_answers(server: Server, raw: bytes) -> None:
    answer = exchange(server, raw)
    assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 404 ", b"HTTP/1.1 403 ", b"HTTP/1.1 400 ")), answer[:200]
    assert b"Traceback" not in answer


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v1/health HTTP/9.9\r\n\r\n",
        b"POST /v1/account HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/account HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /v1/account HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
    ids=repr,
)
def test_what_is_no_http_does_no_harm(server: Server, guest: Client, raw: bytes) -> None:
    answer = exchange(server, raw)
    assert b"Traceback" not in answer
    assert not answer.startswith(b"HTTP/1.1 5")
    assert guest.ask("GET", "/health").status_code == 200


def test_who_hangs_up_in_the_middle_does_no_harm(server: Server, guest: Client) -> None:
    url = httpx.URL(server.url)
    for _ in range(20):
        wire = socket.create_connection((url.host, url.port or 80))
        wire.sendall(
            b"POST /v1/account HTTP/1.1\r\nHost: x\r\nX-Appwrite-Project: default\r\nContent-Length: 999\r\n\r\n{"
        )
        wire.close()
    assert guest.ask("GET", "/health").status_code == 200


def test_the_description_of_the_api_is_served(guest: Client) -> None:
    document = guest.ask("GET", "/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/account/prefs"]["patch"]["operationId"] == "account.updatePrefs"
    assert guest.ask("GET", "/health/version").json() == {"version": "1.9.6"}


@pytest.fixture(scope="module", autouse=True)
def _no_failure(server: Server) -> Iterator[None]:
    """Nothing in this file makes the server fail."""
    before = len(server.logged)
    yield
    logged = [json.loads(line) for line in server.logged[before:].splitlines()]
    # A mail that an earlier file left behind may be tried again meanwhile.
    of_others = {"message not delivered yet", "message refused for good"}
    assert {each["message"] for each in logged} - of_others <= {"Invalid HTTP request received."}
