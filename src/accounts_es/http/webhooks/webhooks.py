"""Webhooks: who is told of events (contract: cross-cutting, 11 and 13). `reactors/webhooks.py` tells them."""

import asyncio
import secrets
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlsplit

from accounts_es.adapters.ids import wire_id
from accounts_es.adapters.public_addresses import OutOfReach, Reach
from accounts_es.domain.errors import (
    DatabaseQueryOrderNull,
    GeneralArgumentInvalid,
    GeneralCursorNotFound,
    GeneralQueryInvalid,
    WebhookAlreadyExists,
    WebhookNotFound,
    WebhookPositionInvalid,
)
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.events import (
    WebhookAdded,
    WebhookChanged,
    WebhookFormat,
    WebhookRemoved,
    WebhookRewound,
    WebhookSecretRotated,
)
from accounts_es.eventstore.listing import Asked
from accounts_es.eventstore.positions import head, position_at
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries, attributes
from accounts_es.http.models.webhooks import Webhook, WebhookList, webhook
from accounts_es.http.operation import operation
from accounts_es.http.project.keys import ALL_OF_THEM
from accounts_es.http.rules import UNIQUE, Choice, Flag, Id, OrNone, Text, Texts
from accounts_es.http.webhooks.rules import EventName, HttpUrl, Place
from projections import webhooks

EVENTS: Final = Texts(EventName(), 100)
FORMATS: Final = Choice(("appwrite", "cloudevents-binary", "cloudevents-structured"))
SECRET: Final = OrNone(Text(256, shortest=8))
ATTRIBUTES: Final = attributes(
    webhooks.LISTING,
    name="name",
    url="url",
    authUsername="auth_username",
    tls="tls",
    events="events",
    enabled="enabled",
    logs="logs",
    attempts="attempts",
)
_PATIENCE: Final = 2.0
"""Seconds a name may take to resolve before it is left to the first delivery."""


@operation(
    "GET",
    "/webhooks",
    id="webhooks.list",
    scope="webhooks.read",
    returns=WebhookList,
    raises=(GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_webhooks(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = ALL_OF_THEM,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> WebhookList:
    """The webhooks, oldest first, without their secrets."""
    rows, matching = await webhooks.list_webhooks(ctx.reads, ctx.project_id, asked=queries, with_total=total)
    return {"total": matching, "webhooks": [webhook(row) for row in rows]}


@operation(
    "POST",
    "/webhooks",
    id="webhooks.create",
    scope="webhooks.write",
    returns=Webhook,
    status=201,
    emits=(WebhookAdded,),
    raises=(WebhookAlreadyExists,),
)
async def create(
    ctx: Context,
    *,
    webhook_id: Annotated[str, Id(custom=True)],
    url: Annotated[str, HttpUrl()],
    name: Annotated[str, Text(128)],
    events: Annotated[list[str], EVENTS],
    enabled: Annotated[bool, Flag()] = True,
    tls: Annotated[bool, Flag()] = True,
    auth_username: Annotated[str, Text(256, shortest=0)] = "",
    auth_password: Annotated[str, Text(256, shortest=0)] = "",
    secret: Annotated[str | None, SECRET] = None,
    format_: Annotated[WebhookFormat, FORMATS] = "appwrite",
) -> Webhook:
    """Tell somebody of events from now on. The answer is the only one with the secret that signs them."""
    await _within_reach(ctx, url)
    webhook_id = wire_id() if webhook_id == UNIQUE else webhook_id
    secret = secret or secrets.token_hex(64)
    await ctx.execute(
        PROJECT,
        ctx.required_project.stream,
        commands.add_webhook,
        webhook_id=webhook_id,
        name=name,
        url=url,
        events=events,
        secret=secret,
        position=await head(ctx.reads),
        enabled=enabled,
        tls=tls,
        auth_username=auth_username,
        auth_password=auth_password,
        format=format_,
    )
    return webhook(await webhooks.get(ctx.reads, ctx.project_id, webhook_id), secret=secret)


@operation(
    "GET",
    "/webhooks/{webhookId}",
    id="webhooks.get",
    scope="webhooks.read",
    returns=Webhook,
    raises=(WebhookNotFound,),
)
async def get(ctx: Context, *, webhook_id: Annotated[str, Id()]) -> Webhook:
    """One webhook, how far it has been told and what its last failure was like; without its secret."""
    return webhook(await webhooks.get(ctx.reads, ctx.project_id, webhook_id))


@operation(
    "PUT",
    "/webhooks/{webhookId}",
    id="webhooks.update",
    scope="webhooks.write",
    returns=Webhook,
    emits=(WebhookChanged,),
    raises=(WebhookNotFound,),
)
async def update(
    ctx: Context,
    *,
    webhook_id: Annotated[str, Id()],
    name: Annotated[str, Text(128)],
    url: Annotated[str, HttpUrl()],
    events: Annotated[list[str], EVENTS],
    enabled: Annotated[bool, Flag()] = True,
    tls: Annotated[bool, Flag()] = True,
    auth_username: Annotated[str, Text(256, shortest=0)] = "",
    auth_password: Annotated[str, Text(256, shortest=0)] = "",
    format_: Annotated[WebhookFormat | None, FORMATS] = None,
) -> Webhook:
    """Replace what a webhook is told, where and how. One that is enabled goes on where it stopped.

    An empty password beside the user name there was stays, because no answer shows it.
    """
    known = await webhooks.get(ctx.reads, ctx.project_id, webhook_id)
    if url != known.url:
        await _within_reach(ctx, url)
    await ctx.execute(
        PROJECT,
        ctx.required_project.stream,
        commands.change_webhook,
        webhook_id=webhook_id,
        name=name,
        url=url,
        events=events,
        enabled=enabled,
        tls=tls,
        auth_username=auth_username,
        auth_password=auth_password,
        format=format_,
        failing=known.attempts > 0,
    )
    return webhook(await webhooks.get(ctx.reads, ctx.project_id, webhook_id))


@operation(
    "DELETE",
    "/webhooks/{webhookId}",
    id="webhooks.delete",
    scope="webhooks.write",
    emits=(WebhookRemoved,),
    raises=(WebhookNotFound,),
)
async def delete(ctx: Context, *, webhook_id: Annotated[str, Id()]) -> None:
    """Tell a webhook nothing any more."""
    await ctx.execute(PROJECT, ctx.required_project.stream, commands.remove_webhook, webhook_id=webhook_id)


@operation(
    "PATCH",
    "/webhooks/{webhookId}/secret",
    id="webhooks.updateSecret",
    scope="webhooks.write",
    returns=Webhook,
    emits=(WebhookSecretRotated,),
    raises=(WebhookNotFound,),
    aliases=("/webhooks/{webhookId}/signature",),
)
async def update_secret(
    ctx: Context, *, webhook_id: Annotated[str, Id()], secret: Annotated[str | None, SECRET] = None
) -> Webhook:
    """Sign with another secret, made here unless one is sent. The answer is the only one with it."""
    secret = secret or secrets.token_hex(64)
    stream = ctx.required_project.stream
    await ctx.execute(PROJECT, stream, commands.rotate_webhook_secret, webhook_id=webhook_id, secret=secret)
    return webhook(await webhooks.get(ctx.reads, ctx.project_id, webhook_id), secret=secret)


@operation(
    "POST",
    "/webhooks/{webhookId}/rewind",
    id="webhooks.rewind",
    scope="webhooks.write",
    returns=Webhook,
    emits=(WebhookRewound,),
    raises=(WebhookNotFound, WebhookPositionInvalid),
)
async def rewind(ctx: Context, *, webhook_id: Annotated[str, Id()], to: Annotated[int | datetime, Place()]) -> Webhook:
    """Tell a webhook what came after a position of the log, or after a time: again, or for the first time."""
    position = await position_at(ctx.reads, to)
    if position is None:
        raise WebhookPositionInvalid
    stream = ctx.required_project.stream
    await ctx.execute(PROJECT, stream, commands.rewind_webhook, webhook_id=webhook_id, position=position)
    return webhook(await webhooks.get(ctx.reads, ctx.project_id, webhook_id))


async def _within_reach(ctx: Context, url: str) -> None:
    """Refuse what will never be reached; a name that does not resolve may yet. Deliveries are checked again."""
    parts = urlsplit(url)
    reach = Reach(ctx.services.settings.reachable_networks)
    try:
        async with asyncio.timeout(_PATIENCE):
            await reach.endpoints(parts.hostname or "", parts.port or 443)
    except OutOfReach:
        raise GeneralArgumentInvalid("Invalid `url` param: The host has no public address") from None
    except (OSError, TimeoutError):
        return
