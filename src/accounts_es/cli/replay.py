"""``accounts-es replay``: rebuild the read models from the log, or hold them against it."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import psycopg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from accounts_es.cli.administer import DATA, Data, Url
from accounts_es.cli.console import Trouble
from accounts_es.cli.database import open_tool
from accounts_es.eventstore.audit_record import HASH, REDACTED, harmless, harmless_json, is_hidden
from accounts_es.eventstore.keys import WrongMasterKey
from accounts_es.eventstore.projection import Projection
from accounts_es.eventstore.rebuild import (
    BatchFailed,
    Difference,
    Progress,
    RebuildRunning,
    TablesBusy,
    UnreadableEvent,
    rebuild,
)
from accounts_es.eventstore.rebuild import verify as compare
from projections import ALL


def replay(
    read_models: Annotated[list[str] | None, typer.Argument(help="Which; all unless named.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only compare, and print the first difference.")] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Print the values that differ; they may be personal.")
    ] = False,
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Rebuild read models from the log while the server goes on."""
    chosen = _chosen(read_models)
    names = ", ".join(projection.name for projection in chosen)
    with open_tool(data, database_url) as tool, _progress() as progress:
        if tool.master is None:
            raise Trouble("replaying needs the master key: set ACCOUNTS_MASTER_KEY, or name the server's data folder")
        try:
            if verify:
                done, difference = compare(tool.conninfo, tool.master, chosen, progress=progress)
            else:
                done, difference = rebuild(tool.conninfo, tool.master, chosen, progress=progress), None
        except (RebuildRunning, UnreadableEvent, TablesBusy, BatchFailed, WrongMasterKey) as error:
            raise Trouble(str(error)) from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise Trouble("there is no log in this database") from None
        except psycopg.Error as error:
            raise Trouble(f"the database says: {str(error).splitlines()[0]}") from None
    if difference is not None:
        _print_difference(difference, show_values=show_values)
        raise typer.Exit(1)
    print(f"{'compared' if verify else 'rebuilt'} {names}: {done.events} events up to position {done.position}")


def _chosen(names: list[str] | None) -> list[Projection]:
    known = {projection.name: projection for projection in ALL}
    unknown = set(names or ()) - set(known)
    if unknown:
        raise Trouble(f"there is no read model {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [projection for projection in ALL if not names or projection.name in names]


@contextmanager
def _progress() -> Generator[Progress]:
    """A bar on a terminal, a line every tenth otherwise."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, transient=True) as bar:
            task = bar.add_task("replaying", total=None)
            yield lambda position, head: bar.update(task, completed=position, total=head)
        return
    told = 0

    def tell(position: int, head: int) -> None:
        nonlocal told
        tenth = position * 10 // head if head else 10
        if tenth > told:
            told = tenth
            print(f"replaying: position {position} of {head}", file=sys.stderr)

    yield tell


def _print_difference(difference: Difference, *, show_values: bool) -> None:
    key = ", ".join(f"{name} {value}" for name, value in difference.key.items())
    print(harmless(f"{difference.table}, row {key}: differs from the log ({difference.rows} rows do in this table)"))
    for side, row in (("live", difference.live), ("from the log", difference.rebuilt)):
        if row is None:
            print(f"  {side}: no such row")
            continue
        for column, value in row.items():
            print(f"  {side}: {column} = {_shown(column, value, show=show_values)}")


def _shown(column: str, value: object, *, show: bool) -> str:
    """Numbers and yes or no say nothing of a person, and nothing at all is a value too."""
    if value is not None and is_hidden(column):
        return HASH
    return harmless_json(value) if show or value is None or isinstance(value, bool | int) else REDACTED
