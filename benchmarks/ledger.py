"""How fast the tree over the log catches up, and how long a proof in a large one takes."""

import asyncio
import random
import time
from typing import Any, Final

import psycopg

from accounts_es.eventstore.ledger import growth
from accounts_es.eventstore.ledger.merkle import fold, inclusion, leaf_hash
from accounts_es.eventstore.ledger.tiles import TILES, WIDTH, Tiles, wanted
from benchmarks.measure import Result

HASHED: Final = "ledger: events hashed into the tree"
_EVENTS: Final = 1_000_000
_PROOFS: Final = 500


def hashed(owner: str) -> Result:
    """The tree made anew, in a transaction that nobody sees."""

    async def grown() -> int:
        async with (
            await psycopg.AsyncConnection[tuple[Any, ...]].connect(owner, autocommit=True) as connection,
            connection.transaction(force_rollback=True),
        ):
            await connection.execute("SET LOCAL TimeZone = 'UTC'; DELETE FROM log.ledger_tiles")
            while await growth.grow(connection):
                pass
            return (await growth.head(connection)).size

    began = time.perf_counter()
    count = asyncio.run(grown())
    return {"rate": count / (time.perf_counter() - began), "answers": count, "errors": 0}


def stored_proof_ms(owner: str) -> float:
    """A proof of inclusion, its tiles read from the database; the tree is made for it, and nobody sees it."""

    async def measured() -> float:
        async with (
            await psycopg.AsyncConnection[tuple[Any, ...]].connect(owner, autocommit=True) as connection,
            connection.transaction(force_rollback=True),
        ):
            await connection.execute("SET LOCAL TimeZone = 'UTC'")
            while await growth.grow(connection):
                pass
            size, chance = (await growth.head(connection)).size, random.Random(1)
            began = time.perf_counter()
            for _ in range(_PROOFS):
                index = chance.randrange(size)
                rows = await connection.cursor(binary=True).execute(TILES, wanted(index, size), prepare=True)
                inclusion(index, size, Tiles(await rows.fetchall()).node)
            return (time.perf_counter() - began) / _PROOFS * 1000

    return asyncio.run(measured())


def proof_ms() -> float:
    """A proof of inclusion in a tree of a million events, without reading its tiles."""
    tiles: dict[tuple[int, int], bytes] = {}
    level, hashes = 0, [leaf_hash(nth.to_bytes(4, "big")) for nth in range(_EVENTS)]
    while hashes:
        parts = [hashes[at : at + WIDTH] for at in range(0, len(hashes), WIDTH)]
        tiles |= {(level, tile): b"".join(part) for tile, part in enumerate(parts)}
        level, hashes = level + 1, [fold(part) for part in parts if len(part) == WIDTH]
    chance = random.Random(1)
    began = time.perf_counter()
    for _ in range(_PROOFS):
        index = chance.randrange(_EVENTS)
        places = zip(*wanted(index, _EVENTS), strict=True)
        inclusion(index, _EVENTS, Tiles((*place, tiles[place]) for place in places if place in tiles).node)
    return (time.perf_counter() - began) / _PROOFS * 1000
