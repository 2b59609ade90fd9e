"""T9: where a project's people must not be found out, signing up as somebody else looks as if it had worked."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from tests.support.running import PASSWORD
from tests.support.server import Client, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that does not tell."""
    folder: Path = tmp_path_factory.mktemp("private")
    with Server(folder / "data", ACCOUNTS_PRIVATE_SIGN_UP="on", ACCOUNTS_EVEN_ANSWERS="0.1") as running:
        running.client().ask("POST", "/account", userId="ann", email="ann@example.org", password=PASSWORD, name="Ann")
        yield running


def sign_up(client: Client, email: str, user_id: str = "unique()"):
    return client.ask("POST", "/account", userId=user_id, email=email, password="another password", name="Eve")


def shape(account: dict[str, object]) -> dict[str, object]:
    """The answer without what differs between any two people."""
    own = {"$id", "$createdAt", "$updatedAt", "registration", "passwordUpdate", "accessedAt", "email", "emailCanonical"}
    return {name: value for name, value in account.items() if name not in {*own, "targets"}}


def test_T9_a_taken_address_and_a_free_one_are_answered_alike(server: Server) -> None:
    taken, free = sign_up(server.client(), "ann@example.org"), sign_up(server.client(), "new@example.org")
    assert (taken.status_code, free.status_code) == (201, 201)
    assert shape(taken.json()) == shape(free.json())
    (target,) = taken.json()["targets"]
    assert target["identifier"] == "ann@example.org"
    assert target["userId"] == taken.json()["$id"] != "ann"
    assert {name for name in target if target[name] == ""} == {
        name for name in free.json()["targets"][0] if free.json()["targets"][0][name] == ""
    }


def test_T9_nothing_is_changed_and_the_attempt_is_recorded(server: Server) -> None:
    client, operator = server.client(), server.operator()
    before = operator.ask("GET", "/users").json()["total"]
    told = sign_up(client, "ann@example.org").json()
    assert operator.ask("GET", "/users").json()["total"] == before
    assert operator.ask("GET", f"/users/{told['$id']}").status_code == 404
    assert (
        client.ask("POST", "/account/sessions/email", email="ann@example.org", password="another password").json()[
            "type"
        ]
        == "user_invalid_credentials"
    )
    signed_in = client.ask("POST", "/account/sessions/email", email="ann@example.org", password=PASSWORD)
    assert signed_in.status_code == 201
    logs = operator.ask("GET", "/users/ann/logs").json()["logs"]
    assert "session.refuse" in {each["event"] for each in logs}


def test_a_taken_id_is_still_refused(server: Server) -> None:
    assert sign_up(server.client(), "other@example.org", "ann").status_code == 409


@pytest.mark.alone
def test_T9_it_takes_alike(server: Server) -> None:
    client, took = server.client(), {"taken": [], "free": []}  # type: ignore[var-annotated]
    for nth in range(20):
        for kind, email in (("taken", "ann@example.org"), ("free", f"n{nth}@example.org")):
            begun = perf_counter()
            assert sign_up(client, email).status_code == 201
            took[kind].append(perf_counter() - begun)
    # Both leave on the same grid of time; a busy machine may push either to its next line.
    assert abs(median(took["taken"]) - median(took["free"])) < 0.05
