"""``accounts-es serve``: what it leaves, how it stops, and what it says when it cannot start."""

import base64
import json
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest

from tests.support.processes import alive
from tests.support.server import COMMAND, MASTER, Server, environment, keys


def serve(*arguments: str, **settings: str) -> str:
    """The one sentence a server says that does not start."""
    done = subprocess.run(
        [COMMAND, "serve", *arguments],
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("accounts-es: ")
    return line.removeprefix("accounts-es: ")


def postmaster(data: Path) -> int:
    """The head of the embedded PostgreSQL."""
    return int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def mode(path: Path) -> int:
    """Who may read it."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with its own database."""
    with Server(tmp_path_factory.mktemp("running") / "data") as server:
        yield server


# What it leaves -------------------------------------------------------------------------------------------------------


def test_the_first_start_leaves_credentials_that_work_and_only_the_owner_reads(running: Server) -> None:
    assert running.credentials.keys() == {"endpoint", "project", "key"}
    assert running.credentials["endpoint"] == running.url
    assert running.credentials["project"] == "default"
    assert running.operator().ask("GET", "/users").status_code == 200
    assert mode(running.data) == 0o700
    private = [running.data / "credentials.json", *(running.data / "keys").iterdir(), running.data / "postgres.log"]
    assert {path.name: mode(path) for path in private} == {path.name: 0o600 for path in private}
    assert mode(running.data / "keys") == 0o700
    assert mode(running.data / "postgres") == 0o700


def test_the_database_listens_on_no_network_address(running: Server) -> None:
    head = Path(f"/proc/{postmaster(running.data)}")
    open_files = [str(each.readlink()) for each in (head / "fd").iterdir()]
    sockets = {name.removeprefix("socket:[").removesuffix("]") for name in open_files if name.startswith("socket:[")}
    assert sockets
    for table in ("tcp", "tcp6"):
        columns = [line.split() for line in (head / "net" / table).read_text().splitlines()[1:]]
        assert sockets.isdisjoint(inode for _, _, _, _, _, _, _, _, _, inode, *_ in columns)


# How it stops ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_asked_to_stop_it_ends_with_its_database_and_the_next_start_knows_everything(
    tmp_path: Path, how: signal.Signals, workers: str
) -> None:
    server = Server(tmp_path / "data", ACCOUNTS_WORKERS=workers).start()
    operator = server.operator()
    assert operator.ask("POST", "/users", userId="walter", email="walter@example.org").status_code == 201
    credentials, database = server.credentials, postmaster(server.data)

    assert server.stop(how) == 0

    assert not alive(database)
    assert not (server.data / "postgres" / "postmaster.pid").exists()
    assert [line for line in server.logged.splitlines() if json.loads(line)["level"] == "error"] == []
    with server:
        assert server.credentials == credentials, "the first key is made once"
        user = server.operator().ask("GET", "/users/walter")
        assert user.json()["email"] == "walter@example.org"


def test_requests_that_have_arrived_are_answered_before_it_stops(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", ACCOUNTS_HASH_MEMORY_KIB="65536", ACCOUNTS_HASH_ITERATIONS="3").start()
    headers = {"x-appwrite-project": "default", "x-appwrite-key": server.credentials["key"]}
    body = '{"userId":"unique()","password":"correct horse"}'
    with ExitStack() as open_ones:
        port = int(server.url.split(":")[2].removesuffix("/v1"))
        callers = [open_ones.enter_context(closing(HTTPConnection("127.0.0.1", port))) for _ in range(6)]
        for caller in callers:
            caller.request("GET", "/v1/users/nobody", headers=headers)
            assert b"user_not_found" in caller.getresponse().read()
        for caller in callers:
            caller.request("POST", "/v1/users", body, headers)
        assert server.stop() == 0
        answers = [caller.getresponse() for caller in callers]
        assert [(answer.status, b"registration" in answer.read()) for answer in answers] == [(201, True)] * 6


# What it says when it cannot start ------------------------------------------------------------------------------------


def test_a_port_that_is_taken(running: Server, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = serve("--data", str(tmp_path / "data"), "--port", str(port))
    assert said == f"cannot listen on 127.0.0.1:{port}: Address already in use"
    assert not (tmp_path / "data").exists(), "nothing is left of a start that failed"


def test_a_folder_that_is_taken(running: Server) -> None:
    said = serve("--data", str(running.data), "--port", "0")
    assert said == f"{running.data} is in use by process {running.pid}"
    assert running.operator().ask("GET", "/users").status_code == 200


def test_another_master_key_than_the_first_one(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        pass
    assert server.logged == "", "to be stopped at once is nothing to complain about"
    other = base64.b64encode(b"o" * 32).decode()
    said = serve("--data", str(server.data), "--port", "0", ACCOUNTS_MASTER_KEY=other)
    assert said == "the master key does not open this database: it belongs to another one"
    assert other not in said
    (server.data / "keys" / "master.key").write_text("no base64!")
    assert "master.key is not base64" in serve("--data", str(server.data), "--port", "0")


def test_a_lost_master_key_is_not_made_anew_over_a_database(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        pass
    (server.data / "keys" / "master.key").rename(tmp_path / "elsewhere.key")
    said = serve("--data", str(server.data), "--port", "0")
    assert "master key" in said
    shutil.copy(tmp_path / "elsewhere.key", server.data / "keys" / "master.key")
    with server:
        assert server.operator().ask("GET", "/users").status_code == 200


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"ACCOUNTS_PORT": "nonsense"}, "port"),
        ({"ACCOUNTS_WORKERS": "0"}, "workers"),
        ({"ACCOUNTS_HASH_MEMORY_KIB": "1024"}, "hash_memory_kib"),
        ({"ACCOUNTS_TRUSTED_PROXIES": "nonsense"}, "trusted_proxies"),
        ({"ACCOUNTS_DATABASE_URL": "postgresql://127.0.0.1:1/nothing"}, "cannot connect to ACCOUNTS_DATABASE_URL"),
        ({"ACCOUNTS_DATABASE_URL": "nonsense"}, "cannot connect to ACCOUNTS_DATABASE_URL"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, settings: dict[str, str], part: str) -> None:
    port = {} if "ACCOUNTS_PORT" in settings else {"ACCOUNTS_PORT": "0"}
    said = serve("--data", str(tmp_path / "data"), **port, **settings)
    assert part in said


def test_a_database_of_ones_own_needs_keys_of_ones_own(database: str, tmp_path: Path) -> None:
    said = serve("--data", str(tmp_path / "data"), "--port", "0", ACCOUNTS_DATABASE_URL=database)
    assert said == "there is no master key: set ACCOUNTS_MASTER_KEY or ACCOUNTS_MASTER_KEY_FILE"
    secret = base64.b64encode(MASTER).decode()
    said = serve(
        *("--data", str(tmp_path / "data"), "--port", "0"),
        ACCOUNTS_DATABASE_URL=database,
        ACCOUNTS_MASTER_KEY=secret,
    )
    assert said.startswith("there is no jwt key")


def _insert(database: str, topic: str, state: str) -> None:
    with psycopg.connect(database) as owner:
        owner.execute(
            """INSERT INTO log.accounts_events
               (originator_id, originator_version, topic, state, project_id, recorded_at, actor, operation, request_id,
                correlation_id)
               VALUES ('account-9', 1, %s, %s, 'default', now(), 'system', 'x', 'r', 'r')""",
            (topic, state.encode()),
        )


def test_T36_T37_a_server_does_not_start_on_a_log_that_a_later_release_has_written_to(
    database: str, tmp_path: Path
) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("INSERT INTO log.shapes VALUES ('account.levitated', 1)")
    _insert(database, "account.levitated", '{"v": 1}')
    said = serve("--port", "0", "--data", str(tmp_path), ACCOUNTS_DATABASE_URL=database, **keys())
    assert said.startswith("the log holds events that a later release has written (account.levitated, version 1)")


def test_T43_a_server_does_not_start_on_a_read_model_that_could_not_be_filled_and_says_what_to_do(
    database: str, tmp_path: Path
) -> None:
    _insert(database, "account.signed_up", '{"v": 1, "data": {}, "meta": {}}')
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE log.read_models SET rebuilt_to = -1 WHERE name = 'accounts'")
    how = {"ACCOUNTS_DATABASE_URL": database, **keys()}
    said = serve("--port", "0", "--data", str(tmp_path), ACCOUNTS_LOG_LEVEL="ERROR", **how)
    assert said.startswith("accounts: stream account-9 stands still at version 1, event 1 (account.signed_up): ")
    assert "--accept-parked" in said
    done = subprocess.run(
        [COMMAND, "replay", "--resume", "--accept-parked", "--data", str(tmp_path)],
        env=environment(**how),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Server(tmp_path / "data", database_url=database) as server:
        assert server.client().ask("GET", "/health").status_code == 200
