"""The server itself."""

from typing_extensions import TypedDict


class HealthStatus(TypedDict):
    """How a part of the server is, and how many milliseconds it took to tell."""

    name: str
    ping: int
    status: str


class HealthVersion(TypedDict):
    """The level of the contract."""

    version: str
