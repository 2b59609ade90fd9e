"""What the queries of read models run on.

By-key reads of concurrent requests share one query (a dataloader): while one round trip is on its way, further keys
wait and then travel together. There is no artificial delay, and every answer is read after it was asked for.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

K = TypeVar("K", bound=tuple[object, ...])
R = TypeVar("R", bound=tuple[Any, ...])


@dataclass(frozen=True, eq=False)
class Lookup(Generic[K, R]):
    """A by-key read: SQL with one array parameter per part of the key, the row type in column order, the row's key."""

    sql: str
    row: Callable[[Sequence[Any]], R]
    key: Callable[[R], K]


class Reads(Protocol):
    """Reads of committed state, each begun after it was asked for."""

    def load(self, lookup: Lookup[K, R], key: K, /) -> Awaitable[R | None]:
        """The row with this key, or nothing. The read is on its way when this returns, awaited or not."""
        ...

    async def fetch(self, sql: str, params: Sequence[object] = (), /) -> list[tuple[Any, ...]]:
        """All rows of one statement, in a round trip of its own."""
        ...

    async def scan(self, sql: str, params: Sequence[object] = (), /) -> list[tuple[Any, ...]]:
        """The same for a statement that may take long: nothing else waits for it."""
        ...


def columns(row: type[tuple[Any, ...]]) -> str:
    """The select list of a row type (a ``NamedTuple``), in its order."""
    return ", ".join(cast("tuple[str, ...]", getattr(row, "_fields")))  # noqa: B009 - tuples in general have none
