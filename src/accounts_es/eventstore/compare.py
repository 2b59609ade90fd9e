"""Two copies of a read model's table, held against each other byte for byte."""

import hashlib
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from accounts_es.eventstore.connection import Conn


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row in which a live table differs from the log, and how many rows do.

    ``live`` and ``rebuilt`` hold the columns that differ; one of them is nothing where the row is missing.
    """

    table: str
    key: dict[str, Any]
    live: dict[str, Any] | None
    rebuilt: dict[str, Any] | None
    rows: int


def state_hash(connection: Conn, table: str, schema: str = "read") -> str:
    """A fingerprint (SHA-256, hex) of a table's rows in the order of its key, in constant memory."""
    statement = sql.SQL("COPY (SELECT * FROM {} AS t ORDER BY {}) TO STDOUT").format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(sql.Identifier("t", column) for column in key_columns(connection, schema, table)),
    )
    digest = hashlib.sha256()
    with connection.cursor().copy(statement) as rows:
        for part in rows:
            digest.update(part)
    return digest.hexdigest()


def key_columns(connection: Conn, schema: str, table: str) -> list[str]:
    """The columns of a table's primary key, in its order."""
    found = connection.execute(
        """SELECT a.attname FROM pg_index AS i
           JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
           WHERE i.indrelid = %s::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)""",
        (f"{schema}.{table}",),
    )
    return [name for (name,) in found]


def first_difference(connection: Conn, table: str, shadow: str) -> Difference | None:
    """The first difference between a live table and its copy in the schema ``shadow``, or nothing."""
    columns = key_columns(connection, "read", table)
    joined = sql.SQL("{live} AS l FULL JOIN {shadow} AS s ON {same} WHERE l::text IS DISTINCT FROM s::text").format(
        live=sql.Identifier("read", table),
        shadow=sql.Identifier(shadow, table),
        same=sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier("l", each), sql.Identifier("s", each)) for each in columns
        ),
    )
    counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(joined)).fetchone()
    if counted is None or counted[0] == 0:
        return None
    order = sql.SQL(", ").join(
        sql.SQL("coalesce({}, {})").format(sql.Identifier("l", each), sql.Identifier("s", each)) for each in columns
    )
    first = connection.execute(
        sql.SQL("SELECT to_jsonb(l), to_jsonb(s) FROM {} ORDER BY {} LIMIT 1").format(joined, order)
    ).fetchone()
    live, rebuilt = first if first is not None else (None, None)
    known: dict[str, Any] = live or rebuilt or {}
    changed = [name for name in known if live is None or rebuilt is None or live[name] != rebuilt[name]]
    return Difference(
        table,
        {name: known[name] for name in columns},
        {name: live[name] for name in changed} if live is not None else None,
        {name: rebuilt[name] for name in changed} if rebuilt is not None else None,
        counted[0],
    )
