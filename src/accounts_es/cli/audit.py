"""``accounts-es audit``: the events of an account, an actor, a request or a time."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from accounts_es.cli.administer import DATA, Data, Url
from accounts_es.cli.console import Trouble
from accounts_es.cli.database import Tool, open_tool
from accounts_es.cli.export import write_export
from accounts_es.domain.errors import GeneralQueryInvalid
from accounts_es.domain.event import NewerShape
from accounts_es.eventstore.audit import Wanted, find_stream, plain, records, state_at
from accounts_es.eventstore.audit_record import CSV_HEADER, Record, harmless, harmless_json
from accounts_es.eventstore.connection import Conn, connect_sync
from accounts_es.eventstore.key_check import bound_key
from accounts_es.eventstore.keys import SealBroken, WrongMasterKey
from accounts_es.eventstore.listing import Asked, Filter
from accounts_es.eventstore.mapper import UnknownTopic
from accounts_es.http.activities import LOG_ATTRIBUTES
from accounts_es.http.listing import Queries
from accounts_es.http.rules import Invalid

_ROWS = 100
"""Rows of one table on a terminal: it is drawn before the next are read."""
_COLUMNS = {"position": 8, "time": 13, "event": 14, "account": 12, "actor": 14, "operation": 16, "from": 10, "data": 30}


def audit(
    account_id: Annotated[str | None, typer.Argument(help="An account's id, or the name of a stream.")] = None,
    project: Annotated[str | None, typer.Option(help="Only this project; accounts are looked up in 'default'.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this account, key or system did.")] = None,
    request: Annotated[str | None, typer.Option(help="Only what this request recorded (X-Request-Id).")] = None,
    since: Annotated[
        str | None, typer.Option(help="From this time on (ISO 8601; UTC unless it says otherwise).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    event: Annotated[str | None, typer.Option(help="Only events of this name, such as SignedUp.")] = None,
    query: Annotated[
        list[str] | None, typer.Option(help="Only what meets this filter, as the SDKs write it; may be repeated.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Print the account's state as of a position or a time.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write all events with their stored bytes here, or go on where it ends.")
    ] = None,
    after: Annotated[int, typer.Option(min=0, help="Only what stands behind this position: goes on with a file.")] = 0,
    as_csv: Annotated[bool, typer.Option("--csv", help="Lines of CSV, safe to open with a spreadsheet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    redact: Annotated[bool, typer.Option("--redact", help="Hide personal values.")] = False,
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Show who did what, in the order it happened."""
    wanted = Wanted(None, project, actor, request, time_of(since), time_of(until), event, _filters(query), after)
    try:
        with open_tool(data, database_url) as tool, connect_sync(tool.conninfo, as_app=False) as connection:
            # The log may be long and the reader of its output slow.
            connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            if tool.master is not None:
                bound_key(connection, tool.master)
            stream = _stream(connection, tool, project or "default", account_id) if account_id is not None else None
            if export is not None:
                if wanted != Wanted() or account_id is not None:
                    raise Trouble("an export holds the whole log: it takes no conditions")
                print(f"{export} holds the log up to position {write_export(connection, export)}")
            elif at is not None:
                _print_state(connection, tool, stream, at, redact=redact)
            else:
                asked = replace(wanted, stream=stream)
                found = records(connection, tool.master, asked, redact=redact)
                if as_csv:
                    _print_csv(found, header=not after)
                else:
                    _print(found, as_json=as_json)
    except WrongMasterKey as error:
        raise Trouble(str(error)) from None
    except GeneralQueryInvalid as refused:
        raise Trouble(refused.message) from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise Trouble("there is no log in this database") from None
    except psycopg.Error as error:
        raise Trouble(f"the database says: {str(error).splitlines()[0]}") from None
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing is left to be flushed into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stream(connection: Conn, tool: Tool, project: str, account_id: str) -> str:
    if connection.execute(
        "SELECT 1 FROM log.accounts_events WHERE originator_id = %s LIMIT 1", (account_id,)
    ).fetchone():
        return account_id
    if tool.master is None:
        raise Trouble("an account is found by its id only with the master key; name its stream instead")
    stream = find_stream(connection, tool.master, project, account_id)
    if stream is None:
        raise Trouble(
            f"there is no account {account_id!r} in project {project!r}; an erased one is found by its stream"
        )
    return stream


def _filters(queries: list[str] | None) -> tuple[Filter, ...]:
    if not queries:
        return ()
    try:
        asked = Queries(LOG_ATTRIBUTES).parse(list(queries))
    except Invalid as broken:
        raise Trouble(str(broken)) from None
    if asked != Asked(filters=asked.filters):
        raise Trouble("--query takes filters alone: the order is that of the log")
    return asked.filters


def time_of(text: str | None) -> datetime | None:
    """A time as people write it. Raises `Trouble`."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Trouble(f"{text!r} is not a time; write it like 2026-03-14T12:00:00") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _print_state(connection: Conn, tool: Tool, stream: str | None, at: str, *, redact: bool) -> None:
    if stream is None:
        raise Trouble("--at needs an account")
    position, time = (int(at), None) if at.isdecimal() else (None, time_of(at))
    try:
        version, state = state_at(connection, tool.master, stream, position=position, time=time, redact=redact)
    except LookupError as error:
        raise Trouble(str(error)) from None
    except (NewerShape, UnknownTopic, SealBroken, ValidationError) as error:
        raise Trouble(f"the state cannot be made: {str(error) or 'an event does not open with its key'}") from None
    print(harmless_json({"stream": stream, "version": version, "state": plain(state)}, indent=2))


def _print_csv(found: Iterator[Record], *, header: bool) -> None:
    if header:
        sys.stdout.write(CSV_HEADER)
    for record in found:
        sys.stdout.write(record.csv())
    sys.stdout.flush()


def _print(found: Iterator[Record], *, as_json: bool) -> None:
    if as_json:
        for record in found:
            print(record.json())
    elif sys.stdout.isatty():
        console = Console()
        while rows := list(islice(found, _ROWS)):
            table = Table(expand=True)
            for name, ratio in _COLUMNS.items():
                table.add_column(name, ratio=ratio, overflow="fold")
            for record in rows:
                # Plain text: nothing in it is taken for markup.
                table.add_row(*(Text(harmless(cell)) for cell in _cells(record)))
            console.print(table)
    else:
        for record in found:
            line = (*_cells(record)[:-1], record.request, _data(record))
            print("  ".join(harmless(cell) or "-" for cell in line))
    sys.stdout.flush()


def _cells(record: Record) -> tuple[str, ...]:
    return (
        str(record.position),
        record.time,
        record.event,
        record.account or record.stream,
        record.actor,
        record.operation,
        record.ip or "-",
        _data(record),
    )


def _data(record: Record) -> str:
    shown = {name: value for name, value in record.data.items() if value not in ("", None)}
    return harmless_json(shown) if shown else ""
