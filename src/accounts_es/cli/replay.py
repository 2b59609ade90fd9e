"""``accounts-es replay``: rebuild the read models from the log, or hold them against it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import psycopg
import typer

from accounts_es.cli import replay_report as report
from accounts_es.cli.administer import DATA, Data, Url
from accounts_es.cli.console import Trouble
from accounts_es.cli.database import open_tool
from accounts_es.cli.progress import progress
from accounts_es.eventstore.kept import NothingKept, forget, roll_back
from accounts_es.eventstore.keys import MasterKey, WrongMasterKey
from accounts_es.eventstore.projection import Projection
from accounts_es.eventstore.rebuild import (
    Accept,
    BatchFailed,
    NothingToResume,
    Progress,
    RebuildRunning,
    Refused,
    StreamsParked,
    TablesBusy,
    UnreadableEvent,
    examine,
    rebuild,
    resume,
)
from projections import ALL

NICE: Final = 10
"""Whoever answers requests on the same machine goes first."""
PAUSE: Final = 1.0
"""The database's part of the work has no lower priority: half of the time is left to others."""
BATCH = typer.Option(min=1, max=10_000, help="Events in one transaction.")
PAUSING = typer.Option(min=0, help="How long to wait after each, as a share of what it took; 0 is fastest.")


@dataclass(frozen=True, slots=True)
class _Task:
    """What was asked for."""

    conninfo: str
    master: MasterKey
    chosen: Sequence[Projection]
    accept: Accept
    batch: int
    pause: float
    progress: Progress
    show_values: bool


def replay(
    read_models: Annotated[list[str] | None, typer.Argument(help="Which; all unless named.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only compare, and print what each is by its hash.")] = False,
    resuming: Annotated[
        bool, typer.Option("--resume", help="Go on with what was left unfinished or stands still.")
    ] = False,
    back: Annotated[bool, typer.Option("--roll-back", help="Let the tables answer again that were replaced.")] = False,
    forgetting: Annotated[bool, typer.Option("--forget", help="Drop the tables that were replaced.")] = False,
    status: Annotated[bool, typer.Option("--status", help="How far everything is, and what stands still.")] = False,
    accept: Annotated[
        list[str] | None, typer.Option(help="TABLE or TABLE.COLUMN that may differ from the live one.")
    ] = None,
    accept_differences: Annotated[bool, typer.Option(help="Anything may differ from the live tables.")] = False,
    accept_parked: Annotated[bool, typer.Option(help="Streams that stand still may be missing.")] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Print the values that differ; they may be personal.")
    ] = False,
    batch: Annotated[int, BATCH] = 2000,
    pause: Annotated[float, PAUSING] = PAUSE,
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Rebuild read models from the log while the server goes on, and swap them in if they equal the live ones."""
    work = _work(
        {"--verify": verify, "--resume": resuming, "--roll-back": back, "--forget": forgetting, "--status": status}
    )
    chosen = _chosen(read_models)
    os.nice(NICE)
    wanted = Accept(_acceptable(accept), accept_differences, accept_parked)
    with open_tool(data, database_url) as tool, progress("replaying", "position") as tell:
        if tool.master is None:
            raise Trouble("replaying needs the master key: set ACCOUNTS_MASTER_KEY, or name the server's data folder")
        task = _Task(tool.conninfo, tool.master, chosen, wanted, batch, pause, tell, show_values)
        try:
            work(task)
        except Refused as refused:
            report.refused(refused.verdict, show_values=show_values)
            raise typer.Exit(1) from None
        except StreamsParked as stopped:
            report.parked(stopped.parked)
            raise Trouble(
                "nothing was swapped: mend the read model, then replay --resume, or do without with --accept-parked"
            ) from None
        except (
            RebuildRunning,
            UnreadableEvent,
            TablesBusy,
            BatchFailed,
            NothingKept,
            NothingToResume,
            WrongMasterKey,
        ) as error:
            raise Trouble(str(error)) from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName):
            raise Trouble("there is no log in this database, or none of this release: start the server on it") from None
        except psycopg.Error as error:
            raise Trouble(f"the database says: {str(error).splitlines()[0]}") from None


def _rebuild(task: _Task) -> None:
    done = rebuild(
        task.conninfo,
        task.master,
        task.chosen,
        accept=task.accept,
        batch=task.batch,
        pause=task.pause,
        progress=task.progress,
    )
    report.rebuilt(task.chosen, done)


def _resume(task: _Task) -> None:
    done = resume(
        task.conninfo, task.master, ALL, accept=task.accept, batch=task.batch, pause=task.pause, progress=task.progress
    )
    report.rebuilt([each for each in ALL if each.name in {state.read_model for state in done.states}], done)


def _verify(task: _Task) -> None:
    done, verdict = examine(
        task.conninfo, task.master, task.chosen, batch=task.batch, pause=task.pause, progress=task.progress
    )
    report.states(done.states)
    report.parked(done.parked)
    if verdict.difference is not None:
        report.difference(verdict, show_values=task.show_values)
    if done.parked or verdict.difference is not None:
        raise typer.Exit(1)
    names = ", ".join(each.name for each in task.chosen)
    print(f"compared {names}: {done.events} events up to position {done.position}")


def _roll_back(task: _Task) -> None:
    for each in roll_back(
        task.conninfo,
        task.master,
        task.chosen,
        accept_parked=task.accept.parked,
        batch=task.batch,
        progress=task.progress,
    ):
        print(f"{each.read_model} answers again from the tables replaced, which hold the log up to {each.position}")


def _forget(task: _Task) -> None:
    for each in forget(task.conninfo, task.master, task.chosen):
        print(f"{each.read_model}: the replaced tables are gone")


def _status(task: _Task) -> None:
    report.status(task.conninfo)


_WORK: dict[str, Callable[[_Task], None]] = {
    "--verify": _verify,
    "--resume": _resume,
    "--roll-back": _roll_back,
    "--forget": _forget,
    "--status": _status,
}


def _work(asked: dict[str, bool]) -> Callable[[_Task], None]:
    found = [name for name, given in asked.items() if given]
    if len(found) > 1:
        raise Trouble(f"{' and '.join(found)} are different things: ask for one of them")
    return _WORK[found[0]] if found else _rebuild


def _chosen(names: list[str] | None) -> list[Projection]:
    known = {projection.name: projection for projection in ALL}
    unknown = set(names or ()) - set(known)
    if unknown:
        raise Trouble(f"there is no read model {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [projection for projection in ALL if not names or projection.name in names]


def _acceptable(names: list[str] | None) -> frozenset[str]:
    tables = {table for projection in ALL for table in projection.tables}
    unknown = {name for name in names or () if name.partition(".")[0] not in tables}
    if unknown:
        raise Trouble(f"there is no table {', '.join(sorted(unknown))}; there are {', '.join(sorted(tables))}")
    return frozenset(names or ())
