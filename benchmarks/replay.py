"""How fast read models and the ledger are made anew from the log, against reading the same rows and no more."""

import time
from pathlib import Path
from typing import Final

import psycopg

from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import rebuild, verify
from benchmarks.ledger import HASHED, hashed, proof_ms
from benchmarks.measure import Options, Report, Result, interleaved, load
from benchmarks.processes import free_port
from benchmarks.target import Target, master_secret, owner_of, serve
from projections import ALL

REBUILD: Final = "replay: rebuild"
FETCH: Final = "replay: rows fetched"
_PAGE: Final = 5000
_ROWS: Final = """SELECT notification_id, originator_id, originator_version, topic, state FROM log.accounts_events
                  WHERE notification_id > %s ORDER BY notification_id LIMIT %s"""


def replay(report: Report, options: Options, folder: Path) -> None:
    """Over the log that a few seconds of prefs updates leave behind."""
    data, port = folder / "replay", free_port()
    with serve(data, port):
        target = Target(data, port)
        load(port, 64, min(4 * options.seconds, 10.0), 200, target.requests("prefs update"))
        owner, master = owner_of(data), MasterKey(master_secret(data))
        ways = {REBUILD: lambda: _rebuild(owner, master), HASHED: lambda: hashed(owner), FETCH: lambda: _fetch(owner)}
        seen = interleaved(ways, options.rounds)
        for name, results in seen.items():
            report.add(name, 1, 1, results, seen[FETCH])
        _, difference = verify(owner, master, ALL)
        report.facts["ms for a proof in a log of 1,000,000 events"] = proof_ms()
        report.facts["events replayed"] = int(seen[REBUILD][0]["answers"])
        report.facts["replayed read models are the live ones"] = difference is None


def _rebuild(owner: str, master: MasterKey) -> Result:
    began = time.perf_counter()
    done = rebuild(owner, master, ALL)
    return {"rate": done.events / (time.perf_counter() - began), "answers": done.events, "errors": 0}


def _fetch(owner: str) -> Result:
    began = time.perf_counter()
    count = position = 0
    with psycopg.connect(owner, autocommit=True) as connected:
        while rows := connected.cursor(binary=True).execute(_ROWS, (position, _PAGE), prepare=True).fetchall():
            count, position = count + len(rows), rows[-1][0]
    return {"rate": count / (time.perf_counter() - began), "answers": count, "errors": 0}
