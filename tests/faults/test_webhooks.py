"""Webhooks under everything that goes wrong: receivers that die, dawdle or forget, and ends of ours."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
import pytest

from accounts_es.application import Application
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.aggregate import project_stream
from tests.faults.test_delivery import deliverer, started
from tests.support.metadata import metadata
from tests.support.running import administer
from tests.support.server import COMMAND, Client, Server, environment, keys
from tests.support.smtp import free_port
from tests.support.waiting import eventually

SECRET = "a secret of theirs"
HASTY = {"ACCOUNTS_WEBHOOK_PAUSE": "0.02", "ACCOUNTS_WEBHOOK_ATTEMPTS": "100000", "ACCOUNTS_WEBHOOK_TIMEOUT": "2"}
EVERYTHING = ["users.*", "teams.*"]


class Receiver:
    """A receiver's process, and what it says."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook?token=token-of-theirs"
        self.journal = folder / f"journal-{self.port}"
        self._process: subprocess.Popen[str] | None = None
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=20)

    def start(self) -> Self:
        """Returns when it answers."""
        arguments = [str(self.port), str(self.journal), SECRET, self.url]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.receiver", *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def kill(self) -> None:
        """From one moment to the next."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def forget(self) -> None:
        """Lose everything."""
        self.kill()
        self.journal.unlink(missing_ok=True)
        self.start()

    def behave(self, **how: Any) -> None:
        """Be like this from now on."""
        self._http.post("/behave", json=how)

    @property
    def known(self) -> dict[str, Any]:
        """Its copy."""
        return self._http.get("/").json()

    def close(self) -> None:
        """The end."""
        self.kill()
        self._http.close()


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Callable[[], Receiver]]:
    made: list[Receiver] = []

    def make() -> Receiver:
        made.append(Receiver(tmp_path))
        return made[-1].start()

    yield make
    for each in made:
        each.close()


@pytest.fixture
def receiver(receivers: Callable[[], Receiver]) -> Receiver:
    return receivers()


def hook(operator: Client, url: str, **how: Any) -> str:
    fields = {"name": "Theirs", "url": url, "events": EVERYTHING, "secret": SECRET}
    made = operator.ask("POST", "/webhooks", webhookId="unique()", **{**fields, **how})
    assert made.status_code == 201, made.text
    return made.json()["$id"]


USER = ("name", "email", "phone", "status", "labels", "emailVerification", "prefs")


def truth(operator: Client) -> dict[str, Any]:
    """What the server says."""
    many = {"queries[]": '{"method":"limit","values":[500]}'}
    users = operator.get("/users", params=many).json()["users"]
    teams = operator.get("/teams", params=many).json()["teams"]
    members = [
        each
        for team in teams
        for each in operator.get(f"/teams/{team['$id']}/memberships", params=many).json()["memberships"]
    ]
    return {
        "users": {each["$id"]: {name: each[name] for name in USER} for each in users},
        "teams": {each["$id"]: {"name": each["name"], "prefs": each["prefs"]} for each in teams},
        "memberships": {each["$id"]: {"roles": each["roles"], "confirm": each["confirm"]} for each in members},
    }


def told(known: dict[str, Any]) -> dict[str, Any]:
    """The same of a receiver's copy. PHP has no empty objects."""
    return {
        "users": {
            name: {of: one[of] for of in USER} | {"prefs": one["prefs"] or {}} for name, one in known["users"].items()
        },
        "teams": {name: {"name": one["name"], "prefs": one["prefs"] or {}} for name, one in known["teams"].items()},
        "memberships": {
            name: {"roles": one["roles"], "confirm": one["confirm"]} for name, one in known["memberships"].items()
        },
    }


class Life:
    """People who come, change and go, at random."""

    def __init__(self, operator: Client) -> None:
        self._ask = operator.ask
        self._dice = random.Random(7)
        self._users: list[str] = []
        self._teams: list[str] = []
        self._members: list[tuple[str, str]] = []
        self._nth = 0

    def go_on(self, steps: int) -> None:
        for _ in range(steps):
            self._nth += 1
            self._dice.choice(
                [self._come, self._change, self._change, self._label, self._found, self._join, self._go]
            )()

    def _come(self) -> None:
        email = f"p{self._nth}@example.org"
        made = self._ask("POST", "/users", userId="unique()", email=email, name=f"Zoë {self._nth}/é")
        self._users.append(made.json()["$id"])

    def _change(self) -> None:
        if not self._users:
            self._come()
            return
        user = self._dice.choice(self._users)
        match self._dice.randrange(4):
            case 0:
                self._ask("PATCH", f"/users/{user}/name", name=f"Now {self._nth}")
            case 1:
                self._ask("PATCH", f"/users/{user}/prefs", prefs={"n": self._nth} if self._nth % 3 else {})
            case 2:
                self._ask("PATCH", f"/users/{user}/status", status=bool(self._nth % 2))
            case _:
                self._ask("PATCH", f"/users/{user}/email", email=f"q{self._nth}@example.org")

    def _label(self) -> None:
        if self._users:
            user = self._dice.choice(self._users)
            self._ask("PUT", f"/users/{user}/labels", labels=[f"l{self._nth % 5}", "vip"])
            self._ask("PATCH", f"/users/{user}/verification", emailVerification=bool(self._nth % 2))

    def _found(self) -> None:
        made = self._ask("POST", "/teams", teamId="unique()", name=f"Team {self._nth}")
        self._teams.append(made.json()["$id"])
        self._ask("PUT", f"/teams/{self._teams[0]}/prefs", prefs={"n": self._nth})
        self._ask("PUT", f"/teams/{self._teams[-1]}", name=f"Crew {self._nth}")

    def _join(self) -> None:
        if self._users and self._teams:
            team, user = self._dice.choice(self._teams), self._dice.choice(self._users)
            made = self._ask("POST", f"/teams/{team}/memberships", userId=user, roles=["one"])
            if made.status_code == 201:
                member = made.json()["$id"]
                self._ask("PATCH", f"/teams/{team}/memberships/{member}", roles=["one", "two"])

    def _go(self) -> None:
        if len(self._users) > 4:
            self._ask("DELETE", f"/users/{self._users.pop(self._dice.randrange(len(self._users)))}")
        if len(self._teams) > 3:
            self._ask("DELETE", f"/teams/{self._teams.pop(0)}")


def same(receiver: Receiver, operator: Client) -> bool:
    return told(receiver.known) == truth(operator)


async def test_a_copy_that_is_killed_slowed_and_told_twice_is_the_server_s_in_the_end(
    database: str, tmp_path: Path, receiver: Receiver
) -> None:
    with Server(tmp_path / "data", database_url=database, **HASTY) as server:
        operator = server.operator()
        life = Life(operator)
        webhook = hook(operator, receiver.url)
        life.go_on(20)
        receiver.kill()
        life.go_on(20)
        receiver.start()
        receiver.behave(delay=0.1)
        life.go_on(20)
        receiver.behave(hang_up=5)
        life.go_on(20)
        eventually(lambda: receiver.known["behaviour"] == {"hang_up": 0})
        receiver.kill()
        receiver.start()
        os.kill(await started(server), signal.SIGKILL)
        life.go_on(20)
        with server.owner() as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'accounts-es'"
            )
        receiver.behave(status=500)
        life.go_on(5)
        failing = eventually(lambda: (now := seen(operator, webhook))["answer"] == 500 and now)
        assert failing["logs"] == "HTTP 500\nnot today"
        assert failing["attempts"] > 0
        os.kill(await started(server), signal.SIGTERM)
        receiver.behave()
        eventually(lambda: same(receiver, operator))
        known = receiver.known
        assert known["gaps"] == []
        assert known["duplicates"] > 0
        eventually(lambda: seen(operator, webhook)["attempts"] == 0)

        # It loses everything, and is told again from the beginning; then from somewhere in the middle.
        count = known["count"]
        receiver.forget()
        assert operator.ask("POST", f"/webhooks/{webhook}/rewind", to=0).status_code == 200
        eventually(lambda: receiver.known["count"] >= count and same(receiver, operator))
        assert receiver.known["gaps"] == []
        middle = seen(operator, webhook)["position"] - 40
        before = receiver.known["duplicates"]
        assert f"position {middle}" in asked(server, database, "rewind", webhook, "--to", str(middle))
        life.go_on(3)
        eventually(lambda: receiver.known["duplicates"] >= before + 10 and same(receiver, operator))
        assert receiver.known["gaps"] == []
        assert "webhook not delivered" in server.logged
        assert "webhook failed" not in server.logged
        assert "webhooks failed" not in server.logged
        for secret in (SECRET, "token-of-theirs", "not today"):
            assert secret not in server.logged, "T22"


def asked(server: Server, database: str, *words: str) -> str:
    """What the command line says."""
    command = [COMMAND, "webhooks", *words, "--data", str(server.data)]
    settings = environment(ACCOUNTS_DATABASE_URL=database, **keys())
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=True).stdout


def seen(operator: Client, webhook: str) -> dict[str, Any]:
    return operator.ask("GET", f"/webhooks/{webhook}").json()


async def test_T64_who_is_away_degrades_nothing_else_and_is_told_after_restarts(
    database: str, tmp_path: Path, receivers: Callable[[], Receiver]
) -> None:
    there, away, silent = receivers(), receivers(), receivers()
    away.kill()
    silent.behave(delay=60)
    with Server(tmp_path / "data", database_url=database, **HASTY) as server:
        operator = server.operator()
        for each in (there, away, silent):
            hook(operator, each.url)
        life = Life(operator)
        life.go_on(15)
        eventually(lambda: same(there, operator))
        began = time.monotonic()
        assert server.client().ask("POST", "/account/sessions/anonymous").status_code == 201
        assert time.monotonic() - began < 2
        server.stop(signal.SIGKILL)
        server.start()
        operator = server.operator()
        life = Life(operator)
        away.start()
        eventually(lambda: same(away, operator) and same(there, operator))
        assert away.known["gaps"] == []
        assert not same(silent, operator)
        silent.behave()
        eventually(lambda: same(silent, operator))


async def test_T44_rebuilt_read_models_tell_nobody_anything_again(
    database: str, tmp_path: Path, receiver: Receiver
) -> None:
    with Server(tmp_path / "data", database_url=database, **HASTY) as server:
        operator = server.operator()
        hook(operator, receiver.url)
        life = Life(operator)
        life.go_on(10)
        eventually(lambda: same(receiver, operator))
        settings = environment(ACCOUNTS_DATABASE_URL=database, **keys())
        rebuilding = await asyncio.create_subprocess_exec(
            COMMAND,
            "replay",
            "--data",
            str(server.data),
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = await rebuilding.communicate()
        assert rebuilding.returncode == 0, said
        life.go_on(10)
        eventually(lambda: same(receiver, operator))
        known = receiver.known
        assert (known["duplicates"], known["gaps"]) == (0, [])


async def test_T57_whoever_was_told_of_a_person_is_told_that_the_person_is_erased(
    database: str, tmp_path: Path, receiver: Receiver
) -> None:
    """Although the log does not know any more whom it was about, and nothing else is told of them."""
    with Server(tmp_path / "data", database_url=database, **HASTY) as server, server.owner() as owner:
        operator = server.operator()
        webhook = hook(operator, receiver.url)
        gone, stays = (
            operator.ask("POST", "/users", userId="unique()", email=f"{name}@example.org", name=name).json()["$id"]
            for name in ("gone", "stays")
        )
        eventually(lambda: set(receiver.known["users"]) == {gone, stays})
        receiver.kill()
        operator.ask("PATCH", f"/users/{gone}/name", name="Their last name")
        eventually(lambda: seen(operator, webhook)["attempts"] > 0)
        assert operator.ask("POST", f"/users/{gone}/erasure").status_code < 300
        (sealed,) = owner.execute("SELECT encode(sealed, 'escape') FROM log.erased_ids").fetchall()
        assert gone not in sealed[0]
        receiver.start()
        eventually(lambda: set(receiver.known["users"]) == {stays})
        assert receiver.known["gaps"] == []
        assert "Their last name" not in receiver.journal.read_text()
        eventually(lambda: owner.execute("SELECT count(*) FROM log.erased_ids").fetchone() == (0,), limit=30)


async def test_one_that_fails_too_often_is_disabled_and_goes_on_where_it_stopped(
    database: str, tmp_path: Path, receiver: Receiver
) -> None:
    settings = {**HASTY, "ACCOUNTS_WEBHOOK_ATTEMPTS": "3"}
    with Server(tmp_path / "data", database_url=database, **settings) as server:
        operator = server.operator()
        receiver.behave(status=503)
        webhook = hook(operator, receiver.url)
        Life(operator).go_on(10)
        disabled = eventually(lambda: not (now := seen(operator, webhook))["enabled"] and now)
        assert disabled["attempts"] == 3
        listed = asked(server, database, "list").split("\t")
        assert (listed[0], listed[2], listed[4:]) == (webhook, "disabled", ["3 failed", "503\n"])
        with server.owner() as owner:
            topics = owner.execute(
                "SELECT topic, actor FROM log.accounts_events WHERE topic = 'project.webhook_disabled'"
            ).fetchall()
        assert topics == [("project.webhook_disabled", "system:webhooks")]
        receiver.behave()
        saved = operator.ask("PUT", f"/webhooks/{webhook}", name="Theirs", url=receiver.url, events=EVERYTHING)
        assert (saved.json()["attempts"], saved.json()["enabled"]) == (0, True)
        eventually(lambda: same(receiver, operator))
        assert receiver.known["gaps"] == []


async def test_nothing_is_sent_inside_our_own_network(database: str, tmp_path: Path, receiver: Receiver) -> None:
    """Not even where the name led elsewhere when it was set up."""
    settings = {**HASTY, "ACCOUNTS_WEBHOOK_ATTEMPTS": "3", "ACCOUNTS_REACHABLE_NETWORKS": "127.0.0.0/8"}
    with Server(tmp_path / "data", database_url=database, **settings) as server:
        operator = server.operator()
        webhook = hook(operator, receiver.url, enabled=False)
    with Server(tmp_path / "data", database_url=database, **{**settings, "ACCOUNTS_REACHABLE_NETWORKS": ""}) as server:
        operator = server.operator()
        # Its URL is as it was, so it is not looked up again.
        operator.ask("PUT", f"/webhooks/{webhook}", name="Theirs", url=receiver.url, events=EVERYTHING)
        Life(operator).go_on(10)
        failed = eventually(lambda: not (now := seen(operator, webhook))["enabled"] and now)
        assert "the host has no public address" in failed["logs"]
        assert receiver.known["count"] == 0


def test_without_webhooks_nobody_listens_to_the_log(database: str, tmp_path: Path) -> None:
    """Whoever listens is woken by every append, which the database has to do."""
    with Server(tmp_path / "data", database_url=database, **HASTY) as server, server.owner() as owner:
        operator = server.operator()
        eventually(lambda: deliverer(server))
        assert not listening(owner)
        webhook = hook(operator, "http://127.0.0.1:1/")
        eventually(lambda: listening(owner))
        operator.ask("DELETE", f"/webhooks/{webhook}")
        eventually(lambda: not listening(owner))


def listening(owner: psycopg.Connection[Any]) -> bool:
    found = owner.execute(
        """SELECT 1 FROM pg_stat_activity
           WHERE datname = current_database() AND query = 'LISTEN accounts_events'"""
    ).fetchone()
    return found is not None


async def test_what_another_took_over_is_left_to_them_without_a_failure(
    database: str, tmp_path: Path, receiver: Receiver
) -> None:
    with Server(tmp_path / "data", database_url=database, **HASTY) as server, server.owner() as owner:
        operator = server.operator()
        hook(operator, receiver.url)
        Life(operator).go_on(5)
        eventually(lambda: same(receiver, operator))
        receiver.behave(delay=0.5)
        count = receiver.known["count"]
        operator.ask("POST", "/teams", teamId="unique()", name="Crew")
        eventually(lambda: receiver.known["count"] > count)
        # Somebody else has it, as it was set up later.
        owner.execute("UPDATE log.webhook_progress SET seen = seen + 1")
        owner.commit()
        eventually(lambda: receiver.known["duplicates"] > 0)
        owner.execute("UPDATE log.webhook_progress SET seen = seen - 1")
        owner.commit()
        receiver.behave()
        eventually(lambda: same(receiver, operator))
        assert "webhook failed" not in server.logged


async def test_T43_a_project_that_cannot_be_read_keeps_back_the_webhooks_of_no_other(
    database: str, tmp_path: Path, receivers: Callable[[], Receiver]
) -> None:
    there, other = receivers(), receivers()
    with Server(tmp_path / "data", database_url=database, **HASTY) as server, server.owner() as owner:
        operator = server.operator()
        hook(operator, there.url)

        async def another(app: Application) -> None:
            meta, stream = metadata(project="a-other"), project_stream("a-other")
            make = (PROJECT, stream, commands.create_project)
            await app.execute(meta, *make, project_id="a-other", name="Other")
            told = {"name": "Theirs", "url": other.url, "events": EVERYTHING, "secret": SECRET, "position": 0}
            await app.execute(meta, PROJECT, stream, commands.add_webhook, webhook_id="theirs", **told)

        administer(database, another)
        eventually(lambda: owner.execute("SELECT count(*) FROM log.webhook_progress").fetchone() == (2,))
        owner.execute(
            """INSERT INTO log.accounts_events (originator_id, originator_version, topic, state, project_id,
                   recorded_at, actor, operation, request_id, correlation_id)
               VALUES ('project-a-other', 3, 'project.levitated', '{"v": 1}', 'a-other', now(), 'system', 'x', 'r',
                   'r')"""
        )
        owner.commit()
        os.kill(await started(server), signal.SIGKILL)
        Life(operator).go_on(10)
        eventually(lambda: same(there, operator))
        eventually(lambda: "webhooks of a project wait" in server.logged)
        assert "webhooks failed" not in server.logged


def test_T57_nothing_that_was_made_ready_speaks_of_whoever_is_erased_meanwhile(
    database: str, tmp_path: Path, receivers: Callable[[], Receiver]
) -> None:
    """Neither what waits for a slow receiver, nor what is kept for the next who is told the same."""
    slow, later = receivers(), receivers()
    with Server(tmp_path / "data", database_url=database, **{**HASTY, "ACCOUNTS_WEBHOOK_TIMEOUT": "20"}) as server:
        operator = server.operator()
        webhook = hook(operator, slow.url)
        team = operator.ask("POST", "/teams", teamId="unique()", name="Crew").json()["$id"]
        gone, stays = (
            operator.ask("POST", "/users", userId="unique()", email=f"{name}@example.org", name=name).json()["$id"]
            for name in ("gone", "stays")
        )
        eventually(lambda: set(slow.known["users"]) == {gone, stays})
        slow.behave(status=500)
        operator.ask("POST", f"/teams/{team}/memberships", userId=stays, roles=["first"])
        operator.ask("PATCH", f"/users/{gone}/name", name="Their last name")
        operator.ask("POST", f"/teams/{team}/memberships", userId=gone, roles=["second"])
        eventually(lambda: seen(operator, webhook)["attempts"] > 0)
        count = slow.known["count"]
        slow.behave(delay=5)
        eventually(lambda: slow.known["count"] > count, limit=60)  # pauses double
        # The first is on its way, all others are made ready.
        assert operator.ask("POST", f"/users/{gone}/erasure").status_code < 300
        # The next comes once the first is taken, seconds later: erasures are known everywhere by then.
        eventually(lambda: slow.known["count"] > count + 1, limit=60)
        slow.behave()
        eventually(lambda: same(slow, operator))
        again = hook(operator, later.url)
        operator.ask("POST", f"/webhooks/{again}/rewind", to=0)
        eventually(lambda: set(later.known["users"]) == {stays} and same(later, operator))
        for each in (slow, later):
            assert "Their last name" not in each.journal.read_text()
            assert each.known["gaps"] == []
