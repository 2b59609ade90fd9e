"""What changed of a user and who changed it, for servers with a key for the past."""

import re
from collections import deque
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Final

from accounts_es.domain.errors import GeneralCursorNotFound, UserNotFound
from accounts_es.domain.security.events import AuditRead
from accounts_es.eventstore.moments import TooMuchHistory
from accounts_es.http.context import Context
from accounts_es.http.documents import ABSENT, NOBODY, differences
from accounts_es.http.histories import EVERYTHING, Happened, History, blamed, provenances
from accounts_es.http.models.history import HistoryBlame, HistoryChange, HistoryDiff, HistoryList
from accounts_es.http.operation import operation
from accounts_es.http.past import end_of_log, ensure_auditor, position_of, too_much
from accounts_es.http.rules import Id, Number, Text
from accounts_es.http.webhooks.rules import Place
from projections import streams

_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,9})\Z")


@operation(
    "GET",
    "/users/{userId}/history",
    id="users.listHistory",
    scope="users.read",
    returns=HistoryList,
    emits=(AuditRead,),
    raises=(UserNotFound, GeneralCursorNotFound),
)
async def list_history(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    from_: Annotated[int | datetime | None, Place()] = None,
    to: Annotated[int | datetime | None, Place()] = None,
    field: Annotated[str | None, Text(1024)] = None,
    limit: Annotated[int, Number(1, 5000)] = 25,
    cursor: Annotated[str | None, Text(36)] = None,
) -> HistoryList:
    """Every field of a user that changed after `from` and up to `to`, newest first: old, new, the event, the request.

    ``cursor`` is the ``$id`` of the last change seen. ``field`` names one field, and what is in it. Works for deleted
    users until they are erased. Needs the scope ``audit.read`` as well.
    """
    history = await _history(ctx, user_id)
    history.after = (await position_of(ctx, "from", from_)).position if from_ is not None else 0
    history.until = (await position_of(ctx, "to", to)).position if to is not None else EVERYTHING
    before = _place(cursor)
    total, page = 0, deque[Happened](maxlen=limit)
    try:
        async with aclosing(history.changes()) as changes:
            async for happened in changes:
                if field is None or f"{happened.change.field}/".startswith(f"{field}/"):
                    total += 1
                    if happened.place < before:
                        page.append(happened)
    except TooMuchHistory:
        raise too_much("to") from None
    await _read(ctx, history, len(page))
    known = await provenances(ctx.reads, (each.recorded for each in page))
    changes_: list[HistoryChange] = [
        {
            "$id": f"{each.recorded.position}-{each.number}",
            "field": each.change.field,
            "old": None if each.change.old is ABSENT else each.change.old,
            "new": None if each.change.new is ABSENT else each.change.new,
            **known[each.recorded.position],
        }
        for each in reversed(page)
    ]
    return {"total": total, "changes": changes_}


@operation(
    "GET",
    "/users/{userId}/history/diff",
    id="users.getHistoryDiff",
    scope="users.read",
    returns=HistoryDiff,
    emits=(AuditRead,),
    raises=(UserNotFound,),
)
async def get_history_diff(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    from_: Annotated[int | datetime, Place()],
    to: Annotated[int | datetime | None, Place()] = None,
) -> HistoryDiff:
    """What leads from a user as of a moment to the user as of another, or of now: a JSON Patch (RFC 6902).

    Needs the scope ``audit.read`` as well.
    """
    history = await _history(ctx, user_id)
    begin = await position_of(ctx, "from", from_)
    end = await position_of(ctx, "to", to) if to is not None else await end_of_log(ctx)
    try:
        old, new = await history.then(begin.position), await history.then(end.position)
    except TooMuchHistory:
        raise too_much("to") from None
    if NOBODY == old == new:
        raise UserNotFound
    history.known = True
    patch = [each.operation() for each in differences(old, new)]
    await _read(ctx, history, len(patch))
    return {"from": begin.position, "to": end.position, "patch": patch}


@operation(
    "GET",
    "/users/{userId}/history/blame",
    id="users.getHistoryBlame",
    scope="users.read",
    returns=HistoryBlame,
    emits=(AuditRead,),
    raises=(UserNotFound,),
)
async def get_history_blame(
    ctx: Context, *, user_id: Annotated[str, Id()], to: Annotated[int | datetime | None, Place()] = None
) -> HistoryBlame:
    """Each field of a user, now or as of `to`, and the event and request that set it.

    Needs the scope ``audit.read`` as well.
    """
    history = await _history(ctx, user_id)
    end = await position_of(ctx, "to", to) if to is not None else await end_of_log(ctx)
    history.until = end.position
    try:
        found = await history.blame()
    except TooMuchHistory:
        raise too_much("to") from None
    if not found:
        raise UserNotFound
    await _read(ctx, history, len(found))
    known = await provenances(ctx.reads, (each.recorded for _, _, each in found))
    fields = [blamed(path, value, known[each.recorded.position]) for path, value, each in found]
    return {"position": end.position, "fields": fields}


async def _history(ctx: Context, user_id: str) -> History:
    ensure_auditor(ctx)
    found = await streams.with_ids(ctx.reads, ctx.project_id, "account", user_id)
    if not found:
        raise UserNotFound
    return History(ctx.services.moments, ctx.project_id, found, locale=ctx.request.locale)


async def _read(ctx: Context, history: History, count: int) -> None:
    """Record who looked. Raises `UserNotFound` where there was nobody to look at."""
    if not history.known:
        raise UserNotFound
    for stream in history.streams:
        await ctx.note_audit_read(AuditRead(count=count, about=stream))


def _place(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return EVERYTHING, 0
    matched = _CURSOR.match(cursor)
    if matched is None:
        raise GeneralCursorNotFound
    return int(matched[1]), int(matched[2])
