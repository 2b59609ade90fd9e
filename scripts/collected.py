"""Say whether every process gives the tests the same names: workers that share them refuse to start otherwise.

A name made of a value that holds the time, a random number or the order of a set is another one a second later.
"""

import os
import subprocess
import sys
from difflib import unified_diff
from pathlib import Path

ROOT = Path(__file__).parent.parent
LISTING = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--no-header", "-p", "no:xdist"]


def names(seed: int) -> list[str]:
    """The tests in the order in which one process finds them; it takes seconds, so two of them see two times."""
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    listed = subprocess.run(  # noqa: S603 (the tests of this tree)
        LISTING, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return [line for line in listed.stdout.splitlines() if "::" in line]


def main() -> int:
    first, second = names(1), names(2)
    differing = list(unified_diff(first, second, "one process", "another", lineterm="", n=0))
    print("\n".join(differing) or f"{len(first)} tests, named alike")
    return 1 if differing or not first else 0


if __name__ == "__main__":
    raise SystemExit(main())
