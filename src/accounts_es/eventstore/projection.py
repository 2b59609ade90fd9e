"""Read models as data: a name, the tables, and one function per event that cares.

A handler turns a recorded event into statements and does nothing else, so the same handler runs inside the append
transaction, in a rebuild beside the live tables, and in a test.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, LiteralString, Protocol, Self, TypeVar

from accounts_es.domain.event import Event, Recorded, personal_fields
from accounts_es.eventstore.arrays import Array, BigIntegers, Texts


class KeyedUpdate(str):
    """Other values for columns of the row of a stream, unless it has come as far already.

    As a text it is the SQL for one row: its parameters are the values, then the stream, and the version that the row
    must be below. For many rows, each of another stream, there is one statement `together`.
    """

    together: bytes
    """The SQL for many rows: its parameters are those for one, each as an array."""
    _kinds: tuple[type[Array], ...]

    def __new__(cls, table: LiteralString, columns: Mapping[LiteralString, type[Array]]) -> Self:
        """A change of these columns, each with the arrays that hold its values."""
        assignments = ", ".join([f"{name} = %s" for name in columns])
        self = super().__new__(cls, f"UPDATE {table} SET {assignments} WHERE stream = %s AND version < %s")
        assignments = ", ".join([f"{name} = new.{name}" for name in columns])
        self.together = (
            f"UPDATE {table} AS old SET {assignments} FROM unnest({', '.join(['%s'] * (len(columns) + 2))})"
            f" AS new ({', '.join(columns)}, of_stream, below) WHERE old.stream = of_stream AND old.version < below"
        ).encode()
        self._kinds = (*columns.values(), Texts, BigIntegers)
        return self

    def arrays(self, rows: Iterable[tuple[Any, ...]]) -> list[Array]:
        """The parameters of `together` from those of each row. Raises psycopg's ``DataError`` for a NUL in a text."""
        return [kind.of(column) for kind, column in zip(self._kinds, zip(*rows, strict=True), strict=True)]


class Tx(Protocol):
    """Takes the statements of a handler, in order. Parameters are positional (``%s``)."""

    def execute(self, sql: LiteralString | KeyedUpdate, params: tuple[object, ...], /) -> None:
        """Add one statement."""
        ...


class Statements(list[tuple[str, tuple[object, ...]]]):
    """A `Tx` that collects, for whoever runs the statements later."""

    def execute(self, sql: LiteralString | KeyedUpdate, params: tuple[object, ...], /) -> None:
        """Add one statement."""
        self.append((sql, params))


class Rounds(list[dict[str, list[tuple[object, ...]]]]):
    """Statements of many streams, so that equal ones travel together and those of one stream keep their order.

    The nth statement of a stream is in the nth round; a round maps a statement to all its parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self._reached: dict[str, int] = {}

    def add(self, stream: str, statements: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        """Add the statements of one event."""
        nth = self._reached.get(stream, 0)
        for sql, params in statements:
            if nth == len(self):
                self.append({})
            self[nth].setdefault(sql, []).append(params)
            nth += 1
        self._reached[stream] = nth


class Lifecycle(Enum):
    """When a read model follows the log: in the append transaction, or after it."""

    INLINE = "inline"


E = TypeVar("E", bound=Event)
Handler = Callable[[Tx, Recorded[E]], None]


@dataclass(frozen=True, slots=True)
class Projection:
    """A read model. Changed tables are new tables (``accounts_v2``), filled by a rebuild.

    Every change is guarded by the stream's version, so that the last event applied again changes nothing. The rows of
    a person whose key is gone do not exist: events whose personal fields are erased are not delivered. Those without
    personal fields are, whatever became of the IP address: the deletion of an account takes out what stands.
    """

    name: str
    tables: tuple[str, ...]
    ddl: LiteralString
    lifecycle: Lifecycle = Lifecycle.INLINE
    handlers: dict[type[Event], Handler[Any]] = field(default_factory=dict[type[Event], "Handler[Any]"])

    def on(self, event: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Register the handler of one event."""

        def register(handler: Handler[E]) -> Handler[E]:
            self.handlers[event] = handler
            return handler

        return register

    def apply(self, tx: Tx, recorded: Recorded[Event]) -> None:
        """The statements this event causes in this read model, if any."""
        handler = self.handlers.get(type(recorded.event))
        if handler is not None and not (recorded.erased and personal_fields(type(recorded.event))):
            handler(tx, recorded)


def routes(projections: Iterable[Projection]) -> Mapping[type[Event], tuple[Handler[Any], ...]]:
    """Event type to the handlers of all these read models, in their order."""
    table: dict[type[Event], tuple[Handler[Any], ...]] = {}
    for projection in projections:
        for event, handler in projection.handlers.items():
            table[event] = (*table.get(event, ()), handler)
    return table
