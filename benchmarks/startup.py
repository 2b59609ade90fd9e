"""How long an installed server takes to its first answer."""

import statistics
import sys
from pathlib import Path

from benchmarks.measure import Options, Report
from benchmarks.processes import free_port
from benchmarks.target import serve


def startup(report: Report, options: Options, folder: Path) -> None:
    """From the start of the process, on a new data folder (the database is made) and on the same one again."""
    seen: dict[str, list[float]] = {"new": [], "existing": []}
    for nth in range(options.rounds):
        for name, found in seen.items():
            with serve(folder / f"startup{nth}", free_port()) as (_, seconds):
                found.append(seconds)
            print(f"first answer, {name} folder: {seconds:.2f} s", file=sys.stderr)
    for name, found in seen.items():
        report.facts[f"seconds to the first answer, {name} folder"] = statistics.median(found)
