"""Reads as of then, and the history, of a user whose stream is a thousand events long: one after the other."""

import json
import secrets
import statistics
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Options, Report
from benchmarks.processes import free_port
from benchmarks.target import serve

EVENTS: Final = 1000
TIMES: Final = 20


def past(report: Report, options: Options, folder: Path) -> None:
    """One user, one worker."""
    port = free_port()
    with serve(folder / "past", port):
        asked = _Asked(port, json.loads((folder / "past" / "credentials.json").read_text(encoding="utf-8"))["key"])
        user = asked.call("POST", "/users", {"userId": "unique()", "name": "Jane"})["$id"]
        for nth in range(1, EVENTS):
            asked.call("PATCH", f"/users/{user}/prefs", {"prefs": {"nth": nth, "token": secrets.token_hex(8)}})
        now = asked.call("GET", f"/users/{user}/history/blame")["position"]
        half = asked.call("GET", f"/users/{user}/history?field=prefs/nth&limit={EVENTS // 2}")["changes"][-1][
            "position"
        ]
        for name, path in {
            "as of now, live": f"/users/{user}",
            "as of its end": f"/users/{user}?at={now}",
            "as of its middle": f"/users/{user}?at={half}",
            "history, newest 25 changes": f"/users/{user}/history",
            "diff from its middle": f"/users/{user}/history/diff?from={half}",
            "blame": f"/users/{user}/history/blame",
        }.items():
            taken: list[float] = []
            for _ in range(TIMES * options.rounds):
                begun = time.perf_counter()
                asked.call("GET", path)
                taken.append((time.perf_counter() - begun) * 1000)
            report.facts[f"user of {EVENTS:,} events: {name}, median ms"] = statistics.median(taken)


class _Asked:
    """A server that asks, on a connection of its own each time."""

    def __init__(self, port: int, key: str) -> None:
        self._url = f"http://127.0.0.1:{port}/v1"
        self._headers = {"content-type": "application/json", "x-appwrite-project": "default", "x-appwrite-key": key}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Its answer."""
        sent = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url + path, sent, self._headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
