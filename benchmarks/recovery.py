"""How long until a server answers again: after a crash, from a base backup, from dumps; and whether it is whole then.

Not part of a run unless asked for. What is restored is compared by the hash of all its read models.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from accounts_es.adapters.embedded_postgres import EmbeddedPostgres
from accounts_es.adapters.postgres_binaries import Identity, find
from accounts_es.domain.account.events import PrefsUpdated
from accounts_es.eventstore.compare import model_hash, state_hash
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import fill
from benchmarks import history
from benchmarks.measure import Options, Report, load
from benchmarks.processes import free_port, tree
from benchmarks.target import Target, master_secret, owner_of, serve
from projections import ALL

LOST: Final = "crash: changes answered before it that are missing after it"
EQUAL: Final = "read models as before (1) or not (0): {}"
_CONNECTIONS: Final = 64
_LIMIT: Final = 4 * 3600.0
"""Seconds to wait for a first answer: a start may have to make all read models."""
_ANSWER: Final = "{}: seconds from start to first answer"


def recovery(report: Report, options: Options, folder: Path) -> None:
    """Over a log written for it; each folder goes as soon as it has been measured."""
    data, port = folder / "recovery", free_port()
    with serve(data, port):
        target = Target(data, port)
        _write(report, options, owner_of(data), MasterKey(master_secret(data)))
    _archive(data)
    _crash(report, options, target)
    restored = folder / "restored"
    then = _point_in_time(report, options, target, restored)
    shutil.rmtree(data)
    for name, what in {"dump": (), "dump of the log alone": ("--schema", "log")}.items():
        _dumped(report, name, restored, port, what, then)


def _write(report: Report, options: Options, owner: str, master: MasterKey) -> None:
    facts = report.facts
    facts["events written"] = options.events
    facts["seconds to write them"] = history.write(owner, master, options.events)
    facts["MiB of the log with its indexes"] = _one(
        owner, "SELECT pg_total_relation_size('log.accounts_events') / 1048576.0"
    )
    with psycopg.connect(owner) as connected:
        connected.execute("UPDATE log.read_models SET rebuilt_to = -1")
    with _timed(report, "seconds to fill all read models from the log"):
        fill(owner, master, ALL, [each.name for each in ALL])
    facts["MiB of the database"] = _one(owner, "SELECT pg_database_size(current_database()) / 1048576.0")


def _archive(data: Path) -> None:
    """Settings for archiving, in force from the next start."""
    archive, cluster = data / "postgres" / "archive", (data / "postgres").stat()
    archive.mkdir()
    os.chown(archive, cluster.st_uid, cluster.st_gid)
    with EmbeddedPostgres(data) as owner, psycopg.connect(owner, autocommit=True) as connected:
        connected.execute("ALTER SYSTEM SET archive_mode = 'on'")
        connected.execute("ALTER SYSTEM SET archive_command = 'cp %p archive/%f'")


def _crash(report: Report, options: Options, target: Target) -> None:
    """Server and database killed while they answer changes, then started again."""
    requests = target.requests("prefs update")
    with serve(target.data, target.port, limit=_LIMIT) as (pid, _), ThreadPoolExecutor(1) as elsewhere:
        owner = owner_of(target.data)
        before = _changes(owner)
        under_way = elsewhere.submit(load, target.port, _CONNECTIONS, 60.0, 200, requests)
        time.sleep(max(4 * options.seconds, 3.0))
        report.facts["crash: MiB of write-ahead log since the last checkpoint"] = _one(
            owner, "SELECT (pg_current_wal_lsn() - redo_lsn) / 1048576 FROM pg_control_checkpoint()"
        )
        for each in tree(pid):
            with suppress(ProcessLookupError):  # its parent's end may have been its own
                os.kill(each, signal.SIGKILL)
        answered = under_way.result()["answers"]
    with serve(target.data, target.port, limit=_LIMIT) as (_, seconds):
        report.facts[_ANSWER.format("crash")] = seconds
        report.facts["crash: changes answered before it"] = int(answered)
        report.facts[LOST] = max(0, int(answered) - (_changes(owner_of(target.data)) - before))


def _point_in_time(report: Report, options: Options, target: Target, restored: Path) -> str:
    """From a base backup and the archived log to a moment between two bursts of changes; returns the hash of then."""
    data, requests = target.data, target.requests("prefs update")
    backup = restored.with_name("backup")
    seconds = max(4 * options.seconds, 3.0)
    with serve(data, target.port, limit=_LIMIT):
        owner = owner_of(data)
        with _timed(report, "base backup: seconds to take it"):
            _run("pg_basebackup", "--dbname", owner, "--pgdata", str(backup / "postgres"), "--checkpoint", "fast")
        report.facts["base backup: MiB"] = _mib(backup)
        load(target.port, _CONNECTIONS, seconds, 200, requests)
        with _timed(report, "seconds to hash all read models"):
            then = _hash(owner)
        moment = _one(owner, "SELECT clock_timestamp()::text")
        load(target.port, _CONNECTIONS, seconds, 200, requests[::-1])
        last = _one(owner, "SELECT pg_walfile_name(pg_switch_wal())")
        while (_one(owner, "SELECT last_archived_wal FROM pg_stat_archiver") or "") < last:
            time.sleep(0.1)
    with _timed(report, "base backup: seconds to copy it and the archive back"):
        subprocess.run(["cp", "-a", str(backup), str(restored)], check=True)
        shutil.copytree(data / "postgres" / "archive", restored / "postgres" / "archive", dirs_exist_ok=True)
    shutil.rmtree(backup)
    _take_along(data, restored)
    with (restored / "postgres" / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.write(
            "archive_mode = 'off'\nrestore_command = 'cp archive/%f %p'\n"
            f"recovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\n"
        )
    (restored / "postgres" / "recovery.signal").touch()
    with serve(restored, target.port, limit=_LIMIT) as (_, taken):
        report.facts[_ANSWER.format("point in time")] = taken
        report.facts[EQUAL.format("point in time")] = int(_hash(owner_of(restored)) == then)
    return then


def _dumped(report: Report, name: str, data: Path, port: int, what: tuple[str, ...], then: str) -> None:
    """A dump of this database, into a new one; without read models the start makes them."""
    file, restored = data.with_name("dump.sql"), data.with_name("dumped")
    with EmbeddedPostgres(data) as owner, _timed(report, f"{name}: seconds to take it"):
        _run("pg_dump", "--dbname", owner, "--file", str(file), *what)
    report.facts[f"{name}: MiB"] = file.stat().st_size / 2**20
    with EmbeddedPostgres(restored) as owner, _timed(report, f"{name}: seconds to load it"):
        with psycopg.connect(owner, autocommit=True) as connected:
            connected.execute("CREATE ROLE accounts_es_app")
        _run("psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", owner, "--file", str(file))
    file.unlink()
    _take_along(data, restored)
    with serve(restored, port, limit=_LIMIT) as (_, seconds):
        report.facts[_ANSWER.format(name)] = seconds
        report.facts[EQUAL.format(name)] = int(_hash(owner_of(restored)) == then)
    shutil.rmtree(restored)


def _take_along(data: Path, restored: Path) -> None:
    """What a backup has beside the database."""
    shutil.copytree(data / "keys", restored / "keys")
    shutil.copy(data / "credentials.json", restored)


def _hash(owner: str) -> str:
    with psycopg.connect(owner, autocommit=True) as connected:
        return model_hash({table: state_hash(connected, table) for each in ALL for table in each.tables})


def _changes(owner: str) -> int:
    with psycopg.connect(owner) as connected:
        row = connected.execute(
            "SELECT count(*) FROM log.accounts_events WHERE topic = %s", (PrefsUpdated.topic,)
        ).fetchone()
    return int(row[0]) if row is not None else 0


def _one(owner: str, question: LiteralString) -> Any:
    with psycopg.connect(owner, autocommit=True) as connected:
        ((found,),) = connected.execute(question).fetchall()
    return float(found) if not isinstance(found, str | None) else found


def _run(program: str, *arguments: str) -> None:
    subprocess.run([find(Identity()) / program, *arguments], stdout=subprocess.DEVNULL, check=True)


def _mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


@contextmanager
def _timed(report: Report, name: str) -> Generator[None]:
    began = time.perf_counter()
    yield
    report.facts[name] = time.perf_counter() - began
