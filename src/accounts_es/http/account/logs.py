"""What happened to one's account."""

import asyncio
from typing import Annotated

from accounts_es.eventstore import activity
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag
from projections.accounts import AccountRow


@operation("GET", "/account/logs", id="account.listLogs", scope="account", returns=models.LogList)
async def list_logs(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries()] = FIRST_PAGE,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.LogList:
    """What happened to the caller's account, newest first: sign-ins, refused ones, and every change."""
    return await logs_of(ctx, ctx.account, queries, total=total)


async def logs_of(ctx: Context, account: AccountRow, asked: Asked, *, total: bool) -> models.LogList:
    """A page of the newest 5,000 deeds, and their number."""
    log, stream = ctx.services.application.log, account.stream
    counting = activity.count(log, stream, models.TOPICS) if total else asyncio.sleep(0, 0)
    found, number = await asyncio.gather(
        activity.deeds(log, stream, models.TOPICS, offset=asked.offset, limit=asked.limit), counting
    )
    locale = ctx.request.locale
    return {"total": number, "logs": [models.log(deed, account, locale) for deed in found]}
