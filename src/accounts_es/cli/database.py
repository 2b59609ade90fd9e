"""How tools reach the server's database: a given one, the one a server is running, or one of their own meanwhile."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from accounts_es.adapters.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, connection
from accounts_es.adapters.key_files import KeyFileError, load_key
from accounts_es.cli.console import Trouble
from accounts_es.eventstore.keys import MasterKey


@dataclass(frozen=True, slots=True)
class Tool:
    """The owner's connection string, and the master key where it is at hand."""

    conninfo: str
    master: MasterKey | None


@contextmanager
def open_tool(data: Path, database_url: str | None) -> Generator[Tool]:
    """The database of this data folder, or the given one. Raises `Trouble`."""
    try:
        key = load_key("master", data, os.environ)
    except KeyFileError as error:
        raise Trouble(str(error)) from None
    master = MasterKey(key) if key is not None else None
    if database_url is not None:
        yield Tool(database_url, master)
        return
    running = connection(data)
    if running is not None:
        yield Tool(running, master)
        return
    if not (data / "postgres").is_dir():
        raise Trouble(f"there is no database in {data}: name the server's folder with --data")
    try:
        with EmbeddedPostgres(data) as conninfo:
            yield Tool(conninfo, master)
    except EmbeddedPostgresError as error:
        raise Trouble(str(error)) from None
