"""The query language of lists: what is read, and what is refused with which words (contract: users-teams, part 5)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts_es.domain.errors import GeneralQueryInvalid
from accounts_es.eventstore.listing import Asked, Condition, Every, Kind, Operator, Order, Some
from accounts_es.eventstore.pages import condition
from accounts_es.http.listing import Queries
from accounts_es.http.rules import Invalid
from accounts_es.http.users.users import ATTRIBUTES

USERS = Queries(ATTRIBUTES)


def query(method: str, attribute: str | None = None, *values: Any) -> str:
    named = {"attribute": attribute} if attribute is not None else {}
    return json.dumps({"method": method, **named, **({"values": list(values)} if values else {})})


def nested(method: str, *queries: str) -> str:
    return json.dumps({"method": method, "values": [json.loads(each) for each in queries]})


def deep(levels: int) -> str:
    inner = query("equal", "name", "a")
    for _ in range(levels):
        inner = nested("and", inner, query("isNull", "name"))
    return inner


def test_nothing_asked_is_the_first_page() -> None:
    assert USERS.parse([]) == Asked(limit=25, offset=0)


def test_a_whole_question() -> None:
    asked = USERS.parse(
        [
            nested("or", query("equal", "name", "Ann", "Bob"), query("isNotNull", "email")),
            query("orderDesc", "$createdAt"),
            query("orderAsc"),
            query("limit", None, 3),
            query("limit", None, 9),
            query("cursorBefore", None, "u1"),
            query("cursorAfter", None, "u2"),
        ]
    )
    name, email = ATTRIBUTES["name"], ATTRIBUTES["email"]
    either = Some((Condition(name, Operator.EQUAL, ("Ann", "Bob")), Condition(email, Operator.ABSENT, negated=True)))
    orders = (Order(ATTRIBUTES["$createdAt"], descending=True), Order(ATTRIBUTES["$sequence"]))
    assert asked == Asked(filters=(either,), orders=orders, limit=3, cursor="u1", backwards=True)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-05-04T12:00:00.123+00:00", datetime(2026, 5, 4, 12, 0, 0, 123_000, UTC)),
        ("2026-05-04T12:00:00.123456Z", datetime(2026, 5, 4, 12, 0, 0, 123_000, UTC)),
        ("2026-05-04T14:00:00+02:00", datetime(2026, 5, 4, 12, tzinfo=UTC)),
        ("2026-05-04 12:00", datetime(2026, 5, 4, 12, tzinfo=UTC)),
        ("2026-05-04", datetime(2026, 5, 4, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)),
    ],
)
def test_moments_are_read_to_the_millisecond(text: str, at: datetime) -> None:
    assert USERS.parse([query("lessThan", "accessedAt", text)]).filters == (
        Condition(ATTRIBUTES["accessedAt"], Operator.LESS, (at,)),
    )


INVALID = "Invalid query: "
FEW = INVALID + "at most 500 filters, nested at most 8 deep, are allowed"
NO_OBJECT = INVALID + "it must be a JSON object with a method"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", NO_OBJECT),
        ("equal(name)", NO_OBJECT),
        ("[]", NO_OBJECT),
        ('{"method":1}', NO_OBJECT),
        ('{"method":"limit","values":25}', NO_OBJECT),
        ('{"method":"equal","attribute":["name"],"values":["a"]}', NO_OBJECT),
        ('{"method":"equal","attribute":"name","values":["\\ud800"]}', NO_OBJECT),
        ("[" * 4000, NO_OBJECT),
        (query("limit", None, 1).ljust(4097), INVALID + "each must be a string of at most 4096 characters"),
        (query("invented", "name", 1), "Invalid query method: invented"),
        (query("x" * 99), f"Invalid query method: {'x' * 64}"),
        (query("Equal", "name", "a"), "Invalid query method: Equal"),
        (query("select", None, "name"), "Invalid query method: select"),
        (query("regex", "name", "a"), "Invalid query method: regex"),
        (query("exists", None, "name"), "Invalid query method: exists"),
        (query("elemMatch", "labels", "name"), "Invalid query method: elemMatch"),
        (query("distanceLessThan", "name", 1), "Invalid query method: distanceLessThan"),
        (query("vectorDot", "name", [1]), "Invalid query method: vectorDot"),
        (query("equal", "passwordHash", "a"), INVALID + "Attribute not found in schema: passwordHash"),
        (query("equal", "prefs", "a"), INVALID + "Attribute not found in schema: prefs"),
        (query("equal", None, "a"), INVALID + "Attribute not found in schema: "),
        (query("orderAsc", "secret"), INVALID + "Attribute not found in schema: secret"),
        (query("orderAsc", "labels"), INVALID + 'Cannot order by attribute "labels" because it is an array.'),
        (query("equal", "labels", "a"), INVALID + 'Cannot query equal on attribute "labels" because it is an array.'),
        (query("search", "labels", "a"), INVALID + 'Cannot query search on attribute "labels" because it is an array.'),
        (
            query("containsAll", "name", "a"),
            INVALID + 'Cannot query containsAll on attribute "name" because it is not an array.',
        ),
        (
            query("contains", "status", "a"),
            INVALID + 'Cannot query contains on attribute "status" because it is not an array, string, or object.',
        ),
        (
            query("startsWith", "accessedAt", "2026"),
            INVALID + 'Cannot query startsWith on attribute "accessedAt" because it is not a string.',
        ),
        (query("equal", "name"), INVALID + "Equal queries require at least one value."),
        (query("contains", "labels"), INVALID + "Contains queries require at least one value."),
        (query("notEqual", "name", "a", "b"), INVALID + "NotEqual queries require exactly one value."),
        (query("lessThan", "name"), INVALID + "LessThan queries require exactly one value."),
        (query("between", "$sequence", 1), INVALID + "Between queries require exactly two values."),
        (query("isNull", "name", "a"), INVALID + "IsNull queries require no value."),
        (
            query("equal", "name", *["a"] * 501),
            INVALID + 'Query on attribute has greater than 500 values: "name"',
        ),
        (query("equal", "name", 1), INVALID + 'Query value is invalid for attribute "name"'),
        (query("equal", "name", None), INVALID + 'Query value is invalid for attribute "name"'),
        (query("equal", "name", "a\x00b"), INVALID + 'Query value is invalid for attribute "name"'),
        (query("contains", "labels", ["a"]), INVALID + 'Query value is invalid for attribute "labels"'),
        (query("equal", "status", 1), INVALID + 'Query value is invalid for attribute "status"'),
        (query("equal", "status", "true"), INVALID + 'Query value is invalid for attribute "status"'),
        (query("equal", "$sequence", True), INVALID + 'Query value is invalid for attribute "$sequence"'),
        (query("equal", "$sequence", 2**63), INVALID + 'Query value is invalid for attribute "$sequence"'),
        (query("equal", "$sequence", 1.5), INVALID + 'Query value is invalid for attribute "$sequence"'),
        (query("equal", "accessedAt", "yesterday"), INVALID + 'Query value is invalid for attribute "accessedAt"'),
        (query("equal", "accessedAt", "0001-01-01T00:00+14:00"), INVALID + 'Query value is invalid for attribute "acc'),
        (query("equal", "accessedAt", "-infinity"), INVALID + 'Query value is invalid for attribute "accessedAt"'),
        (nested("and", query("isNull", "name")), INVALID + "And queries require at least two queries"),
        (query("or", None, "a", "b"), INVALID + "Or queries can only contain filter queries"),
        (
            nested("or", query("isNull", "name"), query("limit", None, 1)),
            INVALID + "Or queries can only contain filter queries",
        ),
        (nested("or", query("isNull", "name"), query("isNull", "x")), INVALID + "Attribute not found in schema: x"),
        (deep(8), FEW),
        (query("limit", None, 0), f"Invalid limit: Value must be a valid range between 1 and {2**63 - 1}"),
        (query("offset", None, -1), f"Invalid offset: Value must be a valid range between 0 and {2**63 - 1}"),
        (query("cursorAfter", None, "$id"), "Invalid cursor: cursorAfter takes one ID"),
        (query("cursorBefore"), "Invalid cursor: cursorBefore takes one ID"),
    ],
)
def test_what_is_refused_says_why(bad: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        USERS.parse([query("limit", None, 1), bad])
    assert str(refused.value).startswith(said)


def test_the_limits_themselves_are_taken() -> None:
    USERS.parse([deep(7)])
    USERS.parse([query("equal", "name", *["a"] * 500)])
    USERS.parse([query("isNull", "name")] * 100)


@pytest.mark.parametrize("value", [None, "limit(1)", {"0": "x"}, [1], [query("limit", None, 1)] * 101])
def test_it_must_be_a_short_list_of_texts(value: Any) -> None:
    with pytest.raises(Invalid):
        USERS.parse(value)


def test_many_small_filters_are_too_many() -> None:
    group = nested("or", *[query("isNull", "name")] * 80)
    with pytest.raises(Invalid, match="at most 500 filters"):
        USERS.parse([group] * 7)


def test_a_shuffled_list_has_no_cursor() -> None:
    with pytest.raises(Invalid, match="orderRandom cannot go on from a cursor"):
        USERS.parse([query("orderRandom"), query("cursorAfter", None, "u1")])


@pytest.mark.parametrize("method", ["search", "notSearch"])
def test_full_text_is_read_and_then_refused(method: str) -> None:
    asked = USERS.parse([query(method, "name", "ann")])
    with pytest.raises(GeneralQueryInvalid, match="fulltext index"):
        condition(asked.filters[0])


def test_a_list_without_attributes_takes_limit_and_offset_only() -> None:
    pages = Queries()
    assert pages.parse([query("limit", None, 2), query("offset", None, 4)]) == Asked(limit=2, offset=4)
    for method in ("cursorAfter", "orderAsc", "orderRandom", "equal", "and"):
        with pytest.raises(Invalid, match=f"Invalid query method: {method}"):
            pages.parse([query(method, "name", "a")])


HOSTILE = [
    "x' OR '1'='1",
    "'; DROP TABLE read.accounts_v2; --",
    "$1",
    "%s",
    "%(a)s",
    "a) OR (true",
    "\\' OR 1=1 --",
    'name" = "name',
    "/* */",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_sent_becomes_a_part_of_the_statement(hostile: str) -> None:
    harmless = [condition(each) for each in _every_text_condition("harmless")]
    attacked = [condition(each) for each in _every_text_condition(hostile)]
    assert [each.text for each in attacked] == [each.text for each in harmless]
    for method in ("equal", "isNull", "orderAsc"):
        with pytest.raises(Invalid):
            USERS.parse([json.dumps({"method": method, "attribute": hostile})])


def _every_text_condition(value: str) -> tuple[Condition | Every | Some, ...]:
    methods = ("equal", "notEqual", "lessThan", "startsWith", "notEndsWith", "contains", "notContains")
    texts = [name for name, attribute in ATTRIBUTES.items() if attribute.kind is Kind.TEXT]
    queries = [query(method, name, value) for method in methods for name in texts]
    return USERS.parse(
        [*queries, query("containsAll", "labels", value), query("between", "name", value, value)]
    ).filters
