"""``scripts/bench``: measure everything in one run and print it as ratios.

Rates are medians over interleaved rounds. The server, PostgreSQL and the load generator share the machine, so compare
ratios within one run, not rates between runs.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.access import access
from benchmarks.appends import appends
from benchmarks.bars import bars
from benchmarks.http import http
from benchmarks.imports import imports
from benchmarks.listing import listing
from benchmarks.measure import Options, Report
from benchmarks.past import past
from benchmarks.rebuild import rebuilding
from benchmarks.recovery import recovery
from benchmarks.replay import replay
from benchmarks.report import show
from benchmarks.startup import startup
from benchmarks.storm import storm

PARTS: Final = {
    "startup": startup,
    "http": http,
    "storm": storm,
    "access": access,
    "imports": imports,
    "appends": appends,
    "replay": replay,
    "rebuild": rebuilding,
    "listing": listing,
    "past": past,
    "recovery": recovery,
}
APART: Final = frozenset({"recovery"})
"""Those that take too long, or too much room, to be part of a run that did not ask for them."""


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1:
        raise ValueError(text)
    return numbers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the server against its baselines.")
    parser.add_argument("--quick", action="store_true", help="one short round of the largest setting")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be given several times")
    parser.add_argument("--connections", type=_numbers, metavar="N,...", help="1,16,64 unless given")
    parser.add_argument("--workers", type=_numbers, metavar="N,...", help="1,2 unless given")
    parser.add_argument("--users", type=_numbers, metavar="FEW,MANY", help="100000,1000000 unless given")
    parser.add_argument("--events", type=int, help="of a long log, 1000000 unless given")
    parser.add_argument("--rounds", type=int, help="3 unless given")
    parser.add_argument("--seconds", type=float, help="of each measurement, 1.5 unless given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything here")
    return parser.parse_args()


def main() -> int:
    """Parse, run, show. Only errors fail; a missed bar does not."""
    given = _arguments()
    options = Options(
        connections=given.connections or ([64] if given.quick else [1, 16, 64]),
        workers=given.workers or ([1] if given.quick else [1, 2]),
        users=given.users or ([10_000, 100_000] if given.quick else [100_000, 1_000_000]),
        rounds=given.rounds or (1 if given.quick else 3),
        seconds=given.seconds or (1.0 if given.quick else 1.5),
        events=given.events or (50_000 if given.quick else 1_000_000),
    )
    report = Report()
    report.facts["cores"] = os.cpu_count()
    report.facts["python"] = platform.python_version()
    with tempfile.TemporaryDirectory(prefix="aes-bench-") as folder:
        for name, part in PARTS.items():
            if name in given.only if given.only else name not in APART:
                part(report, options, Path(folder))
    show(report)
    if given.json is not None:
        found = {
            "rows": report.rows,
            "facts": report.facts,
            "bars": [{**bar._asdict(), "met": bar.met} for bar in bars(report)],
        }
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 1 if any(row["errors"] for row in report.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
