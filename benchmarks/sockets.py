"""Open sockets, and how long a change takes to reach them: ``python -m benchmarks.sockets [SOCKETS]``.

The load comes from one process beside the server: what it needs for itself is in the figures. ``answer to message`` is
what a client waits after the answer to the change, which is not sent before the commit; ``request to message`` contains
the request itself.
"""

import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import uvloop
from websockets.asyncio.client import connect

from benchmarks.processes import free_port, resident_mib, running, tree
from benchmarks.target import SETTINGS, Target

_AT_ONCE: Final = 50
_CHANGES: Final = 400
_PER_SECOND: Final = 40
_TEAM_CHANGES: Final = 20


class Ears:
    """Sockets that note when they hear what."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tasks: list[asyncio.Task[None]] = []
        self.heard: dict[str, list[float]] = {}

    async def open(self, session: str) -> None:
        """One more."""
        ready = asyncio.Event()
        self._tasks.append(asyncio.create_task(self._listen(session, ready)))
        await ready.wait()

    async def _listen(self, session: str, ready: asyncio.Event) -> None:
        headers = {"x-appwrite-session": session}
        async with connect(self._url, additional_headers=headers, proxy=None, compression=None) as socket:
            await socket.recv()
            rows = [{"subscriptionId": "a", "channels": ["account", "teams"]}]
            await socket.send(json.dumps({"type": "subscribe", "data": rows}))
            await socket.recv()
            ready.set()
            async for text in socket:
                self._note(time.perf_counter(), json.loads(text))

    def _note(self, at: float, told: dict[str, Any]) -> None:
        if told["type"] == "event":
            payload = told["data"]["payload"]
            self.heard.setdefault(str(payload.get("mark") or payload.get("name")), []).append(at)


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
        "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 1),
        "max_ms": round(ordered[-1] * 1000, 1),
    }


async def measure(pid: int, target: Target, count: int) -> dict[str, Any]:
    """The figures of a running server."""
    base = f"http://127.0.0.1:{target.port}/v1"
    idle = resident_mib(pid)
    ears = Ears(f"ws://127.0.0.1:{target.port}/v1/realtime?project=default")
    owners = [target.sessions[nth % len(target.sessions)] for nth in range(count)]
    began = time.perf_counter()
    for nth in range(0, count, _AT_ONCE):
        await asyncio.gather(*map(ears.open, owners[nth : nth + _AT_ONCE]))
    opened = time.perf_counter() - began
    limits = httpx.Limits(max_connections=16)
    headers = {"x-appwrite-project": "default"}
    async with httpx.AsyncClient(base_url=base, headers=headers, limits=limits, timeout=60, trust_env=False) as client:

        async def change(session: str, mark: str) -> tuple[float, float]:
            sent = time.perf_counter()
            given = {"x-appwrite-session": session}
            answer = await client.patch("/account/prefs", json={"prefs": {"mark": mark}}, headers=given)
            answer.raise_for_status()
            return sent, time.perf_counter()

        changes: dict[str, asyncio.Task[tuple[float, float]]] = {}
        for nth in range(_CHANGES):
            mark = secrets.token_hex(8)
            changes[mark] = asyncio.create_task(change(owners[nth % count], mark))
            await asyncio.sleep(1 / _PER_SECOND)
        times = {mark: await task for mark, task in changes.items()}
        await asyncio.sleep(3)
        own = [(at - times[mark][0], at - times[mark][1]) for mark in times for at in ears.heard.get(mark, [])]

        by_key = {"x-appwrite-key": target.key}
        created = await client.post("/teams", json={"teamId": "unique()", "name": "All"}, headers=by_key)
        team = created.json()["$id"]
        members = {target.account_of(session) for session in owners}

        async def join(member: str) -> None:
            body = {"userId": member, "roles": ["player"]}
            (await client.post(f"/teams/{team}/memberships", json=body, headers=by_key)).raise_for_status()

        for member in members:
            await join(member)
        await asyncio.sleep(3)
        renamed: dict[str, tuple[float, float]] = {}
        for _ in range(_TEAM_CHANGES):
            mark, sent = secrets.token_hex(8), time.perf_counter()
            (await client.put(f"/teams/{team}", json={"name": mark}, headers=by_key)).raise_for_status()
            renamed[mark] = sent, time.perf_counter()
            await asyncio.sleep(1.5)
        team_heard = [(at - renamed[mark][0], at - renamed[mark][1]) for mark in renamed for at in ears.heard[mark]]
    workers = tree(pid)
    return {
        "sockets": count,
        "seconds to open": round(opened, 1),
        "resident MiB before, with all": [round(idle), round(max(map(resident_mib, workers)))],
        "own changes": {
            "heard, expected": [len(own), sum(owners.count(owners[nth % count]) for nth in range(_CHANGES))],
            "request to message": _quantiles([each for each, _ in own]),
            "answer to message": _quantiles([each for _, each in own]),
        },
        "one team of all": {
            "heard, expected": [len(team_heard), _TEAM_CHANGES * count],
            "request to message": _quantiles([each for each, _ in team_heard]),
            "answer to message": _quantiles([each for _, each in team_heard]),
        },
    }


def main() -> None:
    """Start a server, measure, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder) / "data", free_port()
        command = [
            str(Path(sys.executable).with_name("accounts-es")),
            "serve",
            "--data",
            str(data),
            "--port",
            str(port),
        ]
        settings = {**SETTINGS, "ACCOUNTS_SOCKETS_PER_ADDRESS": str(count + 10)}
        with running(command, f"http://127.0.0.1:{port}/v1/health", settings) as (pid, _):
            figures = uvloop.run(measure(pid, Target(data, port), count))
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
