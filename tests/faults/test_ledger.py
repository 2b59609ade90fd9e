"""The signed log survives what kills the server: it goes on where it was, and what was signed before still fits."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.server import COMMAND, Server, environment
from tests.support.verifier import FILE


def said(*words: str) -> str:
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_T42_T53_what_was_signed_before_a_kill_fits_what_is_signed_after_it(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        for nth in range(3):
            operator = server.operator()
            for user in range(10):
                assert operator.ask("POST", "/users", userId=f"user-{nth}-{user}").status_code == 201
            server.stop(signal.SIGKILL)
            server.start()
        where = ("--data", str(server.data))
        key, newest = said(COMMAND, "checkpoint", "--key", *where).strip(), tmp_path / "newest.txt"
        newest.write_text(said(COMMAND, "checkpoint", *where))
        export = tmp_path / "log.jsonl"
        said(COMMAND, "audit", "--export", str(export), *where)
        files = [newest, *(server.data / "checkpoints").rglob("*.txt")]
        checkpoints = [word for file in files for word in ("--checkpoint", str(file))]
        answer = said(sys.executable, "-I", str(FILE), "--key", key, *checkpoints, str(export))
        assert "events are those signed in" in answer
        assert int(newest.read_text().splitlines()[1]) >= 30
        assert "rewritten" not in server.logged
