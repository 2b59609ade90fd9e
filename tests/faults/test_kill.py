"""The server and its database are killed at random moments under load; what was acknowledged is there afterwards."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

import projections
from accounts_es.adapters.embedded_postgres import connection
from accounts_es.adapters.key_files import load_key
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import verify
from tests.support.server import Server

WRITERS = 8


class Writer(threading.Thread):
    """Somebody who creates accounts and changes their preferences, and remembers every answer."""

    def __init__(self, server: Server, stop: threading.Event) -> None:
        super().__init__()
        # A connection of its own: the server object closes its clients' when it stops.
        self.url = server.url
        self.headers = {"x-appwrite-project": "default", "x-appwrite-key": server.credentials["key"]}
        self.stop = stop
        self.acknowledged: dict[str, int] = {}
        """Request id of every success, with the number of events it stands for."""
        self.prefs: dict[str, tuple[int, int]] = {}
        """Account to the last count acknowledged and the last one sent."""
        self.unexpected: list[str] = []

    def run(self) -> None:
        """Until told to stop; a lost connection or a 503 is no answer, and the next request is another one."""
        while not self.stop.is_set():
            try:
                with httpx.Client(base_url=self.url, headers=self.headers, timeout=60, trust_env=False) as client:
                    self._work(client)
            except httpx.TransportError:
                self.stop.wait(0.02)

    def _work(self, client: httpx.Client) -> None:
        while not self.stop.is_set():
            account = uuid4().hex[:20]
            answer = client.post("/users", json={"userId": account, "email": f"{account}@example.com"})
            if not self._acknowledge(answer, 201, events=2):
                continue
            for count in range(1, 6):
                self.prefs[account] = (self.prefs.get(account, (0, 0))[0], count)
                answer = client.patch(f"/users/{account}/prefs", json={"prefs": {"count": count}})
                if not self._acknowledge(answer, 200, events=1):
                    break
                self.prefs[account] = (count, count)

    def _acknowledge(self, answer: httpx.Response, status: int, *, events: int) -> bool:
        if answer.status_code == status:
            self.acknowledged[answer.headers["x-request-id"]] = events
            return True
        if answer.status_code != 503:
            self.unexpected.append(f"{answer.status_code} {answer.text}")
        return False


@contextmanager
def load(server: Server) -> Iterator[list[Writer]]:
    stop = threading.Event()
    writers = [Writer(server, stop) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def acknowledged(writers: list[Writer]) -> int:
    return sum(len(writer.acknowledged) for writer in writers)


def work_for_a_while(writers: list[Writer], chance: random.Random) -> None:
    """Returns once a random number of further requests was acknowledged."""
    wanted = acknowledged(writers) + chance.randint(20, 150)
    end = time.monotonic() + 60
    while acknowledged(writers) < wanted:
        assert time.monotonic() < end, "the server does not get on"
        time.sleep(0.001)


def postmaster(data: Path) -> int:
    return int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def examine(server: Server, writers: list[Writer]) -> None:
    """Every acknowledged change is there, no half change is, and the read models are what the log says."""
    assert [each for writer in writers for each in writer.unexpected] == []
    conninfo = connection(server.data)
    assert conninfo is not None
    with psycopg.connect(conninfo) as owner:
        stored = dict(
            owner.execute(
                """SELECT request_id, count(*) FROM log.accounts_events WHERE topic <> 'project.api_key_used'
                   GROUP BY request_id"""
            ).fetchall()
        )
        halves = owner.execute(
            """SELECT count(*) FROM (SELECT request_id FROM log.accounts_events WHERE operation = 'users.create'
                   AND topic <> 'project.api_key_used'
               GROUP BY request_id HAVING count(*) <> 2) AS half"""
        ).fetchone()
        prefs = dict(owner.execute("SELECT account_id, prefs FROM read.accounts_v2").fetchall())
    for writer in writers:
        lost = {request for request, events in writer.acknowledged.items() if stored.get(request) != events}
        assert lost == set()
        for account, (at_least, at_most) in writer.prefs.items():
            found = int(prefs[account].removeprefix('{"count":').removesuffix("}")) if prefs[account] != "{}" else 0
            assert at_least <= found <= at_most
    assert halves == (0,)
    key = load_key("master", server.data, {})
    assert key is not None
    _, difference = verify(conninfo, MasterKey(key), projections.ALL)
    assert difference is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_T28_a_killed_server_loses_nothing_it_acknowledged(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Server(tmp_path / "data") as server:
        port = httpx.URL(server.url).port
        assert port is not None
        with load(server) as writers:
            for _ in range(3):
                work_for_a_while(writers, chance)
                server.stop(signal.SIGKILL)
                server.start(port)
            work_for_a_while(writers, chance)
        examine(server, writers)


@pytest.mark.parametrize("seed", [4, 5])
def test_T28_a_killed_database_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Server(tmp_path / "data") as server, load(server) as writers:
        for _ in range(3):
            work_for_a_while(writers, chance)
            # The server starts it again; until then requests wait or are answered 503.
            os.kill(postmaster(server.data), signal.SIGKILL)
        work_for_a_while(writers, chance)
        examined = writers
        for writer in writers:
            writer.stop.set()
        for writer in writers:
            writer.join()
        examine(server, examined)
