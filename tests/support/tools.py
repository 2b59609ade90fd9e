"""The tools that `scripts/tools` made ready: Node, the SDKs, a browser."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
SDK = ROOT / "tests" / "sdk"


def tools() -> dict[str, str]:
    """Where they are: NODE, CHROMIUM and CHROMIUM_LIBRARIES."""
    lines = (ROOT / ".tools" / "env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def node(script: Path, *arguments: str, seconds: float = 120) -> Any:
    """Run a script of ours and read the JSON it prints last."""
    found = tools()
    done = subprocess.run(
        [found["NODE"], str(script), *arguments],
        env={**os.environ, **found},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])
