"""Two servers share a port and are replaced one after the other under load: nobody misses anything."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.mailbox import Mailbox
from tests.support.running import Person, World
from tests.support.server import Server
from tests.support.sockets import Listener
from tests.support.waiting import eventually

AWAY = (OSError, EOFError, TimeoutError, ConnectionClosed, InvalidHandshake)
"""What it is like when a server goes."""
ROUNDS = 1


class Ear(threading.Thread):
    """Somebody who listens, and comes back with where they were whenever the server goes."""

    def __init__(self, server: Server, person: Person) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._cookies = dict(person.client.cookies.items())
        self._position: int | None = None
        self.heard: list[int] = []
        self.codes: list[int] = []
        self.begun = threading.Event()
        self.done = threading.Event()

    def run(self) -> None:
        """Until told to stop."""
        while not self.done.is_set():
            try:
                after = f"&after={self._position}" if self._position is not None else ""
                with Listener(self._server, cookies=self._cookies, query=after) as listener:
                    self._listen(listener)
            except ConnectionClosed as closed:
                self.codes.append(closed.rcvd.code if closed.rcvd is not None else 1006)
            except AWAY:
                time.sleep(0.05)

    def _listen(self, listener: Listener) -> None:
        connected = listener.said("connected")
        assert connected["user"] is not None
        if self._position is None:
            self._position = connected["position"]
        assert listener.subscribe("account.update")["success"]
        self.begun.set()
        while not self.done.is_set():
            try:
                told = listener.receive(0.5)
            except TimeoutError:
                continue
            if told["type"] == "event":
                self._position = told["data"]["position"]
                if "users.*.update.prefs" in told["data"]["events"]:
                    self.heard.append(told["data"]["payload"]["nth"])


class Reader(threading.Thread):
    """A server that follows the feed, and goes on where it was."""

    def __init__(self, ask: Callable[..., httpx.Response], after: int) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.position = after
        self.read: list[int] = []
        self.done = threading.Event()

    def run(self) -> None:
        """Until told to stop and at the end."""
        while True:
            ending = self.done.is_set()
            page = self._ask("GET", "/events", params={"after": self.position, "wait": 0 if ending else 2}).json()
            self.read += [each["position"] for each in page["events"]]
            self.position = page["position"]
            if ending and not page["more"]:
                return


def stubborn(client: httpx.Client) -> Callable[..., httpx.Response]:
    """Requests that are made again when the server goes, as one and the same."""

    def ask(method: str, path: str, **given: Any) -> httpx.Response:
        headers = {"idempotency-key": token_hex(16)} if method != "GET" else {}
        end = time.monotonic() + 30
        while True:
            try:
                answer = client.request(method, path, headers=headers, **given)
            except httpx.TransportError:
                assert time.monotonic() < end
                time.sleep(0.02)
                continue
            if answer.status_code == 503 and time.monotonic() < end:
                time.sleep(0.02)
                continue
            assert answer.is_success, answer.text
            return answer

    return ask


def test_servers_that_are_replaced_one_by_one_lose_nothing(  # noqa: PLR0915 - one story
    world: World, second: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {"ACCOUNTS_REUSE_PORT": "on"}
    folders = [tmp_path_factory.mktemp("rolling") / "data" for _ in range(2)]
    servers = [Server(folder, database_url=world.conninfo, **settings) for folder in folders]
    servers[0].start()
    port = int(servers[0].url.split(":")[2].removesuffix("/v1"))
    servers[1].start(port)
    people = [world.person() for _ in range(4)]
    key = world.key("events.read")
    (begin,) = world.log.connection.execute("SELECT max(notification_id) FROM log.accounts_events").fetchone() or (0,)
    ears = [Ear(servers[0], person) for person in people for _ in range(3)]
    headers = {"x-appwrite-project": "default", "x-appwrite-key": key}
    stopped = threading.Event()
    acknowledged: list[list[int]] = [[] for _ in people]
    mailed: list[str] = []

    def change(nth: int, person: Person) -> None:
        with httpx.Client(
            base_url=servers[0].url, trust_env=False, timeout=20, cookies=person.client.cookies
        ) as client:
            client.headers["x-appwrite-project"] = "default"
            ask = stubborn(client)
            while not stopped.is_set():
                value = len(acknowledged[nth])
                ask("PATCH", "/account/prefs", json={"prefs": {"nth": value}})
                acknowledged[nth].append(value)

    def write() -> None:
        with httpx.Client(base_url=servers[0].url, trust_env=False, timeout=20) as client:
            client.headers["x-appwrite-project"] = "default"
            ask = stubborn(client)
            while not stopped.is_set():
                email = people[len(mailed) % len(people)].email
                ask("POST", "/account/recovery", json={"email": email, "url": "http://localhost/"})
                mailed.append(email)
                time.sleep(0.05)

    with httpx.Client(base_url=servers[0].url, trust_env=False, timeout=20, headers=headers) as client:
        reader = Reader(stubborn(client), begin)
        for each in (*ears, reader):
            each.start()
        for ear in ears:
            assert ear.begun.wait(20)
        with ThreadPoolExecutor(len(people) + 1) as writers:
            working = [writers.submit(change, nth, person) for nth, person in enumerate(people)]
            working.append(writers.submit(write))
            for _ in range(ROUNDS):
                for server in servers:
                    before = sum(map(len, acknowledged))
                    assert server.stop() == 0
                    eventually(lambda before=before: sum(map(len, acknowledged)) > before + 20)
                    server.start(port)
                    before = sum(map(len, acknowledged))
                    eventually(lambda before=before: sum(map(len, acknowledged)) > before + 20)
            stopped.set()
            for each in working:
                each.result(60)
        for nth, _ in enumerate(people):
            for ear in ears[nth * 3 : nth * 3 + 3]:
                eventually(lambda ear=ear, nth=nth: len(ear.heard) >= len(acknowledged[nth]))
        for each in (*ears, reader):
            each.done.set()
        for each in (*ears, reader):
            each.join(30)
    for nth, _ in enumerate(people):
        for ear in ears[nth * 3 : nth * 3 + 3]:
            assert ear.heard == acknowledged[nth]
    # Every server went with the word that it is only for a moment.
    codes = {code for ear in ears for code in ear.codes}
    assert codes == {1012}
    rows = world.log.connection.execute(
        "SELECT notification_id FROM log.accounts_events WHERE project_id = 'default' AND notification_id > %s"
        " AND notification_id <= %s ORDER BY 1",
        (begin, reader.position),
    ).fetchall()
    assert reader.read == [position for (position,) in rows]
    # Whichever server is there delivers, the one that other tests left running included.
    boxes = [Mailbox(each.data / "outbox") for each in (world.server, second, *servers)]
    arrived: Counter[str] = Counter()

    def delivered() -> bool:
        for box in boxes:
            arrived.update(box.new_addressees())
        return all(arrived[email] >= count for email, count in Counter(mailed).items())

    try:
        eventually(delivered, limit=60)
    finally:
        for server in servers:
            server.stop()
