"""One event as people read it: made of plain values, without hashes, and harmless to terminals."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Final, cast

from pydantic import BaseModel

REDACTED: Final = "[redacted]"
"""Hidden because that was asked for."""
SEALED: Final = "[sealed]"
"""Hidden because the master key is not at hand."""
ERASED: Final = "[erased]"
"""Gone for good: the person's key was destroyed."""
BROKEN: Final = "[broken]"
"""Does not open with its key: somebody changed it, or moved it."""
HASH: Final = "[hash]"

_HIDDEN: Final = re.compile(
    r"(^|_)(hash|hashes|digest|password|passwords|secret|secrets|seed|seeds|code|codes|otp|token)\Z"
)


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
    about: str
    """The stream it is about, which is another one for refused sign-ins and reads of the audit."""
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def json(self) -> str:
        """One line of JSON."""
        return harmless_json({name: getattr(self, name) for name in self.__slots__})

    def csv(self) -> str:
        """One line of CSV (RFC 4180), in the order of `CSV_HEADER`. No cell is a formula to a spreadsheet."""
        return csv_line([getattr(self, name) for name in self.__slots__ if name != "data"] + [harmless_json(self.data)])


def is_hidden(name: str) -> bool:
    """Whether the values of fields of this name are never shown."""
    return _HIDDEN.search(name) is not None


def without_hashes(value: Any) -> Any:
    """The value as plain data, with marks in the place of what nobody needs to see, at any depth."""
    match value:
        case BaseModel():
            return without_hashes(value.model_dump())
        case Mapping():
            fields = cast("Mapping[str, Any]", value)
            return {name: HASH if each and is_hidden(name) else without_hashes(each) for name, each in fields.items()}
        case set() | frozenset():
            return sorted(cast("set[Any]", value), key=str)
        case list() | tuple():
            several = cast("Any", value)
            named = getattr(several, "_asdict", None)
            return [without_hashes(each) for each in several] if named is None else without_hashes(named())
        case _ if is_dataclass(value):
            return without_hashes(asdict(cast("Any", value)))
        case _:
            return value


def harmless_json(value: object, *, indent: int | None = None) -> str:
    """JSON in ASCII: no value can break the line or steer a terminal."""
    return json.dumps(value, ensure_ascii=True, indent=indent, default=str).replace("\x7f", "\\u007f")


def harmless(text: str) -> str:
    """Text in which whatever steers a terminal, or reorders what stands on it, is spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


_BEGINS_FORMULA: Final = re.compile(r"[\s']*[=+\-@|%\uff1d\uff0b\uff0d\uff20]")


def csv_line(values: Iterable[object]) -> str:
    """Cells as a line of CSV: all quoted, on one line, and text where a spreadsheet would see a formula."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow([_cell(each) for each in values])
    return line.getvalue()


def _cell(value: object) -> str:
    text = harmless("" if value is None else str(value))
    return f"'{text}" if _BEGINS_FORMULA.match(text) else text


CSV_HEADER: Final = csv_line(Record.__slots__)
"""The names of the columns."""
