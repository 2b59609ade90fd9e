"""Rebuilds in earnest: killed at any moment, and under the load of clients that must not notice."""

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.event import Metadata
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import verify
from tests.conftest import temporary_database
from tests.support.server import COMMAND, Server, environment, keys

PASSWORD = "correct horse battery"
ROOT = Path(__file__).parent.parent.parent


# Killed ---------------------------------------------------------------------------------------------------------------


async def write(application: Application, meta: Callable[..., Metadata], accounts: range) -> None:
    """Some accounts and what becomes of them."""
    for nth in accounts:
        stream = f"account-{nth}"
        await application.execute(meta(), ACCOUNT, stream, commands.sign_up, account_id=f"a{nth}", name="N")
        await application.execute(meta(), ACCOUNT, stream, commands.replace_labels, labels=["x", f"l{nth}"])
        await application.execute(meta(), ACCOUNT, stream, commands.update_prefs, prefs={"n": nth})
        if nth % 5 == 0:
            await application.execute(meta(), ACCOUNT, stream, commands.delete_account)


def begin(what: str, conninfo: str) -> "subprocess.Popen[str]":
    """A process that has just begun to work."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.rebuilding", what, conninfo],
        cwd=ROOT,
        env={**environment(), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def end(process: "subprocess.Popen[str]") -> str:
    """What a process still said."""
    said, _ = process.communicate(timeout=60)
    return said


@pytest.mark.parametrize("seed", [1, 2])
async def test_T42_T44_a_rebuild_killed_at_any_moment_leaves_live_tables_that_are_right(
    application: Application, database: str, master: MasterKey, meta: Callable[..., Metadata], seed: int
) -> None:
    chance = random.Random(seed)
    for start in range(0, 400, 50):
        await asyncio.gather(*(write(application, meta, range(nth, nth + 10)) for nth in range(start, start + 50, 10)))
    began = time.monotonic()
    assert await asyncio.to_thread(lambda: end(begin("rebuild", database))) == "done\n"
    whole = time.monotonic() - began
    survived = 0
    for nth in range(6):
        what = chance.choice(["rebuild", "resume", "roll back"])
        process = await asyncio.to_thread(begin, what, database)
        writing = asyncio.create_task(write(application, meta, range(1000 + 10 * nth, 1010 + 10 * nth)))
        await asyncio.sleep(chance.uniform(0, whole))
        process.kill()
        survived += await asyncio.to_thread(end, process) == "done\n"
        await writing
        _, difference = await asyncio.to_thread(verify, database, master, projections.ALL)
        assert difference is None, f"{what}, killed"
    assert survived < 6
    for what in ("resume", "roll back", "roll back", "forget"):
        assert await asyncio.to_thread(lambda what=what: end(begin(what, database))) == "done\n"
        _, difference = await asyncio.to_thread(verify, database, master, projections.ALL)
        assert difference is None, what
    with psycopg.connect(database) as owner:
        left = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname LIKE 'read\\_%'").fetchall()
        unfinished = owner.execute("SELECT count(*) FROM log.rebuild").fetchall()
    assert (left, unfinished) == ([], [(0,)])


# Under load -----------------------------------------------------------------------------------------------------------


class Caller(threading.Thread):
    """Somebody who does what applications do, and remembers every answer that is none."""

    def __init__(self, server: Server, stop: threading.Event) -> None:
        super().__init__()
        self.url = server.url
        self.project = {"x-appwrite-project": "default"}
        self.key = {**self.project, "x-appwrite-key": server.credentials["key"]}
        self.stop = stop
        self.answers = 0
        self.failed: list[str] = []

    def run(self) -> None:
        """Until told to stop."""
        with (
            httpx.Client(
                base_url=self.url, headers={"x-appwrite-project": "default"}, timeout=60, trust_env=False
            ) as me,
            httpx.Client(base_url=self.url, headers=self.key, timeout=60, trust_env=False) as operator,
        ):
            email, count = f"{uuid4().hex}@example.org", 0
            account = self._ask(me, "POST", "/account", userId="unique()", email=email, password=PASSWORD)["$id"]
            self._ask(me, "POST", "/account/sessions/email", email=email, password=PASSWORD)
            self._ask(me, "POST", "/account/recovery", email=email, url="http://localhost/reset")
            while not self.stop.is_set():
                count += 1
                assert self._ask(me, "GET", "/account")["email"] == email
                self._ask(me, "PATCH", "/account/prefs", prefs={"count": count})
                if self._ask(me, "GET", "/account/prefs") != {"count": count}:
                    self.failed.append("somebody did not read their own write")
                self._ask(me, "GET", "/account/sessions")
                self._ask(operator, "GET", f"/users/{account}")
                self._ask(operator, "GET", "/users", search=email)
                team = self._ask(operator, "POST", "/teams", teamId="unique()", name="T")["$id"]
                self._ask(operator, "DELETE", f"/teams/{team}")

    def _client(self, headers: dict[str, str]) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def _ask(self, client: httpx.Client, method: str, path: str, **fields: object) -> dict[str, object]:
        way = {"params": fields} if method == "GET" else {"json": fields}
        try:
            answer = client.request(method, path, **way)
        except httpx.TransportError as error:
            self.failed.append(f"{method} {path}: {type(error).__name__}")
            return {}
        self.answers += 1
        if answer.status_code >= 400:
            self.failed.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else {}


@contextmanager
def load(server: Server) -> Iterator[list[Caller]]:
    stop = threading.Event()
    callers = [Caller(server, stop) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        stop.set()
        for caller in callers:
            caller.join()


def replay(server: Server, *words: str) -> str:
    """The command of an operator, beside the server."""
    assert server.database_url is not None
    done = subprocess.run(
        [COMMAND, "replay", *words, "--database-url", server.database_url, "--data", str(server.data)],
        env=environment(**keys()),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def get_on(callers: list[Caller], answers: int = 60) -> None:
    """Returns once there were so many more answers."""
    wanted, end = sum(caller.answers for caller in callers) + answers, time.monotonic() + 60
    while sum(caller.answers for caller in callers) < wanted:
        assert time.monotonic() < end, "the server does not get on"
        time.sleep(0.01)


def test_T44_no_call_fails_while_read_models_are_rebuilt_and_rolled_back_and_nothing_is_sent_again(
    server_conninfo: str, template: str, tmp_path: Path
) -> None:
    with (
        temporary_database(server_conninfo, template) as conninfo,
        Server(tmp_path / "data", database_url=conninfo) as server,
    ):
        with load(server) as callers:
            get_on(callers, 200)
            for words in ([], ["--verify"], ["--roll-back"], ["accounts", "sessions"], ["--roll-back"], ["--forget"]):
                replay(server, *words, "--batch", "50")
                get_on(callers)
        assert [failure for caller in callers for failure in caller.failed] == []
        told = replay(server, "--verify", "--batch", "7")
        assert told.count("as live") == len(projections.ALL)
        # The mails are those of the recoveries, one each.
        assert len(list((server.data / "outbox").glob("*.eml"))) == len(callers)
