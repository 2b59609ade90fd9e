"""Somebody who is told by a webhook, in a process that may die at any time: keeps a journal and a copy.

    python -m tests.support.receiver PORT JOURNAL SECRET URL

What came in is in the journal before it is answered. ``GET /`` tells what is known; ``POST /behave`` says how to be.
"""

import base64
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Copy:
    """Users, teams and memberships as they were told, and whether anything is missing."""

    def __init__(self) -> None:
        self.users: dict[str, Any] = {}
        self.teams: dict[str, Any] = {}
        self.memberships: dict[str, Any] = {}
        self.seen: dict[str, int] = {}
        self.previous: dict[int, int] = {}
        self.duplicates = 0
        self.backwards = 0

    def take(self, headers: dict[str, str], payload: Any) -> None:
        """One delivery: what is older than what is known of its subject is not news."""
        position = int(headers["x-accounts-position"])
        self.duplicates += position in self.previous
        before = int(headers["x-accounts-previous-position"])
        self.previous[position] = min(before, self.previous.get(position, before))
        names = headers["x-appwrite-webhook-events"].split(",")
        exact = max((name for name in names if "*" not in name), key=lambda name: name.count("."))
        kind, subject, *rest = exact.split(".")
        newest = self.seen.get(f"{kind}.{subject}", 0)
        if position <= newest:
            self.backwards += 1
            return
        self.seen[f"{kind}.{subject}"] = position
        self._apply(kind, subject, rest, payload)

    def _apply(self, kind: str, subject: str, rest: list[str], payload: Any) -> None:
        known = self.users if kind == "users" else self.teams
        match rest:
            case ["delete"]:
                known.pop(subject, None)
                of = "userId" if kind == "users" else "teamId"
                self.memberships = {name: one for name, one in self.memberships.items() if one[of] != subject}
            case ["memberships", member, "delete"]:
                self.memberships.pop(member, None)
            case ["memberships", member, *_]:
                self.memberships[member] = payload
            case ["update", "prefs"]:
                known[subject]["prefs"] = payload
            case ["create"] | ["update"] | ["update", _]:
                known[subject] = payload

    @property
    def gaps(self) -> list[int]:
        """Positions before which something is missing: nothing is between a delivery and the one before it."""
        found: list[int] = []
        reached = min(self.previous.values(), default=0)
        for at, before in sorted(self.previous.items()):
            if before > reached:
                found.append(at)
            reached = at
        return found


class Receiver(BaseHTTPRequestHandler):
    """The server."""

    copy = Copy()
    lock = threading.Lock()
    behaviour: dict[str, Any] = {}  # noqa: RUF012 - of the one server there is
    journal = Path()
    secret = url = ""

    def do_GET(self) -> None:
        """What is known."""
        with self.lock:
            copy = self.copy
            facts = ("users", "teams", "memberships", "duplicates", "backwards", "gaps")
            told = {name: getattr(copy, name) for name in facts} | {
                "count": len(copy.previous),
                "behaviour": self.behaviour,
            }
        self._answer(200, json.dumps(told).encode())

    def do_POST(self) -> None:
        """An order, or a delivery."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/behave":
            type(self).behaviour = json.loads(body)
            self._answer(200)
            return
        with self.lock:
            behaviour = dict(self.behaviour)
            if behaviour.get("hang_up"):
                self.behaviour["hang_up"] -= 1
        if "status" in behaviour:
            self._answer(behaviour["status"], b"not today")
            return
        signed = base64.b64encode(hmac.digest(self.secret.encode(), self.url.encode() + body, "sha1")).decode()
        if signed != self.headers["x-appwrite-webhook-signature"]:
            self._answer(401)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.lock:
            with self.journal.open("a") as journal:
                journal.write(json.dumps([headers, json.loads(body)]) + "\n")
            self.copy.take(headers, json.loads(body))
        time.sleep(behaviour.get("delay", 0))
        if behaviour.get("hang_up"):
            self.close_connection = True  # taken in, and never answered
            return
        self._answer(200)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


def main() -> None:
    """Serve until killed."""
    port, journal, Receiver.secret, Receiver.url = sys.argv[1:]
    Receiver.journal = Path(journal)
    if Receiver.journal.exists():
        for line in Receiver.journal.read_text().splitlines():
            Receiver.copy.take(*json.loads(line))
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver)
    server.daemon_threads = True
    print("ready", flush=True)  # noqa: T201 - whoever started us waits for it
    server.serve_forever()


if __name__ == "__main__":
    main()
