"""Query texts of lists (contract: users-teams, part 5): so far limit, offset and the cursors."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from accounts_es.domain.errors import GeneralArgumentInvalid, GeneralCursorNotFound
from accounts_es.domain.values import is_id
from projections.accounts import Page

_BIGGEST = 2**63 - 1


class Query(BaseModel):
    """One query as SDKs send it; ``attribute`` and ``values`` may be missing."""

    method: str
    attribute: str | None = None
    values: list[JsonValue] = []


def _invalid(reason: str) -> GeneralArgumentInvalid:
    return GeneralArgumentInvalid(f"Invalid `queries` param: {reason}")


def page_of(queries: Sequence[str]) -> Page:
    """The part of the list the queries ask for; of repeated ones the first counts.

    Raises `GeneralArgumentInvalid`.
    """
    asked: dict[str, Any] = {}
    for text in queries:
        try:
            query = Query.model_validate_json(text)
        except ValidationError:
            raise _invalid("Invalid query: it must be a JSON object with a method") from None
        value = query.values[0] if len(query.values) == 1 else None
        asked.setdefault(query.method, _checked(query.method, value))
    return Page(
        limit=asked.get("limit", 25),
        offset=asked.get("offset", 0),
        cursor_after=asked.get("cursorAfter"),
        cursor_before=asked.get("cursorBefore"),
    )


R = TypeVar("R")


def part_of(rows: Sequence[R], page: Page, *, key: Callable[[R], str]) -> list[R]:
    """The part of a list that is short enough to be in memory. Raises `GeneralCursorNotFound`."""
    cursor = page.cursor_before if page.cursor_before is not None else page.cursor_after
    if cursor is not None:
        places = [nth for nth, row in enumerate(rows) if key(row) == cursor]
        if not places:
            raise GeneralCursorNotFound
        if page.cursor_before is not None:
            end = max(places[0] - page.offset, 0)
            return list(rows[max(end - page.limit, 0) : end])
        rows = rows[places[0] + 1 :]
    return list(rows[page.offset : page.offset + page.limit])


def _checked(method: str, value: JsonValue) -> JsonValue:
    match method:
        case "limit" | "offset":
            least = 1 if method == "limit" else 0
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _BIGGEST:
                raise _invalid(f"Invalid {method}: Value must be a valid range between {least} and {_BIGGEST}")
        case "cursorAfter" | "cursorBefore":
            if not isinstance(value, str) or not is_id(value):
                raise _invalid(f"Invalid cursor: {method} takes one ID")
        case _:
            raise _invalid(f"Invalid query method: {method[:64]}")
    return value


def numbered_page_of(queries: Sequence[str]) -> Page:
    """The part of a list that knows limit and offset only. Raises `GeneralArgumentInvalid`."""
    page = page_of(queries)
    for method, cursor in (("cursorAfter", page.cursor_after), ("cursorBefore", page.cursor_before)):
        if cursor is not None:
            raise _invalid(f"Invalid query method: {method}")
    return page
