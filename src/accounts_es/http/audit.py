"""The log, provable: its signed checkpoints, and proofs against them."""

import base64
from collections.abc import Iterable
from typing import Annotated, Final

from accounts_es.domain.errors import AuditCheckpointNotFound, AuditEventNotFound, GeneralArgumentInvalid
from accounts_es.domain.security.events import AuditRead
from accounts_es.eventstore.ledger import merkle
from accounts_es.eventstore.ledger.entry import COLUMNS, entry
from accounts_es.eventstore.ledger.note import Checkpoint, read, verifier_key
from accounts_es.eventstore.ledger.tiles import TILES, WIDTH, Tiles, wanted
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.rules import Number

MOST: Final = 2**53 - 1
"""What every JSON reader takes."""
_NEWEST = "SELECT note FROM log.checkpoints ORDER BY size DESC LIMIT 1"
_EVENT = f"SELECT {COLUMNS} FROM log.accounts_events WHERE notification_id = %s AND project_id = %s"
_TILE = """SELECT tile, array_position(positions, %s::bigint) FROM log.ledger_tiles
    WHERE level = 0 AND positions[1] <= %s ORDER BY positions[1] DESC LIMIT 1"""


@operation("GET", "/audit/key", id="audit.getKey", scope="audit.read", returns=models.AuditKey)
async def get_key(ctx: Context) -> models.AuditKey:
    """The public key that checkpoints are signed with. Compare it with what you were given another way."""
    public = ctx.services.ledger_key
    ((origin,),) = await ctx.reads.fetch("SELECT origin FROM log.ledger")
    return {"origin": origin, "verifier": verifier_key(origin, public), "publicKey": _text(public)}


@operation(
    "GET",
    "/audit/checkpoint",
    id="audit.getCheckpoint",
    scope="audit.read",
    returns=models.AuditCheckpoint,
    raises=(AuditCheckpointNotFound,),
)
async def get_checkpoint(ctx: Context) -> models.AuditCheckpoint:
    """The newest signed checkpoint: how many events there are, and the hash over all of them."""
    note, signed = await _newest(ctx)
    return {"origin": signed.origin, "size": signed.size, "root": _text(signed.root), "note": note}


@operation(
    "GET",
    "/audit/proof",
    id="audit.getProof",
    scope="audit.read",
    returns=models.AuditProof,
    emits=(AuditRead,),
    raises=(AuditCheckpointNotFound, AuditEventNotFound),
)
async def get_proof(ctx: Context, *, event: Annotated[int, Number(1, MOST)]) -> models.AuditProof:
    """What shows that the event at a position of the log is one of those of the newest checkpoint."""
    rows = await ctx.reads.fetch(_EVENT, (event, ctx.project_id))
    if not rows:
        raise AuditEventNotFound
    note, signed = await _newest(ctx)
    places = await ctx.reads.fetch(_TILE, (event, event))
    index = places[0][0] * WIDTH + places[0][1] - 1 if places and places[0][1] is not None else signed.size
    if index >= signed.size:
        raise AuditCheckpointNotFound("No checkpoint covers this event yet. Please try again shortly.")
    tiles = await _tiles(ctx, index, signed.size)
    await ctx.note_audit_read(AuditRead(count=1, about=rows[0][1]))
    return {
        "event": entry(rows[0]),
        "index": index,
        "size": signed.size,
        "path": _texts(merkle.inclusion(index, signed.size, tiles.node)),
        "checkpoint": note,
    }


@operation(
    "GET",
    "/audit/consistency",
    id="audit.getConsistency",
    scope="audit.read",
    returns=models.AuditConsistency,
    raises=(AuditCheckpointNotFound,),
)
async def get_consistency(
    ctx: Context, *, from_: Annotated[int, Number(1, MOST)], to: Annotated[int | None, Number(1, MOST)] = None
) -> models.AuditConsistency:
    """What shows that the log of so many events is the beginning of that of so many, or of the newest checkpoint."""
    _, signed = await _newest(ctx)
    to = signed.size if to is None else to
    if not from_ <= to <= signed.size:
        raise GeneralArgumentInvalid("Invalid `to` param: Value must lie between `from` and the newest checkpoint")
    tiles = await _tiles(ctx, from_ - 1, from_, to)
    return {
        "from": from_,
        "to": to,
        "fromRoot": _text(merkle.root(from_, tiles.node)),
        "toRoot": _text(merkle.root(to, tiles.node)),
        "path": _texts(merkle.consistency(from_, to, tiles.node)),
    }


async def _newest(ctx: Context) -> tuple[str, Checkpoint]:
    rows = await ctx.reads.fetch(_NEWEST)
    if not rows:
        raise AuditCheckpointNotFound
    note = str(rows[0][0])
    return note, read(note)


async def _tiles(ctx: Context, *edges: int) -> Tiles:
    return Tiles(await ctx.reads.fetch(TILES, wanted(*edges)))


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _texts(values: Iterable[bytes]) -> list[str]:
    return [_text(each) for each in values]
