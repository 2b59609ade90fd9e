"""A load generator in a process of its own: keep-alive connections that each send a request, wait, send the next.

``python -m benchmarks.load PLAN`` reads a plan (JSON: port, connections, seconds, status, requests as base64) and
prints what it saw as one line of JSON. With a ``pause`` each waits
so long before it sends again. It must not be the bottleneck; `benchmarks` measures its limit as well.
"""

import asyncio
import base64
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import uvloop

_DRAIN_SECONDS: Final = 30.0


class Connection(asyncio.Protocol):
    """One client. An answer counts only if it is whole and has the expected status."""

    def __init__(self, requests: list[bytes], status: bytes, pause: float = 0.0) -> None:
        self.requests = requests
        self.status = status
        self.pause = pause
        self.latencies: list[float] = []
        self.in_time = 0
        self.errors = 0
        self.idle = asyncio.Event()
        self._end = 0.0
        self._buffer = b""
        self._next = 0
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for `begin`."""
        self._transport = cast("asyncio.Transport", transport)

    def begin(self, end: float) -> None:
        """Send one request after the other until then; the last one is waited for."""
        self._end = end
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server hung up: an error unless nothing was asked."""
        del exc
        if not self.idle.is_set():
            self.errors += 1
            self.idle.set()

    def data_received(self, data: bytes) -> None:
        """Count complete answers; there is one at a time."""
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = buffer
            return
        at = buffer.find(b"content-length: ", 0, end)
        length = int(buffer[at + 16 : buffer.index(b"\r", at)]) if at >= 0 else 0
        if len(buffer) < end + 4 + length:
            self._buffer = buffer
            return
        self._buffer = b""
        now = time.perf_counter()
        if buffer[9:12] != self.status:
            self.errors += 1
        else:
            self.latencies.append(now - self._sent)
            if now < self._end:
                self.in_time += 1
        if now + self.pause >= self._end:
            self.idle.set()
        elif self.pause:
            asyncio.get_running_loop().call_later(self.pause, self._send)
        else:
            self._send()

    def _send(self) -> None:
        request = self.requests[self._next % len(self.requests)]
        self._next += 1
        self._sent = time.perf_counter()
        if self._transport is not None:
            self._transport.write(request)

    def close(self) -> None:
        """Hang up."""
        self.idle.set()
        if self._transport is not None:
            self._transport.close()


async def run(plan: dict[str, Any]) -> dict[str, float]:
    """Carry out a plan.

    ``rate`` counts the answers within the time. Those still on their way at its end are waited for, so that they
    weigh on no later measurement, and their latencies count: leaving them out would favour slow servers.
    """
    requests = [base64.b64decode(each) for each in plan["requests"]]
    loop = asyncio.get_running_loop()
    connections: list[Connection] = []
    for nth in range(plan["connections"]):
        mine = requests[nth :: plan["connections"]] or requests
        _, connection = await loop.create_connection(
            partial(Connection, mine, str(plan["status"]).encode(), plan.get("pause", 0.0)), "127.0.0.1", plan["port"]
        )
        connections.append(connection)
    cpu = time.process_time()
    end = time.perf_counter() + plan["seconds"]
    for connection in connections:
        connection.begin(end)
    waiting = [asyncio.create_task(connection.idle.wait()) for connection in connections]
    _, late = await asyncio.wait(waiting, timeout=plan["seconds"] + _DRAIN_SECONDS)
    spent = time.process_time() - cpu
    for connection in connections:
        connection.close()
    latencies = sorted(latency for connection in connections for latency in connection.latencies)
    count = len(latencies)
    return {
        "rate": sum(connection.in_time for connection in connections) / plan["seconds"],
        "answers": count,
        "p50_ms": latencies[count // 2] * 1000 if count else 0.0,
        "p99_ms": latencies[count * 99 // 100] * 1000 if count else 0.0,
        "errors": sum(connection.errors for connection in connections) + len(late),
        "generator_cpu_us": spent / max(count, 1) * 1e6,
    }


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(json.dumps(uvloop.run(run(given))) + "\n")
