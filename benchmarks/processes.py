"""Processes under measurement: start them, find their children, read what they used."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], probe: str, environment: dict[str, str], limit: float = 60.0
) -> Generator[tuple[int, float]]:
    """A server for the length of the block: its process id, and the seconds until it first answered, within a limit."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        try:
            _await_answer(process, probe, limit)
            yield process.pid, time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _await_answer(process: "subprocess.Popen[bytes]", probe: str, limit: float) -> None:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(probe, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.005)
    raise RuntimeError(f"{process.args!r} did not answer")


def uvicorn(app: str, port: int) -> list[str]:
    """The command for a baseline on the server's own stack."""
    stack = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", app, "--port", str(port), *stack]


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
            except OSError:
                continue
    found = [pid]
    for each in found:
        found.extend(child for child, parent in parents.items() if parent == each)
    return found


def is_postgres(pid: int) -> bool:
    """Whether it belongs to the embedded database."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "postgres"
    except OSError:
        return False


class Usage:
    """Processor time of a server (and its workers) and of a database, which may be below another server."""

    def __init__(self, server: int, database: int) -> None:
        self._server = server
        self._database = database

    def seconds(self) -> tuple[float, float]:
        """What the server and PostgreSQL have used so far."""
        return (
            sum(_cpu_seconds(pid) for pid in tree(self._server) if not is_postgres(pid)),
            sum(_run_seconds(pid) for pid in tree(self._database) if is_postgres(pid)),
        )


def _cpu_seconds(pid: int) -> float:
    try:
        return sum(int(ticks) for ticks in _stat(pid)[11:13]) / TICKS
    except OSError:
        return 0.0


def _run_seconds(pid: int) -> float:
    """The same for a process without threads, in nanoseconds where the kernel counts them: backends are many."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except FileNotFoundError:
        return _cpu_seconds(pid)
    except OSError:
        return 0.0


def resident_mib(pid: int) -> float:
    """Memory in RAM now."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
