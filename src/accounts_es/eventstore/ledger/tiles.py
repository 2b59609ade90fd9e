"""The tree in the database: tiles of 256 hashes, of which only the last of each level ever changes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from accounts_es.eventstore.ledger.merkle import HASH_BYTES, fold

WIDTH: Final = 256
_HEIGHT: Final = 8

TILES: Final = """SELECT level, tile, hashes FROM log.ledger_tiles
    JOIN unnest(%s::int[], %s::bigint[]) AS wanted (level, tile) USING (level, tile)"""
"""Takes what `wanted` returns."""

Place = tuple[int, int]
"""A tile's level and its number there."""


def wanted(*edges: int) -> tuple[list[int], list[int]]:
    """The tiles that roots of these sizes, and paths from the leaves after these many, are made of."""
    places: set[Place] = set()
    level, tiles = 0, {edge // WIDTH for edge in edges}
    places.update((level, tile) for tile in tiles)
    while any(tiles):
        level, tiles = level + 1, {tile // WIDTH for tile in tiles}
        places.update((level, tile) for tile in tiles)
    return [level for level, _ in places], [tile for _, tile in places]


class Tiles:
    """Some tiles of a tree, and the nodes in them."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._hashes: Mapping[Place, bytes] = {(level, tile): bytes(hashes) for level, tile, hashes in rows}

    def node(self, height: int, index: int) -> bytes:
        """See `merkle.Node`. Raises `LookupError` for one that is in none of the tiles."""
        level, above = divmod(height, _HEIGHT)
        tile, first = divmod(index << above, WIDTH)
        hashes = self._hashes[level, tile][first * HASH_BYTES : (first + (1 << above)) * HASH_BYTES]
        if len(hashes) != HASH_BYTES << above:
            raise LookupError("the tile is not that full")
        return fold(split(hashes))


def split(hashes: bytes) -> list[bytes]:
    """The hashes in a tile."""
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
