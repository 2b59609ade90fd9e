"""A rebuild of a long log: how fast, in how much memory, and what clients notice of it."""

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import psycopg

from accounts_es.cli.replay import NICE, PAUSE
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import fill, rebuild
from benchmarks import history
from benchmarks.ledger import HASHED, hashed, stored_proof_ms
from benchmarks.measure import Options, Report, Result, load
from benchmarks.processes import free_port, resident_mib
from benchmarks.target import Target, master_secret, owner_of, serve
from projections import ALL

REBUILT: Final = "rebuild of a long log, compared and swapped in"
FETCHED: Final = "rebuild of a long log: rows fetched"
CALM: Final = "{}, nothing else"
BESIDE: Final = "{}, beside a rebuild"
GROWTH: Final = "memory of a rebuild at its end / a tenth through"
NOTICED: Final = "p99 of {} beside a rebuild / without"
_CONNECTIONS: Final = 8
_PAUSE: Final = 0.02
"""Seconds between an answer and the next request of a connection: a load that the server can carry."""
OPERATIONS: Final = ("session check", "prefs update")


def rebuilding(report: Report, options: Options, folder: Path) -> None:
    """Over a log written for it."""
    data, port = folder / "rebuild", free_port()
    with serve(data, port):
        target = Target(data, port)
        owner, key = owner_of(data), master_secret(data)
        master = MasterKey(key)
        written = history.write(owner, master, options.events)
        report.facts["events of the long log"] = options.events
        report.facts["seconds to write the long log"] = written
        with psycopg.connect(owner) as connected:
            connected.execute("UPDATE log.read_models SET rebuilt_to = -1")
        fill(owner, master, ALL, [each.name for each in ALL])
        fetched = _fetch(owner)
        rebuilt, early, late = _alone(owner, key)
        report.add(REBUILT, 1, 1, [rebuilt], [fetched])
        report.add(HASHED, 1, 1, [hashed(owner)], [fetched])
        report.add(FETCHED, 1, 1, [fetched], [fetched])
        report.facts["MiB resident of a rebuild, a tenth through"] = early
        report.facts["MiB resident of a rebuild, at its end"] = late
        report.facts[GROWTH] = late / early
        report.facts["ms for a proof from the tiles of the long log"] = stored_proof_ms(owner)
        for operation in OPERATIONS:
            _beside(report, options, target, owner, key, operation)


def _fetch(owner: str) -> Result:
    began = time.perf_counter()
    count = sum(len(rows) for rows in history.pages(owner))
    return {"rate": count / (time.perf_counter() - began), "answers": count, "errors": 0}


def _alone(owner: str, key: bytes, pause: float = 0.0) -> tuple[Result, float, float]:
    """One rebuild in a process of its own, and its memory after a tenth of the log and at the end."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_rebuild, args=(owner, key, pause, theirs))
    process.start()
    events, seconds, early, late = ours.recv()
    process.join()
    return {"rate": events / seconds, "answers": events, "errors": 0}, early, late


def _rebuild(owner: str, key: bytes, pause: float, answer: Connection) -> None:
    os.nice(NICE)
    seen: list[tuple[int, float]] = []
    began = time.perf_counter()
    done = rebuild(
        owner,
        MasterKey(key),
        ALL,
        pause=pause,
        progress=lambda position, head: seen.append((position * 10 // max(head, 1), resident_mib(os.getpid()))),
    )
    seconds = time.perf_counter() - began
    early = next((memory for tenth, memory in seen if tenth >= 1), 0.0)
    answer.send((done.events, seconds, early, max(resident_mib(os.getpid()), seen[-1][1])))


def _beside(report: Report, options: Options, target: Target, owner: str, key: bytes, operation: str) -> None:
    """The same load without and with rebuilds that go on as long as it does."""
    requests = target.requests(operation)
    calm: list[Result] = []
    noticed: list[Result] = []
    for _ in range(options.rounds):
        calm.append(load(target.port, _CONNECTIONS, options.seconds, 200, requests, _PAUSE))
        with ThreadPoolExecutor(1) as elsewhere:
            under_way = elsewhere.submit(_alone, owner, key, PAUSE)
            time.sleep(1.0)  # the process has begun by then
            seconds = max(options.seconds, options.events / 20_000)
            noticed.append(load(target.port, _CONNECTIONS, seconds, 200, requests, _PAUSE))
            under_way.result()
    report.add(CALM.format(operation), 1, _CONNECTIONS, calm, calm)
    report.add(BESIDE.format(operation), 1, _CONNECTIONS, noticed, calm)
    ratios = sorted(there["p99_ms"] / here["p99_ms"] for here, there in zip(calm, noticed, strict=True))
    report.facts[NOTICED.format(operation)] = ratios[len(ratios) // 2]
