"""Tests of sockets and of the feed share one running server; each makes its own people in it."""

from collections.abc import Iterator

import pytest

from tests.support.running import World, guest, jane, log, operator, server, world
from tests.support.server import Server

__all__ = ["guest", "jane", "log", "operator", "server", "world"]


@pytest.fixture(scope="session")
def second(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another process on the same database."""
    with Server(tmp_path_factory.mktemp("second") / "data", database_url=world.conninfo) as server:
        yield server
