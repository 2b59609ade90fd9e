"""How a session travels: two cookies, a header for pages that lose cookies, a header for servers."""

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import httpx
import pytest

from tests.support.running import PASSWORD, Person, World
from tests.support.server import Client


def sign_in(client: Client, person: Person, **headers: str) -> httpx.Response:
    """Sign in with a password."""
    body = {"email": person.email, "password": PASSWORD}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.post("/account/sessions/email", json=body, headers=named)
    assert answer.status_code == 201
    return answer


def cookies(answer: httpx.Response) -> list[tuple[str, str, list[str]]]:
    """Name, value and attributes of each cookie that is set."""
    found = []
    for header in answer.headers.get_list("set-cookie"):
        pair, *attributes = header.split("; ")
        name, _, value = pair.partition("=")
        found.append((name, value, attributes))
    return found


def test_a_sign_in_sets_two_cookies(world: World, jane: Person, guest: Client) -> None:
    answer = sign_in(guest, jane)
    (legacy, legacy_value, legacy_rest), (modern, value, rest) = cookies(answer)

    assert (legacy, modern) == ("a_session_default_legacy", "a_session_default")
    assert legacy_value == value
    assert rest == [*legacy_rest, "samesite=None"]
    expires, max_age, *others = legacy_rest
    assert others == ["path=/", "httponly"], "no domain on an address, nothing secure on plain http"
    year = timedelta(days=365)
    assert abs(parsedate_to_datetime(expires.removeprefix("expires=")) - datetime.now(UTC) - year) < timedelta(
        minutes=1
    )
    assert abs(int(max_age.removeprefix("max-age=")) - year.total_seconds()) < 60

    decoded = json.loads(base64.b64decode(unquote(value), validate=True))
    assert decoded == {"id": jane.account_id, "secret": decoded["secret"]}
    assert len(decoded["secret"]) == 256
    assert set(decoded["secret"]) <= set("0123456789abcdef")
    assert json.loads(answer.headers["x-fallback-cookies"]) == {"a_session_default": unquote(value)}


def test_cookies_know_the_host_and_the_scheme_behind_a_proxy(jane: Person, guest: Client) -> None:
    answer = sign_in(guest, jane, x_forwarded_proto="https", x_forwarded_host="api.example.org:443")
    for _, _, attributes in cookies(answer):
        assert "domain=.api.example.org" in attributes
        assert "secure" in attributes


def test_a_page_of_the_same_site_needs_no_fallback(world: World, jane: Person) -> None:
    project = world.project("same-site", "*.example.org", "*.co.uk")
    client = world.server.client(project=project)
    client.ask("POST", "/account", userId="sam", email="sam@example.org", password=PASSWORD)
    for origin, host, fallback in (
        ("https://www.example.org", "api.example.org", False),
        ("https://app.co.uk", "api.co.uk", True),
        ("https://www.example.org", "api.example.com", True),
    ):
        page = world.server.client(project=project)
        answer = page.post(
            "/account/sessions/email",
            json={"email": "sam@example.org", "password": PASSWORD},
            headers={"origin": origin, "x-forwarded-host": host},
        )
        assert answer.status_code == 201
        assert ("x-fallback-cookies" in answer.headers) is fallback, (origin, host)


@pytest.mark.parametrize("path", ["/account/sessions/current", "/account/sessions"])
def test_signing_out_takes_the_cookies_back(jane: Person, path: str) -> None:
    answer = jane.ask("DELETE", path)
    assert answer.status_code == 204
    assert [(name, value) for name, value, _ in cookies(answer)] == [
        ("a_session_default_legacy", "deleted"),
        ("a_session_default", "deleted"),
    ]
    for _, _, attributes in cookies(answer):
        assert "max-age=0" in attributes
    assert answer.headers["x-fallback-cookies"] == "[]"


def test_ending_another_session_leaves_the_cookies(world: World, jane: Person, guest: Client) -> None:
    other = sign_in(guest, jane).json()
    answer = jane.ask("DELETE", f"/account/sessions/{other['$id']}")
    assert "set-cookie" not in answer.headers
    assert "x-fallback-cookies" not in answer.headers


def test_names_of_cookies_are_lower_case(world: World) -> None:
    project = world.project("MixedCase")
    client = world.server.client(project=project)
    answer = client.ask("POST", "/account/sessions/anonymous")
    assert [name for name, _, _ in cookies(answer)] == ["a_session_mixedcase_legacy", "a_session_mixedcase"]
    assert json.loads(answer.headers["x-fallback-cookies"]).keys() == {"a_session_MixedCase"}
    assert client.ask("GET", "/account").status_code == 200
    fallback = world.server.client(project=project, x_fallback_cookies=answer.headers["x-fallback-cookies"])
    assert fallback.ask("GET", "/account").status_code == 200


# Which of several ways counts -----------------------------------------------------------------------------------------


def secret_of(client: Client) -> str:
    """What the client keeps in its cookie, decoded."""
    return unquote(client.cookies["a_session_default"])


def test_each_way_opens_the_account(world: World, jane: Person) -> None:
    secret = secret_of(jane.client)
    quoted = jane.client.cookies["a_session_default"]
    for headers, debug in (
        ({"cookie": f"a_session_default={quoted}"}, "false"),
        ({"cookie": f"a_session_default={secret}"}, "false"),
        ({"cookie": f"a_session_default_legacy={quoted}"}, "false"),
        ({"cookie": f"theme=dark; a_session_default={quoted}; other=1"}, "false"),
        ({"x_appwrite_session": secret}, "false"),
        ({"x_fallback_cookies": json.dumps({"a_session_default": secret})}, "true"),
    ):
        answer = world.server.client(**headers).ask("GET", "/account")
        assert answer.status_code == 200, headers
        assert answer.json()["$id"] == jane.account_id
        assert answer.headers["x-debug-fallback"] == debug, headers


def test_the_cookie_goes_before_the_header_before_the_fallback(world: World) -> None:
    people = [world.person() for _ in range(4)]
    first, second, third, fourth = (secret_of(each.client) for each in people)
    headers = {
        "cookie": f"a_session_default_legacy={second}; a_session_default={first}",
        "x_appwrite_session": third,
        "x_fallback_cookies": json.dumps({"a_session_default": fourth}),
    }
    expected = [each.account_id for each in people]

    def caller() -> str:
        account_id = world.server.client(**headers).ask("GET", "/account").json()["$id"]
        assert isinstance(account_id, str)
        return account_id

    assert caller() == expected[0]
    headers["cookie"] = f"a_session_default_legacy={second}"
    assert caller() == expected[1]
    del headers["cookie"]
    assert caller() == expected[2]
    del headers["x_appwrite_session"]
    assert caller() == expected[3]


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "junk",
        "====",
        "%00%00",
        "%FF%FE",
        "A" * 1_000,
        "A" * 8_000,
        base64.b64encode(b"null").decode(),
        base64.b64encode(b"[1]").decode(),
        base64.b64encode(b'{"id":1,"secret":2}').decode(),
        base64.b64encode(b'{"id":"a"}').decode(),
        base64.b64encode(b'{"id":"","secret":""}').decode(),
        base64.b64encode(b'{"id":"a\\u0000","secret":"\\u0000"}').decode(),
        base64.b64encode(b'{"id":"\\ud800","secret":"\\ud800"}').decode(),
        base64.b64encode(b'{"id":"a","secret":"\xff"}').decode(),
        base64.b64encode(b"[" * 700).decode(),
    ],
    ids=lambda each: each[:24],
)
def test_junk_is_nobody(world: World, junk: str) -> None:
    for headers in (
        {"cookie": f"a_session_default={junk}"},
        {"x_appwrite_session": junk},
        {"x_fallback_cookies": json.dumps({"a_session_default": junk})},
        {"x_fallback_cookies": junk},
    ):
        answer = world.server.client(**headers).ask("GET", "/account")
        assert (answer.status_code, answer.json()["type"]) == (401, "general_unauthorized_scope"), headers


def test_a_secret_changed_in_any_way_is_nobody(world: World, jane: Person) -> None:
    other = world.person()
    secret = secret_of(jane.client)
    plain = json.loads(base64.b64decode(secret))
    forged = [
        {"id": other.account_id, "secret": plain["secret"]},
        {"id": plain["id"], "secret": plain["secret"][:-1]},
        {"id": plain["id"], "secret": plain["secret"].upper()},
        {"id": plain["id"].upper(), "secret": plain["secret"]},
    ]
    for each in (secret + "x", secret[:-1], *(base64.b64encode(json.dumps(it).encode()).decode() for it in forged)):
        assert world.server.client(x_appwrite_session=each).ask("GET", "/account").status_code == 401
    assert world.server.client(x_appwrite_session=secret).ask("GET", "/account").status_code == 200


def test_an_expired_session_is_nobody(world: World, jane: Person) -> None:
    world.log.connection.execute(
        "UPDATE read.sessions_v2 SET expires_at = now() - interval '1 second' WHERE session_id = %s", (jane.session_id,)
    )
    assert jane.ask("GET", "/account").status_code == 401
