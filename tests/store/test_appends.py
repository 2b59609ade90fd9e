"""The append transaction: expected versions, claims, events and read models commit together or not at all."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import LabelAdded, NameChanged, SignedUp
from accounts_es.domain.event import Recorded
from accounts_es.eventstore.append import (
    Append,
    AppendRefused,
    ClaimTaken,
    Conflict,
    IdempotencyKey,
    KeyUsed,
)
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.projection import Projection, Tx
from projections import accounts
from tests.support.appends import advisory_locks, beginning, following, freeing, labels, logs, rows, stored, taking
from tests.support.metadata import metadata


async def together(*appends: Awaitable[object]) -> list[object]:
    """All of them as one group: they are queued before the writer wakes up."""
    return await asyncio.gather(*appends, return_exceptions=True)


def kinds(outcomes: Sequence[object]) -> list[str]:
    return [type(each).__name__ if isinstance(each, BaseException) else "stored" for each in outcomes]


# Cost -----------------------------------------------------------------------------------------------------------------


async def test_an_append_reads_no_more_of_a_young_log_the_longer_it_is(database: str, master: MasterKey) -> None:
    async with logs(database, master, 1) as (log,):
        for nth in range(100):
            await log.append(beginning(log, f"account-{nth}"))
    with connect_sync(database, as_app=False) as connection:
        ((read,),) = connection.execute(
            "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relid = 'log.accounts_events'::regclass"
        ).fetchall()
    assert read == 0, "no statistics have been gathered yet, and still nothing was scanned"


async def test_changes_that_travel_together_read_no_more_of_a_young_read_model_the_larger_it_is(
    database: str, master: MasterKey
) -> None:
    people = [f"account-{nth}" for nth in range(40)]
    async with logs(database, master, 1) as (log,):
        application = Application(log)
        for nth, stream in enumerate(people):
            await application.execute(metadata(), ACCOUNT, stream, commands.sign_up, account_id=f"u{nth}")
            changes: list[Awaitable[object]] = [
                application.execute(metadata(), ACCOUNT, each, commands.update_prefs, prefs={"n": nth})
                for each in people[: nth + 1]
            ]
            await together(*changes)
    with connect_sync(database, as_app=False) as connection:
        ((read,),) = connection.execute(
            "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relid = 'read.accounts_v2'::regclass"
        ).fetchall()
        assert read == 0
        assert connection.execute("SELECT DISTINCT prefs FROM read.accounts_v2").fetchall() == [('{"n":39}',)]


# Versions -------------------------------------------------------------------------------------------------------------


async def test_events_come_back_as_they_were_stored(log: EventLog) -> None:
    append = beginning(log, "account-1", LabelAdded(label="x"))
    recorded = await log.append(append)
    assert [each.position for each in recorded] == [1, 2]
    assert list(await log.load("account-1")) == list(recorded)


async def test_a_stale_version_is_refused(log: EventLog, database: str) -> None:
    await log.append(beginning(log, "account-1", LabelAdded(label="x")))
    with pytest.raises(Conflict):
        await log.append(labels("account-1", 2, "y"))
    assert stored(database, "account-1") == [1, 2]


async def test_T30_of_fifty_writers_of_one_version_exactly_one_wins(database: str, master: MasterKey) -> None:
    async with logs(database, master, 5) as several:
        await several[0].append(beginning(several[0], "account-1"))
        for log in several[1:]:
            await log.load("account-1")
        outcomes = await together(
            *(
                log.append(labels("account-1", 2, f"{nth}-{turn}"))
                for turn in range(10)
                for nth, log in enumerate(several)
            )
        )
    assert sorted(kinds(outcomes)) == ["Conflict"] * 49 + ["stored"]
    assert stored(database, "account-1") == [1, 2]


async def test_a_conflict_leaves_the_other_requests_of_its_group_alone(log: EventLog, database: str) -> None:
    await log.append(beginning(log, "account-1"))
    outcomes = await together(
        log.append(beginning(log, "account-2")),
        log.append(labels("account-1", 1, "stale")),
        log.append(labels("account-1", 2, "fresh")),
        log.append(labels("account-1", 2, "second")),
        log.append(beginning(log, "account-3", claims=[taking("account-3", "account.email", "a@b.co")])),
        log.append(beginning(log, "account-4", claims=[taking("account-4", "account.email", "a@b.co")])),
        log.append(beginning(log, "account-5")),
    )
    assert kinds(outcomes) == ["stored", "Conflict", "stored", "Conflict", "stored", "ClaimTaken", "stored"]
    versions = [stored(database, f"account-{nth}") for nth in range(1, 6)]
    assert versions == [[1, 2], [1], [1], [], [1]]
    found = rows(database, "SELECT stream FROM read.accounts_v2 ORDER BY stream")
    assert found == [("account-1",), ("account-2",), ("account-3",), ("account-5",)]
    subjects = rows(database, "SELECT subject FROM log.subject_keys WHERE subject LIKE 'account-%%' ORDER BY subject")
    assert subjects == [("account-1",), ("account-2",), ("account-3",), ("account-5",)]


async def test_several_streams_commit_together_or_not_at_all(log: EventLog, database: str) -> None:
    await log.append(beginning(log, "account-1"))
    await log.append(beginning(log, "account-2"))
    both = (*labels("account-1", 2, "x").events, *labels("account-2", 2, "y", "z").events)
    assert len(await log.append(Append(both))) == 3
    half_stale = (*labels("account-1", 3, "x").events, *labels("account-2", 3, "y").events)
    with pytest.raises(Conflict):
        await log.append(Append(half_stale))
    assert (stored(database, "account-1"), stored(database, "account-2")) == ([1, 2], [1, 2, 3])


async def test_events_of_one_stream_queued_one_after_the_other_reach_the_read_model_in_that_order(
    log: EventLog,
) -> None:
    await log.append(beginning(log, "account-1"))
    outcomes = await together(
        log.append(labels("account-1", 2, "a", "b")),
        log.append(following("account-1", 4, NameChanged(name="Ann"))),
        log.append(labels("account-1", 5, "c")),
    )
    assert kinds(outcomes) == ["stored"] * 3
    row = await accounts.get_by_stream(log.reads, "account-1")
    assert (row.labels, row.name) == (["a", "b", "c"], "Ann")


async def test_a_database_with_another_default_isolation_still_finds_conflicts(
    database: str, master: MasterKey
) -> None:
    name = rows(database, "SELECT current_database()")[0][0]
    with connect_sync(database, as_app=False) as owner:
        owner.execute(f'ALTER DATABASE "{name}" SET default_transaction_isolation = serializable'.encode())
    async with logs(database, master, 2) as (one, two):
        await one.append(beginning(one, "account-1"))
        await two.load("account-1")
        for version in range(2, 12):
            outcomes = await together(
                one.append(labels("account-1", version, "x")), two.append(labels("account-1", version, "y"))
            )
            assert sorted(kinds(outcomes)) == ["Conflict", "stored"]


# Claims ---------------------------------------------------------------------------------------------------------------


async def test_a_claim_is_taken_freed_and_taken_again(log: EventLog) -> None:
    await log.append(beginning(log, "account-1", claims=[taking("account-1", "account.email", "a@b.co")]))
    with pytest.raises(ClaimTaken) as refused:
        await log.append(beginning(log, "account-2", claims=[taking("account-2", "account.email", "a@b.co")]))
    assert refused.value.kind == "account.email"

    freed = labels("account-1", 2, "x").events
    await log.append(Append(freed, (freeing("account-1", "account.email", "a@b.co"),)))
    await log.append(beginning(log, "account-2", claims=[taking("account-2", "account.email", "a@b.co")]))


async def test_a_claim_of_another_stream_cannot_be_freed(log: EventLog) -> None:
    await log.append(beginning(log, "account-1", claims=[taking("account-1", "account.email", "a@b.co")]))
    await log.append(beginning(log, "account-2", claims=[freeing("account-2", "account.email", "a@b.co")]))
    with pytest.raises(ClaimTaken):
        await log.append(beginning(log, "account-3", claims=[taking("account-3", "account.email", "a@b.co")]))


async def test_T25_projects_do_not_meet_in_their_claims(log: EventLog) -> None:
    for nth, project in enumerate(("one", "two")):
        stream = f"account-{nth}"
        await log.append(beginning(log, stream, claims=[taking(stream, "account.email", "a@b.co", project=project)]))


async def test_T29_of_several_claims_all_are_taken_or_none(log: EventLog, database: str) -> None:
    await log.append(beginning(log, "account-1", claims=[taking("account-1", "account.phone", "+4930901820")]))
    key = IdempotencyKey(b"key", b"fingerprint")
    several = [
        taking("account-2", "account.email", "a@b.co"),
        taking("account-2", "account.id", "two"),
        taking("account-2", "account.phone", "+4930901820"),
        taking("account-2", "account.other", "never reached"),
    ]
    with pytest.raises(ClaimTaken) as refused:
        await log.append(beginning(log, "account-2", claims=several, idempotency=key))
    assert refused.value.kind == "account.phone"
    assert stored(database, "account-2") == []
    assert rows(database, "SELECT count(*) FROM read.accounts_v2") == [(1,)]
    assert rows(database, "SELECT stream FROM log.claims") == [("account-1",)]
    assert rows(database, "SELECT count(*) FROM log.idempotency") == [(0,)]
    assert rows(database, "SELECT subject FROM log.subject_keys WHERE NOT starts_with(subject, 'origins-')") == [
        ("account-1",)
    ]

    await log.append(beginning(log, "account-3", claims=[taking("account-3", "account.email", "a@b.co")]))


async def test_T29_what_a_refused_request_had_claimed_is_free_for_the_next_one_of_its_group(log: EventLog) -> None:
    await log.append(beginning(log, "account-1", claims=[taking("account-1", "account.phone", "+4930901820")]))
    outcomes = await together(
        log.append(
            beginning(
                log,
                "account-2",
                claims=[
                    taking("account-2", "account.email", "a@b.co"),
                    taking("account-2", "account.phone", "+4930901820"),
                ],
            )
        ),
        log.append(beginning(log, "account-3", claims=[taking("account-3", "account.email", "a@b.co")])),
    )
    assert kinds(outcomes) == ["ClaimTaken", "stored"]


async def test_a_request_takes_what_it_frees_itself(log: EventLog, database: str) -> None:
    for name in ("1", "2"):
        stream = f"account-{name}"
        await log.append(beginning(log, stream, claims=[taking(stream, "account.email", name)]))
    swap = (
        taking("account-1", "account.email", "2"),
        freeing("account-1", "account.email", "1"),
        taking("account-2", "account.email", "1"),
        freeing("account-2", "account.email", "2"),
    )
    events = (*labels("account-1", 2, "x").events, *labels("account-2", 2, "x").events)
    await log.append(Append(events, swap))
    held = [("account-1", log.keys.digest("default", "account.email", "2"))]
    assert rows(database, "SELECT stream, digest FROM log.claims ORDER BY stream")[:1] == held
    assert rows(database, "SELECT count(*) FROM log.claims") == [(2,)]


async def test_T29_what_changed_hands_in_a_request_that_is_refused_is_where_it_was(
    log: EventLog, database: str
) -> None:
    for name in ("1", "2", "3"):
        stream = f"account-{name}"
        await log.append(beginning(log, stream, claims=[taking(stream, "account.email", name)]))
    before = rows(database, "SELECT stream, digest FROM log.claims ORDER BY stream")
    key = IdempotencyKey(b"key", b"fingerprint")
    wanted = (
        taking("account-1", "account.email", "2"),
        freeing("account-1", "account.email", "1"),
        taking("account-2", "account.email", "1"),
        freeing("account-2", "account.email", "2"),
        taking("account-2", "account.email", "new"),
        taking("account-2", "account.email", "3"),
    )
    events = (*labels("account-1", 2, "x").events, *labels("account-2", 2, "x").events)
    outcomes = await together(
        log.append(Append(events, wanted, (), key)),
        # Nobody else takes what another request was about to free.
        log.append(beginning(log, "account-4", claims=[taking("account-4", "account.email", "1")])),
    )
    assert kinds(outcomes) == ["ClaimTaken", "ClaimTaken"]
    assert rows(database, "SELECT stream, digest FROM log.claims ORDER BY stream") == before
    assert rows(database, "SELECT count(*) FROM log.idempotency") == [(0,)]


async def test_a_stale_request_learns_that_it_is_stale_before_it_learns_of_a_taken_claim(log: EventLog) -> None:
    await log.append(beginning(log, "account-1", claims=[taking("account-1", "account.email", "a@b.co")]))
    await log.append(beginning(log, "account-2", LabelAdded(label="x")))
    stale = Append(labels("account-2", 2, "y").events, (taking("account-2", "account.email", "a@b.co"),))
    with pytest.raises(Conflict):
        await log.append(stale)


# Idempotency ----------------------------------------------------------------------------------------------------------


async def test_T34_a_key_is_used_once(log: EventLog, database: str) -> None:
    key = IdempotencyKey(b"key", b"fingerprint")
    await log.append(beginning(log, "account-1", idempotency=key))
    with pytest.raises(KeyUsed):
        await log.append(beginning(log, "account-2", idempotency=key))
    assert stored(database, "account-2") == []


async def test_T34_one_of_two_requests_at_once_with_a_key_is_carried_out(log: EventLog) -> None:
    key = IdempotencyKey(b"key", b"fingerprint")
    outcomes = await together(*(log.append(beginning(log, f"account-{nth}", idempotency=key)) for nth in range(5)))
    assert sorted(kinds(outcomes)) == ["KeyUsed"] * 4 + ["stored"]


async def test_T34_the_key_of_a_refused_request_stays_free(log: EventLog) -> None:
    key = IdempotencyKey(b"key", b"fingerprint")
    await log.append(beginning(log, "account-1"))
    with pytest.raises(Conflict):
        await log.append(Append(labels("account-1", 1, "x").events, idempotency=key))
    await log.append(Append(labels("account-1", 2, "x").events, idempotency=key))


# Read models ----------------------------------------------------------------------------------------------------------

quirky = Projection(name="quirky", tables=(), ddl="")


@quirky.on(SignedUp)
def signed_up(tx: Tx, recorded: Recorded[SignedUp]) -> None:
    """Fails in the ways a handler can fail."""
    match recorded.event.name:
        case "raises":
            raise ZeroDivisionError
        case "divides":
            tx.execute("SELECT 1 / %s", (0,))
        case "no such table":
            tx.execute("INSERT INTO no_such_table VALUES (%s)", (1,))
        case "not adaptable":
            tx.execute("SELECT %s", (object(),))
        case _:
            tx.execute("SELECT 1 / %s", (1,))


@pytest.mark.parametrize("how", ["raises", "divides", "no such table", "not adaptable", "N\x00UL"])
async def test_T29_a_request_whose_read_model_fails_is_not_stored_and_leaves_its_neighbours_alone(
    database: str, master: MasterKey, how: str
) -> None:
    async with logs(database, master, read_models=(*projections.ALL, quirky)) as (log,):
        outcomes = await together(
            *(
                log.append(
                    beginning(
                        log,
                        f"account-{nth}",
                        name=how if nth == 3 else "fine",
                        claims=[taking(f"account-{nth}", "account.id", str(nth))],
                    )
                )
                for nth in range(6)
            )
        )
        assert not isinstance(outcomes[3], AppendRefused)
        assert [each == "stored" for each in kinds(outcomes)] == [True, True, True, False, True, True]
        assert stored(database, "account-3") == []
        found = rows(database, "SELECT stream FROM read.accounts_v2 ORDER BY stream")
        assert found == [(f"account-{nth}",) for nth in (0, 1, 2, 4, 5)]
        assert rows(database, "SELECT count(*) FROM log.claims") == [(5,)]
        # The connection is as good as new.
        await log.append(beginning(log, "account-3", claims=[taking("account-3", "account.id", "3")]))
        assert stored(database, "account-3") == [1]


async def test_an_alone_failing_request_takes_nothing_with_it_later(database: str, master: MasterKey) -> None:
    async with logs(database, master, read_models=(*projections.ALL, quirky)) as (log,):
        with pytest.raises(ZeroDivisionError):
            await log.append(beginning(log, "account-1", name="raises"))
        assert advisory_locks(database, granted=True) == 0
        await log.append(beginning(log, "account-2"))
    assert stored(database, "account-1") == []


async def test_T29_a_success_is_in_the_read_model(application: Application) -> None:
    await application.execute(
        metadata(), ACCOUNT, "account-1", commands.sign_up, account_id="a", email="a@b.co", email_target_id="t"
    )
    row = await accounts.find_by_email(application.log.reads, "default", "a@b.co")
    assert row is not None
    assert row.stream == "account-1"
