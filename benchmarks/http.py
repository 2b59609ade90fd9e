"""Over HTTP: four operations of the real server, against a bare route and against the library's own way to save."""

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from benchmarks.appends import by_library, fresh_database
from benchmarks.baselines import OWNERS
from benchmarks.hashing import hashing
from benchmarks.measure import Options, Report, Result, interleaved, load, raw, using
from benchmarks.processes import Usage, free_port, is_postgres, resident_mib, running, tree, uvicorn
from benchmarks.target import OPERATIONS, Target, owner_of, preferences, serve

BARE: Final = "bare route"
LIMIT: Final = "constant bytes"
HASH: Final = "Argon2 alone"
LIBRARY: Final = "prefs by the library's save()"
SAVE: Final = "library's save(), no HTTP"


def http(report: Report, options: Options, folder: Path) -> None:
    """One server after the other, with as many workers as asked for, on the same data."""
    data = folder / "http"
    for workers in options.workers:
        port = free_port()
        with serve(data, port, workers) as (pid, _), ExitStack() as baselines:
            target = Target(data, port)
            target.add_signers()
            ways = _baselines(baselines, data, pid, options) | _operations(target, pid, options)
            for connections in options.connections:
                bound = {name: partial(way, connections) for name, way in ways.items()}
                seen = interleaved(bound, options.rounds)
                for name, results in seen.items():
                    report.add(name, workers, connections, results, seen[BARE])
            report.facts[f"MiB resident, each of {workers}"] = _largest_worker(pid)
    _split_login(report, options)


def _baselines(stack: ExitStack, data: Path, database: int, options: Options) -> dict[str, Callable[[int], Result]]:
    """The bare route is the unit; constant bytes show that the generator is not what limits it."""

    def start(app: str, environment: dict[str, str]) -> tuple[int, int]:
        port = free_port()
        command = [*uvicorn(f"benchmarks.baselines:{app}", port), *(["--factory"] if app != "constant" else [])]
        pid, _ = stack.enter_context(running(command, f"http://127.0.0.1:{port}/", environment))
        return port, pid

    owner = owner_of(data)
    conninfo = conninfo_to_dict(fresh_database(owner, "bench_http_library"))
    started = {
        BARE: (*start("bare", {}), _get),
        LIMIT: (*start("constant", {}), _get),
        LIBRARY: (*start("library", {"BENCH_LIBRARY": json.dumps(conninfo)}), _library_requests),
    }

    def measure(name: str, connections: int) -> Result:
        port, pid, requests = started[name]
        sent = requests()
        return using(Usage(pid, database), lambda: load(port, connections, options.seconds, 200, sent))

    def hashes(connections: int) -> Result:
        return hashing(connections, options.seconds)

    def saves(connections: int) -> Result:
        return by_library(
            fresh_database(owner, "bench_save"), connections, options.seconds, Usage(os.getpid(), database)
        )

    return {**{name: partial(measure, name) for name in started}, SAVE: saves, HASH: hashes}


def _get() -> list[bytes]:
    return [raw("GET", "/v1/account")]


def _library_requests() -> list[bytes]:
    return [
        raw("PATCH", "/v1/account/prefs", {"prefs": prefs}, owner=str(nth))
        for prefs in preferences()
        for nth in range(OWNERS)
    ]


def _operations(target: Target, pid: int, options: Options) -> dict[str, Callable[[int], Result]]:
    usage = Usage(pid, pid)

    def measure(operation: str, status: int, connections: int) -> Result:
        sent = target.requests(operation)
        return using(usage, lambda: load(target.port, connections, options.seconds, status, sent))

    return {name: partial(measure, name, status) for name, status in OPERATIONS.items()}


def _largest_worker(pid: int) -> float:
    """The serving process itself is the only worker, or it starts them; the one that delivers is smaller."""
    return max(resident_mib(each) for each in tree(pid) if not is_postgres(each))


def _split_login(report: Report, options: Options) -> None:
    """A sign-in is a hash and the rest; the rest is ours."""
    workers, connections = options.workers[0], options.connections[0]
    for operation in ("signup", "login"):
        whole, part = report.find(operation, workers, connections), report.find(HASH, workers, connections)
        if whole is not None and part is not None and connections == 1:
            report.facts["ms of one Argon2 hash"] = part["p50_ms"]
            report.facts[f"ms of a {operation} without its hash"] = whole["p50_ms"] - part["p50_ms"]
