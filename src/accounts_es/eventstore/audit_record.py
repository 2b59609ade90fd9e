"""One event as people read it: made of plain values, without hashes, and harmless to terminals."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, cast

REDACTED: Final = "[redacted]"
"""Hidden because that was asked for."""
SEALED: Final = "[sealed]"
"""Hidden because the master key is not at hand."""
ERASED: Final = "[erased]"
"""Gone for good: the person's key was destroyed."""
BROKEN: Final = "[broken]"
"""Does not open with its key: somebody changed it, or moved it."""
HASH: Final = "[hash]"

_HIDDEN: Final = re.compile(r"(^|_)(hash|hashes|digest|secret|secrets|seed|seeds|code|codes|otp|token)\Z")


@dataclass(frozen=True, slots=True)
class Record:
    """One event. ``data`` holds its fields in the shape ``version``; ``erased``: the personal ones are gone for good.

    ``time`` is UTC with microseconds (ISO 8601). ``account`` is the id of the account it is about, where that is known.
    ``actor`` is ``kind:id``, followed by ``<impersonator``.
    """

    position: int
    time: str
    event: str
    topic: str
    version: int
    stream: str
    stream_version: int
    account: str | None
    project: str
    actor: str
    operation: str
    request: str
    correlation: str
    causation: str | None
    ip: str | None
    user_agent: str | None
    erased: bool
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def json(self) -> str:
        """One line of JSON."""
        return harmless_json({name: getattr(self, name) for name in self.__slots__})


def is_hidden(name: str) -> bool:
    """Whether the values of fields of this name are never shown."""
    return _HIDDEN.search(name) is not None


def without_hashes(value: Any) -> Any:
    """The value with marks in the place of what nobody needs to see, at any depth."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: HASH if each and is_hidden(name) else without_hashes(each) for name, each in fields.items()}
    if isinstance(value, list | tuple):
        return [without_hashes(each) for each in cast("list[Any]", value)]
    return value


def harmless_json(value: object, *, indent: int | None = None) -> str:
    """JSON in ASCII: no value can break the line or steer a terminal."""
    return json.dumps(value, ensure_ascii=True, indent=indent, default=str).replace("\x7f", "\\u007f")


def harmless(text: str) -> str:
    """Text in which whatever steers a terminal, or reorders what stands on it, is spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
