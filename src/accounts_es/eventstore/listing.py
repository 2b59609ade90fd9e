"""Lists as data: what can be asked of one, and the question itself, with no word of the wire in it.

A read model describes its list (`Listing`), whoever reads a question makes it an `Asked`, and `pages.page` answers it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, Generic, TypeVar

Value = str | int | bool | datetime
R = TypeVar("R", bound=tuple[Any, ...])


class Kind(Enum):
    """The type of an attribute, by the database's name for it."""

    TEXT = "text"
    NUMBER = "bigint"
    FLAG = "boolean"
    TIME = "timestamptz"
    TEXTS = "text[]"


class Operator(Enum):
    """What a condition asks of an attribute."""

    EQUAL = "any of these values"
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    BETWEEN = "within both values"
    ABSENT = "no value"
    BEGINS = "begins with"
    ENDS = "ends with"
    HOLDS = "holds any of these"
    HOLDS_ALL = "holds all of these"
    SEARCH = "full text"


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something to filter and order by.

    ``sql`` is never NULL: where nothing is there it is ``absent``, an SQL literal below all real values, so that one
    index serves filters, orders and cursors. ``caseless`` texts come in lower case from ``sql``, and what they are
    compared with is made so. Times count in milliseconds, as the wire writes them.
    """

    sql: str
    kind: Kind
    absent: str | None = None
    caseless: bool = False
    turns_ties: bool = False
    """Ordered by this first, equals are ordered the same way; otherwise always up (contract: part 5)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One attribute compared. What is absent meets none but ``ABSENT``, negated or not."""

    attribute: Attribute
    operator: Operator
    values: tuple[Value, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Every:
    """All of these hold."""

    filters: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of these holds."""

    filters: "tuple[Filter, ...]"


Filter = Condition | Every | Some


@dataclass(frozen=True, slots=True)
class Order:
    """Up or down by an attribute."""

    attribute: Attribute
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of a list. ``backwards``: the page that ends before the cursor; the list's order stays."""

    filters: tuple[Filter, ...] = ()
    orders: tuple[Order, ...] = ()
    shuffled: bool = False
    limit: int = 25
    offset: int = 0
    cursor: str | None = None
    backwards: bool = False


FIRST_PAGE: Final = Asked()


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """A list that can be asked for pages."""

    row: Callable[[Sequence[Any]], R]
    columns: str
    """What ``row`` is made of."""
    source: str
    """Anything that may follow FROM."""
    scope: str
    """The condition that takes the list's own parameters."""
    id: str
    """What a cursor names."""
    sequence: str
    """A number no two rows of a scope share: it decides between equals."""
    attributes: Mapping[str, Attribute]
    words: str | None = None
    """The column of search words, where the list can be searched."""
