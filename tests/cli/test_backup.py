"""What docs/operate/backup.md says, done: backups of each kind come back as the state they were taken of."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import projections
from accounts_es.adapters.embedded_postgres import EmbeddedPostgres, connection
from accounts_es.adapters.postgres_binaries import Identity, find
from accounts_es.bootstrap import prepare
from accounts_es.eventstore.keys import MasterKey
from tests.conftest import temporary_database
from tests.support.server import COMMAND, MASTER, Server, environment, keys
from tests.support.waiting import eventually


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with a database of its own and some people in it."""
    with Server(tmp_path / "data", **keys()) as running:
        operator = running.operator()
        for nth in range(5):
            operator.ask("POST", "/users", userId=f"u{nth}", email=f"u{nth}@example.org", name=f"N {nth}")
            operator.ask("PATCH", f"/users/u{nth}/prefs", prefs={"n": nth})
        operator.ask("DELETE", "/users/u4")
        operator.ask("POST", "/teams", teamId="t", name="Team")
        yield running


def state(data: Path, *where: str) -> list[str]:
    """The hashes of the read models, which are as the log says."""
    done = subprocess.run(
        [COMMAND, "replay", "--verify", "--data", str(data), *where],
        env=environment(**keys()),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[:-1]
    assert len(lines) == len(projections.ALL)
    assert all(line.endswith("  as live") for line in lines)
    return lines


def dump(conninfo: str, *what: str) -> bytes:
    """A backup by ``pg_dump``, while the server goes on."""
    program = find(Identity()) / "pg_dump"
    return subprocess.run([program, "--dbname", conninfo, *what], capture_output=True, check=True, timeout=120).stdout


def restore(conninfo: str, dumped: bytes) -> None:
    """Into an empty database, on a PostgreSQL that knows the server's role."""
    with psycopg.connect(conninfo, autocommit=True) as owner:
        if owner.execute("SELECT 1 FROM pg_roles WHERE rolname = 'accounts_es_app'").fetchone() is None:
            owner.execute("CREATE ROLE accounts_es_app")
    subprocess.run(
        [find(Identity()) / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", conninfo],
        input=dumped,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )


def test_T62_the_data_folder_of_a_stopped_server_is_a_backup(server: Server, tmp_path: Path) -> None:
    before = state(server.data)
    server.stop()
    copied = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(server.data), str(copied)], check=True)
    assert state(copied) == before
    with Server(copied, **keys()) as again:
        assert again.operator().ask("GET", "/users/u3").json()["prefs"] == {"n": 3}


def test_T62_a_dump_taken_while_the_server_runs_comes_back_as_the_state_it_was_taken_of(
    server: Server, server_conninfo: str, tmp_path: Path
) -> None:
    before, running = state(server.data), connection(server.data)
    assert running is not None
    dumped = dump(running)
    server.operator().ask("PATCH", "/users/u0/name", name="Later than the backup")
    with temporary_database(server_conninfo, "template0") as conninfo:
        restore(conninfo, dumped)
        assert state(tmp_path, "--database-url", conninfo) == before
        # What is restored serves; the read models were in the dump, and are what the log says.
        with Server(tmp_path / "restored", database_url=conninfo) as restored:
            client = restored.client(key=server.credentials["key"])
            assert client.ask("GET", "/users/u0").json()["name"] == "N 0"


def test_T62_the_log_alone_is_a_backup_and_the_read_models_are_made_anew(
    server: Server, server_conninfo: str, tmp_path: Path
) -> None:
    before, running = state(server.data), connection(server.data)
    assert running is not None
    dumped = dump(running, "--schema", "log")
    with temporary_database(server_conninfo, "template0") as conninfo:
        restore(conninfo, dumped)
        prepare(conninfo, MasterKey(MASTER))
        assert state(tmp_path, "--database-url", conninfo) == before


def test_T62_a_base_backup_taken_while_the_server_writes_is_whole(server: Server, tmp_path: Path) -> None:
    running = connection(server.data)
    assert running is not None
    operator = server.operator()
    folder = tmp_path / "copy"
    folder.mkdir()
    program = find(Identity()) / "pg_basebackup"
    command = [program, "--dbname", running, "--pgdata", str(folder / "postgres"), "--checkpoint", "fast"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as taking:
        for nth in range(30):
            operator.ask("PATCH", "/users/u0/prefs", prefs={"during": nth})
    assert taking.returncode == 0
    # Whoever runs the embedded database owns its files.

    owner = (server.data / "postgres").stat()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    with EmbeddedPostgres(folder) as conninfo, psycopg.connect(conninfo) as restored:
        found = restored.execute("SELECT prefs FROM read.accounts_v2 WHERE account_id = 'u0'").fetchone()
        assert found is not None
    assert len(state(folder)) == len(projections.ALL)


def test_T62_a_point_in_time_comes_back_from_a_base_backup_and_the_archived_log(server: Server, tmp_path: Path) -> None:
    archive, folder = server.data / "postgres" / "archive", tmp_path / "copy"
    for made in (archive, folder):
        made.mkdir()
    owner = (server.data / "postgres").stat()
    os.chown(archive, owner.st_uid, owner.st_gid)
    running = connection(server.data)
    assert running is not None
    with psycopg.connect(running, autocommit=True) as database:
        database.execute("ALTER SYSTEM SET archive_mode = 'on'")
        database.execute("ALTER SYSTEM SET archive_command = 'cp %p archive/%f'")
    server.stop()
    server.start()
    running = connection(server.data)
    assert running is not None
    program = find(Identity()) / "pg_basebackup"
    command = [program, "--dbname", running, "--pgdata", str(folder / "postgres"), "--checkpoint", "fast"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=120)
    operator = server.operator()
    for nth in range(10):
        operator.ask("PATCH", f"/users/u{nth % 4}/prefs", prefs={"since the backup": nth})
    then = state(server.data)
    with psycopg.connect(running, autocommit=True) as database:
        ((moment,),) = database.execute("SELECT clock_timestamp()::text").fetchall()
        for nth in range(10):
            operator.ask("PATCH", "/users/u0/name", name=f"A mistake, {nth}")
        operator.ask("DELETE", "/users/u1")
        assert state(server.data) != then
        ((last,),) = database.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchall()
        assert eventually(
            lambda: database.execute("SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal >= %s", (last,)).fetchone()
        )
    shutil.copytree(archive, folder / "postgres" / "archive", dirs_exist_ok=True)
    with (folder / "postgres" / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.write(
            "archive_mode = 'off'\nrestore_command = 'cp archive/%f %p'\n"
            f"recovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\n"
        )
    (folder / "postgres" / "recovery.signal").touch()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    assert state(folder) == then
    with Server(folder, **keys()) as restored:
        client = restored.client(key=server.credentials["key"])
        assert client.ask("GET", "/users/u0").json()["name"] == "N 0"
        assert client.ask("GET", "/users/u1").json()["prefs"] == {"since the backup": 9}
