"""The server under test: the real command, its people, and the requests that exercise it."""

import base64
import json
import secrets
import sys
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from accounts_es.adapters.embedded_postgres import connection
from accounts_es.adapters.key_files import load_key
from benchmarks.measure import raw
from benchmarks.processes import running

ACCOUNTS: Final = 512
"""Divisible by the usual numbers of connections, so that each account belongs to one connection."""
SIGNERS: Final = 64
PASSWORD: Final = "correct horse"
OPERATIONS: Final = {"session check": 200, "prefs update": 200, "signup": 201, "login": 201}
"""What is measured, and the status it is answered with."""
SETTINGS: Final = {"ACCOUNTS_LOG_LEVEL": "ERROR", "ACCOUNTS_RATE_LIMITS": "off"}
"""All of the load comes from one address."""


def serve(data: Path, port: int, workers: int = 1, limit: float = 60.0) -> AbstractContextManager[tuple[int, float]]:
    """``accounts-es serve`` on a data folder: its process id, and the seconds until it first answered."""
    command = [
        str(Path(sys.executable).with_name("accounts-es")),
        *("serve", "--data", str(data), "--port", str(port), "--workers", str(workers)),
    ]
    return running(command, f"http://127.0.0.1:{port}/v1/health", SETTINGS, limit)


def owner_of(data: Path) -> str:
    """The connection string of the owner of a running server's embedded database."""
    owner = connection(data)
    if owner is None:
        raise RuntimeError("the embedded PostgreSQL is not there")
    return owner


def master_secret(data: Path) -> bytes:
    """The master key that a server has made in its data folder."""
    secret = load_key("master", data, {})
    if secret is None:
        raise RuntimeError("there is no master key")
    return secret


class Target:
    """A running server with people in it."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port
        self.key: str = json.loads((data / "credentials.json").read_text(encoding="utf-8"))["key"]
        self.sessions = [self._call("/account/sessions/anonymous", {})["secret"] for _ in range(ACCOUNTS)]
        self.signers: list[str] = []

    def add_signers(self) -> None:
        """People who sign in with a password."""
        for _ in range(SIGNERS):
            email = f"{secrets.token_hex(8)}@example.com"
            self._call("/users", {"userId": "unique()", "email": email, "password": PASSWORD})
            self.signers.append(email)

    def account_of(self, secret: str) -> str:
        """Whose session it is."""
        account_id: str = json.loads(base64.b64decode(secret))["id"]
        return account_id

    def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json", "x-appwrite-project": "default", "x-appwrite-key": self.key},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def requests(self, operation: str) -> list[bytes]:
        """What the connections send, in turns; never the same change twice in a row."""
        match operation:
            case "session check":
                return [raw("GET", "/v1/account", cookie=secret) for secret in self.sessions]
            case "prefs update":
                return [
                    raw("PATCH", "/v1/account/prefs", {"prefs": prefs}, cookie=secret)
                    for prefs in preferences()
                    for secret in self.sessions
                ]
            case "signup":
                return [
                    raw("POST", "/v1/account", {"userId": "unique()", "email": email, "password": PASSWORD})
                    for email in (f"{secrets.token_hex(16)}@example.com" for _ in range(4096))
                ]
            case _:
                return [
                    raw("POST", "/v1/account/sessions/email", {"email": email, "password": PASSWORD})
                    for email in self.signers
                ]


def preferences() -> list[dict[str, Any]]:
    """Four different preferences that nobody had before."""
    run = secrets.token_hex(4)
    return [{"darkTheme": bool(turn % 2), "language": "en", "run": run, "turn": turn} for turn in range(4)]
