"""Reads as of an earlier moment: ``at=POSITION`` or ``at=TIME`` on an operation that has a past.

Who asks and whether they may is decided as of now. Then the operation's own handler runs with the read models, the
project, the caller's account and the time of that moment, so its answer is the answer of then.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from pydantic_core import to_json

from accounts_es.domain.errors import GeneralArgumentInvalid, GeneralUnauthorizedScope, ProjectNotFound, UserNotFound
from accounts_es.domain.security.events import AuditRead
from accounts_es.eventstore.moments import MOST_EVENTS, TooMuchHistory
from accounts_es.eventstore.positions import head, position_at
from accounts_es.http.context import Context, Moment
from accounts_es.http.operation import AT, OF_EVENTS
from accounts_es.http.rules import Invalid
from accounts_es.http.webhooks.rules import Place
from projections import accounts, projects, streams

SCOPE: Final = "audit.read"
"""What a key needs for the past, besides the scope of the operation."""
_PLACE: Final = Place()
_TIME_OF: Final = """SELECT recorded_at FROM log.accounts_events WHERE notification_id <= %s
    ORDER BY notification_id DESC LIMIT 1"""


async def answer(ctx: Context, path: Mapping[str, str], values: Mapping[str, Any]) -> Any:
    """What the operation answered at the moment the request names.

    Raises `GeneralUnauthorizedScope`, `GeneralArgumentInvalid` for a moment that never was, `ProjectNotFound` or
    `UserNotFound` for one before the project or the caller, and what the handler raises.
    """
    if ctx.operation.id in OF_EVENTS:
        raise GeneralArgumentInvalid(f"Invalid `{AT}` param: what happened has times of its own")
    if ctx.caller.kind == "key" or not _is_own(ctx):
        ensure_auditor(ctx)
    position = await position_of(ctx, AT, ctx.request.query()[AT])
    needed = await _streams(ctx, path, values)
    async with _then(ctx, position, needed):
        answered = await ctx.operation.handler(ctx, **values)
    if ctx.caller.kind == "key":
        of = [stream for stream in needed or () if stream != ctx.required_project.stream]
        await ctx.note_audit_read(AuditRead(attributes=(AT,), count=1, about=of[0] if len(of) == 1 else ""))
    return answered


def ensure_auditor(ctx: Context) -> None:
    """Raises `GeneralUnauthorizedScope` unless it is a server with a key for the past."""
    caller = ctx.caller
    if caller.kind != "key" or SCOPE not in caller.scopes:
        wanted = to_json([SCOPE]).decode()
        raise GeneralUnauthorizedScope(f"{caller.describe(ctx.project_id)} missing scopes ({wanted})")


async def position_of(ctx: Context, name: str, value: Any) -> "Moment":
    """The moment a parameter names. Raises `GeneralArgumentInvalid` for one the log has not reached."""
    try:
        place = value if isinstance(value, datetime) else _PLACE.parse(value)
    except Invalid as broken:
        raise GeneralArgumentInvalid(f"Invalid `{name}` param: {broken}") from None
    reads = ctx.services.reads
    if isinstance(place, datetime):
        # Answers show milliseconds, and whoever asks with one means all that reads like it.
        time = place if place.microsecond % 1000 else place + timedelta(microseconds=999)
        position = await position_at(reads, time) if place <= ctx.at else None
    else:
        position = await position_at(reads, place)
        rows = await reads.fetch(_TIME_OF, (place,)) if position is not None else []
        time = rows[0][0] if rows else ctx.at
    if position is None:
        raise GeneralArgumentInvalid(f"Invalid `{name}` param: Value must not lie beyond the end of the log")
    return Moment(reads, position, time)


async def end_of_log(ctx: Context) -> "Moment":
    """Now. The clock does not say what that is: it may have been set back, or another server's be ahead."""
    reads = ctx.services.reads
    return Moment(reads, await head(reads), ctx.at)


def too_much(name: str) -> GeneralArgumentInvalid:
    """The refusal of a moment that would take too many events."""
    return GeneralArgumentInvalid(
        f"Invalid `{name}` param: this would take more than {MOST_EVENTS} events; ask for less, such as one user"
    )


def _is_own(ctx: Context) -> bool:
    """Whether people ask about themselves alone."""
    return ctx.operation.group == "account" and ctx.caller.account is not None and ctx.caller.impersonator is None


@asynccontextmanager
async def _then(ctx: Context, moment: Moment, needed: list[str] | None) -> AsyncGenerator[None]:
    """While this lasts, the context is that of the moment."""
    project, caller, at = ctx.required_project, ctx.caller, ctx.at
    try:
        async with ctx.services.moments.at(moment.position, project=project.project_id, streams=needed) as reads:
            ctx.moment, ctx.at = Moment(reads, moment.position, moment.at), moment.at
            ctx.project = await projects.find(reads, project.project_id)
            if ctx.project is None:
                raise ProjectNotFound
            if caller.account is not None:
                account = await reads.load(accounts.BY_STREAM, (caller.account.stream,))
                if account is None:
                    raise UserNotFound
                ctx.caller = replace(caller, account=account)
            yield
    except TooMuchHistory:
        raise too_much(AT) from None
    finally:
        # What is recorded of the request, a refusal say, is of now.
        ctx.moment, ctx.project, ctx.caller, ctx.at = None, project, caller, at


# What the read models of the moment are made of -----------------------------------------------------------------------


async def _streams(ctx: Context, path: Mapping[str, str], values: Mapping[str, Any]) -> list[str] | None:
    """The streams an operation looks at, those of what is gone among them; none: all of the project."""
    operation, reads, project = ctx.operation, ctx.services.reads, ctx.required_project
    if operation.group == "access":
        asked = list(_questions(values))
        people = await _with_teams(ctx, await streams.with_ids(reads, project.project_id, "account", *_users(asked)))
        things = await streams.with_ids(reads, project.project_id, "resource", *_resources(asked))
        return [project.stream, *people, *things]
    found: list[str] = []
    if ctx.caller.account is not None:
        found = [ctx.caller.account.stream]
    elif "userId" in path:
        found = await streams.with_ids(reads, project.project_id, "account", path["userId"])
    elif "teamId" in path:
        teams = await streams.with_ids(reads, project.project_id, "team", path["teamId"])
        return [project.stream, *teams, *await streams.accounts_of(reads, teams)]
    elif operation.group in {"users", "teams"}:
        return None
    if "memberships" in operation.paths[0]:
        found = await _with_teams(ctx, found)
    return [project.stream, *found]


async def _with_teams(ctx: Context, found: list[str]) -> list[str]:
    return [*found, *await streams.teams_of(ctx.services.reads, found)]


def _questions(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those of an evaluation; what one leaves out stands around them. Whether they are right is not told here."""
    yield values
    for each in values.get("evaluations") or ():
        yield _object(each)


def _users(questions: list[Mapping[str, Any]]) -> set[str]:
    return {str(_object(each.get("subject")).get("id")) for each in questions}


def _resources(questions: list[Mapping[str, Any]]) -> set[str]:
    named = [_object(each.get("resource")) for each in questions]
    return {streams.resource_key(str(each.get("type")), str(each.get("id"))) for each in named}


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
