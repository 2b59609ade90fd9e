"""How tools reach the server's database: a given one, the one a server is running, or one of their own meanwhile."""

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from accounts_es.adapters.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, connection
from accounts_es.adapters.key_files import KeyFileError, key_source, load_key, remove_key, replace_key
from accounts_es.cli.console import Trouble
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.key_check import opens
from accounts_es.eventstore.keys import MasterKey

log = logging.getLogger(__name__)

PRESENT: Final = "master"
NEW: Final = "new_master"
"""Where keys are looked for: `load_key`. The new one is there while the master key is changed."""


@dataclass(frozen=True, slots=True)
class Tool:
    """The owner's connection string, and the master key where it is at hand."""

    conninfo: str
    master: MasterKey | None


@contextmanager
def open_tool(data: Path, database_url: str | None) -> Generator[Tool]:
    """The database of this data folder, or the given one. Raises `Trouble`."""
    with _reached(data, database_url) as conninfo:
        yield Tool(conninfo, master_key(data, conninfo))


@contextmanager
def _reached(data: Path, database_url: str | None) -> Generator[str]:
    running = database_url or connection(data)
    if running is not None:
        yield running
        return
    if not (data / "postgres").is_dir():
        raise Trouble(f"there is no database in {data}: name the server's folder with --data")
    try:
        with EmbeddedPostgres(data) as conninfo:
            yield conninfo
    except EmbeddedPostgresError as error:
        raise Trouble(str(error)) from None


def master_key(data: Path, conninfo: str) -> MasterKey | None:
    """The master key: the present one, or the new one if it has taken its place in this database. Raises `Trouble`.

    If the data folder holds it, the change is brought to its end there, whatever had ended it before.
    """
    try:
        # In this order: whoever brings a change to its end at this moment first puts the new one in place.
        new, present = (load_key(name, data, os.environ) for name in (NEW, PRESENT))
        if new is None or not _opens(conninfo, MasterKey(new)):
            return MasterKey(present) if present is not None else None
    except KeyFileError as error:
        raise Trouble(str(error)) from None
    try:
        put_in_place(data, new)
    except (KeyFileError, OSError) as error:
        log.warning("the new master key is not in its place yet", extra={"error": type(error).__name__})
    return MasterKey(new)


def needed_key(data: Path, conninfo: str) -> MasterKey:
    """The master key of a server. Raises `Trouble`."""
    master = master_key(data, conninfo)
    if master is None:
        raise Trouble("there is no master key")
    return master


def put_in_place(data: Path, new: bytes) -> Path | None:
    """The new master key is the present one from now on; returns where the data folder keeps the former one.

    Keys that settings say are left to whoever set them.
    """
    if key_source(PRESENT, os.environ) is not None:
        return None
    former = replace_key(PRESENT, data, new)
    remove_key(NEW, data)
    return former


def _opens(conninfo: str, master: MasterKey) -> bool:
    try:
        with connect_sync(conninfo, as_app=False) as owner:
            return opens(owner, master)
    except psycopg.Error as error:
        raise Trouble(f"the database says: {str(error).splitlines()[0]}") from None
