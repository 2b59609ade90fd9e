"""What a client wants to hear of: channels, and queries about what is told (contract: cross-cutting, 12)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from pydantic import BaseModel, JsonValue, ValidationError

from accounts_es.domain.event import JSONObject
from accounts_es.http.rules import Invalid

MOST_CHANNELS: Final = 100
LONGEST_CHANNEL: Final = 128
MOST_QUERIES: Final = 25
LONGEST_QUERIES: Final = 16 * 1024
"""Characters of all queries of a socket together: what is kept of them takes many times as much memory."""
_LONGEST_QUERY: Final = 4096
_DEEPEST: Final = 5
_ACTIONS: Final = frozenset({"create", "update", "upsert", "delete"})

Test = Callable[[JSONObject], bool]


@dataclass(frozen=True, slots=True)
class Subscription:
    """One of the things a socket wants to hear of."""

    asked: tuple[str, ...]
    """Channels as the client named them."""
    queries: tuple[str, ...]
    tests: tuple[Test, ...]
    channels: frozenset[str]

    @classmethod
    def of(cls, asked: Sequence[str], queries: Sequence[str], account_id: str | None) -> "Subscription":
        """Raises `Invalid`."""
        tests = tuple(test for test in map(_parsed, queries) if test is not None)
        return cls(tuple(asked), tuple(queries), tests, frozenset(converted(asked, account_id)))

    def rebound(self, account_id: str | None) -> "Subscription":
        """The same for somebody else."""
        return Subscription(self.asked, self.queries, self.tests, frozenset(converted(self.asked, account_id)))

    def hears(self, channels: Iterable[str]) -> bool:
        """Whether it is about one of these channels."""
        return not self.channels.isdisjoint(channels)

    def takes(self, payload: JSONObject) -> bool:
        """Whether its queries all hold."""
        return all(test(payload) for test in self.tests)


def converted(asked: Iterable[str], account_id: str | None) -> list[str]:
    """The channels meant: ``account`` is one's own as well, and nobody else's can be named."""
    found: dict[str, None] = {}
    for channel in asked:
        rest = channel.removeprefix("account.")
        if channel == "account":
            found["account"] = None
            if account_id is not None:
                found[f"account.{account_id}"] = None
        elif rest == channel or account_id is None:
            if rest == channel or rest in _ACTIONS:
                found[channel] = None
        elif rest in _ACTIONS:
            found[f"account.{account_id}.{rest}"] = None
        elif rest == account_id or rest in {f"{account_id}.{action}" for action in _ACTIONS}:
            found[channel] = None
    return list(found)


def of_url(query: str) -> list[tuple[list[str], list[str]]]:
    """The channels and queries of each subscription a URL asks for, by their slots. Raises `Invalid`."""
    if "channels" not in query:
        return []
    pairs = parse_qsl(query, keep_blank_values=True)
    channels = [value for name, value in pairs if name.partition("[")[0] == "channels" and "[" in name]
    if len(channels) > MOST_CHANNELS:
        raise Invalid(f"Value must be at most {MOST_CHANNELS} channels")
    slots: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for channel in channels:
        mine = [(name.removeprefix(f"{channel}[").partition("]")[0], value) for name, value in pairs
                if name.startswith(f"{channel}[")] or [("0", "")]  # fmt: skip
        for slot, text in mine:
            wanted, queries = slots.setdefault(slot, ({}, {}))
            wanted[channel] = None
            if text:
                queries[text] = None
    if len(slots) > MOST_CHANNELS:
        raise Invalid(f"Value must be at most {MOST_CHANNELS} subscriptions")
    return [(list(wanted), list(queries)) for _, (wanted, queries) in sorted(slots.items())]


def checked(channels: object, queries: object) -> tuple[list[str], list[str]]:
    """Channels and queries of a message. Raises `Invalid`."""
    return _texts(channels, MOST_CHANNELS, LONGEST_CHANNEL, least=1), _texts(queries, MOST_QUERIES, _LONGEST_QUERY)


def _texts(value: object, most: int, longest: int, *, least: int = 0) -> list[str]:
    if not isinstance(value, list):
        raise Invalid("Value must be a valid array")
    texts = cast("list[object]", value)
    if not least <= len(texts) <= most or not all(isinstance(each, str) and len(each) <= longest for each in texts):
        raise Invalid(f"Value must be {least} to {most} strings of at most {longest} characters")
    return cast("list[str]", texts)


# Queries --------------------------------------------------------------------------------------------------------------


class _Query(BaseModel):
    """One query as SDKs send it; those of groups are objects again."""

    method: str
    attribute: str = ""
    values: list[JsonValue] = []


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[JsonValue, Sequence[JsonValue]], bool]:
    def holds(value: JsonValue, values: Sequence[JsonValue]) -> bool:
        return any(_comparable(value, each) and test(value, each) for each in values)

    return holds


def _comparable(one: JsonValue, other: JsonValue) -> bool:
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other))
    return numbers or (isinstance(one, str) and isinstance(other, str))


def _equal(value: JsonValue, values: Sequence[JsonValue]) -> bool:
    return any(type(value) is type(each) and value == each for each in values)


_METHODS: Final[Mapping[str, Callable[[JsonValue, Sequence[JsonValue]], bool]]] = {
    "equal": _equal,
    "notEqual": lambda value, values: not _equal(value, values),
    "lessThan": _ordered(lambda one, other: one < other),
    "lessThanEqual": _ordered(lambda one, other: one <= other),
    "greaterThan": _ordered(lambda one, other: one > other),
    "greaterThanEqual": _ordered(lambda one, other: one >= other),
    "isNull": lambda value, _: value is None,
    "isNotNull": lambda value, _: value is not None,
}
_GROUPS: Final[Mapping[str, Callable[[Iterable[bool]], bool]]] = {"and": all, "or": any}


def _parsed(text: str) -> Test | None:
    try:
        return _test(_Query.model_validate_json(text), 1)
    except ValidationError:
        raise Invalid("Invalid query: it must be a JSON object with a method") from None


def _test(query: _Query, depth: int) -> Test | None:
    """What a query asks of a payload; nothing if it asks for everything."""
    if query.method == "select" and query.values == ["*"]:
        return None
    together = _GROUPS.get(query.method)
    if together is not None and depth < _DEEPEST and query.values:
        inner = [_test(_Query.model_validate(each), depth + 1) for each in query.values]
        return lambda payload: together(test is None or test(payload) for test in inner)
    method = _METHODS.get(query.method)
    if method is None:
        raise Invalid(f"Query method is not supported: {query.method[:32]}")
    attribute, values = query.attribute, query.values
    return lambda payload: method(payload.get(attribute), values)
