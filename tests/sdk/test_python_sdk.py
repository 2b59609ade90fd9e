"""The official Python SDK on the server side. Its models are strict: a missing or null field fails here."""

from collections.abc import Iterator

import pytest
from appwrite.client import Client
from appwrite.exception import AppwriteException
from appwrite.query import Query
from appwrite.services.account import Account
from appwrite.services.users import Users

from tests.support.calls import Calls
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with its first project."""
    with Server(tmp_path_factory.mktemp("python") / "data") as running:
        yield running


def client(server: Server) -> Client:
    return Client().set_endpoint(server.url).set_project("default")


@pytest.fixture
def users(server: Server, calls: Calls) -> Users:
    """The Users service with the first key."""
    return calls.noted("python", Users(client(server).set_key(server.credentials["key"])))


def test_the_first_call_of_the_readme(users: Users) -> None:
    user = users.create(user_id="readme", email="jane@example.com", password="correct horse", name="Jane")
    assert user.email == "jane@example.com"
    assert users.update_labels(user_id=user.id, labels=["admin"]).labels == ["admin"]


def test_the_life_of_a_user(users: Users) -> None:
    users.create(user_id="bare")
    assert users.get("bare").name == ""
    assert users.update_name("bare", "Somebody").name == "Somebody"
    assert users.update_email_verification("bare", email_verification=True).emailverification is True
    users.update_prefs("bare", {"a": 1})
    found = users.list(queries=[Query.limit(5)], search="somebody")
    assert [user.id for user in found.users] == ["bare"]
    assert users.list_sessions("bare").total == 0
    users.delete_sessions("bare")
    users.delete("bare")
    with pytest.raises(AppwriteException) as refused:
        users.get("bare")
    assert refused.value.type == "user_not_found"


def test_a_session_opened_by_a_server(server: Server, users: Users, calls: Calls) -> None:
    users.create(user_id="signer", email="signer@example.com", password="correct horse")
    with_key = calls.noted("python", Account(client(server).set_key(server.credentials["key"])))
    session = with_key.create_email_password_session("signer@example.com", "correct horse")
    account = calls.noted("python", Account(client(server).set_session(session.secret)))
    assert account.get().id == "signer"
    assert account.update_prefs({"darkTheme": True}).prefs.data == {"darkTheme": True}
    account.delete_session("current")
    with pytest.raises(AppwriteException) as refused:
        account.get()
    assert refused.value.code == 401


def test_what_was_called_is_written_down(calls: Calls) -> None:
    calls.held()
