"""``accounts-es keys``: what servers sign in with."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from accounts_es.adapters.ids import fingerprint, key_secret, now, wire_id
from accounts_es.application import Application
from accounts_es.cli.administer import DATA, Data, Url, administer, metadata
from accounts_es.cli.console import Trouble
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.aggregate import project_stream
from accounts_es.eventstore.listing import Asked
from accounts_es.http.callers import ALL_KEY_SCOPES
from projections import api_keys as read_model

keys = typer.Typer(help="Create, list and delete API keys.", no_args_is_help=True)

MOST: Final = 5000
"""Contract: users-teams, 4.4."""

Project = Annotated[str, typer.Option(help="The project the key opens.")]


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[list[str] | None, typer.Option(help="What it may do; all scopes unless given.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="How long it is good for; for ever unless given.")] = None,
    project: Project = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Create a key and print it: it is shown this once."""
    unknown = set(scope or ()) - set(ALL_KEY_SCOPES)
    if unknown:
        raise Trouble(f"there is no scope {', '.join(sorted(unknown))}; there are {', '.join(ALL_KEY_SCOPES)}")
    secret, key_id = key_secret(), wire_id()

    async def work(app: Application) -> None:
        await app.execute(
            metadata(project, "keys.create"),
            PROJECT,
            project_stream(project),
            commands.create_api_key,
            key_id=key_id,
            name=name,
            scopes=tuple(scope or ALL_KEY_SCOPES),
            secret_hash=fingerprint(secret),
            expires_at=now() + timedelta(days=days) if days is not None else None,
        )

    administer(data, database_url, work)
    print(secret)


@keys.command("list")
def list_keys(project: Project = "default", data: Data = DATA, database_url: Url = None) -> None:
    """List the keys of a project, oldest first: id, name, end, scopes. Secrets are not kept."""

    async def work(app: Application) -> None:
        rows, _ = await read_model.list_keys(app.log.reads, project, asked=Asked(limit=MOST), with_total=False)
        for row in rows:
            until = row.expires_at.isoformat(timespec="seconds") if row.expires_at is not None else "never expires"
            print(f"{row.key_id}\t{row.name}\t{until}\t{' '.join(row.scopes)}")

    administer(data, database_url, work)


@keys.command("delete")
def delete(
    key_id: Annotated[str, typer.Argument(help="Its id, as `keys list` shows it.")],
    project: Project = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Delete a key: it opens nothing from now on."""

    async def work(app: Application) -> None:
        await app.execute(
            metadata(project, "keys.delete"), PROJECT, project_stream(project), commands.delete_api_key, key_id=key_id
        )

    administer(data, database_url, work)
    print(f"deleted key {key_id}")
