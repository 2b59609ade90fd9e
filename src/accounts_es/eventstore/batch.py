"""Many statements in one call, in exactly their order.

Statements of read models must run in the order of the log: an account that is deleted frees an id that the next one
takes. Sent one by one that costs more than the work itself, so a function of the database gets a whole batch: which
statements, and all their parameters in a row. Each is planned once, as if it had been sent by itself.
"""

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import DiagnosticField, ExecStatus

from accounts_es.eventstore.arrays import Integers, Texts, element, joined
from accounts_es.eventstore.connection import Conn

_TEXT: Final = 25
_NOT_THE_STATEMENT: Final = frozenset({"08", "40", "53", "55", "57", "58"})
"""Classes of errors that the next try may not meet: connections, races, resources, locks, operators, the system."""

_FUNCTION: Final = """CREATE OR REPLACE FUNCTION {} (statements int[], parameters text[]) RETURNS void
    LANGUAGE plpgsql AS $replay$
    #variable_conflict use_column
    DECLARE
        replay_statement int;
        replay_nth int := 0;
    BEGIN
        FOREACH replay_statement IN ARRAY statements LOOP
            CASE replay_statement
            {}
            END CASE;
        END LOOP;
    END $replay$"""


class BatchFailed(Exception):  # noqa: N818
    """The database refused a statement; nothing of the batch was stored. ``kind`` says why without quoting a value."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind or type(self).__name__


class Batches:
    """Runs batches of statements on one connection; its function lives in ``schema``."""

    def __init__(self, connection: Conn, schema: str) -> None:
        self._connection = connection
        self._name = sql.Identifier(schema, "replay")
        self._numbers: dict[str, int] = {}
        self._branches: list[str] = []
        self._compiled = 0
        self._call = sql.SQL("SELECT {}($1, $2)").format(self._name).as_string(connection).encode()

    def prepare(self, statements: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        """Make what `run` needs for these, so that undoing the run does not undo that. Raises `BatchFailed`."""
        for text, params in statements:
            if text not in self._numbers:
                self._number(text, len(params))
        self._compile()

    def run(self, statements: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        """Run these statements (SQL with ``%s``, parameters) in their order, all or none. Raises `BatchFailed`."""
        if not statements:
            return
        self.prepare(statements)
        dump = Transformer(self._connection).dump_sequence
        values: list[bytes] = []
        for _, params in statements:
            try:
                dumped = dump(params, [PyFormat.TEXT] * len(params))
            except psycopg.Error as error:
                raise BatchFailed("a parameter is nothing the database knows", type(error).__name__) from error
            values += [element(None if value is None else bytes(value)) for value in dumped]
        answer = self._connection.pgconn.exec_params(
            self._call,
            [Integers.of([self._numbers[text] for text, _ in statements]).data, joined(_TEXT, values)],
            [Integers.oid, Texts.oid],
            [1, 1],
        )
        if answer.status != ExecStatus.TUPLES_OK:
            # The message alone: the details quote values.
            state = (answer.error_field(DiagnosticField.SQLSTATE) or b"").decode()
            message = (answer.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
            if not state:
                raise psycopg.OperationalError("the connection was lost")
            if state[:2] in _NOT_THE_STATEMENT:
                raise psycopg.OperationalError(message)
            raise BatchFailed(message, _kind(state))

    def _number(self, text: str, count: int) -> None:
        pieces = [piece.replace("%%", "%") for piece in text.split("%s")]
        if len(pieces) != count + 1:
            raise BatchFailed(f"{len(pieces) - 1} placeholders for {count} parameters: {text}")
        branch = pieces[0]
        try:
            types = self._types(pieces)
        except psycopg.Error as error:
            if self._connection.closed:
                raise
            raise BatchFailed(str(error.diag.message_primary), type(error).__name__) from error
        for nth, (kind, piece) in enumerate(zip(types, pieces[1:], strict=True), start=1):
            branch += f"parameters[replay_nth + {nth}]::{kind}{piece}"
        number = len(self._branches) + 1
        self._branches.append(f"WHEN {number} THEN {branch}; replay_nth := replay_nth + {count};")
        self._numbers[text] = number

    def _types(self, pieces: Sequence[str]) -> list[str]:
        """What the database takes the parameters of a statement for."""
        numbered = pieces[0] + "".join(f"${nth}{piece}" for nth, piece in enumerate(pieces[1:], start=1))
        with self._connection.transaction():
            self._connection.execute(f"PREPARE replay AS {numbered}".encode())
            row = self._connection.execute(
                "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'replay'"
            ).fetchone()
            self._connection.execute("DEALLOCATE replay")
        return list(row[0]) if row is not None else []

    def _compile(self) -> None:
        if self._compiled < len(self._branches):
            function = sql.SQL(_FUNCTION).format(self._name, sql.SQL("{}"))
            text = function.as_string(self._connection).replace("{}", "\n".join(self._branches))
            self._connection.execute(text.encode())
            self._compiled = len(self._branches)


def _kind(state: str) -> str:
    try:
        return psycopg.errors.lookup(state).__name__
    except KeyError:
        return state
