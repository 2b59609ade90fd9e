"""Backends that use the server through the official SDKs."""

from collections.abc import Iterator

import pytest

from tests.support.backends import DRIVER, Backend, NodeSdk, PythonSdk, Sdk
from tests.support.calls import Calls
from tests.support.running import World, jane, operator, world
from tests.support.script import Script

__all__ = ["jane", "operator", "world"]


@pytest.fixture(scope="session")
def node_script(world: World) -> Iterator[Script]:
    """The Node SDK's process."""
    with Script(DRIVER, world.server.url) as script:
        yield script


@pytest.fixture(scope="module")
def calls(request: pytest.FixtureRequest) -> Calls:
    """What this module calls."""
    return Calls(request.module.__file__)


@pytest.fixture(params=["node", "python"])
def sdk(request: pytest.FixtureRequest, world: World) -> Sdk:
    """Each of the server SDKs."""
    if request.param == "python":
        return PythonSdk(world.server.url)
    return NodeSdk(request.getfixturevalue("node_script"))


@pytest.fixture
def backend(sdk: Sdk, calls: Calls) -> Backend:
    """A backend without any credential."""
    return Backend(sdk, calls)


@pytest.fixture
def keyed(backend: Backend, world: World) -> Backend:
    """The same with the first key."""
    return backend.acting(setKey=world.server.credentials["key"])
