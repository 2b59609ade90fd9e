"""Commands on the server's own data: open the database, run the application, say refusals in one sentence."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from accounts_es.adapters.ids import now
from accounts_es.application import Application
from accounts_es.bootstrap import running_application
from accounts_es.cli.console import Trouble
from accounts_es.cli.database import open_tool
from accounts_es.domain.errors import Refusal
from accounts_es.domain.event import Actor, Metadata
from accounts_es.eventstore.keys import WrongMasterKey

Data = Annotated[Path, typer.Option(envvar="ACCOUNTS_DATA", help="The server's data folder.")]
Url = Annotated[str | None, typer.Option(envvar="ACCOUNTS_DATABASE_URL", help="A PostgreSQL of your own.")]
DATA = Path(".data")


def administer(data: Path, database_url: str | None, work: Callable[[Application], Awaitable[None]]) -> None:
    """Run ``work`` on the application of this data folder or database. Raises `Trouble`."""

    async def carry_out(conninfo: str) -> None:
        if tool.master is None:
            raise Trouble("there is no master key: set ACCOUNTS_MASTER_KEY, or name the server's data folder")
        async with running_application(conninfo, tool.master) as app:
            await work(app)

    with open_tool(data, database_url) as tool:
        try:
            asyncio.run(carry_out(tool.conninfo))
        except Refusal as refused:
            raise Trouble(refused.message) from None
        except WrongMasterKey as error:
            raise Trouble(str(error)) from None


def metadata(project_id: str, operation: str) -> Metadata:
    """What the events of a command say of where they come from."""
    actor = Actor(kind="system", id=f"cli.{os.getuid()}")
    return Metadata(now(), project_id, actor, operation, request := secrets.token_hex(10), request)
