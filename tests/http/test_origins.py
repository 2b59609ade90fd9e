"""Which pages may call, and what browsers are told."""

import httpx
import pytest

from tests.support.running import Person, World
from tests.support.server import Client


def called_from(client: Client, origin: str) -> httpx.Response:
    """A request of a page."""
    return client.get("/account", headers={"origin": origin})


@pytest.fixture(scope="module")
def shop(world: World) -> str:
    """A project with pages on hosts of its own."""
    return world.project("shop", "shop.example", "*.pages.example")


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:3000",
        "https://LOCALHOST:8443",
        "http://127.0.0.1:5173",
        "http://[::1]:5173",
        "https://shop.example",
        "https://shop.example:8443",
        "https://preview-1.pages.example",
        "https://a.b.pages.example",
    ],
)
def test_a_page_of_the_project_reads_the_answer(world: World, shop: str, origin: str) -> None:
    answer = called_from(world.server.client(project=shop), origin)
    assert answer.status_code == 401, "nobody is signed in, but the page may know that"
    assert answer.headers["access-control-allow-origin"] == origin.lower()
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-expose-headers"] == "X-Appwrite-Session, X-Fallback-Cookies"
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://shop.example.evil.example",
        "https://evilshop.example",
        "https://pages.example",
        "https://evilpages.example",
        "http://localhost.evil.example",
        "http://127.0.0.2",
        "http://127.0.0.1.evil.example",
        "null",
        "file://",
        "https://",
        "shop.example",
        "https://shop.example@evil.example",
        "ftp://shop.example",
        "http://[::1",
        "\xe9",
    ],
)
def test_a_page_of_nobody_is_refused_and_cannot_read_why(world: World, shop: str, origin: str) -> None:
    answer = world.server.client(project=shop).get("/account", headers=[(b"origin", origin.encode("latin-1"))])
    assert (answer.status_code, answer.json()["type"]) == (403, "general_unknown_origin")
    assert "access-control-allow-origin" not in answer.headers


def test_the_page_is_checked_before_the_project(world: World) -> None:
    answer = called_from(world.server.client(project="nowhere"), "https://evil.example")
    assert answer.status_code == 403


def test_pages_of_one_project_do_not_call_another(world: World, shop: str) -> None:
    assert called_from(world.server.client(), "https://shop.example").status_code == 403


def test_a_session_does_not_help_a_foreign_page(jane: Person) -> None:
    answer = called_from(jane.client, "https://evil.example")
    assert answer.status_code == 403


def test_servers_call_from_wherever_they_are(world: World, operator: Client) -> None:
    answer = operator.get("/users", headers={"origin": "https://evil.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_a_browser_asks_first_and_is_told_what_is_allowed(guest: Client) -> None:
    for path in ("/account", "/users", "/nothing/here"):
        answer = guest.request(
            "OPTIONS",
            path,
            headers={
                "origin": "https://shop.example",
                "access-control-request-method": "PATCH",
                "access-control-request-headers": "content-type,x-appwrite-project,x-fallback-cookies",
            },
        )
        assert answer.status_code == 204
        assert answer.content == b""
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-max-age"] == "86400"
        assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE"
        allowed = {each.strip().lower() for each in answer.headers["access-control-allow-headers"].split(",")}
        assert {
            *("content-type", "x-appwrite-project", "x-appwrite-key", "x-appwrite-session", "x-appwrite-locale"),
            *("x-fallback-cookies", "x-appwrite-response-format", "x-sdk-name", "x-sdk-version", "x-sdk-language"),
        } <= allowed


def test_no_sdk_is_warned_of_a_newer_format(guest: Client) -> None:
    for version in ("1.9.5", "2.3.0", "99.0.0"):
        answer = guest.get("/health", headers={"x-appwrite-response-format": version})
        assert "x-appwrite-warning" not in answer.headers
