"""Pages of lists: questions as SQL.

What anybody sent travels as parameters; the text is made of what read models declare and of this file's own words.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from accounts_es.domain.errors import DatabaseQueryOrderNull, GeneralCursorNotFound, GeneralQueryInvalid
from accounts_es.eventstore.listing import (
    Asked,
    Attribute,
    Condition,
    Every,
    Filter,
    Kind,
    Listing,
    Operator,
    R,
    Some,
    Value,
)
from accounts_es.eventstore.reads import Reads

MAX_TOTAL: Final = 5000
"""Contract: users, 1.3: totals are counted up to here."""


async def page(
    reads: Reads,
    listing: Listing[R],
    scope: Sequence[object],
    asked: Asked,
    *,
    search: str | None = None,
    with_total: bool = True,
) -> tuple[list[R], int]:
    """The rows asked for, and how many match without limit, offset and cursor (0 unless asked for).

    Raises `GeneralCursorNotFound`, `GeneralQueryInvalid` and `DatabaseQueryOrderNull`.
    """
    matching = _matching(listing, scope, asked, search)
    if matching is None:
        return [], 0
    keys = _keys(listing, asked)
    start = await _start(reads, listing, scope, keys, asked.cursor) if asked.cursor is not None else None
    part = _part(keys, asked, start)
    rows: list[tuple[Any, ...]] = []
    total: int | None = None
    if asked.filters or search is not None:
        # The planner cannot tell what is rare from what is common. So the first that match are taken, as far as they
        # count: if these are all, the page is among them, otherwise it is near where the order begins.
        answer = await reads.scan(*_few(listing, scope, matching, keys, part))
        total = int(answer[0][0])
        rows = [each[2:] for each in answer if each[1] is not None]
    if total is None or total >= MAX_TOTAL:
        rows = await reads.scan(*_many(listing, scope, matching, keys, part))
    if total is None and with_total:
        total = await _count(reads, listing, matching)
    found = [listing.row(each) for each in rows]
    return found[::-1] if asked.backwards else found, (total or 0) if with_total else 0


class Sql(NamedTuple):
    """A text and its parameters, in the order of their places."""

    text: str
    params: tuple[object, ...] = ()


def _joined(parts: Sequence[Sql], between: str) -> Sql:
    if len(parts) == 1:
        return parts[0]
    return Sql(
        "(" + between.join(each.text for each in parts) + ")", tuple(value for each in parts for value in each.params)
    )


# What matches ---------------------------------------------------------------------------------------------------------


def _matching(listing: Listing[R], scope: Sequence[object], asked: Asked, search: str | None) -> Sql | None:
    parts = [Sql(listing.scope, tuple(scope)), *map(condition, asked.filters)]
    if search is not None:
        query = search_query(search)
        if listing.words is None:
            raise GeneralQueryInvalid("This list has nothing to search in.")
        if not query:
            return None
        parts.append(Sql(f"{listing.words} @@ %s::tsquery", (query,)))
    return _joined(parts, " AND ")


def search_query(search: str) -> str:
    """Any of the words, the last by its beginning; in double quotes all of them (contract: users-teams, part 5)."""
    words = re.findall(r"\w+", search.lower())
    if not words:
        return ""
    if len(search) > 1 and search.startswith('"') and search.endswith('"'):
        return " & ".join(f"'{word}'" for word in words)
    return " | ".join([*(f"'{word}'" for word in words[:-1]), f"'{words[-1]}':*"])


def condition(asked: Filter) -> Sql:
    """A filter as a condition. Raises `GeneralQueryInvalid` for a full-text search."""
    match asked:
        case Every(filters):
            return _joined([condition(each) for each in filters], " AND ")
        case Some(filters):
            return _joined([condition(each) for each in filters], " OR ")
        case Condition(attribute, operator, values, negated):
            text, params = _compared(attribute, operator, values)
            if negated:
                text = f"NOT ({text})"
            if attribute.absent is not None and operator is not Operator.ABSENT:
                text = f"({text} AND {attribute.sql} > {attribute.absent})"
            return Sql(text, params)


def _compared(attribute: Attribute, operator: Operator, values: tuple[Value, ...]) -> Sql:
    sql = attribute.sql
    match operator:
        case Operator.ABSENT:
            return Sql(f"{sql} = {attribute.absent}" if attribute.absent is not None else "false")
        case Operator.SEARCH:
            raise GeneralQueryInvalid("Searching by fulltext requires a fulltext index on the queried attribute.")
        case Operator.BEGINS | Operator.ENDS | Operator.HOLDS if attribute.kind is not Kind.TEXTS:
            before, after = "%" * (operator is not Operator.BEGINS), "%" * (operator is not Operator.ENDS)
            like = f"{sql} LIKE {_parameter(attribute)}"
            return _joined([Sql(like, (f"{before}{_escaped(str(value))}{after}",)) for value in values], " OR ")
        case Operator.HOLDS | Operator.HOLDS_ALL:
            return Sql(f"{sql} {'&&' if operator is Operator.HOLDS else '@>'} %s::text[]", (list(values),))
        case _ if attribute.kind is Kind.TIME:
            return _timed(sql, operator, values)
        case Operator.EQUAL:
            return Sql(f"{sql} IN ({', '.join([_parameter(attribute)] * len(values))})", values)
        case Operator.BETWEEN:
            return Sql(f"{sql} BETWEEN {_parameter(attribute)} AND {_parameter(attribute)}", values)
        case _:
            return Sql(f"{sql} {operator.value} {_parameter(attribute)}", values)


def _parameter(attribute: Attribute) -> str:
    parameter = f"%s::{attribute.kind.value}"
    return f"lower({parameter})" if attribute.caseless else parameter


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _timed(sql: str, operator: Operator, values: tuple[Value, ...]) -> Sql:
    """Kept are microseconds, asked are milliseconds: a value stands for all that reads like it."""
    begins, ends = f"{sql} >= %s::timestamptz", f"{sql} < %s::timestamptz + interval '1 millisecond'"
    match operator:
        case Operator.EQUAL:
            return _joined([Sql(f"({begins} AND {ends})", (value, value)) for value in values], " OR ")
        case Operator.BETWEEN:
            return Sql(f"({begins} AND {ends})", values)
        case Operator.LESS:
            return Sql(f"{sql} < %s::timestamptz", values)
        case Operator.MORE:
            return Sql(f"{sql} >= %s::timestamptz + interval '1 millisecond'", values)
        case Operator.AT_MOST:
            return Sql(ends, values)
        case _:
            return Sql(begins, values)


async def _count(reads: Reads, listing: Listing[R], matching: Sql) -> int:
    ((total,),) = await reads.scan(
        f"SELECT count(*) FROM (SELECT 1 FROM {listing.source} WHERE {matching.text} LIMIT {MAX_TOTAL}) AS matching",
        matching.params,
    )
    return int(total)


# Which part of it, in which order -------------------------------------------------------------------------------------


class _Key(NamedTuple):
    """What is ordered by, the way this statement reads it: a page before a cursor is read backwards."""

    name: str
    sql: str
    type: str
    absent: str | None
    descending: bool


def _keys(listing: Listing[R], asked: Asked) -> list[_Key]:
    """The keys of the order. The sequence is among them, so no two rows are equal."""
    ways: dict[Attribute, bool] = {}
    for order in asked.orders:
        ways.setdefault(order.attribute, order.descending)
    first = asked.orders[0] if asked.orders else None
    down = first is not None and first.attribute.turns_ties and first.descending
    keys = [
        _Key("page_end" if each.sql == listing.sequence else f"page_{nth}", each.sql, each.kind.value, each.absent, way)
        for nth, (each, way) in enumerate(ways.items())
    ]
    if not any(key.name == "page_end" for key in keys):
        keys.append(_Key("page_end", listing.sequence, Kind.NUMBER.value, None, down))
    return [key._replace(descending=key.descending != asked.backwards) for key in keys]


async def _start(
    reads: Reads, listing: Listing[R], scope: Sequence[object], keys: Sequence[_Key], cursor: str
) -> tuple[Any, ...]:
    """The keys of the row a cursor names, whether it matches or not."""
    selected = ", ".join(key.sql if key.absent is None else f"nullif({key.sql}, {key.absent})" for key in keys)
    found = await reads.scan(
        f"SELECT {selected} FROM {listing.source} WHERE {listing.scope} AND {listing.id} = %s", (*scope, cursor)
    )
    if not found:
        raise GeneralCursorNotFound
    if None in found[0]:
        raise DatabaseQueryOrderNull
    return found[0]


class _Part(NamedTuple):
    """Which part of what matches: conditions on the keys, the order, both with their limits."""

    after: Sql
    order: str
    bounds: tuple[int, int]


def _part(keys: Sequence[_Key], asked: Asked, start: tuple[Any, ...] | None) -> _Part:
    order = ", ".join(f"{key.name} {'DESC' if key.descending else 'ASC'}" for key in keys)
    return _Part(
        after=Sql("true") if start is None else _after(keys, start),
        order="random()" if asked.shuffled else order,
        bounds=(asked.limit, asked.offset),
    )


# Keys first, rows after: what is sorted or passed over stays small, however much a row holds.


def _many(listing: Listing[R], scope: Sequence[object], matching: Sql, keys: Sequence[_Key], part: _Part) -> Sql:
    """The page by a walk along the order."""
    return Sql(
        f"""SELECT {listing.columns} FROM (
                SELECT * FROM ({_selected(listing, matching, keys)}) AS found WHERE {part.after.text}
                ORDER BY {part.order} LIMIT %s::bigint OFFSET %s::bigint
            ) AS page JOIN {listing.source} ON {listing.sequence} = page_end AND {listing.scope}
            ORDER BY {part.order}""",
        (*matching.params, *part.after.params, *part.bounds, *scope),
    )


def _few(listing: Listing[R], scope: Sequence[object], matching: Sql, keys: Sequence[_Key], part: _Part) -> Sql:
    """How many match, and the page if that is fewer than are counted: the number, the sequence, the row."""
    return Sql(
        f"""WITH found AS MATERIALIZED ({_selected(listing, matching, keys)} LIMIT {MAX_TOTAL})
            SELECT page_total, page_end, {listing.columns} FROM (SELECT count(*) AS page_total FROM found) AS counted
            LEFT JOIN (
                (SELECT * FROM found WHERE {part.after.text}
                 ORDER BY {part.order} LIMIT %s::bigint OFFSET %s::bigint) AS page
                JOIN {listing.source} ON {listing.sequence} = page_end AND {listing.scope}
            ) ON page_total < {MAX_TOTAL} ORDER BY {part.order}""",
        (*matching.params, *part.after.params, *part.bounds, *scope),
    )


def _selected(listing: Listing[R], matching: Sql, keys: Sequence[_Key]) -> str:
    return f"SELECT {', '.join(f'{key.sql} AS {key.name}' for key in keys)} FROM {listing.source} WHERE {matching.text}"


def _after(keys: Sequence[_Key], start: Sequence[Any]) -> Sql:
    """Beyond the row with these keys. An index can begin there: all ways alike make one comparison of rows, otherwise
    the first key is bounded by itself."""
    if len({key.descending for key in keys}) == 1:
        sign = "<" if keys[0].descending else ">"
        row, values = ", ".join(key.name for key in keys), ", ".join(f"%s::{key.type}" for key in keys)
        return Sql(f"({row}) {sign} ({values})", tuple(start))
    first, value = keys[0], start[0]
    sign, given = "<" if first.descending else ">", f"%s::{first.type}"
    rest = _after(keys[1:], start[1:])
    return Sql(
        f"({first.name} {sign}= {given} AND ({first.name} {sign} {given} OR {rest.text}))", (value, value, *rest.params)
    )
