"""Adds to the tree what the log has gained, and signs what has become of it.

By one at a time: the leader holds a lock of its session. Every step is one transaction that begins where the last one
ended, so whoever leads next goes on from there. Position order is commit order, so nothing appears later below the
last position.
"""

from typing import Final, NamedTuple

from accounts_es.eventstore.connection import AsyncConn
from accounts_es.eventstore.ledger.entry import COLUMNS, event_hash
from accounts_es.eventstore.ledger.merkle import HASH_BYTES, fold, root
from accounts_es.eventstore.ledger.note import Checkpoint, Signer
from accounts_es.eventstore.ledger.tiles import TILES, WIDTH, Tiles, split, wanted

PAGE: Final = 16 * WIDTH
"""Events added in one transaction."""
_LEADER_LOCK: Final = 7017280570803617910

_LAST = """SELECT tile, hashes, positions FROM log.ledger_tiles WHERE level = 0 ORDER BY tile DESC LIMIT 1"""
_EVENTS = f"""SELECT {COLUMNS} FROM log.accounts_events WHERE notification_id > %s ORDER BY notification_id LIMIT %s"""
_TILE = "SELECT hashes, positions FROM log.ledger_tiles WHERE level = %s AND tile = %s"
_PUT = """INSERT INTO log.ledger_tiles (level, tile, hashes, positions) VALUES (%s, %s, %s, %s)
    ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes, positions = excluded.positions"""


class LogRewritten(Exception):  # noqa: N818
    """The tree does not begin with what was signed before: events were changed, removed, or put in between."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the log is no longer the one whose first {size} events were signed")
        self.size = size


class Head(NamedTuple):
    """How many events are in the tree, and the position of the last."""

    size: int
    position: int


async def lead(connection: AsyncConn) -> bool:
    """Whether this session may add to the tree, for as long as it lasts."""
    row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", (_LEADER_LOCK,))).fetchone()
    return row is not None and bool(row[0])


async def origin(connection: AsyncConn) -> str:
    """What the log is called in its checkpoints."""
    row = await (await connection.execute("SELECT origin FROM log.ledger")).fetchone()
    if row is None:
        raise LookupError("the log has no name")
    return str(row[0])


async def head(connection: AsyncConn) -> Head:
    """Where the tree ends."""
    row = await (await connection.cursor(binary=True).execute(_LAST)).fetchone()
    return Head(row[0] * WIDTH + len(row[2]), row[2][-1]) if row is not None else Head(0, 0)


async def grow(connection: AsyncConn, page: int = PAGE) -> int:
    """Add up to ``page`` events; returns how many there were. For the leader alone."""
    async with connection.transaction():
        size, position = await head(connection)
        cursor = await connection.cursor(binary=True).execute(_EVENTS, (position, page))
        rows = await cursor.fetchall()
        level, hashes, positions = 0, [event_hash(row) for row in rows], [int(row[0]) for row in rows]
        while hashes:
            hashes = await _add(connection, level, size, hashes, positions)
            level, size, positions = level + 1, size // WIDTH, []
        return len(rows)


async def _add(connection: AsyncConn, level: int, size: int, hashes: list[bytes], positions: list[int]) -> list[bytes]:
    """Put hashes behind the ``size`` that a level has; returns those of the tiles that have become full."""
    tile, filled = divmod(size, WIDTH)
    if filled:
        row = await (await connection.cursor(binary=True).execute(_TILE, (level, tile))).fetchone()
        if row is None or len(row[0]) != filled * HASH_BYTES:
            raise LookupError(f"tile {tile} of level {level} is not what it was")
        hashes = [*split(row[0]), *hashes]
        positions = [*row[1], *positions] if level == 0 else []
    parts = [hashes[at : at + WIDTH] for at in range(0, len(hashes), WIDTH)]
    known = [positions[at : at + WIDTH] or None for at in range(0, len(hashes), WIDTH)]
    rows = [(level, tile + nth, b"".join(part), known[nth]) for nth, part in enumerate(parts)]
    await connection.cursor().executemany(_PUT, rows)
    return [fold(part) for part in parts if len(part) == WIDTH]


async def sign(connection: AsyncConn, signer: Signer, *seen: Checkpoint) -> Checkpoint | None:
    """Sign the tree as it is, unless that has been done; returns the new checkpoint. For the leader alone.

    The tree must begin with what was signed last and with what was ``seen`` elsewhere. Raises `LogRewritten`.
    """
    name = await origin(connection)
    row = await (
        await connection.execute("SELECT size, root FROM log.checkpoints ORDER BY size DESC LIMIT 1")
    ).fetchone()
    earlier = [*seen, *([Checkpoint(name, row[0], bytes(row[1]))] if row is not None else [])]
    size, position = await head(connection)
    edges = [size, *(each.size for each in earlier if each.size <= size)]
    tiles = Tiles(await (await connection.cursor(binary=True).execute(TILES, wanted(*edges))).fetchall())
    for each in earlier:
        if each.size > size or root(each.size, tiles.node) != each.root:
            raise LogRewritten(each.size)
    if not size or (row is not None and row[0] == size):
        return None
    made = Checkpoint(name, size, root(size, tiles.node))
    await connection.execute(
        "INSERT INTO log.checkpoints (size, position, root, note) VALUES (%s, %s, %s, %s)",
        (size, position, made.root, signer.sign(made)),
    )
    return made
