"""``accounts-es projects``: the spaces accounts live in, and the hosts whose pages may call them."""

from typing import Annotated

import typer

from accounts_es.adapters.ids import wire_id
from accounts_es.application import Application
from accounts_es.cli.administer import DATA, Data, Url, administer, metadata
from accounts_es.cli.console import Trouble
from accounts_es.cli.settings import GROUPS
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.aggregate import project_stream
from accounts_es.domain.values import is_id
from projections import projects as read_model

projects = typer.Typer(help="Create, list and set up projects.", no_args_is_help=True)
for group, settings in GROUPS.items():
    projects.add_typer(settings, name=group)


@projects.command("create")
def create(
    project_id: Annotated[str, typer.Argument(help="Its id, for ever.")],
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    platform: Annotated[list[str] | None, typer.Option(help="A host whose pages may call it.")] = None,
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Create a project."""
    if not is_id(project_id) or project_id == "console":
        raise Trouble(f"{project_id!r} cannot be the id of a project")

    async def work(app: Application) -> None:
        meta, stream = metadata(project_id, "projects.create"), project_stream(project_id)
        await app.execute(
            meta, PROJECT, stream, commands.create_project, project_id=project_id, name=name or project_id
        )
        for hostname in platform or ():
            await app.execute(
                meta, PROJECT, stream, commands.add_platform, platform_id=wire_id(), identifier=hostname.lower()
            )

    administer(data, database_url, work)
    print(f"created project {project_id}")


@projects.command("rename")
def rename(
    project_id: Annotated[str, typer.Argument(help="Its id.")],
    name: Annotated[str, typer.Argument(help="What people call it from now on.")],
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Call a project something else."""

    async def work(app: Application) -> None:
        meta = metadata(project_id, "projects.rename")
        await app.execute(meta, PROJECT, project_stream(project_id), commands.rename_project, name=name)

    administer(data, database_url, work)


@projects.command("list")
def list_projects(data: Data = DATA, database_url: Url = None) -> None:
    """List the projects, oldest first: id, name, hosts."""

    async def work(app: Application) -> None:
        for row in await read_model.list_projects(app.log.reads):
            print(f"{row.project_id}\t{row.name}\t{', '.join(row.hostnames)}")

    administer(data, database_url, work)
