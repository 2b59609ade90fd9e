"""What happened to one's account."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from accounts_es.eventstore import activity
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.listing import numbered_page_of
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Queries
from projections.accounts import AccountRow


@operation("GET", "/account/logs", id="account.listLogs", scope="account", returns=models.LogList)
async def list_logs(
    ctx: Context,
    *,
    queries: Annotated[list[str] | None, Queries()] = None,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.LogList:
    """What happened to the caller's account, newest first: sign-ins, refused ones, and every change."""
    return await logs_of(ctx, ctx.account, queries or (), total=total)


async def logs_of(ctx: Context, account: AccountRow, queries: Sequence[str], *, total: bool) -> models.LogList:
    """A page of the newest 5,000 deeds, and their number."""
    page = numbered_page_of(queries)
    log, stream = ctx.services.application.log, account.stream
    counting = activity.count(log, stream, models.TOPICS) if total else asyncio.sleep(0, 0)
    found, number = await asyncio.gather(
        activity.deeds(log, stream, models.TOPICS, offset=page.offset, limit=page.limit), counting
    )
    locale = ctx.request.locale
    return {"total": number, "logs": [models.log(deed, account, locale) for deed in found]}
