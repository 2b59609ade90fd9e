"""``accounts-es users``: bring people along from elsewhere, and take them elsewhere."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Final, TextIO

import psycopg
import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from accounts_es.adapters.ids import now, wire_id
from accounts_es.adapters.key_files import load_key
from accounts_es.application import Application
from accounts_es.cli.administer import DATA, Data, Url, administer, metadata
from accounts_es.cli.console import Trouble, read_settings
from accounts_es.cli.database import open_tool
from accounts_es.cli.history import history
from accounts_es.cli.transfer import Line, Unreadable, account, exported, lines
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.errors import ProjectNotFound, Refusal
from accounts_es.erasures import Erasures
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.kept import follow
from accounts_es.eventstore.scrub import scrub
from accounts_es.eventstore.swap import RebuildRunning
from accounts_es.http import subject
from projections import ALL, accounts, people, projects

users = typer.Typer(help="Import, export and erase accounts.", no_args_is_help=True)

users.command()(history)

AT_ONCE: Final = 64
"""Accounts on their way at the same time: they share commits, and no more of the file is in memory."""
PAGE: Final = 1000

Project = Annotated[str, typer.Option(help="The project.")]


@users.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON lines, or CSV if its name ends so.")],
    refused: Annotated[Path | None, typer.Option(help="Write the lines that were refused here, as JSON.")] = None,
    project: Project = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Bring accounts along, with their password hashes. Run again after an interruption, it goes on where it was."""
    tally = Tally(file.stat().st_size)

    async def work(app: Application) -> None:
        if await projects.find(app.log.reads, project) is None:
            raise ProjectNotFound
        with tally.showing():
            waiting: set[asyncio.Task[None]] = set()
            for line in lines(file, project):
                if len(waiting) >= AT_ONCE:
                    _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                waiting.add(asyncio.create_task(_bring(app, project, line, tally, rejects)))
            await asyncio.gather(*waiting)

    rejects = _private(refused) if refused is not None else None
    try:
        administer(data, database_url, work)
    except UnicodeDecodeError:
        raise Trouble("the file is not UTF-8") from None
    finally:
        if rejects is not None:
            rejects.close()
    print(f"{tally.made} imported, {tally.known} were here already, {tally.refused} refused")
    if tally.refused:
        raise typer.Exit(1)


async def _bring(app: Application, project: str, line: Line, tally: "Tally", rejects: TextIO | None) -> None:
    try:
        arguments = account(line)
        arguments["account_id"] = arguments["account_id"] or wire_id()
        outcome = await app.execute(
            metadata(project, "users.import"),
            ACCOUNT,
            line.stream,
            commands.bring_along,
            **arguments,
            email_target_id=wire_id(),
            phone_target_id=wire_id(),
        )
    except (Unreadable, Refusal) as why:
        tally.refused += 1
        reason = why.message if isinstance(why, Refusal) else str(why)
        print(f"line {line.number}: {reason}", file=sys.stderr)
        if rejects is not None:
            rejects.write(f"{line.text}\n")
    else:
        tally.made += 1 if outcome.recorded else 0
        tally.known += 0 if outcome.recorded else 1
    tally.read(len(line.text.encode()) + 1)


@users.command("export")
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; standard output unless given.")] = None,
    project: Project = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Write all accounts as JSON lines that ``import`` reads, password hashes included."""

    async def work(app: Application) -> None:
        if await projects.find(app.log.reads, project) is None:
            raise ProjectNotFound
        out = _private(file) if file is not None else sys.stdout
        try:
            async for row in _everybody(app, project):
                out.write(exported(row).decode() + "\n")
        finally:
            out.flush()
            if file is not None:
                out.close()

    administer(data, database_url, work)


@users.command("export-person")
def export_person(
    account: Annotated[str, typer.Argument(metavar="ID", help="Whose: the id of an account, deleted or not.")],
    file: Annotated[Path | None, typer.Argument(help="Where to; standard output unless given.")] = None,
    project: Project = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Write all that is known of one person as a JSON document, without hashes or secrets."""

    async def work(app: Application) -> None:
        person = await people.get(app.log.reads, project, account)
        out = _private(file) if file is not None else sys.stdout
        try:
            found = await subject.positions(app.log, person)
            async for part in subject.document(app.log, person, found, now()):
                out.write(part)
        finally:
            out.flush()
            if file is not None:
                out.close()

    administer(data, database_url, work)


@users.command("erase")
def erase(
    account: Annotated[str, typer.Argument(metavar="ID", help="Whom: the id of an account, deleted or not.")],
    project: Project = "default",
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Destroy a person's key, and with it all that is known of them; prints the signed certificate. For good."""
    settings = read_settings(data=data)
    key = load_key("ledger", data, os.environ)
    if key is None:
        raise Trouble("there is no ledger key: without it there is no certificate")

    async def work(app: Application) -> None:
        person = await people.get(app.log.reads, project, account)
        erasures = Erasures(app, key, settings.certificates)
        print(await erasures.erase(metadata(project, "users.erase"), person.stream, "request"), end="")

    administer(data, database_url, work)


@users.command("scrub")
def scrub_(data: Data = DATA, database_url: Url = None) -> None:
    """Write the tables anew that personal values stood in, to wipe what is erased from the database's files as well.

    Tables cannot be read or written while it is their turn.
    """
    with open_tool(data, database_url) as tool, connect_sync(tool.conninfo, as_app=False) as owner:
        try:
            if tool.master is not None:
                follow(tool.conninfo, tool.master, ALL)
            scrub(owner)
        except RebuildRunning as error:
            raise Trouble(str(error)) from None
        except psycopg.errors.InsufficientPrivilege:
            raise Trouble("the tables are clean; the write-ahead log is left to somebody who may switch it") from None


async def _everybody(app: Application, project: str) -> AsyncIterator[accounts.AccountRow]:
    position = 0
    while rows := await accounts.list_after(app.log.reads, project, position, PAGE):
        for row in rows:
            yield row
        position = rows[-1].position


def _private(file: Path) -> TextIO:
    """A new file only its owner reads."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8")


class Tally:
    """What became of the lines, and how far it is: a bar on a terminal, a line every tenth otherwise."""

    def __init__(self, size: int) -> None:
        self.made = self.known = self.refused = 0
        self._size, self._done, self._told = size, 0, 0
        columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, transient=True, disable=not sys.stderr.isatty())
        self._task = self._bar.add_task("importing", total=size)

    def showing(self) -> Bar:
        """The bar, for a ``with`` block."""
        return self._bar

    def read(self, size: int) -> None:
        """So much more of the file is done with."""
        self._done += size
        self._bar.update(self._task, completed=self._done)
        tenth = self._done * 10 // max(self._size, 1)
        if self._bar.disable and tenth > self._told:
            self._told = tenth
            count = self.made + self.known + self.refused
            print(f"importing: {count} lines, {min(tenth * 10, 100)} %", file=sys.stderr)
