"""What the parameters of webhooks must look like."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from accounts_es.domain.project.subscriptions import is_subscription
from accounts_es.http.rules import Invalid, Moment, Number, Text, Url


@dataclass(frozen=True, slots=True)
class EventName:
    """A name that events go by, with ``*`` for ids where it does not matter which."""

    def parse(self, value: JsonValue) -> str:
        """The name as sent."""
        text = Text(256).parse(value)
        if not is_subscription(text):
            raise Invalid("Event is not valid: it must be one of users or teams, such as users.*.create")
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "maxLength": 256, "example": "users.*.create"}


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """An absolute URL of HTTP, without a user in it."""

    def parse(self, value: JsonValue) -> str:
        """The URL as sent."""
        text = Url().parse(value)
        scheme, _, rest = text.partition("://")
        authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
        if scheme not in {"http", "https"} or not authority or "@" in authority or not _is_port(authority):
            raise Invalid("Value must be a valid URL with the scheme http or https, and without a user in it")
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return Url().schema()


@dataclass(frozen=True, slots=True)
class Place:
    """A position of the log, or a time."""

    def parse(self, value: JsonValue) -> int | datetime:
        """The position, or the time in UTC."""
        try:
            return Number(0, 2**63 - 1).parse(value)
        except Invalid:
            return Moment().parse(value)

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"anyOf": [dict(Number(0, 2**63 - 1).schema()), dict(Moment().schema())]}


def _is_port(authority: str) -> bool:
    _, _, port = authority.rpartition("]")[2].partition(":")
    return not port or (port.isascii() and port.isdigit() and 0 < int(port) <= 65_535)
