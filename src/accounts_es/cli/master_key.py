"""``accounts-es master-key``: another master key for a database."""

import os
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from accounts_es.adapters.key_files import KeyFileError, generate_key, key_source, load_key, store_key
from accounts_es.cli.administer import DATA, Data, Url
from accounts_es.cli.console import Trouble
from accounts_es.cli.database import NEW, PRESENT, open_tool, put_in_place
from accounts_es.cli.progress import progress
from accounts_es.eventstore.key_change import InUse, KeysBroken, change
from accounts_es.eventstore.keys import MasterKey, WrongMasterKey

master_key = typer.Typer(help="The key that all others hang on.", no_args_is_help=True)


@master_key.callback()
def group() -> None:
    """The key that all others hang on."""


@master_key.command("rotate")
def rotate(
    generate: Annotated[bool, typer.Option("--generate", help="Make the new key, in the data folder.")] = False,
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Let a new master key take the place of the present one, while no server runs.

    The new one comes from ACCOUNTS_NEW_MASTER_KEY, or from the file that ACCOUNTS_NEW_MASTER_KEY_FILE names.
    """
    try:
        begun = load_key(NEW, data, os.environ)
        with open_tool(data, database_url) as tool:
            if tool.master is None:
                raise Trouble("there is no master key: set ACCOUNTS_MASTER_KEY, or name the server's data folder")
            if begun is not None and tool.master.same_as(MasterKey(begun)):
                print("the new master key has taken its place already")
                _explain(data, None)
                return
            new = _new_key(data, begun, generate=generate)
            with progress("wrapping", "key") as tell:
                count = change(tool.conninfo, tool.master, MasterKey(new), tell)
    except (KeyFileError, InUse, KeysBroken, WrongMasterKey) as error:
        raise Trouble(str(error)) from None
    except OSError as error:
        raise Trouble(f"the new key cannot be kept: {error}") from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName):
        raise Trouble("there is no log in this database, or none of this release: start the server on it") from None
    except psycopg.Error as error:
        raise Trouble(f"the database says: {str(error).splitlines()[0]}") from None
    try:
        former = put_in_place(data, new)
    except (KeyFileError, OSError) as error:
        raise Trouble(f"the master key is changed, but the new one is not in its place yet: {error}") from None
    plural = "key is" if count == 1 else "keys are"
    print(f"{count} {plural} wrapped by the new master key, and the former one opens nothing in this database any more")
    _explain(data, former)


def _new_key(data: Path, begun: bytes | None, *, generate: bool) -> bytes:
    """The new key, where a start finds it whatever becomes of us."""
    ours = key_source(PRESENT, os.environ) is None
    if begun is not None:
        if ours and key_source(NEW, os.environ) is not None and load_key(NEW, data, {}) != begun:
            store_key(NEW, data, begun)
        return begun
    if not generate:
        raise Trouble("there is no new master key: set ACCOUNTS_NEW_MASTER_KEY_FILE, or let --generate make one")
    if not ours:
        raise Trouble(
            f"the present master key comes from {key_source(PRESENT, os.environ)}: keep the new one in such a place too"
            " (openssl rand -base64 32), and set ACCOUNTS_NEW_MASTER_KEY_FILE or ACCOUNTS_NEW_MASTER_KEY"
        )
    return generate_key(NEW, data)


def _explain(data: Path, former: Path | None) -> None:
    """Where the new key must be from now on."""
    source = key_source(PRESENT, os.environ)
    if source is not None:
        print(f"servers start with both; let {source} say the new one, and {key_source(NEW, os.environ)} nothing")
        print("keep the former one apart, as long as there are backups from before: they need it")
        return
    print(f"it is in {data / 'keys' / 'master.key'}: keep a copy apart from the backups")
    if former is not None:
        print(f"the former one is in {former}: backups from before need it; remove it when there are none")
