"""How long bringing people along takes, and what memory: it should be the same for any number of them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.measure import Options, Report
from benchmarks.processes import free_port
from benchmarks.target import serve

LINES: Final = (10_000, 100_000)
_HASH: Final = "$2b$10$uFoUyk7wjKDbIZEA4jb4mehLwCmYL0ARNkxuGkcljQM.rCqxbHgQW"


def imports(report: Report, options: Options, folder: Path) -> None:
    """One file after the other, with hashes, labels and preferences, into a database that no server uses meanwhile."""
    data = folder / "imports"
    with serve(data, free_port()):
        pass
    for count in LINES if options.rounds > 1 else (LINES[0] // 10, LINES[0]):
        file = _written(folder / f"{count}.jsonl", count)
        seconds, used, peak = _timed(data, file)
        report.facts[f"lines a second, import of {count:,}"] = count / seconds
        report.facts[f"ms of processor a line, import of {count:,}"] = used / count * 1000
        report.facts[f"MiB resident at most, import of {count:,}"] = peak
        print(f"import of {count:,} lines: {seconds:.1f} s, {peak:.0f} MiB", file=sys.stderr)


def _written(file: Path, count: int) -> Path:
    with file.open("w", encoding="utf-8") as out:
        for nth in range(count):
            person = {
                "id": f"p{count}-{nth}",
                "email": f"person{nth}@{count}.example",
                "name": f"Person {nth}",
                "labels": ["imported"],
                "prefs": {"theme": "dark", "language": "en", "turn": nth},
                "emailVerified": nth % 2 == 0,
                "password": {"kind": "bcrypt", "hash": _HASH},
            }
            out.write(json.dumps(person) + "\n")
    return file


def _timed(data: Path, file: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor of the command without its database, and its MiB at most."""
    command = [str(Path(sys.executable).with_name("accounts-es")), "users", "import", str(file), "--data", str(data)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the import ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
