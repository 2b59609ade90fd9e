"""Two copies of a read model's table, held against each other byte for byte."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from accounts_es.eventstore.connection import Conn

LIVE: Final = "read"
"""The schema of the tables that answer."""
_OWNERS: Final = ("stream", "team", "account")
"""How the column is called that holds a row's stream: the first of these that a table has."""
# What a value looks like as text must not depend on how somebody's database is set up.
_CANONICAL: Final = (
    "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601';"
    " SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL client_encoding = 'UTF8'"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row in which a live table differs from the log, and how many rows do.

    ``live`` and ``rebuilt`` hold the columns that differ; one of them is nothing where the row is missing. No rows: the
    tables themselves have other columns, which stand in ``live`` or in ``rebuilt``. ``stream`` is whose row it is.
    """

    table: str
    key: dict[str, Any]
    live: dict[str, Any] | None
    rebuilt: dict[str, Any] | None
    rows: int
    stream: str = ""


def state_hash(connection: Conn, table: str, schema: str = LIVE) -> str:
    """A fingerprint (SHA-256, hex) of a table's rows, in constant memory.

    The columns in the order of their names, the rows in the order of their key, both by code point, so the fingerprint
    is that of the rows and not of the machine, its locale or the age of the table. Computed columns are left out: they
    say nothing new, and the words of a search depend on the locale.
    """
    names = columns(connection, schema, table)
    text = {name for name, kind in names.items() if kind in {"text", "varchar"}}
    order = [
        sql.SQL('t.{} COLLATE "C"' if name in text else "t.{}").format(sql.Identifier(name))
        for name in key_columns(connection, schema, table)
    ]
    statement = sql.SQL("COPY (SELECT {} FROM {} AS t ORDER BY {}) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(schema, table), sql.SQL(", ").join(order)
    )
    digest = hashlib.sha256(",".join(names).encode())
    with connection.transaction():
        connection.execute(_CANONICAL)
        with connection.cursor().copy(statement) as rows:
            for part in rows:
                digest.update(part)
    return digest.hexdigest()


def model_hash(tables: Mapping[str, str]) -> str:
    """One fingerprint for a read model of several tables, from theirs."""
    lines = "".join(f"{table} {found}\n" for table, found in sorted(tables.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def columns(connection: Conn, schema: str, table: str) -> dict[str, str]:
    """The columns of a table that are not computed from others, with their types, in the order of their names."""
    found = connection.execute(
        """SELECT a.attname, t.typname FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
           WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
           ORDER BY a.attname COLLATE "C" """,
        (f"{schema}.{table}",),
    )
    return dict(found.fetchall())


def key_columns(connection: Conn, schema: str, table: str) -> list[str]:
    """The columns of a table's primary key, in its order."""
    found = connection.execute(
        """SELECT a.attname FROM pg_index AS i
           JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
           WHERE i.indrelid = %s::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)""",
        (f"{schema}.{table}",),
    )
    return [name for (name,) in found]


def first_difference(
    connection: Conn,
    table: str,
    shadow: str,
    *,
    accepted: frozenset[str] = frozenset(),
    only: Sequence[str] | None = None,
    without: Sequence[str] = (),
) -> Difference | None:
    """The first difference between a live table and its copy in the schema ``shadow``, or nothing.

    Besides in the columns ``accepted``; ``only`` in rows of these streams; ``without`` those of others.
    """
    live, rebuilt = columns(connection, LIVE, table), columns(connection, shadow, table)
    odd = sorted((set(live) ^ set(rebuilt)) - accepted)
    if odd:
        mine, theirs = (dict.fromkeys(name for name in odd if name in side) or None for side in (live, rebuilt))
        return Difference(table, {}, mine, theirs, 0)
    keys = key_columns(connection, LIVE, table)
    compared = [name for name in live if name in rebuilt and (name not in accepted or name in keys)]

    def side(schema: str) -> sql.Composed:
        conditions: list[sql.Composable] = []
        if only is not None:
            conditions.append(_of(live, only))
        if without:
            conditions.append(sql.SQL("NOT ({})").format(_of(live, without)))
        return sql.SQL("(SELECT {} FROM {} WHERE {})").format(
            sql.SQL(", ").join(map(sql.Identifier, compared)),
            sql.Identifier(schema, table),
            sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
        )

    joined = sql.SQL("{} AS l FULL JOIN {} AS s ON {} WHERE l::text IS DISTINCT FROM s::text").format(
        side(LIVE),
        side(shadow),
        sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier("l", each), sql.Identifier("s", each)) for each in keys
        ),
    )
    counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(joined)).fetchone()
    if counted is None or counted[0] == 0:
        return None
    order = sql.SQL(", ").join(
        sql.SQL("coalesce({}, {})").format(sql.Identifier("l", each), sql.Identifier("s", each)) for each in keys
    )
    first = connection.execute(
        sql.SQL("SELECT to_jsonb(l), to_jsonb(s) FROM {} ORDER BY {} LIMIT 1").format(joined, order)
    ).fetchone()
    mine, theirs = first if first is not None else (None, None)
    return _described(connection, table, keys, mine, theirs, counted[0])


def _of(names: Collection[str], streams: Sequence[str]) -> sql.Composed:
    """The condition that a row is of one of these streams. Without a column that says so it is told by the position of
    an event of its stream, or is of its project."""
    asked = sql.Literal(list(streams))
    owner = next((name for name in _OWNERS if name in names), None)
    if owner is not None:
        return sql.SQL("{} = ANY({})").format(sql.Identifier(owner), asked)
    if "position" in names:
        return sql.SQL(
            "position IN (SELECT notification_id FROM log.accounts_events WHERE originator_id = ANY({}))"
        ).format(asked)
    return sql.SQL("'project-' || project_id = ANY({})").format(asked)


def _stream(connection: Conn, row: Mapping[str, Any]) -> str:
    """Whose row it is, told in the same ways."""
    owner = next((name for name in _OWNERS if name in row), None)
    if owner is not None:
        return str(row[owner])
    if "position" in row:
        found = connection.execute(
            "SELECT originator_id FROM log.accounts_events WHERE notification_id = %s", (row["position"],)
        ).fetchone()
        return str(found[0]) if found is not None else ""
    return f"project-{row.get('project_id')}"


def _described(
    connection: Conn,
    table: str,
    keys: Sequence[str],
    live: dict[str, Any] | None,
    rebuilt: dict[str, Any] | None,
    rows: int,
) -> Difference:
    known: dict[str, Any] = live or rebuilt or {}
    changed = [name for name in known if live is None or rebuilt is None or live[name] != rebuilt[name]]
    return Difference(
        table,
        {name: known[name] for name in keys},
        {name: live[name] for name in changed} if live is not None else None,
        {name: rebuilt[name] for name in changed} if rebuilt is not None else None,
        rows,
        _stream(connection, known),
    )
