"""Somebody's backend, on one of the official server SDKs: the same story for each of them."""

import importlib
import re
import warnings
from pathlib import Path
from typing import Any, Final, Protocol

from appwrite.client import Client
from appwrite.exception import AppwriteException
from appwrite.models.base_model import AppwriteModel

from tests.support.calls import Calls
from tests.support.script import Refused, Script

DRIVER: Final = Path(__file__).parent.parent / "sdk" / "driver.mjs"


class Sdk(Protocol):
    """An SDK; ``as_`` are setters of its client with their values, as Node's SDK writes them."""

    name: str

    def spelled(self, method: str) -> str:
        """The method's name in this language."""
        ...

    def has(self, service: str, method: str) -> bool:
        """Whether the SDK has the method."""
        ...

    def call(self, as_: dict[str, str], service: str, method: str, params: dict[str, Any]) -> Any:
        """Call it. Raises `Refused`."""
        ...


class NodeSdk:
    """The official Node SDK, in a process of its own."""

    name = "node"

    def __init__(self, script: Script) -> None:
        self._script = script

    def spelled(self, method: str) -> str:
        """As it is."""
        return method

    def has(self, service: str, method: str) -> bool:
        """Ask it."""
        return self._script.tell(order="has", service=service, method=method)

    def call(self, as_: dict[str, str], service: str, method: str, params: dict[str, Any]) -> Any:
        """Tell it to."""
        given = [params] if params else []
        return self._script.tell(order="call", **{"as": as_}, service=service, method=method, params=given)


class PythonSdk:
    """The official Python SDK. Its models are strict: a missing or null field fails here."""

    name = "python"

    def __init__(self, url: str) -> None:
        self._url = url

    def spelled(self, method: str) -> str:
        """In the case of snakes."""
        return snake(method)

    def has(self, service: str, method: str) -> bool:
        """Look it up."""
        return hasattr(self._service(service), snake(method))

    def call(self, as_: dict[str, str], service: str, method: str, params: dict[str, Any]) -> Any:
        """Call it here."""
        client = Client().set_endpoint(self._url).set_project("default")
        for setter, value in as_.items():
            getattr(client, snake(setter))(value)
        given = {snake(name): value for name, value in params.items()}
        try:
            with warnings.catch_warnings(record=True):  # of what the SDK deprecates and the server keeps
                answer = getattr(self._service(service)(client), snake(method))(**given)
        except AppwriteException as error:
            raise Refused(error.code or 0, error.type or "", error.message) from None
        if not isinstance(answer, AppwriteModel):
            return answer
        return answer.data if set(answer.to_dict()) == {"data"} else answer.to_dict()

    def _service(self, name: str) -> Any:
        return getattr(importlib.import_module(f"appwrite.services.{snake(name)}"), name)


class Backend:
    """A backend that acts as somebody."""

    def __init__(self, sdk: Sdk, calls: Calls, **as_: str) -> None:
        self._sdk = sdk
        self._calls = calls
        self._as = as_

    @property
    def name(self) -> str:
        """Of its SDK."""
        return self._sdk.name

    def acting(self, **as_: str) -> "Backend":
        """The same, as somebody else: ``setKey``, ``setSession`` or ``setJWT``."""
        return Backend(self._sdk, self._calls, **as_)

    def has(self, method: str, service: str = "Account") -> bool:
        """Whether the SDK has this method."""
        return self._sdk.has(service, method)

    def account(self, method: str, **params: Any) -> Any:
        """A method of Account. Raises `Refused`."""
        return self.call("Account", method, **params)

    def call(self, service: str, method: str, **params: Any) -> Any:
        """A method of any service. Raises `Refused`."""
        answer = self._sdk.call(self._as, service, method, params)
        self._calls.add(self._sdk.name, service, self._sdk.spelled(method))
        return answer


def snake(name: str) -> str:
    """A camel's name in the case of snakes, as the Python SDK has it."""
    apart = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", apart).lower()
