"""The official Node SDK on the server side."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import Calls
from tests.support.server import Server
from tests.support.tools import node


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One backend's story."""
    with Server(tmp_path_factory.mktemp("node") / "data") as server:
        yield node(Path(__file__).parent / "story.mjs", server.url, server.credentials["key"])


def ids(answer: Any) -> list[str]:
    return [user["$id"] for user in answer["answer"]["users"]]


def test_a_user_is_created_once(told: Any) -> None:
    user = told["create"]["answer"]
    assert user["email"] == "ada@example.com"
    assert user["phone"] == "+4915112345678"
    assert user["password"].startswith("$argon2id$")
    assert user["hash"] == "argon2"
    assert [target["providerType"] for target in user["targets"]] == ["email", "sms"]
    assert told["duplicate"]["refused"]["code"] == 409
    assert told["duplicate"]["refused"]["type"] == "user_already_exists"


def test_lists_are_paged_searched_and_counted(told: Any) -> None:
    first = told["create"]["answer"]["$id"]
    assert ids(told["list"]) == [first, "user1", "user2", "user3"]
    assert told["list"]["answer"]["total"] == 4
    assert ids(told["limit"]) == ["user1", "user2"]
    assert told["limit"]["answer"]["total"] == 4
    assert ids(told["cursor"]) == ["user2", "user3"]
    assert ids(told["before"]) == ["user2"]
    assert ids(told["search"]) == [first]
    assert told["uncounted"]["answer"]["total"] == 0
    assert len(told["uncounted"]["answer"]["users"]) == 4
    assert told["badCursor"]["refused"]["type"] == "general_cursor_not_found"


def test_one_user_is_read(told: Any) -> None:
    assert told["get"]["answer"]["name"] == "Ada Lovelace"
    assert told["missing"]["refused"] == {
        "code": 404,
        "type": "user_not_found",
        "message": "User with the requested ID could not be found.",
    }


def test_name_labels_and_verification(told: Any) -> None:
    assert told["name"]["answer"]["name"] == "Ada King"
    assert told["labels"]["answer"]["labels"] == ["vip", "pro"]
    assert told["badLabel"]["refused"]["type"] == "general_argument_invalid"
    assert told["verified"]["answer"]["emailVerification"] is True
    assert told["unverified"]["answer"]["emailVerification"] is False


def test_preferences(told: Any) -> None:
    assert told["noPrefs"]["answer"] == {}
    assert told["updatePrefs"]["answer"] == {"theme": "dark", "n": 1}
    assert told["prefs"]["answer"] == {"theme": "dark", "n": 1}


def test_a_server_acts_with_a_session_it_opened(told: Any) -> None:
    assert told["session"]["answer"]["secret"]
    assert told["me"]["answer"]["$id"] == told["create"]["answer"]["$id"]
    assert told["myPrefs"]["answer"]["prefs"] == {"theme": "light"}
    assert told["keyHasNoAccount"]["refused"]["type"] == "general_unauthorized_scope"


def test_what_happened_is_listed(told: Any) -> None:
    logs = told["logs"]["answer"]["logs"]
    assert told["logs"]["answer"]["total"] == len(logs)
    assert [each["event"] for each in logs] == [
        "session.refuse",
        "user.update",  # preferences, with a session
        "session.create",
        "user.update",  # preferences, with a key
        "verification.update",
        "verification.update",
        "user.update",  # labels
        "user.update",  # name
        "user.create",
    ]
    assert [each["userType"] for each in logs] == ["guest", "user", *["keyProject"] * 7]
    assert {each["clientName"] for each in logs} == {"AppwriteNodeJSSDK"}
    assert told["myLogs"]["answer"] == {"total": 9, "logs": logs[:2]}
    assert told["laterLogs"]["answer"] == {"total": 0, "logs": logs[1:3]}


def test_sessions_are_listed_and_ended(told: Any) -> None:
    (session,) = told["sessions"]["answer"]["sessions"]
    assert session["$id"] == told["session"]["answer"]["$id"]
    assert session["secret"] == ""
    assert "refused" not in told["deleteSession"]
    assert told["signedOut"]["refused"]["code"] == 401
    assert "refused" not in told["deleteSessions"]
    assert told["noSessions"]["answer"] == {"total": 0, "sessions": []}


def test_a_deleted_user_is_gone_and_its_values_are_free(told: Any) -> None:
    assert "refused" not in told["delete"]
    assert told["deleted"]["refused"]["type"] == "user_not_found"
    assert told["again"]["answer"]["email"] == "ada@example.com"


def test_a_wrong_key_is_refused(told: Any) -> None:
    assert told["badKey"]["refused"]["type"] == "user_unauthorized"


def test_what_was_called_is_written_down(told: Any, calls: Calls) -> None:
    for service, method in told["called"]:
        calls.add("node", service, method)
    calls.held()
