"""The tree over the log: how it grows, what is signed, and that whoever rewrites the log is found out."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from accounts_es.eventstore.connection import AsyncConn, connect
from accounts_es.eventstore.ledger import growth
from accounts_es.eventstore.ledger.entry import COLUMNS, export_line
from accounts_es.eventstore.ledger.growth import Head, LogRewritten
from accounts_es.eventstore.ledger.note import Signer, read
from accounts_es.eventstore.log import EventLog
from accounts_es.reactors.checkpoints import CheckpointFiles
from accounts_es.reactors.ledger import Ledger
from tests.support.appends import beginning, labels
from tests.support.verifier import verifier

SECRET = b"l" * 32
CASES = 1000


class Owner:
    """Somebody with every right on the database, at work in a transaction that is rolled back."""

    def __init__(self, connection: AsyncConn, signer: Signer) -> None:
        self.connection = connection
        self.signer = signer
        self.key = verifier.read_key(signer.verifier)

    async def run(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        cursor = await self.connection.execute(statement.encode(), params)
        return await cursor.fetchall() if cursor.description else []

    async def positions(self) -> list[int]:
        rows = await self.run("SELECT notification_id FROM log.accounts_events ORDER BY notification_id")
        return [position for (position,) in rows]

    async def add(self, chance: random.Random, *positions: int) -> None:
        """Events with random values in every column."""
        rows = [
            (
                position,
                f"account-{chance.getrandbits(64):x}",
                chance.randint(1, 9),
                chance.choice(["account.signed_up", "account.name_changed"]),
                chance.randbytes(chance.randint(0, 300)),
                chance.choice(["default", "ünïcode", ""]),
                datetime(2026, 3, 14, tzinfo=UTC) + timedelta(microseconds=chance.randint(-(10**15), 10**15)),
                "system:test",
                "users.create",
                f"{chance.getrandbits(40):x}",
                "a\nb\x1b\"'\\,",
            )
            for position in positions
        ]
        statement = f"INSERT INTO log.accounts_events ({COLUMNS}) VALUES ({', '.join(['%s'] * 11)})"
        await self.connection.cursor().executemany(statement.encode(), rows)

    async def grow(self, page: int = growth.PAGE) -> None:
        while await growth.grow(self.connection, page):
            pass

    async def forget(self) -> None:
        """Take away every trace of the tree."""
        await self.run("DELETE FROM log.ledger_tiles")
        await self.run("DELETE FROM log.checkpoints")

    async def sign(self) -> str:
        """The note of the tree as it is."""
        made = await growth.sign(self.connection, self.signer)
        assert made is not None
        return self.signer.sign(made)

    async def export(self) -> list[str]:
        cursor = await self.connection.cursor(binary=True).execute(
            f"SELECT {COLUMNS} FROM log.accounts_events ORDER BY notification_id".encode()
        )
        return [export_line(row) for row in await cursor.fetchall()]

    async def verify(self, *notes: str) -> str:
        checkpoints = [found for note in notes for found in verifier.read_notes(note, "a note", self.key)]
        return verifier.check_export(await self.export(), checkpoints)


@pytest_asyncio.fixture
async def owner(database: str) -> AsyncIterator[Owner]:
    """The superuser, with the triggers out of the way."""
    connection: AsyncConn = await psycopg.AsyncConnection.connect(database, autocommit=True)
    async with connection:
        await connection.execute("SET session_replication_role = replica; SET TimeZone = 'UTC'")
        yield Owner(connection, Signer(await growth.origin(connection), SECRET))


async def fill(owner: Owner, chance: random.Random, count: int) -> None:
    """Events with gaps between their positions."""
    await owner.add(chance, *accumulate(chance.choice([1, 1, 1, 2, 40]) for _ in range(count)))


# Growing --------------------------------------------------------------------------------------------------------------


async def test_the_tree_holds_the_events_in_their_order_whatever_the_pages(owner: Owner) -> None:
    chance = random.Random(1)
    await fill(owner, chance, 700)
    roots = set()
    for pages in ([700], [1] * 700, [255, 1, 256, 188], [300, 300, 300]):
        await owner.forget()
        for page in pages:
            await growth.grow(owner.connection, page)
        positions = await owner.positions()
        assert await growth.head(owner.connection) == Head(700, positions[-1])
        assert await growth.grow(owner.connection) == 0
        known = await owner.run("SELECT positions FROM log.ledger_tiles WHERE level = 0 ORDER BY tile")
        assert [each for (tile,) in known for each in tile] == positions
        roots.add((await owner.sign()).split("\n")[2])
    assert len(roots) == 1


async def test_T42_growing_that_is_cut_off_anywhere_goes_on_as_if_nothing_had_been(owner: Owner) -> None:
    await fill(owner, random.Random(2), 600)
    for _ in range(3):
        async with owner.connection.transaction(force_rollback=True):
            await growth.grow(owner.connection, 280)
        await growth.grow(owner.connection, 280)
    assert (await growth.head(owner.connection)).size == 600
    assert await owner.verify(await owner.sign()) == "600 events are those signed in 1 checkpoints"


async def test_nothing_is_signed_twice_and_nothing_of_an_empty_log(owner: Owner) -> None:
    assert await growth.sign(owner.connection, owner.signer) is None
    await fill(owner, random.Random(3), 3)
    await owner.grow()
    assert await growth.sign(owner.connection, owner.signer) is not None
    assert await growth.sign(owner.connection, owner.signer) is None


async def test_only_one_session_leads_until_it_ends(database: str) -> None:
    async with await connect(database) as first, await connect(database) as second:
        assert await growth.lead(first)
        assert not await growth.lead(second)
        await first.close()
        async with asyncio.timeout(10):
            while not await growth.lead(second):  # noqa: ASYNC110 - the lock is the database's
                await asyncio.sleep(0.01)


async def test_the_servers_role_cannot_take_a_checkpoint_back(database: str) -> None:
    async with await connect(database) as connection:
        for statement in (
            "DELETE FROM log.checkpoints",
            "UPDATE log.checkpoints SET root = ''",
            "DELETE FROM log.ledger_tiles",
            "UPDATE log.ledger SET origin = 'x'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.encode())


async def test_events_the_server_appends_are_signed_and_kept_in_files(
    log: EventLog, database: str, tmp_path: Path, owner: Owner
) -> None:
    files = CheckpointFiles(tmp_path / "checkpoints")
    ledger = asyncio.create_task(Ledger(database, SECRET, [files], 0.01).run())
    name = await growth.origin(owner.connection)
    try:
        for nth in range(1, 6):
            await log.append(beginning(log, f"account-{nth}"))
            await log.append(labels(f"account-{nth}", 2, "a", "b"))
            async with asyncio.timeout(20):
                while (last := await files.last(name)) is None or last.size < 3 * nth:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
    finally:
        ledger.cancel()
        await asyncio.gather(ledger, return_exceptions=True)
    notes = [path.read_text() for path in (tmp_path / "checkpoints").rglob("*.txt")]
    assert (await owner.verify(*notes)).startswith("15 events are those signed in ")
    assert await owner.run("SELECT 1 FROM log.checkpoints WHERE NOT kept") == []


# Who rewrites the log -------------------------------------------------------------------------------------------------


async def edit(owner: Owner, chance: random.Random, signed: int) -> None:
    """Another value in one column of one signed event."""
    column, value = chance.choice(
        [
            ("state", b"{}"),
            ("actor", "system:other"),
            ("topic", "account.deleted"),
            ("originator_id", "account-other"),
            ("originator_version", 77),
            ("project_id", "other"),
            ("operation", "other"),
            ("request_id", "other"),
            ("correlation_id", "other"),
            ("recorded_at", datetime(1999, 1, 1, tzinfo=UTC)),
        ]
    )
    victim = chance.choice((await owner.positions())[:signed])
    await owner.run(f"UPDATE log.accounts_events SET {column} = %s WHERE notification_id = %s", value, victim)


async def delete(owner: Owner, chance: random.Random, signed: int) -> None:
    victim = chance.choice((await owner.positions())[:signed])
    await owner.run("DELETE FROM log.accounts_events WHERE notification_id = %s", victim)


async def insert(owner: Owner, chance: random.Random, signed: int) -> None:
    """An event in a gap, or in front of everything."""
    taken = set(await owner.positions())
    last = sorted(taken)[signed - 1]
    await owner.add(chance, chance.choice([at for at in range(last) if at not in taken]))


async def reorder(owner: Owner, chance: random.Random, signed: int) -> None:
    """Two events change places."""
    one, other = chance.sample((await owner.positions())[:signed], 2)
    for old, new in ((one, -1), (other, one), (-1, other)):
        await owner.run("UPDATE log.accounts_events SET notification_id = %s WHERE notification_id = %s", new, old)


async def truncate(owner: Owner, chance: random.Random, signed: int) -> None:
    cut = chance.choice((await owner.positions())[:signed])
    await owner.run("DELETE FROM log.accounts_events WHERE notification_id >= %s", cut)


async def fork(owner: Owner, chance: random.Random, signed: int) -> None:
    """The history ends somewhere and goes on otherwise, as long or longer."""
    positions = await owner.positions()
    cut = chance.randrange(signed)
    await owner.run("DELETE FROM log.accounts_events WHERE notification_id >= %s", positions[cut])
    more = range(positions[-1] + 1, positions[-1] + 1 + chance.randint(0, 3))
    await owner.add(chance, *positions[cut:], *more)


ATTACKS = (edit, delete, insert, reorder, truncate, fork)


async def rehash(owner: Owner) -> str:
    """Every trace of the earlier tree goes, a new one is made, and signed with the real key."""
    await owner.forget()
    await owner.grow()
    return await owner.sign()


async def test_T53_T54_a_thousand_rewritten_logs_are_all_found_out(owner: Owner) -> None:
    chance = random.Random(6962)
    await fill(owner, chance, 60)
    notes: list[str] = []
    for page in (25, 20, 15):
        await growth.grow(owner.connection, page)
        notes.append(await owner.sign())
    assert await owner.verify(*notes) == "60 events are those signed in 3 checkpoints"
    for case in range(CASES):
        attack = ATTACKS[case % len(ATTACKS)]
        kept = chance.choice(notes)
        (signed,) = verifier.read_notes(kept, "a note", owner.key)
        async with owner.connection.transaction(force_rollback=True):
            await attack(owner, chance, signed.size)
            with pytest.raises(verifier.Wrong):
                await owner.verify(kept)
            if case % 3 == 0 and await owner.positions():
                # The owner of the database even holds the key of the log; what was kept elsewhere is enough.
                forged = await rehash(owner)
                assert await owner.verify(forged)
                with pytest.raises(verifier.Wrong):
                    await owner.verify(kept, forged)
                await owner.run("DELETE FROM log.checkpoints")
                with pytest.raises(LogRewritten):
                    await growth.sign(owner.connection, owner.signer, read(kept))
    assert await owner.verify(*notes) == "60 events are those signed in 3 checkpoints"


async def test_T53_a_thousand_honest_logs_are_all_accepted(owner: Owner) -> None:
    chance = random.Random(9162)
    for _ in range(CASES):
        async with owner.connection.transaction(force_rollback=True):
            count, notes = chance.choice([1, 2, 3, 7, 8, 20]), list[str]()
            await fill(owner, chance, count)
            while await growth.grow(owner.connection, chance.choice([1, 2, 5, 999])):
                if chance.random() < 0.5:
                    notes.append(await owner.sign())
            if chance.random() < 0.5 or not notes:
                made = await growth.sign(owner.connection, owner.signer)
                notes += [owner.signer.sign(made)] if made is not None else []
            chance.shuffle(notes)
            said = await owner.verify(*notes[: chance.randint(1, len(notes))])
            assert "events are those signed in" in said


async def test_T54_the_running_server_signs_no_other_history(database: str, tmp_path: Path, owner: Owner) -> None:
    await fill(owner, random.Random(4), 20)
    files = CheckpointFiles(tmp_path)
    async with await connect(database) as connection:
        before = Ledger(database, SECRET, [files], 0.01)
        await before.catch_up(connection)
        await before.hand_on(connection)
        first = min(await owner.positions())
        await owner.run("UPDATE log.accounts_events SET actor = 'nobody' WHERE notification_id = %s", first)
        await owner.forget()
        for ledger in (before, Ledger(database, SECRET, [files], 0.01)):  # the one that ran, and one started again
            with pytest.raises(LogRewritten):
                await ledger.catch_up(connection)
        assert await owner.run("SELECT 1 FROM log.checkpoints") == []


# What an export may not be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace('"state":"', '"state":"A', 1),
        lambda line: line.replace('"position":', '"position":1,"position":', 1),
        lambda line: line.replace('"version":', '"version":true,"x":', 1),
        lambda line: line.replace('{"position"', '{"more":1,"position"', 1),
        lambda line: line.replace('"topic":"', '"topic":"\\ud800', 1),
        lambda line: line[:-1],
        lambda line: "[]",
        lambda line: "",
    ],
)
async def test_a_damaged_line_is_named(owner: Owner, change: Callable[[str], str]) -> None:
    await fill(owner, random.Random(5), 3)
    await owner.grow()
    checkpoints = list(verifier.read_notes(await owner.sign(), "a note", owner.key))
    lines = await owner.export()
    with pytest.raises(verifier.Wrong, match="line 2"):
        verifier.check_export([lines[0], change(lines[1]), lines[2]], checkpoints)


async def test_lines_that_were_swapped_or_doubled_are_noticed(owner: Owner) -> None:
    await fill(owner, random.Random(5), 3)
    await owner.grow()
    checkpoints = list(verifier.read_notes(await owner.sign(), "a note", owner.key))
    one, two, three = await owner.export()
    for lines in ([two, one, three], [one, one, two, three], [one, two, three, three]):
        with pytest.raises(verifier.Wrong, match="comes after position"):
            verifier.check_export(lines, checkpoints)
    with pytest.raises(verifier.Wrong, match="no checkpoint"):
        verifier.check_export([one, two, three], [])
