"""Columns on their way to PostgreSQL arrive as what they were."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from accounts_es.eventstore.arrays import BigIntegers, Booleans, Bytes, Integers, Texts, Times
from accounts_es.eventstore.connection import connect_sync

EAST = timezone(timedelta(hours=5, minutes=30))
COLUMNS: list[tuple[Any, str, Sequence[object]]] = [
    (Booleans, "boolean[]", [True, False]),
    (Bytes, "bytea[]", [b"", b"\x00\xff", b'"\\{}']),
    (Integers, "integer[]", [0, -1, 2**31 - 1, -(2**31)]),
    (Texts, "text[]", ["", "NULL", '"\\{},', "Zoë 🙂", " ", None]),
    (BigIntegers, "bigint[]", [0, -1, 2**63 - 1, -(2**63)]),
    (
        Times,
        "timestamp with time zone[]",
        [
            datetime(2000, 1, 1, tzinfo=UTC),
            datetime(1969, 7, 20, 20, 17, 0, 1, UTC),
            datetime(2026, 11, 25, 1, tzinfo=EAST),
            None,
        ],
    ),
]


@pytest.mark.parametrize(("kind", "name", "values"), COLUMNS, ids=[name for _, name, _ in COLUMNS])
def test_a_column_arrives_with_its_type_and_its_values(database: str, kind: Any, name: str, values: object) -> None:
    with connect_sync(database) as connection:
        for column in (values, []):
            row = connection.execute(
                "SELECT pg_typeof(sent)::text, sent FROM (SELECT %s) AS _ (sent)", (kind.of(column),)
            )
            assert row.fetchone() == (name, column)


def test_a_text_that_postgresql_cannot_store_is_refused() -> None:
    with pytest.raises(psycopg.DataError):
        Texts.of(["fine", "not\x00fine"])
