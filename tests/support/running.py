"""Fixtures for tests that need a running server: import them in the folder's conftest."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from functools import cached_property
from secrets import token_hex
from typing import Any, TypeVar

import pytest

from accounts_es.adapters.ids import fingerprint, key_secret, wire_id
from accounts_es.application import Application
from accounts_es.bootstrap import running_application
from accounts_es.domain.account import ACCOUNT
from accounts_es.domain.account.commands import issue_token
from accounts_es.domain.account.events import AccountEvent, TokenPurpose
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.aggregate import project_stream
from accounts_es.domain.project.events import ProjectEvent
from accounts_es.eventstore.keys import MasterKey
from accounts_es.http.callers import ALL_KEY_SCOPES
from accounts_es.http.table import OPERATIONS
from tests.conftest import temporary_database
from tests.support.bound import bound
from tests.support.mailbox import Mailbox
from tests.support.metadata import metadata
from tests.support.server import MASTER, Client, Log, Server

T = TypeVar("T")

PASSWORD = "correct horse battery"


def administer(conninfo: str, work: Callable[[Application], Awaitable[T]]) -> T:
    """Commands beside the running server, as the command line gives them."""

    async def carry_out() -> T:
        async with running_application(conninfo, MasterKey(MASTER)) as app:
            return await work(app)

    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(asyncio.run, carry_out()).result()


class World:
    """A server, its log, and what tests need in it."""

    def __init__(self, server: Server, log: Log, conninfo: str) -> None:
        self.server = server
        self.log = log
        self.conninfo = conninfo
        self.mailbox = Mailbox(server.data / "outbox")

    def token(self, account_id: str, purpose: TokenPurpose, secret: str, expires_at: datetime) -> None:
        """Give an account of the default project a one-time secret that expires when the test wants it."""
        digest = self.digest(account_id, secret)
        arguments = {"purpose": purpose, "secret_hash": digest, "expires_at": expires_at}
        self.decide(account_id, issue_token, token_id=wire_id(), **arguments)

    def digest(self, account_id: str, secret: str) -> str:
        """What the server keeps of an account's one-time secret."""
        row = self.log.connection.execute(
            "SELECT stream, project_id FROM read.accounts_v2 WHERE account_id = %s", (account_id,)
        ).fetchone()
        assert row is not None
        return bound(MasterKey(MASTER)).digest(row[1], "token", f"{row[0]}\x1f{secret}").hex()

    def decide(self, account_id: str, command: Callable[..., Iterator[AccountEvent]], **arguments: Any) -> None:
        """A command on an account, as a tool would give it."""
        row = self.log.connection.execute(
            "SELECT stream, project_id FROM read.accounts_v2 WHERE account_id = %s", (account_id,)
        ).fetchone()
        assert row is not None

        async def work(app: Application) -> None:
            await app.execute(metadata("test", project=row[1]), ACCOUNT, row[0], command, **arguments)

        administer(self.conninfo, work)

    def policy(self, policy: str, *, project: str = "default", **settings: Any) -> None:
        """Change a rule of a project."""
        self._settle(project, commands.change_policy, policy=policy, settings=settings)

    def method(self, method: str, *, enabled: bool, project: str = "default") -> None:
        """Switch a way to authenticate on or off."""
        self._settle(project, commands.switch_auth_method, method=method, enabled=enabled)

    def mock_phone(self, number: str, otp: str, *, project: str = "default") -> None:
        """A number that gets no messages."""
        self._settle(project, commands.add_mock_phone, number=number, otp=otp)

    def provider(self, provider: str, *, project: str = "default", **how: Any) -> None:
        """Say how people sign in with a provider."""
        defaults = {"enabled": True, "settings": {}}
        self._settle(project, commands.configure_provider, provider=provider, **{**defaults, **how})

    def smtp(self, changes: JSONObject, *, project: str = "default") -> None:
        """Configure a project's mail, without trying the server."""
        self._settle(project, commands.configure_smtp, changes=changes)

    def _settle(self, project: str, command: Callable[..., Iterator[ProjectEvent]], **arguments: Any) -> None:
        async def work(app: Application) -> None:
            meta = metadata("project.settings", project=project)
            await app.execute(meta, PROJECT, project_stream(project), command, **arguments)

        administer(self.conninfo, work)

    @cached_property
    def bystander(self) -> "Person":
        """Somebody to whom nothing happens."""
        return self.person()

    @cached_property
    def settling(self) -> Client:
        """A server with all scopes in a project of its own, whose settings are nobody else's."""
        project = self.project("settled")
        return self.server.client(project=project, key=self.key(*ALL_KEY_SCOPES, project=project))

    def project(self, project_id: str, *hosts: str) -> str:
        """A new project."""

        async def work(app: Application) -> None:
            meta, stream = metadata("projects.create", project=project_id), project_stream(project_id)
            await app.execute(meta, PROJECT, stream, commands.create_project, project_id=project_id, name=project_id)
            for host in hosts:
                await app.execute(meta, PROJECT, stream, commands.add_platform, platform_id=wire_id(), identifier=host)

        administer(self.conninfo, work)
        return project_id

    def key(self, *scopes: str, project: str = "default", key_id: str | None = None, **more: object) -> str:
        """A new API key."""
        secret = key_secret()

        async def work(app: Application) -> None:
            await app.execute(
                metadata("keys.create", project=project),
                PROJECT,
                project_stream(project),
                commands.create_api_key,
                key_id=key_id or wire_id(),
                name="For a test",
                scopes=scopes,
                secret_hash=fingerprint(secret),
                **more,
            )

        administer(self.conninfo, work)
        return secret

    def drop_key(self, key_id: str, project: str = "default") -> None:
        """Delete an API key."""

        async def work(app: Application) -> None:
            stream = project_stream(project)
            meta = metadata("keys.delete", project=project)
            await app.execute(meta, PROJECT, stream, commands.delete_api_key, key_id=key_id)

        administer(self.conninfo, work)

    def person(self, *, email: str | None = None, project: str = "default", server: Server | None = None) -> "Person":
        """Somebody who has just signed up and in."""
        client = (server or self.server).client(project=project)
        email = email or an_email()
        signed_up = client.ask("POST", "/account", userId="unique()", email=email, password=PASSWORD, name="Jane Roe")
        assert signed_up.status_code == 201, signed_up.text
        signed_in = client.ask("POST", "/account/sessions/email", email=email, password=PASSWORD)
        assert signed_in.status_code == 201, signed_in.text
        return Person(client, signed_up.json()["$id"], signed_in.json()["$id"], email)


class Person:
    """An account and the client that is signed in to it."""

    def __init__(self, client: Client, account_id: str, session_id: str, email: str) -> None:
        self.client = client
        self.account_id = account_id
        self.session_id = session_id
        self.email = email
        self.ask = client.ask


def signed_event(world: World, person: Person) -> int:
    """The position of the person's sign-up, once a checkpoint covers it."""
    ((position,),) = world.log.connection.execute(
        """SELECT notification_id FROM log.accounts_events JOIN read.accounts_v2 AS a ON originator_id = a.stream
           WHERE a.account_id = %s AND originator_version = 1""",
        (person.account_id,),
    ).fetchall()
    end = time.monotonic() + 30
    while not world.log.connection.execute(
        "SELECT 1 FROM log.checkpoints WHERE position >= %s", (position,)
    ).fetchone():
        assert time.monotonic() < end, "the log is not signed"
        time.sleep(0.01)
    return int(position)


def an_email() -> str:
    """An address nobody has."""
    return f"{token_hex(6)}@example.org"


def a_phone() -> str:
    """A number nobody has."""
    return f"+49{int(token_hex(4), 16) % 10**9:09}"


@pytest.fixture(scope="session")
def world(server_conninfo: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running server on a database of its own.

    When all is done, nothing was recorded in the name of an operation that does not say so in its ``emits``.
    """
    folder = tmp_path_factory.mktemp("server")
    with (
        temporary_database(server_conninfo, template) as conninfo,
        closing(Log(conninfo)) as log,
        Server(
            folder / "data", database_url=conninfo, ACCOUNTS_MOCK_PROVIDERS="on", ACCOUNTS_REFUSALS_RECORDED="100000"
        ) as server,
    ):
        made = World(server, log, conninfo)
        made.provider("mock", client_id="1", settings={"client_secret": "123456"})
        yield made
        server.stop()
        held(log)


@pytest.fixture(scope="session")
def server(world: World) -> Server:
    """The server of this run."""
    return world.server


@pytest.fixture(scope="session")
def log(world: World) -> Log:
    """The events of the server's database."""
    return world.log


@pytest.fixture
def guest(server: Server) -> Client:
    """Somebody without credentials."""
    return server.client()


@pytest.fixture(scope="session")
def operator(world: World) -> Client:
    """A server of the user's, with a key for everything."""
    return world.server.operator()


@pytest.fixture
def jane(world: World) -> Person:
    """Somebody who has just signed up and in."""
    return world.person()


BESIDES = {
    "account.accessed",
    "project.api_key_used",
    "security.access_denied",
    "security.sign_in_refused",
    "security.refusals_counted",
    "security.audit_read",
    "security.audit_reads_counted",
}
"""What any request may record besides its operation's own events."""


def held(log: Log) -> None:
    """Every event is one its operation declares."""
    declared = {each.id: {event.topic for event in each.emits} | BESIDES for each in OPERATIONS}
    seen = log.connection.execute("SELECT DISTINCT operation, topic FROM log.accounts_events").fetchall()
    undeclared = [(operation, topic) for operation, topic in seen if topic not in declared.get(operation, {topic})]
    assert not undeclared
