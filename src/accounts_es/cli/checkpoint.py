"""``accounts-es checkpoint``: sign the log as it is now, and print what was signed."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Final

import psycopg
import typer

from accounts_es.adapters.key_files import KeyFileError, load_key
from accounts_es.cli.console import Trouble
from accounts_es.cli.database import open_tool
from accounts_es.eventstore.connection import AsyncConn, connect
from accounts_es.eventstore.ledger import growth
from accounts_es.eventstore.ledger.growth import LogRewritten
from accounts_es.eventstore.ledger.note import Signer
from accounts_es.reactors.checkpoints import sinks
from accounts_es.reactors.ledger import Ledger
from accounts_es.settings import Settings

_PATIENCE: Final = 120.0
_LOOK_SECONDS: Final = 0.2
_HEAD = "SELECT coalesce(max(notification_id), 0) FROM log.accounts_events"
_NEWEST = "SELECT position, note FROM log.checkpoints ORDER BY size DESC LIMIT 1"


def checkpoint(
    key: Annotated[bool, typer.Option("--key", help="Print the key that checks the signatures instead.")] = False,
    data: Annotated[Path | None, typer.Option(help="The server's data folder.")] = None,
    database_url: Annotated[str | None, typer.Option(envvar="ACCOUNTS_DATABASE_URL", help="Its database.")] = None,
) -> None:
    """Print a signed checkpoint of everything that is in the log now."""
    settings = Settings() if data is None else Settings(data=data)
    try:
        secret = load_key("ledger", settings.data, os.environ)
    except KeyFileError as error:
        raise Trouble(str(error)) from None
    if secret is None:
        raise Trouble("there is no ledger key: set ACCOUNTS_LEDGER_KEY, or name the server's data folder")
    try:
        with open_tool(settings.data, database_url) as tool:
            print(asyncio.run(_carry_out(tool.conninfo, secret, settings, key=key)), end="")
    except LogRewritten as rewritten:
        raise Trouble(str(rewritten)) from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise Trouble("there is no log in this database") from None
    except psycopg.Error as error:
        raise Trouble(f"the database says: {str(error).splitlines()[0]}") from None


async def _carry_out(conninfo: str, secret: bytes, settings: Settings, *, key: bool) -> str:
    async with await connect(conninfo) as connection:
        if key:
            return f"{Signer(await growth.origin(connection), secret).verifier}\n"
        ledger = Ledger(conninfo, secret, sinks(settings), settings.checkpoint_seconds)
        wanted, note = await _position(connection), None
        for _ in range(round(_PATIENCE / _LOOK_SECONDS)):
            # A running server does it; without one we do.
            if await growth.lead(connection):
                await ledger.catch_up(connection)
                await ledger.hand_on(connection)
            row = await (await connection.execute(_NEWEST)).fetchone()
            reached, note = row if row is not None else (0, None)
            if reached >= wanted:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            raise Trouble("the server does not sign the log: its own log says why")
        if note is None:
            raise Trouble("there is nothing in the log yet")
        return str(note)


async def _position(connection: AsyncConn) -> int:
    row = await (await connection.execute(_HEAD)).fetchone()
    return int(row[0]) if row is not None else 0
