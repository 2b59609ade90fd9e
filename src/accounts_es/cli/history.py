"""``accounts-es users history``: what changed of a user, as the server tells it."""

import asyncio
import json
from contextlib import aclosing
from typing import Annotated, Any, Final

import psycopg
import typer

from accounts_es.bootstrap import running_application, running_moments
from accounts_es.cli.administer import DATA, Data, Url
from accounts_es.cli.console import Trouble
from accounts_es.cli.database import open_tool
from accounts_es.eventstore.audit_record import harmless, harmless_json
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.moments import TooMuchHistory
from accounts_es.eventstore.reads import Reads
from accounts_es.http.documents import ABSENT
from accounts_es.http.histories import Happened, History, provenances
from projections import streams

_PAGE: Final = 500


def history(
    user_id: Annotated[str, typer.Argument(help="The user's id, also of a deleted one.")],
    project: Annotated[str, typer.Option(help="The project.")] = "default",
    field: Annotated[str | None, typer.Option(help="Only this field, such as name, and what is in it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    data: Data = DATA,
    database_url: Url = None,
) -> None:
    """Show each change of a user's fields, oldest first: old and new value, event, who, and the request."""

    with open_tool(data, database_url) as tool:
        if tool.master is None:
            raise Trouble("there is no master key: set ACCOUNTS_MASTER_KEY, or name the server's data folder")
        try:
            asyncio.run(_tell(tool.conninfo, tool.master, user_id, project, field, as_json=as_json))
        except TooMuchHistory:
            raise Trouble("this is too long a history") from None
        except psycopg.Error as error:
            raise Trouble(f"the database says: {str(error).splitlines()[0]}") from None


async def _tell(
    conninfo: str, master: MasterKey, user_id: str, project: str, field: str | None, *, as_json: bool
) -> None:
    async with running_application(conninfo, master) as app, running_moments(conninfo, master) as moments:
        reads = app.log.reads
        told = History(moments, project, await streams.with_ids(reads, project, "account", user_id))
        page: list[Happened] = []
        async with aclosing(told.changes()) as changes:
            async for happened in changes:
                if field is None or f"{happened.change.field}/".startswith(f"{field}/"):
                    page.append(happened)
                if len(page) == _PAGE:
                    await _print(reads, page, as_json=as_json)
                    page.clear()
        await _print(reads, page, as_json=as_json)
        if not told.known:
            raise Trouble(f"there is no user {user_id!r} in project {project!r}, and was none who is not erased")


async def _print(reads: Reads, page: list[Happened], *, as_json: bool) -> None:
    known = await provenances(reads, (each.recorded for each in page))
    for each in page:
        by = known[each.recorded.position]
        old, new = (None if value is ABSENT else value for value in (each.change.old, each.change.new))
        if as_json:
            print(harmless_json({"field": each.change.field, "old": old, "new": new, **by}))
        else:
            who = f"{by['actorType']}:{by['actorId']}" if by["actorId"] else by["actorType"]
            cells = (str(by["position"]), by["time"], by["event"], each.change.field, _short(old), _short(new), who)
            print("  ".join(harmless(cell) for cell in (*cells, by["operation"], by["requestId"])))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
