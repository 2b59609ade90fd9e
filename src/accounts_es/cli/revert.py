"""``accounts-es revert``: undo what a request, a key, an actor or a time did (docs/decisions/0012)."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from accounts_es.application import Application
from accounts_es.cli.administer import DATA, Data, Url, administer, metadata
from accounts_es.cli.audit import time_of
from accounts_es.cli.console import Trouble
from accounts_es.domain.errors import ProjectNotFound, TeamNotFound
from accounts_es.domain.reverts import Item
from accounts_es.eventstore.audit import Wanted
from accounts_es.eventstore.audit_record import harmless, harmless_json
from accounts_es.reverting import Undoing, preview, selected
from accounts_es.reverting import revert as undo
from projections import people, projects, streams

_COLUMNS: Final = ("position", "event", "stream", "field", "from", "to", "outcome", "reason")


def revert(
    position: Annotated[list[int] | None, typer.Option(help="The event at this position; can be repeated.")] = None,
    request: Annotated[str | None, typer.Option(help="What this request did (X-Request-Id).")] = None,
    key: Annotated[str | None, typer.Option(help="What was done with the key of this id.")] = None,
    actor: Annotated[str | None, typer.Option(help="What this user, or a kind:id as the audit shows it, did.")] = None,
    since: Annotated[str | None, typer.Option(help="What was done from this time on (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(help="Only what was done before this time.")] = None,
    user: Annotated[str | None, typer.Option(help="Only what happened to this user.")] = None,
    team: Annotated[str | None, typer.Option(help="Only what happened to this team.")] = None,
    project: Annotated[str, typer.Option(help="The project.")] = "default",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what that would come to.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Undo what happened, and show what became of it. What was changed since stays; secrets do not come back."""
    if not (position or request or key or actor or since):
        raise Trouble("say what to undo: --position, --request, --key, --actor or --since")
    if user is not None and team is not None:
        raise Trouble("what is of a user is of no team: name one of them")
    if key is not None and actor is not None:
        raise Trouble("what was done with a key was done by no user: name one of them")
    wanted = Wanted(
        project=project,
        request=request,
        since=time_of(since),
        until=time_of(until),
        positions=tuple(position or ()),
    )

    async def work(app: Application) -> None:
        if await projects.find(app.log.reads, project) is None:
            raise ProjectNotFound
        narrowed = await _narrowed(app, wanted, user=user, team=team, key=key, actor=actor)
        chosen = await selected(app, narrowed)
        meta = metadata(project, "reverts.create")
        undoing = await preview(app, project, chosen) if dry_run else await undo(app, meta, chosen)
        _print(undoing, as_json=as_json)
        done = sum(item.outcome == "reverted" for item in undoing.items)
        what = "would be reverted" if dry_run else f"reverted by request {meta.request_id}"
        print(f"{done} of {len(undoing.items)} events {what}", file=sys.stderr if as_json else sys.stdout)

    administer(data, database_url, work)


async def _narrowed(
    app: Application, wanted: Wanted, *, user: str | None, team: str | None, key: str | None, actor: str | None
) -> Wanted:
    reads, project = app.log.reads, wanted.project or ""
    stream = by = None
    if user is not None:
        stream = (await people.get(reads, project, user)).stream
    if team is not None:
        stream = await streams.last_with_id(reads, project, "team", team)
        if stream is None:
            raise TeamNotFound
    if key is not None:
        by = f"key:{key}"
    elif actor is not None:
        by = actor if ":" in actor else f"account:{(await people.get(reads, project, actor)).stream}"
    return replace(wanted, stream=stream, actor=by)


def _print(undoing: Undoing, *, as_json: bool) -> None:
    if as_json:
        for item in undoing.items:
            print(harmless_json(dict(zip(_COLUMNS, _row(item), strict=True))))
    elif sys.stdout.isatty():
        table = Table(*_COLUMNS, expand=True)
        for item in undoing.items:
            # Plain text: nothing in it is taken for markup.
            table.add_row(*(Text(cell, overflow="fold") for cell in _cells(item)))
        Console().print(table)
    else:
        for item in undoing.items:
            print("  ".join(_cells(item)))


def _row(item: Item) -> tuple[Any, ...]:
    field = str(item.field) if item.field is not None else None
    return (
        item.position,
        item.event,
        item.stream,
        field,
        item.before,
        item.after,
        item.outcome,
        item.reason or None,
    )


def _cells(item: Item) -> Iterable[str]:
    for value in _row(item):
        text = value if isinstance(value, str) else "-" if value is None else harmless_json(value)
        yield harmless(text) or "-"
