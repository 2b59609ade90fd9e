"""The official web SDK in a real browser, on a page from another port."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server
from tests.support.tools import node


@pytest.fixture(scope="module", params=["127.0.0.1", "localhost"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, page_port: int) -> Iterator[Any]:
    """One person's story: on a page of the server's own host, and on one of another."""
    with Server(tmp_path_factory.mktemp("web") / "data") as server:
        yield node(
            Path(__file__).parent / "story.mjs",
            f"http://{request.param}:{page_port}/",
            server.url.replace("localhost", "127.0.0.1"),
        )


def test_a_guest_is_refused_with_a_type_the_page_can_read(told: Any) -> None:
    assert told["guest"]["refused"]["code"] == 401
    assert told["guest"]["refused"]["type"] == "general_unauthorized_scope"


def test_sign_up_and_sign_in(told: Any) -> None:
    account, session = told["signup"]["answer"], told["login"]["answer"]
    assert account["email"] == "jane@example.com"
    assert account["targets"][0]["identifier"] == "jane@example.com"
    assert session["userId"] == account["$id"]
    assert session["provider"] == "email"
    assert session["current"] is True
    assert session["secret"] == ""
    assert told["wrong"]["refused"]["type"] == "user_invalid_credentials"


def test_the_two_snippets_of_the_documentation(told: Any) -> None:
    assert told["update"]["answer"]["prefs"] == {"darkTheme": True, "language": "en"}
    assert told["prefs"]["answer"] == {"darkTheme": True, "language": "en"}
    assert told["prefsReloaded"]["answer"] == {"darkTheme": True, "language": "en"}


def test_the_session_survives_a_reload(told: Any) -> None:
    assert told["reloaded"]["answer"]["name"] == "Jane Doe"
    assert told["reloaded"]["answer"]["$id"] == told["signup"]["answer"]["$id"]
    assert "a_session_default" in told["fallback"]
    assert all(cookie["httpOnly"] and cookie["path"] == "/" for cookie in told["cookies"])


def test_signing_out_ends_the_session(told: Any) -> None:
    assert [each["current"] for each in told["sessions"]["answer"]["sessions"]] == [True]
    assert told["session"]["answer"]["$id"] == told["login"]["answer"]["$id"]
    assert "refused" not in told["logout"]
    assert told["after"]["refused"]["type"] == "general_unauthorized_scope"


def test_an_anonymous_session(told: Any) -> None:
    assert told["anonymous"]["answer"]["provider"] == "anonymous"
    assert told["nobody"]["answer"]["email"] == ""
    assert told["twice"]["refused"]["type"] == "user_session_already_exists"
    assert "refused" not in told["everywhere"]
    assert told["gone"]["refused"]["code"] == 401


def test_nothing_unexpected_is_in_the_console(told: Any) -> None:
    # Chromium notes every refusal, and the SDK says that it keeps the session itself where cookies may get lost.
    expected = ("the server responded with a status of 401", "Appwrite is using localStorage for session management")
    assert [each for each in told["complaints"] if not any(known in each for known in expected)] == []
