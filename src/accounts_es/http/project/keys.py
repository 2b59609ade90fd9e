"""API keys. A key gives no more than it has: its own scopes, for as long as it is good."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from accounts_es.adapters.ids import fingerprint, key_secret, wire_id
from accounts_es.adapters.jwts import KeyClaims
from accounts_es.domain.errors import (
    DatabaseQueryOrderNull,
    GeneralCursorNotFound,
    GeneralQueryInvalid,
    KeyAlreadyExists,
    KeyCreationDenied,
    KeyNotFound,
)
from accounts_es.domain.project import PROJECT, Grant, commands
from accounts_es.domain.project.events import ApiKeyCreated, ApiKeyDeleted, ApiKeyUpdated
from accounts_es.eventstore.listing import Asked
from accounts_es.http.callers import ALL_KEY_SCOPES
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries, attributes
from accounts_es.http.models.projects import Key, KeyList, ephemeral_key, key
from accounts_es.http.operation import operation
from accounts_es.http.rules import UNIQUE, Choice, Flag, Id, Moment, Number, Text, Texts
from projections import api_keys

SCOPES: Final = Texts(Choice(ALL_KEY_SCOPES), 200)
ATTRIBUTES: Final = attributes(
    api_keys.LISTING, name="name", scopes="scopes", expire="expires_at", accessedAt="used_at"
)
ALL_OF_THEM: Final = Asked(limit=5000)
"""Contract: users-teams, 4.4: unless queries say otherwise."""


@operation(
    "POST",
    "/project/keys",
    id="project.createKey",
    scope="keys.write",
    returns=Key,
    status=201,
    emits=(ApiKeyCreated,),
    raises=(KeyAlreadyExists, KeyCreationDenied),
)
async def create_key(
    ctx: Context,
    *,
    key_id: Annotated[str, Id(custom=True)],
    name: Annotated[str, Text(128)],
    scopes: Annotated[list[str], SCOPES],
    expire: Annotated[datetime | None, Moment()] = None,
) -> Key:
    """Give a server a key. The answer is the only one with its secret."""
    key_id, secret = wire_id() if key_id == UNIQUE else key_id, key_secret()
    await ctx.execute(
        PROJECT,
        ctx.required_project.stream,
        commands.create_api_key,
        key_id=key_id,
        name=name,
        scopes=list(dict.fromkeys(scopes)),
        secret_hash=fingerprint(secret),
        expires_at=expire,
        granter=ctx.caller.grant,
    )
    return key(await api_keys.get(ctx.reads, ctx.project_id, key_id), secret=secret)


@operation(
    "POST",
    "/project/keys/ephemeral",
    id="project.createEphemeralKey",
    scope="keys.write",
    returns=Key,
    status=201,
    silent="An ephemeral key is stored nowhere; what it does carries the id of the key it was made with.",
    raises=(KeyCreationDenied,),
)
async def create_ephemeral_key(
    ctx: Context, *, scopes: Annotated[list[str], SCOPES], duration: Annotated[int, Number(1, 3600)]
) -> Key:
    """A key for a short time, in seconds. It ends before that with the key it is made with."""
    scopes, expires_at = list(dict.fromkeys(scopes)), ctx.at + timedelta(seconds=duration)
    grant, made_with = ctx.caller.grant, ctx.caller.key
    if grant is None or made_with is None or not Grant.of(scopes, expires_at).within(grant):
        raise KeyCreationDenied
    claims = KeyClaims(made_with.key_id, tuple(scopes), "", expires_at)
    secret = ctx.services.jwts.mint_key(ctx.project_id, claims)
    return ephemeral_key(wire_id(), ctx.at, expires_at, scopes, secret)


@operation(
    "GET",
    "/project/keys",
    id="project.listKeys",
    scope="keys.read",
    returns=KeyList,
    raises=(GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_keys(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = ALL_OF_THEM,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> KeyList:
    """The keys, oldest first, without their secrets."""
    rows, matching = await api_keys.list_keys(ctx.reads, ctx.project_id, asked=queries, with_total=total)
    return {"total": matching, "keys": [key(row) for row in rows]}


@operation("GET", "/project/keys/{keyId}", id="project.getKey", scope="keys.read", returns=Key, raises=(KeyNotFound,))
async def get_key(ctx: Context, *, key_id: Annotated[str, Id()]) -> Key:
    """One key, without its secret."""
    return key(await api_keys.get(ctx.reads, ctx.project_id, key_id))


@operation(
    "PUT",
    "/project/keys/{keyId}",
    id="project.updateKey",
    scope="keys.write",
    returns=Key,
    emits=(ApiKeyUpdated,),
    raises=(KeyNotFound, KeyCreationDenied),
)
async def update_key(
    ctx: Context,
    *,
    key_id: Annotated[str, Id()],
    name: Annotated[str, Text(128)],
    scopes: Annotated[list[str], SCOPES],
    expire: Annotated[datetime | None, Moment()] = None,
) -> Key:
    """Replace a key's name, scopes and end; without an end it is good for ever."""
    await ctx.execute(
        PROJECT,
        ctx.required_project.stream,
        commands.update_api_key,
        key_id=key_id,
        name=name,
        scopes=list(dict.fromkeys(scopes)),
        expires_at=expire,
        granter=ctx.caller.grant,
    )
    return key(await api_keys.get(ctx.reads, ctx.project_id, key_id))


@operation(
    "DELETE",
    "/project/keys/{keyId}",
    id="project.deleteKey",
    scope="keys.write",
    emits=(ApiKeyDeleted,),
    raises=(KeyNotFound,),
)
async def delete_key(ctx: Context, *, key_id: Annotated[str, Id()]) -> None:
    """Take a key back: it opens nothing from now on, nor does what was made with it."""
    await ctx.execute(PROJECT, ctx.required_project.stream, commands.delete_api_key, key_id=key_id)
