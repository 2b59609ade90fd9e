"""What happened is undone on the command line."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import COMMAND, Server, environment


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    """Somewhere to undo things in."""
    with Server(tmp_path_factory.mktemp("revert") / "data") as running:
        yield running


def revert(data: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, "revert", *words, "--data", str(data)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def lines(done: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_request_is_shown_undone_and_undone_again(server: Server) -> None:
    operator = server.operator()
    jane = operator.ask("POST", "/users", userId="unique()", name="Jane").json()["$id"]
    request = operator.ask("PATCH", f"/users/{jane}/name", name="Wrong \x1b[31m").headers["x-request-id"]

    shown = revert(server.data, "--request", request, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "NameChanged" in shown.stdout
    assert "Wrong \\x1b[31m  Jane  reverted" in shown.stdout, "nothing steers the terminal"
    assert shown.stdout.endswith("1 of 1 events would be reverted\n")
    assert operator.ask("GET", f"/users/{jane}").json()["name"].startswith("Wrong")

    done = revert(server.data, "--request", request, "--json")
    (told,) = lines(done)
    assert (told["event"], told["field"], told["to"], told["outcome"]) == ("NameChanged", "name", "Jane", "reverted")
    assert operator.ask("GET", f"/users/{jane}").json()["name"] == "Jane", "the running server knows"

    undone = done.stderr.split()[-1]
    assert lines(revert(server.data, "--request", undone, "--json"))[0]["outcome"] == "reverted"
    assert operator.ask("GET", f"/users/{jane}").json()["name"].startswith("Wrong")


def test_what_a_key_did_to_a_user_comes_back_by_time(server: Server) -> None:
    operator = server.operator()
    ann = operator.ask("POST", "/users", userId="unique()", name="Ann", email="ann@example.org").json()
    began = datetime.now(UTC).isoformat()
    operator.ask("DELETE", f"/users/{ann['$id']}")
    key = operator.ask("GET", "/project/keys").json()["keys"][0]["$id"]
    done = revert(server.data, "--key", key, "--user", ann["$id"], "--since", began, "--json")
    (told,) = lines(done)
    assert (told["event"], told["outcome"]) == ("AccountDeleted", "reverted")
    assert operator.ask("GET", f"/users/{ann['$id']}").json()["email"] == "ann@example.org"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to undo: --position, --request, --key, --actor or --since"),
        (("--user", "ann"), "say what to undo: --position, --request, --key, --actor or --since"),
        (("--request", "x", "--user", "a", "--team", "b"), "what is of a user is of no team: name one of them"),
        (("--key", "x", "--actor", "a"), "what was done with a key was done by no user: name one of them"),
        (("--request", "x", "--user", "nobody"), "User with the requested ID could not be found."),
        (("--request", "x", "--project", "nowhere"), "Project with the requested ID could not be found."),
        (("--since", "yesterday"), "'yesterday' is not a time; write it like 2026-03-14T12:00:00"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(server: Server, words: tuple[str, ...], said: str) -> None:
    done = revert(server.data, *words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"accounts-es: {said.removesuffix('.')}"), done.stderr
