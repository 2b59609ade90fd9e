"""The query language of lists (contract: users-teams, part 5): texts become an `Asked`, checked in every part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, JsonValue, ValidationError

from accounts_es.domain.values import is_id
from accounts_es.eventstore.listing import (
    Asked,
    Attribute,
    Condition,
    Every,
    Filter,
    Kind,
    Listing,
    Operator,
    Order,
    Some,
    Value,
)
from accounts_es.http.rules import Invalid

MOST_QUERIES: Final = 100
LONGEST_QUERY: Final = 4096
MOST_VALUES: Final = 500
MOST_FILTERS: Final = 500
"""In all texts together, nested ones and groups counted."""
DEEPEST: Final = 8
_BIGGEST: Final = 2**63 - 1

_EVERYWHERE: Final = {
    "$id": "id",
    "$createdAt": "created_at",
    "$updatedAt": "updated_at",
    "$sequence": "sequence",
}


class _Query(BaseModel):
    """One query as SDKs send it."""

    method: str
    attribute: str | None = None
    values: list[JsonValue] = []


class _Method(NamedTuple):
    """A method that filters: what it asks, the opposite or not, of at least and at most how many values."""

    operator: Operator
    negated: bool = False
    least: int = 1
    most: int = 1


_FILTERS: Final = {
    "equal": _Method(Operator.EQUAL, most=MOST_VALUES),
    "notEqual": _Method(Operator.EQUAL, negated=True),
    "lessThan": _Method(Operator.LESS),
    "lessThanEqual": _Method(Operator.AT_MOST),
    "greaterThan": _Method(Operator.MORE),
    "greaterThanEqual": _Method(Operator.AT_LEAST),
    "between": _Method(Operator.BETWEEN, least=2, most=2),
    "notBetween": _Method(Operator.BETWEEN, negated=True, least=2, most=2),
    "isNull": _Method(Operator.ABSENT, least=0, most=0),
    "isNotNull": _Method(Operator.ABSENT, negated=True, least=0, most=0),
    "startsWith": _Method(Operator.BEGINS),
    "notStartsWith": _Method(Operator.BEGINS, negated=True),
    "endsWith": _Method(Operator.ENDS),
    "notEndsWith": _Method(Operator.ENDS, negated=True),
    "contains": _Method(Operator.HOLDS, most=MOST_VALUES),
    "containsAny": _Method(Operator.HOLDS, most=MOST_VALUES),
    "notContains": _Method(Operator.HOLDS, negated=True, most=MOST_VALUES),
    "containsAll": _Method(Operator.HOLDS_ALL, most=MOST_VALUES),
    "search": _Method(Operator.SEARCH),
    "notSearch": _Method(Operator.SEARCH, negated=True),
}
_GROUPS: Final[Mapping[str, type[Every | Some]]] = {"and": Every, "or": Some}
_PAGES: Final = ("limit", "offset")
_OF_ARRAYS: Final = (Operator.HOLDS, Operator.HOLDS_ALL, Operator.ABSENT)
_OF_TEXTS: Final = (Operator.BEGINS, Operator.ENDS, Operator.SEARCH)


def attributes(listing: Listing[Any], **names: str) -> dict[str, Attribute]:
    """What clients may name of a list: these words for its attributes, besides those that every list has."""
    return {wire: listing.attributes[name] for wire, name in {**_EVERYWHERE, **names}.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """A list of query texts, each a JSON object, about these attributes; without any, ``limit`` and ``offset`` only."""

    attributes: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])
    loose: bool = False
    """Whether one text alone does: some SDKs have a string where others have a list."""

    def parse(self, value: JsonValue) -> Asked:
        """What they ask for together."""
        if self.loose and isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or len(value) > MOST_QUERIES:
            raise Invalid(f"Value must be a valid array of at most {MOST_QUERIES} queries")
        reading = _Reading(self.attributes)
        for text in value:
            if not isinstance(text, str) or len(text) > LONGEST_QUERY:
                raise Invalid(f"Invalid query: each must be a string of at most {LONGEST_QUERY} characters")
            try:
                query = _Query.model_validate_json(text)
            except ValidationError:
                raise Invalid("Invalid query: it must be a JSON object with a method") from None
            reading.take(query)
        return reading.asked()

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        each: dict[str, Any] = {"type": "string", "maxLength": LONGEST_QUERY}
        about = ", ".join(self.attributes)
        described = f"Attributes: {about}" if about else "Only limit and offset"
        return {"type": "array", "maxItems": MOST_QUERIES, "items": each, "description": described}


class _Reading:
    """The queries read so far."""

    def __init__(self, known: Mapping[str, Attribute]) -> None:
        self._known = known
        self._filters: list[Filter] = []
        self._count = 0
        self._orders: list[Order] = []
        self._shuffled = False
        self._numbers: dict[str, int] = {}
        self._cursor: tuple[str, bool] | None = None

    def asked(self) -> Asked:
        """All of them."""
        cursor, backwards = self._cursor or (None, False)
        if self._shuffled and cursor is not None:
            raise Invalid("Invalid query: orderRandom cannot go on from a cursor")
        return Asked(
            filters=tuple(self._filters),
            orders=tuple(self._orders),
            shuffled=self._shuffled,
            cursor=cursor,
            backwards=backwards,
            **self._numbers,
        )

    def take(self, query: _Query) -> None:
        """One more. Of a repeated limit, offset or cursor the first counts."""
        match query.method:
            case "limit" | "offset":
                self._numbers.setdefault(query.method, _number(query))
            case _ if not self._known:
                raise _unknown(query.method)
            case "cursorAfter" | "cursorBefore":
                self._cursor = self._cursor or (_cursor(query), query.method == "cursorBefore")
            case "orderAsc" | "orderDesc":
                self._orders.append(self._order(query))
            case "orderRandom":
                self._shuffled = True
            case _:
                self._filters.append(self._filter(query, 1))

    def _order(self, query: _Query) -> Order:
        attribute = self._attribute(query.attribute or "$sequence")
        if attribute.kind is Kind.TEXTS:
            raise Invalid(f'Invalid query: Cannot order by attribute "{query.attribute}" because it is an array.')
        return Order(attribute, descending=query.method == "orderDesc")

    def _attribute(self, name: str | None) -> Attribute:
        attribute = self._known.get(name or "")
        if attribute is None:
            raise Invalid(f"Invalid query: Attribute not found in schema: {(name or '')[:64]}")
        return attribute

    def _filter(self, query: _Query, depth: int) -> Filter:
        self._count += 1
        if self._count > MOST_FILTERS or depth > DEEPEST:
            raise Invalid(f"Invalid query: at most {MOST_FILTERS} filters, nested at most {DEEPEST} deep, are allowed")
        group = _GROUPS.get(query.method)
        return group(self._nested(query, depth + 1)) if group is not None else self._condition(query)

    def _nested(self, query: _Query, depth: int) -> tuple[Filter, ...]:
        method = query.method.capitalize()
        if len(query.values) < 2:
            raise Invalid(f"Invalid query: {method} queries require at least two queries")
        found: list[Filter] = []
        for value in query.values:
            try:
                nested = _Query.model_validate(value)
            except ValidationError:
                raise Invalid(f"Invalid query: {method} queries can only contain filter queries") from None
            if nested.method not in _FILTERS and nested.method not in _GROUPS:
                raise Invalid(f"Invalid query: {method} queries can only contain filter queries")
            found.append(self._filter(nested, depth))
        return tuple(found)

    def _condition(self, query: _Query) -> Condition:
        method = _FILTERS.get(query.method)
        if method is None:
            raise _unknown(query.method)
        attribute = self._attribute(query.attribute)
        _check_kind(query, method.operator, attribute.kind)
        _check_count(query, method)
        values = tuple(_value(query, attribute.kind, value) for value in query.values)
        return Condition(attribute, method.operator, values, method.negated)


def _unknown(method: str) -> Invalid:
    return Invalid(f"Invalid query method: {method[:64]}")


def _number(query: _Query) -> int:
    value, least = _only(query.values), 1 if query.method == "limit" else 0
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _BIGGEST:
        raise Invalid(f"Invalid {query.method}: Value must be a valid range between {least} and {_BIGGEST}")
    return value


def _cursor(query: _Query) -> str:
    value = _only(query.values)
    if not isinstance(value, str) or not is_id(value):
        raise Invalid(f"Invalid cursor: {query.method} takes one ID")
    return value


def _only(values: Sequence[JsonValue]) -> JsonValue:
    return values[0] if len(values) == 1 else None


def _check_kind(query: _Query, operator: Operator, kind: Kind) -> None:
    missing = None
    if kind is Kind.TEXTS:
        missing = "an array" if operator not in _OF_ARRAYS else None
    elif operator is Operator.HOLDS_ALL:
        missing = "not an array"
    elif operator is Operator.HOLDS and kind is not Kind.TEXT:
        missing = "not an array, string, or object"
    elif operator in _OF_TEXTS and kind is not Kind.TEXT:
        missing = "not a string"
    if missing is not None:
        raise Invalid(
            f'Invalid query: Cannot query {query.method} on attribute "{query.attribute}" because it is {missing}.'
        )


def _check_count(query: _Query, method: _Method) -> None:
    count = len(query.values)
    if count > MOST_VALUES:
        raise Invalid(f'Invalid query: Query on attribute has greater than {MOST_VALUES} values: "{query.attribute}"')
    if not method.least <= count <= method.most:
        number = ("no value", "exactly one value", "exactly two values")[method.least]
        wanted = number if method.least == method.most else "at least one value"
        name = query.method[0].upper() + query.method[1:]
        raise Invalid(f"Invalid query: {name} queries require {wanted}.")


def _value(query: _Query, kind: Kind, value: JsonValue) -> Value:
    match kind, value:
        case ((Kind.TEXT | Kind.TEXTS), str()) if "\x00" not in value:
            return value
        case Kind.FLAG, bool():
            return value
        case Kind.NUMBER, int() if not isinstance(value, bool) and -_BIGGEST <= value <= _BIGGEST:
            return value
        case Kind.TIME, str() if (at := _time(value)) is not None:
            return at
        case _:
            raise Invalid(f'Invalid query: Query value is invalid for attribute "{query.attribute}"')


def _time(text: str) -> datetime | None:
    """A moment in ISO 8601 to the millisecond, in UTC unless it says otherwise."""
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at - timedelta(microseconds=at.microsecond % 1000)
