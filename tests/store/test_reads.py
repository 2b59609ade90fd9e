"""The dataloader: every answer is read after it was asked for, and nobody pays for another one's mistake."""

import asyncio
from typing import NamedTuple

import psycopg
import pytest

from accounts_es.domain.errors import UserNotFound
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.reader import ReadsClosed
from accounts_es.eventstore.reads import Lookup
from projections import accounts, sessions
from tests.support.appends import beginning, rows


class Squared(NamedTuple):
    """A number and its inverse."""

    number: int
    inverse: int


INVERSE = Lookup(
    sql="SELECT n, 12 / n FROM unnest(%s::int[]) AS wanted (n)", row=Squared._make, key=lambda row: (row.number,)
)
SLOW = Lookup(
    sql="SELECT n, 1 FROM unnest(%s::int[]) AS w (n), pg_sleep(0.5)", row=Squared._make, key=lambda r: (r[0],)
)


async def test_reads_of_one_moment_are_one_query(log: EventLog, database: str) -> None:
    await asyncio.gather(*(log.append(beginning(log, f"account-{nth}")) for nth in range(50)))
    found = await asyncio.gather(*(accounts.find(log.reads, "default", str(nth % 50)) for nth in range(200)))
    assert [row and row.account_id for row in found] == [str(nth % 50) for nth in range(200)]
    assert await accounts.find(log.reads, "default", "nobody") is None
    assert await accounts.find(log.reads, "elsewhere", "1") is None


async def test_T46_a_read_is_never_answered_by_a_query_that_began_before_it(log: EventLog) -> None:
    await log.append(beginning(log, "account-0"))  # who appends first in a day reads the key of that day
    busy = log.reads.load(SLOW, (1,))
    earlier = accounts.find(log.reads, "default", "1")
    await asyncio.sleep(0.05)
    await log.append(beginning(log, "account-1"))
    later = accounts.find(log.reads, "default", "1")
    assert not busy.done(), "the first round trip is still on its way"
    await earlier
    row = await later
    assert row is not None


async def test_T46_whoever_was_told_of_a_change_reads_it(log: EventLog) -> None:
    async def sign_up_and_read(nth: int) -> None:
        await log.append(beginning(log, f"account-{nth}"))
        assert await accounts.find(log.reads, "default", str(nth)) is not None

    async def noise() -> None:
        for nth in range(200):
            await accounts.find(log.reads, "default", str(nth))

    await asyncio.gather(*(sign_up_and_read(nth) for nth in range(200)), noise(), noise())


async def test_a_key_that_breaks_its_query_breaks_only_its_own_read(log: EventLog) -> None:
    good = [log.reads.load(INVERSE, (number,)) for number in (1, 2, 3)]
    bad = log.reads.load(INVERSE, (0,))
    other = accounts.find(log.reads, "default", "1")
    outcomes = await asyncio.gather(*good, bad, other, return_exceptions=True)
    assert outcomes[:3] == [(1, 12), (2, 6), (3, 4)]
    assert isinstance(outcomes[3], psycopg.errors.DivisionByZero)
    assert outcomes[4] is None


@pytest.mark.parametrize("poison", ["N\x00UL", "\ud800"])
async def test_a_key_that_cannot_be_sent_breaks_only_its_own_read(log: EventLog, poison: str) -> None:
    await log.append(beginning(log, "account-1"))
    outcomes = await asyncio.gather(
        accounts.find(log.reads, "default", "1"),
        accounts.find(log.reads, "default", poison),
        accounts.get_by_stream(log.reads, "nobody"),
        sessions.get(log.reads, poison, "s"),
        accounts.find(log.reads, "default", "1"),
        return_exceptions=True,
    )
    assert [type(each).__name__ for each in (outcomes[0], outcomes[4])] == ["AccountRow", "AccountRow"]
    assert isinstance(outcomes[1], psycopg.DataError | UnicodeEncodeError)
    assert isinstance(outcomes[2], UserNotFound)
    assert isinstance(outcomes[3], psycopg.DataError | UnicodeEncodeError)


async def test_a_reader_who_gives_up_takes_the_read_from_nobody_else(log: EventLog) -> None:
    await log.append(beginning(log, "account-1"))
    log.reads.load(SLOW, (1,))
    several = [asyncio.ensure_future(accounts.find(log.reads, "default", "1")) for _ in range(10)]
    for each in several[::2]:
        each.cancel()
    outcomes = await asyncio.gather(*several, return_exceptions=True)
    assert [type(each).__name__ for each in outcomes] == ["CancelledError", "AccountRow"] * 5


async def test_a_lost_connection_is_replaced_and_the_read_repeated(log: EventLog, database: str) -> None:
    await log.append(beginning(log, "account-1"))
    for _ in range(5):
        pid = log.reads._connection.info.backend_pid  # type: ignore[union-attr]
        rows(database, "SELECT pg_terminate_backend(%s, 5000)", pid)
        assert await accounts.find(log.reads, "default", "1") is not None


async def test_after_the_end_reads_are_refused_and_do_not_wait_for_ever(log: EventLog) -> None:
    waiting = log.reads.load(SLOW, (1,))
    await log.reads.stop()
    with pytest.raises(ReadsClosed):
        await asyncio.wait_for(asyncio.ensure_future(waiting), 5)
    with pytest.raises(ReadsClosed):
        await asyncio.wait_for(log.reads.load(SLOW, (1,)), 5)
    with pytest.raises(ReadsClosed):
        await asyncio.wait_for(log.reads.fetch("SELECT 1"), 5)
    with pytest.raises(psycopg.OperationalError):
        await asyncio.wait_for(log.reads.scan("SELECT 1"), 5)


async def test_nobody_waits_for_a_scan(log: EventLog) -> None:
    scans = [asyncio.create_task(log.reads.scan("SELECT pg_sleep(0.5)")) for _ in range(3)]
    await asyncio.sleep(0.1)
    assert await accounts.find(log.reads, "default", "nobody") is None
    assert not any(each.done() for each in scans)
    await asyncio.gather(*scans)


async def test_a_scan_changes_nothing_and_outlives_its_connection(log: EventLog, database: str) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await log.reads.scan("DELETE FROM read.accounts_v2")
    rows(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s", "DELETE FROM read%")
    assert await log.reads.scan("SELECT 1") == [(1,)]
