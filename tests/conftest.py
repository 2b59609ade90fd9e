"""What every test may ask for: a PostgreSQL, a database of its own in it, a log and an application on that.

The server is the embedded one, started once per run in a temporary folder, unless `ACCOUNTS_TEST_DATABASE_URL` names
another (its user must be allowed to create databases and roles).
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from hypothesis import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

import projections
from accounts_es.application import Application
from accounts_es.domain.event import Metadata
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.migrate import migrate

pytest.register_assert_rewrite("tests.support")

from tests.support.metadata import metadata  # noqa: E402 - after the line above

# A busy machine is no failure, and a failure found once must not vanish on the next run.
settings.register_profile("accounts", deadline=None, print_blob=True)
settings.load_profile("accounts")


@pytest.fixture(scope="session")
def server_conninfo() -> Iterator[str]:
    """How the owner reaches the PostgreSQL of this run."""
    elsewhere = os.environ.get("ACCOUNTS_TEST_DATABASE_URL")
    if elsewhere:
        yield elsewhere
        return
    from accounts_es.adapters.embedded_postgres import EmbeddedPostgres

    folder = Path(tempfile.mkdtemp(prefix="aes-"))
    server = EmbeddedPostgres(folder)
    conninfo = server.start()
    try:
        # These databases are thrown away, so their commits need not reach the disk. Tests of durability start a server
        # of their own.
        run(conninfo, "ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        yield conninfo
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def master() -> MasterKey:
    """The master key of all test databases."""
    return MasterKey(b"k" * 32)


@pytest.fixture(scope="session")
def template(server_conninfo: str, master: MasterKey) -> Iterator[str]:
    """The name of a database that is migrated once and then copied."""
    with temporary_database(server_conninfo, "template0") as conninfo:
        with connect_sync(conninfo, as_app=False) as owner:
            migrate(owner, master, projections.ALL)
        yield psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]


@pytest.fixture
def empty_database(server_conninfo: str) -> Iterator[str]:
    """A database nobody has migrated."""
    with temporary_database(server_conninfo, "template0") as conninfo:
        yield conninfo


@pytest.fixture
def database(server_conninfo: str, template: str) -> Iterator[str]:
    """A migrated database of this test alone; the connection string is the owner's."""
    with temporary_database(server_conninfo, template) as conninfo:
        yield conninfo


@pytest_asyncio.fixture
async def log(database: str, master: MasterKey) -> AsyncIterator[EventLog]:
    """A started log with all read models."""
    event_log = EventLog(database, master, projections.ALL)
    await event_log.start()
    try:
        yield event_log
    finally:
        await event_log.stop()


@pytest.fixture
def application(log: EventLog) -> Application:
    """An application on the log."""
    return Application(log)


@pytest.fixture
def meta() -> Callable[..., Metadata]:
    """The maker of metadata, for tests that do not import it."""
    return metadata


class temporary_database:  # noqa: N801 - reads as a verb
    """A database for the length of a ``with`` block."""

    def __init__(self, server: str, template: str) -> None:
        self.server = server
        self.template = template
        self.name = f"test_{uuid4().hex}"

    def __enter__(self) -> str:
        run(self.server, "CREATE DATABASE {} TEMPLATE {}", self.name, self.template)
        return make_conninfo(self.server, dbname=self.name)

    def __exit__(self, *_: object) -> None:
        run(self.server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)


def run(conninfo: str, statement: str, *names: str) -> None:
    """One statement as the owner, outside a transaction; ``names`` are its identifiers."""
    with psycopg.connect(conninfo, autocommit=True) as owner:
        owner.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
