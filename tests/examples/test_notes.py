"""The worked example: an application whose notes accounts-es protects."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.running import PASSWORD
from tests.support.server import Server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server, as a newcomer starts it."""
    with Server(tmp_path_factory.mktemp("notes") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def notes(server: Server) -> Iterator[str]:
    """The application, running; where it answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "examples.notes.app:app", "--port", str(port), "--log-level", "error"]
    settings = {**os.environ, "ACCOUNTS_CREDENTIALS": str(server.data / "credentials.json")}
    with subprocess.Popen(command, cwd=ROOT, env=settings) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + 20
            while time.monotonic() < end:
                try:
                    httpx.get(f"{url}/notes", trust_env=False)
                    break
                except httpx.TransportError:
                    time.sleep(0.02)
            yield url
        finally:
            process.terminate()


def person(server: Server, notes: str, name: str, *, verified: bool) -> httpx.Client:
    """Somebody who has signed up, and comes to the application with a JWT."""
    client, email = server.client(), f"{name}@example.org"
    made = client.ask("POST", "/account", userId=name, email=email, password=PASSWORD)
    assert made.status_code == 201
    if verified:
        server.operator().ask("PATCH", f"/users/{name}/verification", emailVerification=True)
    assert client.ask("POST", "/account/sessions/email", email=email, password=PASSWORD).status_code == 201
    jwt = client.ask("POST", "/account/jwts").json()["jwt"]
    return httpx.Client(base_url=notes, headers={"authorization": f"Bearer {jwt}"}, trust_env=False)


def test_verified_people_read_the_notes_and_authors_change_them(server: Server, notes: str) -> None:
    with (
        person(server, notes, "ann", verified=True) as ann,
        person(server, notes, "bob", verified=True) as bob,
        person(server, notes, "cay", verified=False) as cay,
        httpx.Client(base_url=notes, trust_env=False) as guest,
    ):
        note = ann.post("/notes", json={"text": "Buy milk"}).json()["id"]
        assert bob.get(f"/notes/{note}").json() == {"id": note, "text": "Buy milk"}
        assert bob.get("/notes").json() == [{"id": note, "text": "Buy milk"}]
        for stranger in (cay, guest):
            assert stranger.get(f"/notes/{note}").status_code == 404
            assert stranger.get("/notes").json() == []
        assert guest.post("/notes", json={"text": "x"}).status_code == 401
        assert bob.put(f"/notes/{note}", json={"text": "x"}).status_code == 404
        assert ann.put(f"/notes/{note}", json={"text": "Buy oat milk"}).json()["text"] == "Buy oat milk"

        server.operator().ask("PATCH", "/users/cay/verification", emailVerification=True)
        assert cay.get(f"/notes/{note}").json()["text"] == "Buy oat milk", "verified meanwhile"
