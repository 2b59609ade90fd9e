"""``accounts-es master-key rotate`` on the data of real servers: what people hold goes on, whenever it is killed."""

import base64
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from accounts_es.adapters.embedded_postgres import connection
from accounts_es.adapters.key_files import load_key
from accounts_es.domain.project.events import WebhookAdded
from tests.http.calls import PAGE
from tests.support.answers import ok, refusal
from tests.support.mailbox import Mailbox
from tests.support.running import PASSWORD
from tests.support.server import COMMAND, MASTER, Log, Server, environment, keys
from tests.support.verifier import verifier
from tests.support.waiting import eventually

EMAIL = "jane@example.org"
OTHER = b"n" * 32


def run(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, *words], env=environment(**settings), capture_output=True, text=True, timeout=120, check=False
    )


def rotate(data: Path, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return run("master-key", "rotate", "--data", str(data), *words, **settings)


def key_files(data: Path) -> list[str]:
    return sorted(each.name.partition("-")[0] for each in (data / "keys").glob("[!.]*"))


def signs_in(server: Server) -> int:
    client = server.client()
    return client.ask("POST", "/account/sessions/email", email=EMAIL, password=PASSWORD).status_code


def sign_up(server: Server, email: str = EMAIL) -> int:
    return server.client().ask("POST", "/account", userId="unique()", email=email, password=PASSWORD).status_code


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a stopped server that somebody has an account on."""
    data = tmp_path_factory.mktemp("begun") / "data"
    with Server(data) as server:
        assert sign_up(server) == 201
    return data


@pytest.fixture
def data(begun: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    subprocess.run(["cp", "-a", str(begun), str(tmp_path / "data")], check=True)
    return tmp_path / "data"


class Held(NamedTuple):
    """What people and servers had in hand when the key was changed."""

    server: Server
    cookies: dict[str, str]
    recovery: str
    code: str
    secret: str


HOOK = {"webhookId": "hook", "name": "CRM", "url": "http://localhost:1/hook", "events": ["users.*"], "enabled": False}
ONCE = {"userId": "once", "email": "once@example.org"}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """A server under its second key, and what was given under the first."""
    data = tmp_path_factory.mktemp("held") / "data"
    mailbox = Mailbox(data / "outbox")
    with Server(data) as server:
        jane, guest, operator = server.client(), server.client(), server.operator()
        ok(jane.ask("POST", "/account", userId="jane", email=EMAIL, password=PASSWORD, name="Jane Roe"))
        ok(jane.ask("POST", "/account/sessions/email", email=EMAIL, password=PASSWORD))
        ok(guest.ask("POST", "/account/recovery", email=EMAIL, url=PAGE))
        ok(guest.ask("POST", "/account/tokens/email", userId="joe", email="joe@example.org"))
        secret = ok(operator.ask("POST", "/webhooks", **HOOK))["secret"]
        ok(operator.post("/users", json=ONCE, headers={"idempotency-key": "k"}))
        recovery, code = mailbox.mail(EMAIL).parameters["secret"], mailbox.mail("joe@example.org").code
        cookies = dict(jane.cookies)
    assert rotate(data, "--generate").returncode == 0
    with server:
        yield Held(server, cookies, recovery, code, secret)
    assert "critical" not in server.logged


def test_whoever_is_signed_in_stays_so(held: Held) -> None:
    jane = held.server.client()
    jane.cookies.update(held.cookies)
    assert ok(jane.ask("GET", "/account"))["name"] == "Jane Roe"
    assert signs_in(held.server) == 201
    assert sign_up(held.server) == 409
    assert sign_up(held.server, "later@example.org") == 201


def test_one_time_secrets_count_once(held: Held) -> None:
    guest = held.server.client()
    given = {"userId": "joe", "secret": held.code}
    assert ok(guest.ask("POST", "/account/sessions/token", **given))["userId"] == "joe"
    assert guest.ask("POST", "/account/sessions/token", **given).status_code == 401
    chosen = {"userId": "jane", "secret": held.recovery, "password": PASSWORD}
    ok(guest.ask("PUT", "/account/recovery", **chosen))
    assert guest.ask("PUT", "/account/recovery", **chosen).status_code == 401


def test_a_request_that_is_sent_again_is_not_carried_out_again(held: Held) -> None:
    again = held.server.operator().post("/users", json=ONCE, headers={"idempotency-key": "k"})
    assert refusal(again) == (409, "general_idempotency_key_reused"), "its answer was sealed with the former key"


def test_what_projects_keep_is_open(held: Held) -> None:
    conninfo, key = connection(held.server.data), load_key("master", held.server.data, {})
    assert conninfo is not None
    assert key is not None
    with closing(Log(conninfo, key)) as log:
        (added,) = [each.event for each in log.read("topic = 'project.webhook_added'")]
    assert isinstance(added, WebhookAdded)
    assert added.secret == held.secret
    assert ok(held.server.operator().ask("PATCH", "/webhooks/hook/secret"))["secret"] not in {"", held.secret}


def test_tools_go_on(held: Held, tmp_path: Path) -> None:
    where = ("--data", str(held.server.data))
    audit = run("audit", "jane", *where)
    assert "Jane Roe" in audit.stdout, audit.stderr
    verified = run("replay", "--verify", *where)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    erased = run("users", "erase", "once", *where)
    assert erased.returncode == 0, erased.stderr
    key = verifier.read_key(ok(held.server.operator().ask("GET", "/audit/key"))["verifier"])
    assert "reason: request" in verifier.check_certificate(erased.stdout, key)
    assert run("audit", "once", *where).stdout == ""


def test_nothing_is_changed_under_a_running_server(data: Path) -> None:
    with Server(data) as server:
        refused = rotate(data, "--generate")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("accounts-es: servers or tools are working on this database (")
        assert refused.stderr.endswith("nothing was changed\n")
        assert (signs_in(server), sign_up(server)) == (201, 409)


def test_it_says_where_the_keys_are(data: Path) -> None:
    former = load_key("master", data, {})
    assert former is not None
    done = rotate(data, "--generate")
    assert done.returncode == 0, done.stderr
    assert "keys are wrapped by the new master key" in done.stdout
    assert key_files(data) == ["former_master", "jwt.key", "ledger.key", "master.key"]
    (kept,) = (data / "keys").glob("former_master-*.key")
    assert str(kept) in done.stdout
    assert base64.b64decode(kept.read_text()) == former != load_key("master", data, {})
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in (data / "keys").iterdir())
    for key in (former, load_key("master", data, {}) or b""):
        text = base64.b64encode(key).decode()
        assert text not in done.stdout + done.stderr
    old = run("serve", "--data", str(data), "--port", "0", ACCOUNTS_MASTER_KEY=base64.b64encode(former).decode())
    assert (old.returncode, old.stdout) == (1, "")
    assert old.stderr == "accounts-es: the master key does not open this database: it belongs to another one\n"


def test_keys_of_settings_stay_where_they_are(database: str, tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "new"
    file.write_text(base64.b64encode(OTHER).decode())
    with Server(data, database_url=database) as server:
        assert sign_up(server) == 201
    given = {"ACCOUNTS_DATABASE_URL": database, **keys()}
    assert "--generate make one" in rotate(data, **given).stderr
    assert "comes from ACCOUNTS_MASTER_KEY" in rotate(data, "--generate", **given).stderr
    assert not (data / "keys").exists()
    given["ACCOUNTS_NEW_MASTER_KEY_FILE"] = str(file)
    with Server(data, database_url=database, ACCOUNTS_NEW_MASTER_KEY_FILE=str(file)) as server:
        assert signs_in(server) == 201, "a new key that waits for its change is in nobody's way"
    done = rotate(data, **given)
    assert done.returncode == 0, done.stderr
    assert "servers start with both; let ACCOUNTS_MASTER_KEY say the new one" in done.stdout
    assert rotate(data, **given).stdout.startswith("the new master key has taken its place already\n")
    for settings in (
        {"ACCOUNTS_NEW_MASTER_KEY_FILE": str(file), "ACCOUNTS_WORKERS": "2"},
        {"ACCOUNTS_MASTER_KEY": base64.b64encode(OTHER).decode()},
    ):
        with Server(data, database_url=database, **settings) as server:
            assert (signs_in(server), sign_up(server)) == (201, 409)
    assert not (data / "keys").exists()
    wrong = run("users", "export", "--data", str(data), ACCOUNTS_DATABASE_URL=database, **keys())
    assert wrong.stderr == "accounts-es: the master key does not open this database: it belongs to another one\n"
    late = run("deliver", "--data", str(data), ACCOUNTS_DATABASE_URL=database, **keys())
    assert late.stderr.endswith("the master key does not open this database: it belongs to another one\n")


KILLED = """
import importlib, os, signal, sys
module, name, after = sys.argv.pop(1).split(":")
holder = importlib.import_module(module)
for each in name.split(".")[:-1]:
    holder = getattr(holder, each)
name = name.split(".")[-1]
real = getattr(holder, name)
def killed(*given, **named):
    if after:
        real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(holder, name, killed)
from accounts_es.cli import main
main()
"""


@pytest.mark.parametrize(
    ("where", "changed"),
    [
        pytest.param("accounts_es.cli.master_key:change:", False, id="the new key is made"),
        pytest.param("accounts_es.eventstore.key_change:_guard:", False, id="keys are wrapped"),
        pytest.param("accounts_es.eventstore.key_change:remember:after", False, id="all is written"),
        pytest.param("accounts_es.cli.master_key:put_in_place:", True, id="it is committed"),
        pytest.param("pathlib:Path.replace:", True, id="the former key is kept"),
        pytest.param("pathlib:Path.replace:after", True, id="the new key is in place"),
    ],
)
def test_killed_at_any_point_the_server_starts_with_one_of_the_keys(data: Path, where: str, *, changed: bool) -> None:
    former = load_key("master", data, {})
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, where, "master-key", "rotate", "--generate", "--data", str(data)],
        env=environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Server(data) as server:
        assert (signs_in(server), sign_up(server)) == (201, 409)
    present = load_key("master", data, {})
    assert (present != former) is changed
    left = ["jwt.key", "ledger.key", "master.key"]
    assert key_files(data) == (["former_master", *left] if changed else [*left, "new_master.key"])
    if not changed:
        waiting = load_key("new_master", data, {})
        assert rotate(data).returncode == 0
        assert load_key("master", data, {}) == waiting
        with Server(data) as server:
            assert signs_in(server) == 201


def test_a_change_that_was_killed_is_ended_by_asking_again(data: Path) -> None:
    where = "accounts_es.cli.master_key:put_in_place:"
    subprocess.run(
        [sys.executable, "-c", KILLED, where, "master-key", "rotate", "--generate", "--data", str(data)],
        env=environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    made = load_key("new_master", data, {})
    done = rotate(data, "--generate")
    assert done.stdout.startswith("the new master key has taken its place already\n")
    assert load_key("master", data, {}) == made
    assert key_files(data) == ["former_master", "jwt.key", "ledger.key", "master.key"]


@pytest.fixture
def stopped(database: str, tmp_path: Path) -> Iterator[Server]:
    """A server that stands still, as on a machine that is cut off: its database has given it up."""
    with Server(tmp_path / "data", database_url=database) as server:
        assert sign_up(server) == 201
        family = [server.pid, *server.children]
        try:
            for each in family:
                os.kill(each, signal.SIGSTOP)
            with psycopg.connect(database, autocommit=True) as owner:
                owner.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()"""
                )
            yield server
        finally:
            _go_on(family)


def _go_on(family: list[int]) -> None:
    for each in family:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGCONT)


def test_a_server_that_comes_back_with_the_former_key_signs_nobody_up(database: str, stopped: Server) -> None:
    new = {"ACCOUNTS_NEW_MASTER_KEY": base64.b64encode(OTHER).decode()}
    done = rotate(stopped.data, **{"ACCOUNTS_DATABASE_URL": database, **keys(), **new})
    assert done.returncode == 0, done.stderr
    _go_on([stopped.pid, *stopped.children])
    assert sign_up(stopped, "late@example.org") == 503
    eventually(lambda: "the master key of this database was changed" in stopped.logged)
    eventually(lambda: sign_up(stopped, "later@example.org") == 503)
    eventually(lambda: stopped.client().get("/health").status_code == 503)
    eventually(lambda: "delivery ends: the master key does not open this database" in stopped.logged, limit=40)
    stopped.stop()
    with Server(stopped.data, database_url=database, ACCOUNTS_MASTER_KEY=base64.b64encode(OTHER).decode()) as server:
        assert signs_in(server) == 201
        assert sign_up(server, "late@example.org") == 201, "nothing of it was stored"


def test_a_backup_of_before_needs_the_former_key(begun: Path, data: Path, tmp_path: Path) -> None:
    assert rotate(data, "--generate").returncode == 0
    restored = tmp_path / "restored"
    subprocess.run(["cp", "-a", str(begun), str(restored)], check=True)
    shutil.copy(data / "keys" / "master.key", restored / "keys" / "master.key")
    done = run("serve", "--data", str(restored), "--port", "0")
    assert done.stderr.endswith("the master key does not open this database: it belongs to another one\n")
    (kept,) = (data / "keys").glob("former_master-*.key")
    shutil.copy(kept, restored / "keys" / "master.key")
    assert base64.b64decode(kept.read_text()) != MASTER
    with Server(restored) as server:
        assert signs_in(server) == 201
