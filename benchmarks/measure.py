"""Measurements and what becomes of them: results of rounds, and rows with medians and ratios."""

import base64
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.processes import Usage

Result = dict[str, float]
"""What one measurement saw: at least ``rate`` (per second), ``answers`` (in all) and ``errors``."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    connections: list[int]
    workers: list[int]
    users: list[int]
    rounds: int
    seconds: float
    events: int
    """Of a long log."""


@dataclass(slots=True)
class Report:
    """All that was found."""

    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(self, name: str, workers: int, connections: int, results: list[Result], units: list[Result]) -> None:
        """A row: medians over the rounds, and the median of the ratios to the unit measured in the same round."""
        pairs = zip(results, units, strict=True)
        self.rows.append(
            {
                "operation": name,
                "workers": workers,
                "connections": connections,
                **{figure: statistics.median(each[figure] for each in results) for figure in results[0]},
                "errors": sum(each["errors"] for each in results),
                "ratio": statistics.median(
                    each["rate"] / unit["rate"] if unit["rate"] else 0.0 for each, unit in pairs
                ),
                "rates": [each["rate"] for each in results],
            }
        )

    def find(self, name: str, workers: int, connections: int) -> dict[str, Any] | None:
        """A row."""
        wanted = (name, workers, connections)
        return next(
            (row for row in self.rows if (row["operation"], row["workers"], row["connections"]) == wanted), None
        )


def interleaved(ways: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """Measure each way once in every round, so that what disturbs the machine for a while disturbs them all."""
    seen: dict[str, list[Result]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            result = way()
            seen[name].append(result)
            print(f"{name}: {result['rate']:.0f}/s", file=sys.stderr)
    return seen


def using(usage: Usage, way: Callable[[], Result]) -> Result:
    """A measurement with the processor time that the server and PostgreSQL spent on each answer."""
    before = usage.seconds()
    return spent(usage, before, way())


def spent(usage: Usage, before: tuple[float, float], result: Result) -> Result:
    """The same for whoever cannot leave the measurement to a function."""
    answers = max(result["answers"], 1.0)
    for name, since, until in zip(("server_cpu_us", "postgres_cpu_us"), before, usage.seconds(), strict=True):
        result[name] = (until - since) / answers * 1e6
    return result


def raw(method: str, path: str, body: dict[str, Any] | None = None, *, cookie: str = "", owner: str = "") -> bytes:
    """A request as bytes."""
    content = json.dumps(body).encode() if body is not None else b""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "x-appwrite-project: default"]
    if cookie:
        lines.append(f"cookie: a_session_default={cookie.replace('=', '%3D')}")
    if owner:
        lines.append(f"x-owner: {owner}")
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def load(port: int, connections: int, seconds: float, status: int, requests: list[bytes], pause: float = 0.0) -> Result:
    """One measurement over HTTP, by a generator in a process of its own."""
    plan = {
        "port": port,
        "connections": connections,
        "seconds": seconds,
        "status": status,
        "pause": pause,
        "requests": [base64.b64encode(each).decode() for each in requests],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(plan, file)
        file.flush()
        command = [sys.executable, "-m", "benchmarks.load", file.name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds + 60)
    result: Result = json.loads(done.stdout)
    return result
