"""What the database answers to a question about a list is what plain Python answers over the same rows."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accounts_es.domain.errors import DatabaseQueryOrderNull, GeneralCursorNotFound
from accounts_es.eventstore import pages
from accounts_es.eventstore.reader import DataLoader
from accounts_es.http.listing import Queries
from accounts_es.http.users.users import ATTRIBUTES
from projections import accounts
from tests.conftest import temporary_database

# The rows -------------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
NAMES = [
    "",
    "Ann",
    "ann",
    "Anna",
    "BOB",
    "bob ann",
    "a_b",
    "a%b",
    "aXb",
    "back\\slash",
    "Élodie",
    "élan",
    "'; --",
    "日本",
]
EMAILS = [None, "ann@example.com", "bob@example.com", "a_b@example.org", "x%y@b.example", "zoe+tag@example.com"]
PHONES = [None, "+491511", "+491512", "+331", "+49"]
LABELS = ["vip", "VIP", "beta", "x1"]
# Microseconds apart: the wire knows nothing smaller than a millisecond.
TIMES = [NOON + timedelta(milliseconds=ms, microseconds=us) for ms in (0, 1, 2, 60_000) for us in (0, 1, 999)]


@dataclass(frozen=True)
class Row:
    """One account, under the names of the wire."""

    fields: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


def some_rows(count: int) -> Iterator[Row]:
    random = Random(7)
    for nth in range(count):
        created = random.choice(TIMES)
        yield Row(
            {
                "$id": f"{random.choice('aAbZ')}{nth}",
                "$sequence": 1000 - nth * 3,
                "$createdAt": created,
                "$updatedAt": random.choice(TIMES),
                "registration": created,
                "name": random.choice(NAMES),
                "email": random.choice(EMAILS),
                "phone": random.choice(PHONES),
                "status": random.random() < 0.7,
                "labels": random.sample(LABELS, random.randrange(4)),
                "passwordUpdate": random.choice([None, *TIMES]),
                "emailVerification": random.random() < 0.5,
                "phoneVerification": random.random() < 0.5,
                "impersonator": random.random() < 0.1,
                "accessedAt": random.choice([None, *TIMES]),
            }
        )


ROWS = list(some_rows(70))
INSERT = """INSERT INTO read.accounts_v2 (stream, version, position, project_id, account_id, email, phone, name, active,
                email_verified, phone_verified, impersonator, labels, password_updated_at, created_at, updated_at,
                accessed_at)
            VALUES (%(stream)s, 1, %($sequence)s, %(project)s, %($id)s, %(email)s, %(phone)s, %(name)s, %(status)s,
                %(emailVerification)s, %(phoneVerification)s, %(impersonator)s, %(labels)s, %(passwordUpdate)s,
                %($createdAt)s, %($updatedAt)s, %(accessedAt)s)"""


@pytest.fixture(scope="module")
def filled(server_conninfo: str, template: str) -> Iterator[str]:
    """A database with the rows in one project, and again in another with their order turned."""
    with temporary_database(server_conninfo, template) as conninfo:
        with psycopg.connect(conninfo) as owner, owner.cursor() as cursor:
            cursor.executemany(
                INSERT,
                [
                    {**row.fields, "project": project, "stream": f"{project}-{row['$id']}", "$sequence": position}
                    for row in ROWS
                    for project, position in (("p", row["$sequence"]), ("q", -row["$sequence"]))
                ],
            )
        yield conninfo


@pytest_asyncio.fixture(scope="module")
async def reads(filled: str) -> AsyncIterator[DataLoader]:
    """Reads of that database."""
    loader = DataLoader(filled)
    await loader.start()
    try:
        yield loader
    finally:
        await loader.stop()


# The other evaluation -------------------------------------------------------------------------------------------------


def comparable(name: str, value: Any) -> Any:
    """A value as the contract compares it."""
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value.lower() if name in {"name", "email"} and isinstance(value, str) else value


def asked_value(name: str, value: Any) -> Any:
    """The same of a value in a query, where times are texts."""
    if isinstance(ROWS[0][name], datetime) or name in {"passwordUpdate", "accessedAt"}:
        value = datetime.fromisoformat(value)
    return comparable(name, value)


POSITIVE: dict[str, Any] = {
    "equal": lambda has, values: has in values,
    "lessThan": lambda has, values: has < values[0],
    "lessThanEqual": lambda has, values: has <= values[0],
    "greaterThan": lambda has, values: has > values[0],
    "greaterThanEqual": lambda has, values: has >= values[0],
    "between": lambda has, values: values[0] <= has <= values[1],
    "startsWith": lambda has, values: has.startswith(values[0]),
    "endsWith": lambda has, values: has.endswith(values[0]),
    "contains": lambda has, values: any(value in has for value in values),
    "containsAny": lambda has, values: any(value in has for value in values),
    "containsAll": lambda has, values: all(value in has for value in values),
}
NEGATIVE = {
    "notEqual": "equal",
    "notBetween": "between",
    "notStartsWith": "startsWith",
    "notEndsWith": "endsWith",
    "notContains": "contains",
}


def meets(row: Row, query: dict[str, Any]) -> bool:
    method = query["method"]
    if method in {"and", "or"}:
        return (all if method == "and" else any)(meets(row, each) for each in query["values"])
    name = query["attribute"]
    has = row[name]
    if method in {"isNull", "isNotNull"}:
        return (has is None) == (method == "isNull")
    if has is None:
        return False
    has, values = comparable(name, has), [asked_value(name, value) for value in query["values"]]
    if method in NEGATIVE:
        return not POSITIVE[NEGATIVE[method]](has, values)
    return bool(POSITIVE[method](has, values))


def ordered(rows: list[Row], orders: list[dict[str, Any]]) -> list[Row]:
    down = (
        bool(orders) and orders[0]["method"] == "orderDesc" and orders[0]["attribute"] in {"$createdAt", "$updatedAt"}
    )
    rows = sorted(rows, key=lambda row: row["$sequence"], reverse=down)
    for order in reversed(orders):
        name = order["attribute"]

        def key(row: Row, name: str = name) -> tuple[bool, Any]:
            has = row[name]
            lower = has.lower() if name in {"name", "email"} and has is not None else has
            return (False, 0) if has is None else (True, lower)

        rows = sorted(rows, key=key, reverse=order["method"] == "orderDesc")
    return rows


def page_of(question: "Question") -> list[str] | type[Exception]:
    everybody = ordered(ROWS, question.orders)
    start = None
    if question.cursor is not None:
        start = next((nth for nth, row in enumerate(everybody) if row["$id"] == question.cursor), None)
        if start is None:
            return GeneralCursorNotFound
        if any(everybody[start][order["attribute"]] is None for order in question.orders):
            return DatabaseQueryOrderNull
    if start is not None:
        everybody = everybody[:start][::-1] if question.backwards else everybody[start + 1 :]
    matching = [row["$id"] for row in everybody if all(meets(row, each) for each in question.filters)]
    page = matching[question.offset :][: question.limit]
    return page[::-1] if start is not None and question.backwards else page


# The questions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """Queries as an SDK would make them."""

    filters: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    limit: int
    offset: int
    cursor: str | None
    backwards: bool

    def texts(self) -> list[str]:
        cursor = "cursorBefore" if self.backwards else "cursorAfter"
        queries = [*self.filters, *self.orders]
        queries += [{"method": "limit", "values": [self.limit]}, {"method": "offset", "values": [self.offset]}]
        if self.cursor is not None:
            queries.append({"method": cursor, "values": [self.cursor]})
        return [json.dumps(query) for query in queries]


# Also what no row has, and what means something in LIKE, in a text search or in SQL.
PIECES = ["", "a", "A", "an", "N", "_", "%", "\\", "'", "é", "É", "@", "+49", "1", "example", '"', "$1", "%s", "b\\"]
TEXTS = {
    "name": [*NAMES, *PIECES],
    "email": [*filter(None, EMAILS), "ANN@Example.com", *PIECES],
    "phone": [*filter(None, PHONES), *PIECES],
    "$id": [*(row["$id"] for row in ROWS[:9]), "a", "A1", *PIECES],
}
MOMENTS = [at.isoformat() for at in TIMES] + ["2026-05-04T12:00:00.001Z", "2026-05-04T14:00:00+02:00", "1999-01-01"]
MOMENTS = [text if "T" in text else f"{text}T00:00:00+00:00" for text in MOMENTS]
KINDS: dict[str, Any] = {
    **{name: ("text", st.sampled_from(values)) for name, values in TEXTS.items()},
    **{name: ("flag", st.booleans()) for name in ("status", "emailVerification", "phoneVerification", "impersonator")},
    **{
        name: ("time", st.sampled_from(MOMENTS))
        for name in ("$createdAt", "$updatedAt", "registration", "passwordUpdate", "accessedAt")
    },
    "$sequence": ("number", st.integers(780, 1010)),
    "labels": ("texts", st.sampled_from([*LABELS, "nobody", "v"])),
}
COMPARED = [
    "equal",
    "notEqual",
    "lessThan",
    "lessThanEqual",
    "greaterThan",
    "greaterThanEqual",
    "between",
    "notBetween",
]
METHODS = {
    "text": [*COMPARED, "startsWith", "notStartsWith", "endsWith", "notEndsWith", "contains", "notContains"],
    "flag": COMPARED,
    "time": COMPARED,
    "number": COMPARED,
    "texts": ["contains", "containsAny", "containsAll", "notContains"],
}
SEVERAL = {"equal", "contains", "containsAny", "containsAll", "notContains"}


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(list(KINDS)))
    kind, values = KINDS[name]
    method = draw(st.sampled_from([*METHODS[kind], "isNull", "isNotNull"]))
    if method in {"isNull", "isNotNull"}:
        return {"method": method, "attribute": name}
    count = 2 if method in {"between", "notBetween"} else draw(st.integers(1, 3)) if method in SEVERAL else 1
    return {"method": method, "attribute": name, "values": [draw(values) for _ in range(count)]}


FILTERS = st.recursive(
    conditions(),
    lambda inner: st.builds(
        lambda method, values: {"method": method, "values": values},
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=2, max_size=3),
    ),
    max_leaves=8,
)
ORDERS = st.builds(
    lambda method, name: {"method": method, "attribute": name},
    st.sampled_from(["orderAsc", "orderDesc"]),
    st.sampled_from([name for name in KINDS if name != "labels"]),
)
QUESTIONS = st.builds(
    Question,
    filters=st.lists(FILTERS, max_size=2),
    orders=st.lists(ORDERS, max_size=3),
    limit=st.integers(1, 80),
    offset=st.one_of(st.just(0), st.integers(0, 80)),
    cursor=st.none() | st.sampled_from([*(row["$id"] for row in ROWS), "nobody"]),
    backwards=st.booleans(),
)

MISSING = {"method": "orderAsc", "attribute": "email"}
by_the_thousand = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("counted", [pages.MAX_TOTAL, 12], ids=["few", "many"])
@given(question=QUESTIONS)
@by_the_thousand
@example(question=Question([], [], 1, 0, "nobody", backwards=False))
@example(question=Question([], [{"method": "orderDesc", "attribute": "email"}], 80, 0, ROWS[9]["$id"], backwards=False))
@example(question=Question([], [{"method": "orderDesc", "attribute": "status"}], 80, 0, ROWS[9]["$id"], backwards=True))
@example(
    question=Question([], [{"method": "orderAsc", "attribute": "$sequence"}, MISSING], 9, 0, "A0", backwards=False)
)
async def test_a_page_is_what_python_finds(reads: DataLoader, question: Question, counted: int) -> None:
    asked = Queries(ATTRIBUTES).parse([*question.texts()])
    expected = page_of(question)
    # Up to as many as are counted a page is found in one way, beyond them in another.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "MAX_TOTAL", counted)
        if isinstance(expected, type):
            with pytest.raises(expected):
                await accounts.list_accounts(reads, "p", asked=asked)
            return
        rows, total = await accounts.list_accounts(reads, "p", asked=asked)
    assert [row.account_id for row in rows] == expected
    assert total == min(counted, sum(all(meets(row, each) for each in question.filters) for row in ROWS))


NEVER_MISSING = [name for name in KINDS if name not in {"labels", "email", "phone", "passwordUpdate", "accessedAt"}]


@given(
    orders=st.lists(ORDERS.filter(lambda order: order["attribute"] in NEVER_MISSING), max_size=3),
    limit=st.integers(1, 20),
    backwards=st.booleans(),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_pages_from_cursor_to_cursor_are_the_whole_list(
    reads: DataLoader, orders: list[dict[str, Any]], limit: int, *, backwards: bool
) -> None:
    everybody = [row["$id"] for row in ordered(ROWS, orders)]
    walked: list[str] = [everybody[-1 if backwards else 0]]
    while True:
        question = Question([], orders, limit, 0, walked[0 if backwards else -1], backwards)
        asked = Queries(ATTRIBUTES).parse([*question.texts()])
        rows, _ = await accounts.list_accounts(reads, "p", asked=asked, with_total=False)
        if not rows:
            break
        page = [row.account_id for row in rows]
        walked = [*page, *walked] if backwards else [*walked, *page]
    assert walked == everybody


async def test_a_shuffled_list_is_the_same_list(reads: DataLoader) -> None:
    asked = Queries(ATTRIBUTES).parse(['{"method":"orderRandom"}', '{"method":"limit","values":[100]}'])
    seen = [[row.account_id for row in (await accounts.list_accounts(reads, "p", asked=asked))[0]] for _ in range(3)]
    assert all(sorted(each) == sorted(row["$id"] for row in ROWS) for each in seen)
    assert len({tuple(each) for each in seen}) > 1


# The indexes ----------------------------------------------------------------------------------------------------------

SCANNED = {"updated_at", "accessed_at", "active", "impersonator", "labels"}
"""Ordered by these, a list is read as a whole; the last cannot be ordered by."""


@pytest.mark.parametrize("name", accounts.LISTING.attributes)
def test_indexes_are_written_as_the_list_asks(filled: str, name: str) -> None:
    order = f"{accounts.LISTING.attributes[name].sql}, position"
    with psycopg.connect(filled) as owner:
        owner.execute("SET search_path = read, log; SET enable_sort = off; SET enable_seqscan = off")
        for project in ("project_id = 'p'", "project_id = 'p' AND version > 0"):
            rows = owner.execute(
                f"EXPLAIN SELECT 1 FROM accounts_v2 WHERE {project} ORDER BY {order} LIMIT 1"
            ).fetchall()
            # What is sorted within equals only ("Incremental Sort") begins at once, too.
            plan = "\n".join(line for (line,) in rows).replace("->  ", "-> ")
            assert ("-> Sort" in plan) == (name in SCANNED), plan


def test_using_an_account_changes_nothing_that_is_indexed(filled: str) -> None:
    with psycopg.connect(filled) as owner:
        rows = owner.execute(
            """SELECT DISTINCT attname FROM pg_index JOIN pg_depend ON objid = indexrelid AND refobjid = indrelid
               JOIN pg_attribute ON attrelid = indrelid AND attnum = refobjsubid
               WHERE indrelid = 'read.accounts_v2'::regclass"""
        ).fetchall()
    indexed = {name for (name,) in rows}
    assert indexed >= {"account_id", "name", "labels", "words"}
    assert not indexed & {"version", "updated_at", "accessed_at", "prefs"}
