"""``accounts-es webhooks``: how deliveries go, and telling again."""

from typing import Annotated

import typer

from accounts_es.application import Application
from accounts_es.cli.administer import DATA, Data, Url, administer, metadata
from accounts_es.cli.console import Trouble
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.aggregate import project_stream
from accounts_es.eventstore.positions import head, position_at
from accounts_es.http.rules import Invalid
from accounts_es.http.webhooks.rules import Place
from projections import webhooks as read_model

webhooks = typer.Typer(help="How webhooks are told, and telling them again.", no_args_is_help=True)

Project = Annotated[str, typer.Option(help="The project.")]


@webhooks.command("list")
def list_webhooks(project: Project = "default", data: Data = DATA, database_url: Url = None) -> None:
    """List the webhooks of a project: id, name, whether enabled, positions behind, failed attempts, last answer."""

    async def work(app: Application) -> None:
        last = await head(app.log.reads)
        for row in await read_model.list_all(app.log.reads):
            if row.project_id == project:
                state = "enabled" if row.enabled else "disabled"
                behind, tried = last - row.position, row.attempts
                print(f"{row.webhook_id}\t{row.name}\t{state}\t{behind} behind\t{tried} failed\t{row.answer or '-'}")

    administer(data, database_url, work)


@webhooks.command("rewind")
def rewind(
    webhook_id: Annotated[str, typer.Argument(help="Its id, as `list` shows it.")],
    to: Annotated[str, typer.Option(help="A position of the log, or a time (ISO 8601): what came after is told.")],
    project: Project = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Tell a webhook again what came after a position of the log or after a time."""
    try:
        place = Place().parse(to)
    except Invalid:
        raise Trouble(f"{to!r} is neither a position of the log nor a time") from None

    async def work(app: Application) -> None:
        position = await position_at(app.log.reads, place)
        if position is None:
            raise Trouble(f"the log has not reached position {to} yet")
        meta = metadata(project, "webhooks.rewind")
        stream = project_stream(project)
        await app.execute(meta, PROJECT, stream, commands.rewind_webhook, webhook_id=webhook_id, position=position)
        print(f"{webhook_id} is told what came after position {position}")

    administer(data, database_url, work)
