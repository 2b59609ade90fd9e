"""Undo what happened (docs/decisions/0012)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic_core import to_json

from accounts_es.application import Besides
from accounts_es.domain.catalog import REVERTS
from accounts_es.domain.errors import (
    GeneralArgumentInvalid,
    GeneralUnauthorizedScope,
    ResourceAlreadyExists,
    RevertTooLarge,
    TeamAlreadyExists,
    TeamNotFound,
    UserAlreadyExists,
    UserNotFound,
    UserTargetAlreadyExists,
)
from accounts_es.domain.security.events import AuditRead
from accounts_es.eventstore.audit import Wanted
from accounts_es.http.context import Context
from accounts_es.http.models.reverts import RevertList, revert_list
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id, Moment, Number, Text, Texts
from accounts_es.reverting import MOST, Undoing, preview, revert, selected
from projections import people, streams

WRITE: Final = "reverts.write"
READ: Final = "events.read"
SELECTS: Final = "positions, requestId, keyId, actor or from"
_LAST: Final = 2**53 - 1
"""What every JSON reader takes."""
_ALIASES: Final = {"project.policies.write": "policies.write"}
"""What keys of older servers call them."""


@operation(
    "POST",
    "/reverts",
    id="reverts.create",
    scope=(WRITE, READ),
    returns=RevertList,
    emits=(AuditRead, *dict.fromkeys(event for each in REVERTS.values() for event in each.emits)),
    raises=(
        RevertTooLarge,
        TeamNotFound,
        UserNotFound,
        UserAlreadyExists,
        UserTargetAlreadyExists,
        TeamAlreadyExists,
        ResourceAlreadyExists,
    ),
)
async def create(
    ctx: Context,
    *,
    positions: Annotated[Sequence[int], Texts(Number(1, _LAST), MOST)] = (),
    request_id: Annotated[str | None, Text(128)] = None,
    key_id: Annotated[str | None, Id()] = None,
    actor: Annotated[str | None, Id()] = None,
    from_: Annotated[datetime | None, Moment()] = None,
    to: Annotated[datetime | None, Moment()] = None,
    user_id: Annotated[str | None, Id()] = None,
    team_id: Annotated[str | None, Id()] = None,
    dry_run: Annotated[bool, Flag()] = False,
) -> RevertList:
    """Undo the events that meet all that is given, or with `dryRun` only say what that would come to.

    `positions` are those of events in the log, `requestId` whatever one request did, `keyId` what was done with a key,
    `actor` what a user did, `from` and `to` when it was done; `userId` and `teamId` are to whom. At least one of the
    first five is needed. What cannot be undone, and what somebody changed since, stays and says why. To undo an
    undoing, select its `requestId`. A dry run needs the scope `events.read`, undoing `reverts.write` and those of the
    changes.
    """
    _ensure_scopes(ctx, {READ if dry_run else WRITE})
    if not (positions or request_id or key_id or actor or from_):
        raise GeneralArgumentInvalid(f"Invalid `positions` param: Select events by {SELECTS}")
    if user_id is not None and team_id is not None:
        raise GeneralArgumentInvalid("Invalid `teamId` param: What is of a user is of no team")
    if key_id is not None and actor is not None:
        raise GeneralArgumentInvalid("Invalid `actor` param: What was done with a key was done by no user")
    wanted = Wanted(
        stream=await _stream(ctx, user_id, team_id),
        project=ctx.project_id,
        actor=await _actor(ctx, key_id, actor),
        request=request_id,
        since=from_,
        until=to,
        positions=tuple(positions),
    )
    application = ctx.services.application
    chosen = await selected(application, wanted)
    if dry_run:
        undoing = await preview(application, ctx.project_id, chosen, ctx.caller.grant)
        await ctx.note_audit_read(AuditRead(count=len(undoing.items), about=wanted.stream or ""))
    else:
        besides, ctx.idempotency = Besides(ctx.idempotency), None
        undoing = await revert(
            application,
            ctx.meta(),
            chosen,
            grant=ctx.caller.grant,
            allow=lambda undoing: _ensure_may(ctx, undoing),
            besides=besides,
        )
    # Who changes something sees what it becomes; who only looks sees what they may.
    shown = ctx.caller.sees_personal or not dry_run
    return revert_list(undoing, dry_run=dry_run, request_id=ctx.request.id, personal=shown)


def _ensure_may(ctx: Context, undoing: Undoing) -> None:
    _ensure_scopes(ctx, undoing.scopes)


def _ensure_scopes(ctx: Context, needed: set[str] | frozenset[str]) -> None:
    """Whoever undoes a change could make it."""
    missing = [each for each in sorted(needed) if ctx.caller.scopes.isdisjoint({each, _ALIASES.get(each, each)})]
    if missing:
        wanted = to_json(missing).decode()
        raise GeneralUnauthorizedScope(f"{ctx.caller.describe(ctx.project_id)} missing scopes ({wanted})")


async def _stream(ctx: Context, user_id: str | None, team_id: str | None) -> str | None:
    if user_id is not None:
        return (await people.get(ctx.reads, ctx.project_id, user_id)).stream
    if team_id is not None:
        team = await streams.last_with_id(ctx.reads, ctx.project_id, "team", team_id)
        if team is None:
            raise TeamNotFound
        return team
    return None


async def _actor(ctx: Context, key_id: str | None, actor: str | None) -> str | None:
    if key_id is not None:
        return f"key:{key_id}"
    if actor is not None:
        return f"account:{(await people.get(ctx.reads, ctx.project_id, actor)).stream}"
    return None
