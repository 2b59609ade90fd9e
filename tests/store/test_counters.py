"""Counters of fixed windows, on two connections as two servers have them."""

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.counters import ALL, Counter, Counters, CountersClosed
from tests.support.waiting import no_window_ends

HOUR = 3600
pytestmark = pytest.mark.usefixtures(no_window_ends.__name__)
A, B, C = (Counter(bytes([nth]) * 32, HOUR, 3) for nth in range(3))


@pytest_asyncio.fixture
async def counters(database: str) -> AsyncIterator[Counters]:
    running = Counters(database)
    await running.start()
    yield running
    await running.stop()


@pytest_asyncio.fixture
async def elsewhere(database: str) -> AsyncIterator[Counters]:
    """Another server."""
    running = Counters(database)
    await running.start()
    yield running
    await running.stop()


def as_owner(database: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database, autocommit=True) as owner:
        cursor = owner.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def test_a_counter_lets_through_what_it_may_and_no_more(counters: Counters) -> None:
    answers = [await counters.count([A]) for _ in range(5)]
    assert [each.passed for each in answers] == [True, True, True, False, False]
    assert [each.used[0].before for each in answers] == [0, 1, 2, 3, 3]
    ends = answers[0].used[0].ends
    assert ends % HOUR == 0
    assert 0 < ends - time.time() <= HOUR


async def test_all_servers_count_together(counters: Counters, elsewhere: Counters) -> None:
    for each in (counters, elsewhere, counters):
        assert (await each.count([A])).passed
    assert not (await elsewhere.count([A])).passed


async def test_T10_no_number_of_requests_at_once_gets_past_a_limit(counters: Counters, elsewhere: Counters) -> None:
    """Counters in any order, so that servers which locked them as they come would wait for each other in a circle."""
    many = [Counter(bytes([nth]) * 32, HOUR, 10) for nth in range(3, 9)]
    orders = [many, many[::-1], [*many[3:], *many[:3]]]
    storm = [each.count(orders[nth % 3]) for nth in range(100) for each in (counters, elsewhere)]
    answers = await asyncio.gather(*storm)
    assert sum(each.passed for each in answers) == 10
    assert all(len(each.used) == len(many) for each in answers)


async def test_a_refused_request_counts_nowhere(counters: Counters) -> None:
    for _ in range(3):
        await counters.count([A])
    for _ in range(5):
        refused = await counters.count([B, A, C])
        assert not refused.passed
        assert [each.before for each in refused.used] == [0, 3, 0]


async def test_requests_of_one_round_trip_are_counted_one_after_the_other(counters: Counters) -> None:
    answers = await asyncio.gather(*(counters.count(each) for each in ([A], [A, B], [B], [A], [A, C], [B], [C])))
    assert [each.passed for each in answers] == [True, True, True, True, False, True, True]
    assert answers[6].used[0].before == 0


async def test_what_is_given_back_can_be_used_again(counters: Counters) -> None:
    for _ in range(3):
        await counters.count([A, B])
    await counters.give_back([(A, 1), (B, ALL)])
    used = (await counters.count([A, B])).used
    assert [each.before for each in used] == [2, 0]
    await counters.give_back([(C, 1)])
    assert (await counters.count([C])).used[0].before == 0


async def test_a_new_window_begins_at_nothing(counters: Counters, database: str) -> None:
    for _ in range(4):
        await counters.count([A])
    as_owner(database, f"UPDATE log.limits SET ends = ends - {HOUR}")
    assert (await counters.count([A])).used[0].before == 0


async def test_old_counters_are_removed_and_live_ones_stay(counters: Counters, database: str) -> None:
    await counters.count([A, B])
    as_owner(database, f"UPDATE log.limits SET ends = ends - {HOUR} WHERE key = '\\x{A.key.hex()}'")
    await counters.sweep()
    assert as_owner(database, "SELECT key, used FROM log.limits") == [(B.key, 1)]


async def test_counts_are_kept_out_of_the_write_ahead_log(database: str) -> None:
    assert as_owner(database, "SELECT relpersistence FROM pg_class WHERE oid = 'log.limits'::regclass") == [("u",)]


async def test_a_lost_connection_is_replaced(counters: Counters, database: str) -> None:
    await counters.count([A])
    with connect_sync(database, as_app=False) as owner:
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'accounts-es'"
        )
    assert (await counters.count([A])).used[0].before == 1


async def test_T11_who_cannot_be_counted_is_told_so_and_the_next_one_is_counted(
    counters: Counters, database: str
) -> None:
    as_owner(database, "ALTER TABLE log.limits RENAME TO gone")
    with pytest.raises(psycopg.Error):
        await counters.count([A])
    as_owner(database, "ALTER TABLE log.gone RENAME TO limits")
    assert (await counters.count([A])).passed


async def test_T11_a_counter_somebody_holds_on_to_does_not_keep_callers_waiting(
    counters: Counters, database: str
) -> None:
    await counters.count([A])
    with psycopg.connect(database) as owner:
        owner.execute("SELECT * FROM log.limits FOR UPDATE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await counters.count([A])


async def test_after_the_end_nobody_waits(database: str) -> None:
    counters = Counters(database)
    await counters.start()
    await counters.stop()
    with pytest.raises(CountersClosed):
        await counters.count([A])
