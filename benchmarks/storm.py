"""How long a session check takes while everybody signs in at once: hashing must not stand in the way of others."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.measure import Options, Report, Result, load, using
from benchmarks.processes import Usage, free_port
from benchmarks.target import Target, serve

CALM: Final = "session check, nobody signs in"
STORM: Final = "session check, in a storm of sign-ins"
CONNECTIONS: Final = 8
SIGNING_IN: Final = 64


def storm(report: Report, options: Options, folder: Path) -> None:
    """Eight connections check their sessions, alone and beside 64 that sign in; one worker."""
    port = free_port()
    with serve(folder / "storm", port) as (pid, _):
        target = Target(folder / "storm", port)
        target.add_signers()
        usage = Usage(pid, pid)
        checks, sign_ins = target.requests("session check"), target.requests("login")

        def check() -> Result:
            return using(usage, lambda: load(port, CONNECTIONS, options.seconds, 200, checks))

        calm: list[Result] = []
        storms: list[Result] = []
        for _ in range(options.rounds):
            calm.append(check())
            with ThreadPoolExecutor(1) as crowd:
                signing_in = crowd.submit(load, port, SIGNING_IN, options.seconds + 1.0, 201, sign_ins)
                storms.append(check())
                report.facts["sign-ins a second in the storm"] = signing_in.result()["rate"]
        report.add(CALM, 1, CONNECTIONS, calm, calm)
        report.add(STORM, 1, CONNECTIONS, storms, calm)
