"""The PostgreSQL of our own: it starts whatever was left behind, keeps what it got, and refuses what is not its."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from accounts_es.adapters.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, connection
from tests.support.processes import alive
from tests.support.waiting import eventually

OTHER_SERVER = """
import sys
from pathlib import Path
from accounts_es.adapters.embedded_postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder nobody else may enter, as a private home is; its path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="aes-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A stopped cluster with one row, to be copied."""
    folder = Path(tempfile.mkdtemp(prefix="aes-"))
    with EmbeddedPostgres(folder / "data") as conninfo, psycopg.connect(conninfo) as owner:
        owner.execute("CREATE TABLE kept (n int)")
        owner.execute("INSERT INTO kept VALUES (1)")
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def data(made: Path, place: Path) -> Path:
    """A data folder with the stopped cluster in it; like a back-up put back, it belongs to whoever copied."""
    return Path(shutil.copytree(made, place / "data"))


@pytest.fixture
def other_server(data: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has started the PostgreSQL of `data`."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_SERVER, data], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "dbname=accounts" in process.stdout.readline()
        yield process
        process.kill()


def kept(conninfo: str) -> list[int]:
    """The rows."""
    with psycopg.connect(conninfo) as owner:
        return [n for (n,) in owner.execute("SELECT n FROM kept ORDER BY n")]


def setting(conninfo: str, name: str) -> str:
    """What PostgreSQL says about itself."""
    with psycopg.connect(conninfo) as owner:
        return owner.execute("SELECT current_setting(%s)", [name]).fetchone()[0]


def postmaster(data: Path) -> int:
    """The process that PostgreSQL wrote down."""
    return int((data / "postgres" / "postmaster.pid").read_text().split()[0])


def modes_above(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Permissions and owners of a folder and all above it."""
    return {
        each: (status.st_mode, status.st_uid, status.st_gid)
        for each in (folder, *folder.parents)
        for status in (each.stat(),)
    }


def test_first_start_makes_a_private_cluster_without_the_network(place: Path) -> None:
    data = place / "not" / "yet"
    above = modes_above(place)
    with EmbeddedPostgres(data) as conninfo:
        with psycopg.connect(conninfo) as owner:
            assert owner.info.dbname == "accounts"
            assert owner.info.user == "postgres"
            assert owner.info.server_version // 10000 == 18
        assert setting(conninfo, "listen_addresses") == ""
        assert setting(conninfo, "fsync") == "on"
        assert setting(conninfo, "synchronous_commit") == "on"
        assert setting(conninfo, "data_checksums") == "on"
        assert setting(conninfo, "server_encoding") == "UTF8"
        assert setting(conninfo, "TimeZone") == "UTC"
        assert stat.S_IMODE((data / "postgres").stat().st_mode) == 0o700
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert Path(f"/proc/{postmaster(data)}").stat().st_uid != 0
    assert modes_above(place) == above


def test_restart_keeps_data(data: Path) -> None:
    server = EmbeddedPostgres(data)
    for _ in range(2):
        assert kept(server.start()) == [1]
        assert server.running
        pid = postmaster(data)
        server.stop()
        assert not server.running
        assert not alive(pid)


def test_stop_without_start_and_twice_is_nothing(place: Path) -> None:
    server = EmbeddedPostgres(place)
    server.stop()
    server.stop()
    assert not any(place.iterdir())


def test_start_twice_is_refused(data: Path) -> None:
    server = EmbeddedPostgres(data)
    with server as conninfo:
        with pytest.raises(EmbeddedPostgresError, match="already been started"):
            server.start()
        assert kept(conninfo) == [1]


def test_a_folder_in_use_is_refused_by_name_and_left_alone(data: Path, other_server: subprocess.Popen[str]) -> None:
    with pytest.raises(EmbeddedPostgresError, match=f"in use by process {other_server.pid}"):
        EmbeddedPostgres(data).start()
    found = connection(data)
    assert found is not None
    assert kept(found) == [1]


def test_tools_find_the_running_database(data: Path, place: Path) -> None:
    assert connection(place / "nowhere") is None
    assert connection(data) is None
    with EmbeddedPostgres(data) as conninfo:
        assert connection(data) == conninfo
    assert connection(data) is None


def test_what_a_killed_server_left_running_is_taken_over(data: Path, other_server: subprocess.Popen[str]) -> None:
    left_over = postmaster(data)
    other_server.kill()
    other_server.wait()
    assert alive(left_over)
    with EmbeddedPostgres(data) as conninfo:
        assert not alive(left_over)
        assert kept(conninfo) == [1]


def test_server_and_database_killed_together(data: Path, other_server: subprocess.Popen[str]) -> None:
    conninfo = connection(data)
    assert conninfo is not None
    with psycopg.connect(conninfo) as open_transaction:  # its backend outlives the head for a moment
        open_transaction.execute("INSERT INTO kept VALUES (2)")
        os.kill(postmaster(data), signal.SIGKILL)
        other_server.kill()
        other_server.wait()
        with EmbeddedPostgres(data) as again:
            assert kept(again) == [1]
        with pytest.raises(psycopg.OperationalError):
            open_transaction.execute("SELECT")


def test_killed_under_writes_everything_acknowledged_is_kept(data: Path) -> None:
    server = EmbeddedPostgres(data)
    conninfo = server.start()
    acknowledged: list[int] = []

    def write() -> None:
        try:
            with psycopg.connect(conninfo, autocommit=True) as owner:
                for n in range(2, 1_000_000):
                    owner.execute("INSERT INTO kept VALUES (%s)", [n])
                    acknowledged.append(n)
        except psycopg.OperationalError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        eventually(lambda: len(acknowledged) > 100)
        os.kill(postmaster(data), signal.SIGKILL)
        writer.join(30)
        assert not writer.is_alive()
        eventually(lambda: not server.running)
    finally:
        server.stop()
    with EmbeddedPostgres(data) as again:
        # One more may have been committed whose answer was lost.
        assert kept(again)[: 1 + len(acknowledged)] == [1, *acknowledged]


def test_it_is_revived_where_it_was(data: Path) -> None:
    server = EmbeddedPostgres(data)
    with server as conninfo:
        first = postmaster(data)
        server.revive()
        assert postmaster(data) == first
        os.kill(first, signal.SIGKILL)
        eventually(lambda: not server.running)
        server.revive()
        assert postmaster(data) != first
        assert kept(conninfo) == [1]


def test_a_pid_file_that_names_another_program_is_no_obstacle(data: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as another:
        (data / "postgres" / "postmaster.pid").write_text(
            f"{another.pid}\n/proc/self/cwd\n1\n5432\n.\n\n1 1\nready   \n"
        )
        (data / "postgres" / ".s.PGSQL.5432.lock").write_text(f"{another.pid}\n")
        with EmbeddedPostgres(data) as conninfo:
            assert kept(conninfo) == [1]
            assert another.poll() is None
        another.kill()


@pytest.mark.parametrize("content", ["", "nonsense\n", "4194000\n/proc/self/cwd\n"])
def test_a_pid_file_that_names_nobody_is_no_obstacle(data: Path, content: str) -> None:
    (data / "postgres" / "postmaster.pid").write_text(content)
    with EmbeddedPostgres(data) as conninfo:
        assert kept(conninfo) == [1]


def test_a_first_start_that_was_killed_half_way_is_made_anew(place: Path) -> None:
    (place / "postgres.new").mkdir()
    (place / "postgres.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(place) as conninfo:
        assert setting(conninfo, "fsync") == "on"
    assert not (place / "postgres.new").exists()


def test_a_path_too_long_for_a_socket(made: Path, place: Path) -> None:
    deep = place / ("long" * 20) / "a, b 'c'" / ("deep" * 20)
    deep.parent.mkdir(parents=True, mode=0o700)
    shutil.copytree(made, deep)
    with EmbeddedPostgres(deep) as conninfo:
        assert kept(conninfo) == [1]
        alias = Path(psycopg.conninfo.conninfo_to_dict(conninfo)["host"])
        assert alias.resolve() == deep / "postgres"
        assert stat.S_IMODE(alias.parent.stat().st_mode) == 0o700
    assert not alias.parent.exists()


def test_a_big_log_is_put_aside(data: Path) -> None:
    with (data / "postgres.log").open("w") as log:
        log.truncate(11 * 1024 * 1024)
    with EmbeddedPostgres(data):
        pass
    assert (data / "postgres.log").stat().st_size < 100_000
    assert (data / "postgres.log.1").exists()


def test_peoples_data_stays_out_of_the_log(data: Path) -> None:
    with EmbeddedPostgres(data) as conninfo, psycopg.connect(conninfo, autocommit=True) as owner:
        owner.execute("CREATE TABLE addresses (address text UNIQUE)")
        for _ in range(2):
            try:
                owner.execute("INSERT INTO addresses VALUES ('ada@example.com')")
            except psycopg.errors.UniqueViolation:
                break
    assert "ada@" not in (data / "postgres.log").read_text()


def make_file(place: Path) -> None:
    """A file where the folder should be."""
    place.rmdir()
    place.write_text("")


def make_other_folder(place: Path) -> None:
    """Somebody else's folder called postgres."""
    (place / "postgres").mkdir()
    (place / "postgres" / "notes.txt").write_text("mine")


def make_file_inside(place: Path) -> None:
    """Somebody else's file called postgres."""
    (place / "postgres").write_text("mine")


def make_bare_cluster(place: Path) -> None:
    """A cluster of PostgreSQL's own given as the data folder."""
    (place / "PG_VERSION").write_text("18\n")


def make_old_cluster(place: Path) -> None:
    """A cluster of another release."""
    (place / "postgres").mkdir()
    (place / "postgres" / "PG_VERSION").write_text("16\n")


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (make_file, "is a file, not a data folder"),
        (make_other_folder, "holds something else"),
        (make_file_inside, "is a file, not a PostgreSQL cluster"),
        (make_bare_cluster, "is itself a PostgreSQL cluster"),
        (make_old_cluster, "was made by PostgreSQL 16 and this release brings 18"),
    ],
)
def test_what_is_not_ours_is_refused_and_kept(place: Path, arrange: Callable[[Path], None], message: str) -> None:
    folder = place / "data"
    folder.mkdir()
    arrange(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(EmbeddedPostgresError, match=message):
        EmbeddedPostgres(folder).start()
    assert [each for each in sorted(folder.rglob("*")) if each.name != "server.lock"] == before


def test_a_place_nobody_can_write_to_is_refused() -> None:
    with pytest.raises(EmbeddedPostgresError, match="/proc/accounts-es cannot be"):
        EmbeddedPostgres(Path("/proc/accounts-es")).start()


def test_a_failed_start_says_why_and_gives_the_folder_free(data: Path) -> None:
    configuration = data / "postgres" / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(good + "no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="did not start"):
        EmbeddedPostgres(data).start()
    configuration.write_text(good)
    with EmbeddedPostgres(data) as conninfo:
        assert kept(conninfo) == [1]


def test_a_start_that_takes_too_long_is_given_up_cleanly(data: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="still starting after"):
        EmbeddedPostgres(data, startup_limit=0).start()
    with EmbeddedPostgres(data) as conninfo:
        assert kept(conninfo) == [1]


def test_an_open_transaction_does_not_delay_the_stop(data: Path) -> None:
    server = EmbeddedPostgres(data)
    with psycopg.connect(server.start()) as busy:
        busy.execute("INSERT INTO kept VALUES (2)")
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            busy.execute("SELECT")
    with EmbeddedPostgres(data) as again:
        assert kept(again) == [1]


def test_a_head_that_does_not_answer_is_ended_in_time(data: Path) -> None:
    server = EmbeddedPostgres(data, shutdown_limit=0.2)
    assert kept(server.start()) == [1]
    pid = postmaster(data)
    os.kill(pid, signal.SIGSTOP)
    server.stop()
    assert not alive(pid)
    with EmbeddedPostgres(data) as again:
        assert kept(again) == [1]
