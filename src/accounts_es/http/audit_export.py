"""The audit as a file: every event of a project, from a position on, sent while it is read."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Annotated, Final

from accounts_es.domain.errors import GeneralArgumentInvalid, GeneralQueryInvalid
from accounts_es.domain.security.events import AuditExported
from accounts_es.eventstore import activities
from accounts_es.eventstore.activities import EventRow
from accounts_es.eventstore.audit_record import CSV_HEADER
from accounts_es.eventstore.listing import FIRST_PAGE, Every
from accounts_es.eventstore.opening import Opening, answered
from accounts_es.eventstore.pages import Sql, condition
from accounts_es.http.activities import MOST, Asking, named, question_of, resolved
from accounts_es.http.context import Context
from accounts_es.http.operation import Streamed, operation
from accounts_es.http.rules import Choice, Number

_ROWS: Final = 200
"""Events in memory at once."""
_REACH: Final = 50_000
"""Positions that one statement looks through: however little matches, none takes long."""
_TYPES: Final = {"jsonl": "application/x-ndjson; charset=UTF-8", "csv": "text/csv; charset=UTF-8"}


@operation(
    "GET",
    "/audit/export",
    id="audit.export",
    scope="events.read",
    returns=Streamed,
    emits=(AuditExported,),
    raises=(GeneralQueryInvalid,),
)
async def export(
    ctx: Context,
    *,
    format_: Annotated[str, Choice(tuple(_TYPES))] = "jsonl",
    after: Annotated[int, Number(0, MOST)] = 0,
    queries: Asking = FIRST_PAGE,
) -> Streamed:
    """The project's events after a position, oldest first, a line each; a file that was cut off goes on by it."""
    if queries != replace(FIRST_PAGE, filters=queries.filters):
        raise GeneralArgumentInvalid("Invalid `queries` param: an export takes filters alone")
    filters = await resolved(ctx, queries.filters)
    matching = condition(Every(filters)) if filters else Sql("true")
    ((head,),) = await ctx.reads.fetch(activities.HEAD)
    noted = AuditExported(
        format=format_,
        attributes=tuple(sorted(named(queries.filters))),
        question=question_of(ctx, queries.filters),
        after=after,
        until=head,
    )
    await ctx.services.refusals.record_export(ctx.meta(), noted)
    return Streamed(_TYPES[format_], f"audit-{ctx.project_id}.{format_}", _lines(ctx, format_, after, head, matching))


async def _lines(ctx: Context, format_: str, after: int, head: int, matching: Sql) -> AsyncGenerator[bytes]:
    if format_ == "csv" and not after:
        yield CSV_HEADER.encode()
    statement = activities.AFTER.format(matching.text)
    opening = Opening(ctx.services.application.log.keys, redact=not ctx.caller.sees_personal)
    while after < head:
        reach = min(after + _REACH, head)
        found = await ctx.reads.scan(statement, (ctx.project_id, after, reach, *matching.params, _ROWS))
        rows = [EventRow._make(row) for row in found]
        records = await answered(ctx.reads, opening.records(rows))
        if records:
            yield "".join(each.csv() if format_ == "csv" else f"{each.json()}\n" for each in records).encode()
        after = rows[-1].position if len(rows) == _ROWS else reach
        await asyncio.sleep(0)
