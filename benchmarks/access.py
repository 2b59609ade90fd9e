"""A list of what somebody may read, among a hundred thousand resources: it should cost what one keyed read costs."""

from pathlib import Path
from typing import Final

import psycopg

from benchmarks.measure import Options, Report, Result, interleaved, load, raw, using
from benchmarks.processes import Usage, free_port
from benchmarks.target import Target, owner_of, serve

RESOURCES: Final = 100_000
READABLE: Final = 50
KEYED: Final = "resource by its id"
LISTED: Final = "page of 25 of the 50 readable among 100,000"
CONNECTIONS: Final = 8

_FILL: Final = """INSERT INTO read.resources_v2 (stream, version, position, project_id, resource_type, resource_id,
        permissions, readers, created_at, updated_at)
    SELECT 'resource-' || n, 1, n, 'default', 'notes', 'n' || n, ARRAY['read("' || role || '")'],
        ARRAY['default/notes/' || role], now(), now()
    FROM (SELECT n, CASE WHEN n %% %s = 0 THEN 'user:' || %s ELSE 'user:other' || n %% 5000 END AS role
          FROM generate_series(1, %s) AS n) AS made"""

_READERS: Final = """INSERT INTO read.resource_readers_v1 (reader, position)
    SELECT each, position FROM read.resources_v2, unnest(readers) AS each"""


def access(report: Report, options: Options, folder: Path) -> None:
    """One person, one worker."""
    port = free_port()
    with serve(folder / "access", port) as (pid, _):
        target = Target(folder / "access", port)
        secret = target.sessions[0]
        account = target.account_of(secret)
        owner = owner_of(folder / "access")
        with psycopg.connect(owner, autocommit=True) as filling:
            filling.execute(_FILL, (RESOURCES // READABLE, account, RESOURCES))
            filling.execute(_READERS)
            filling.execute("ANALYZE read.resources_v2, read.resource_readers_v1")
        step = RESOURCES // READABLE
        keyed = [raw("GET", f"/v1/resources/notes/n{nth * step}", cookie=secret) for nth in range(1, READABLE + 1)]
        listed = [raw("GET", "/v1/resources/notes?total=false", cookie=secret)]
        usage = Usage(pid, pid)

        def measure(requests: list[bytes]) -> Result:
            return using(usage, lambda: load(port, CONNECTIONS, options.seconds, 200, requests))

        seen = interleaved({KEYED: lambda: measure(keyed), LISTED: lambda: measure(listed)}, options.rounds)
        for name, results in seen.items():
            report.add(name, 1, CONNECTIONS, results, seen[KEYED])
