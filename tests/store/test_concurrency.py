"""Many writers at once, in several processes: no lost update, no double holder, no event passed over."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import closing

import psycopg
import pytest

import projections
from accounts_es.application import Application, Besides
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.events import AccountEvent, LabelAdded
from accounts_es.domain.decider import Claim
from accounts_es.domain.errors import (
    GeneralIdempotencyKeyReused,
    GeneralServiceUnavailable,
    Refusal,
    UserAlreadyExists,
    UserNotFound,
)
from accounts_es.domain.event import Event, Recorded
from accounts_es.eventstore import recorder
from accounts_es.eventstore.append import Append, IdempotencyKey, LogBusy
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from projections import accounts
from tests.support.appends import advisory_locks, beginning, labels, logs, rows, stored
from tests.support.metadata import metadata
from tests.support.waiting import until

PLACES = 3


def add_label(account: Account, *, label: str) -> Iterator[AccountEvent]:
    """Depends on what is there: a lost update would number two labels alike."""
    yield LabelAdded(label=f"{len(account.labels)}-{label}")


async def sign_up(application: Application, stream: str, *, email: str | None = None, **more) -> None:
    account_id = more.pop("account_id", stream.removeprefix("account-"))
    await application.execute(
        metadata(),
        ACCOUNT,
        stream,
        commands.sign_up,
        account_id=account_id,
        email=email,
        email_target_id=f"t-{account_id}",
        **more,
    )


def outcomes_of(outcomes: list[object]) -> dict[str, int]:
    names = ["stored" if each is None else type(each).__name__ for each in outcomes]
    return {name: names.count(name) for name in sorted(set(names))}


# T30 ------------------------------------------------------------------------------------------------------------------


async def test_T30_fifty_writers_of_one_account_lose_no_update(database: str, master: MasterKey) -> None:
    async with logs(database, master, PLACES) as several:
        applications = [Application(log) for log in several]
        await sign_up(applications[0], "account-1")
        await asyncio.gather(
            *(
                applications[nth % PLACES].execute(metadata(), ACCOUNT, "account-1", add_label, label=str(nth))
                for nth in range(50)
            )
        )
        state = (await applications[0].load(ACCOUNT, "account-1")).state
        row = await accounts.get_by_stream(several[1].reads, "account-1")
    assert [label.partition("-")[0] for label in state.labels] == [str(nth) for nth in range(50)]
    assert {label.partition("-")[2] for label in state.labels} == {str(nth) for nth in range(50)}
    assert tuple(row.labels) == state.labels
    assert stored(database, "account-1") == list(range(1, 52))


async def test_a_refusal_is_never_decided_from_an_old_state(database: str, master: MasterKey) -> None:
    async with logs(database, master, 2) as several:
        one, other = map(Application, several)
        await sign_up(one, "account-1")
        await one.execute(metadata(), ACCOUNT, "account-1", commands.change_name, name="Ann")
        await other.execute(metadata(), ACCOUNT, "account-1", commands.change_name, name="Bob")
        # ``one`` remembers Ann: "nothing changes" would be wrong.
        outcome = await one.execute(metadata(), ACCOUNT, "account-1", commands.change_name, name="Ann")
        assert (outcome.version, len(outcome.recorded), outcome.state.name) == (4, 1, "Ann")
        await other.execute(metadata(), ACCOUNT, "account-1", commands.delete_account)
        with pytest.raises(UserNotFound):
            await one.execute(metadata(), ACCOUNT, "account-1", commands.change_name, name="Eve")
        with pytest.raises(UserNotFound):
            await one.execute(metadata(), ACCOUNT, "account-1", commands.delete_account)


class Watched(EventLog):
    """A log that notes what is asked of it."""

    def __init__(self, conninfo: str, master: MasterKey) -> None:
        super().__init__(conninfo, master, projections.ALL)
        self.asked: list[object] = []

    async def append(self, append: Append) -> tuple[Recorded[Event], ...]:
        self.asked.append("append")
        return await super().append(append)

    async def load(self, stream: str, *, after: int = 0, until: int | None = None) -> Sequence[Recorded[Event]]:
        self.asked.append(after)
        return await super().load(stream, after=after, until=until)


async def test_what_another_process_wrote_is_read_and_nothing_else(database: str, master: MasterKey) -> None:
    async with logs(database, master, 1) as (log,):
        other = Application(log)
        watched = Watched(database, master)
        await watched.start()
        try:
            one = Application(watched)
            await sign_up(one, "account-1")
            for nth in range(3):
                await other.execute(metadata(), ACCOUNT, "account-1", add_label, label=str(nth))
            watched.asked.clear()
            await one.execute(metadata(), ACCOUNT, "account-1", add_label, label="mine")
            assert watched.asked == ["append", 1, "append"], "from memory first, then with what came since"

            await other.execute(metadata(), ACCOUNT, "account-1", add_label, label="another")
            watched.asked.clear()
            one.saw("account-1", 6)
            await one.execute(metadata(), ACCOUNT, "account-1", add_label, label="mine")
            assert watched.asked == [5, "append"], "a read model had shown it"

            watched.asked.clear()
            one.saw("account-1", 7)
            await one.execute(metadata(), ACCOUNT, "account-1", add_label, label="mine")
            assert watched.asked == ["append"]
        finally:
            await watched.stop()


# T31 ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["email", "phone", "account_id"])
async def test_T31_two_hundred_parallel_sign_ups_with_one_value_make_one_account(
    database: str, master: MasterKey, field: str
) -> None:
    value = {"email": "ann@example.org", "phone": "+4930901820", "account_id": "ann"}[field]
    async with logs(database, master, PLACES) as several:
        applications = [Application(log) for log in several]
        outcomes = await asyncio.gather(
            *(sign_up(applications[nth % PLACES], f"account-{nth}", **{field: value}) for nth in range(200)),
            return_exceptions=True,
        )
    assert outcomes_of(outcomes) == {"UserAlreadyExists": 199, "stored": 1}
    assert rows(database, "SELECT count(*) FROM read.accounts_v2") == [(1,)]
    assert rows(database, "SELECT count(DISTINCT stream) FROM log.claims") == [(1,)]
    assert rows(database, "SELECT count(*) FROM log.subject_keys WHERE NOT starts_with(subject, 'origins-')") == [(1,)]


async def test_T31_an_address_that_is_freed_and_taken_again_and_again_never_has_two_holders(
    database: str, master: MasterKey
) -> None:
    chance = random.Random(31)
    async with logs(database, master, PLACES) as several:
        applications = [Application(log) for log in several]

        async def live(nth: int) -> int:
            lives = 0
            for turn in range(12):
                stream = f"account-{nth}-{turn}"
                email = f"{chance.randrange(3)}@example.org"
                try:
                    await sign_up(chance.choice(applications), stream, email=email)
                except UserAlreadyExists:
                    continue
                lives += 1
                await chance.choice(applications).execute(metadata(), ACCOUNT, stream, commands.delete_account)
            return lives

        assert sum(await asyncio.gather(*(live(nth) for nth in range(30)))) > 30

        holders: dict[Claim, str] = {}
        states: dict[str, Account] = {}
        history = rows(
            database, "SELECT originator_id, originator_version FROM log.accounts_events ORDER BY notification_id"
        )
        streams = {stream: await several[0].load(stream) for stream, _ in history}
        for stream, version in history:
            event: Recorded = streams[stream][version - 1]
            before = states.get(stream, ACCOUNT.initial)
            states[stream] = after = ACCOUNT.fold([event], before)
            for claim in ACCOUNT.claims(after) - ACCOUNT.claims(before):
                assert holders.setdefault(claim, stream) == stream
            for claim in ACCOUNT.claims(before) - ACCOUNT.claims(after):
                del holders[claim]
    assert holders == {}
    assert rows(database, "SELECT count(*) FROM log.claims") == [(0,)]


# T32 ------------------------------------------------------------------------------------------------------------------


async def test_T32_a_reader_that_follows_the_log_sees_every_event_once_and_in_order(
    database: str, master: MasterKey
) -> None:
    chance = random.Random(32)
    ending = asyncio.Event()
    seen: list[int] = []

    async def follow(connection: psycopg.AsyncConnection) -> None:
        done = False
        while not done:
            done = ending.is_set()
            cursor = await connection.execute(
                "SELECT notification_id FROM log.accounts_events WHERE notification_id > %s ORDER BY notification_id",
                (seen[-1] if seen else 0,),
            )
            seen.extend([position for (position,) in await cursor.fetchall()])

    async def abort(connection: psycopg.AsyncConnection) -> None:
        """Takes positions and gives them up, sometimes after a while."""
        nth = 0
        while not ending.is_set():
            nth += 1
            async with connection.transaction(force_rollback=True):
                await connection.execute(
                    f"""SELECT log.append(ARRAY[0], ARRAY['account-abort-{nth}'], ARRAY[1]::bigint[], ARRAY['t'],
                        ARRAY['x'::bytea], ARRAY['p'], ARRAY[now()], ARRAY['a'], ARRAY['o'], ARRAY['r'], ARRAY['c'],
                        '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')
                    """.encode()
                )
                await asyncio.sleep(chance.choice((0, 0, 0.005)))
            await asyncio.sleep(chance.uniform(0, 0.01))

    async def write(log: EventLog, nth: int) -> None:
        await log.append(beginning(log, f"account-{nth}"))
        for version in range(2, 12):
            await log.append(labels(f"account-{nth}", version, "x"))

    connecting = (psycopg.AsyncConnection.connect(database, autocommit=True) for _ in range(3))
    follower, aborter, idler = await asyncio.gather(*connecting)
    async with logs(database, master, PLACES) as several, follower, aborter, idler:
        # Somebody looks around and then does nothing for the rest of the test.
        await idler.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await idler.execute("SELECT count(*) FROM log.accounts_events")
        await idler.execute("CREATE TEMPORARY TABLE t (x int)")
        background = asyncio.gather(follow(follower), abort(aborter))
        await asyncio.gather(*(write(several[nth % PLACES], nth) for nth in range(60)))
        ending.set()
        await background
        await idler.execute("ROLLBACK")
    everything = [
        position for (position,) in rows(database, "SELECT notification_id FROM log.accounts_events ORDER BY 1")
    ]
    assert len(everything) == 60 * 11
    assert seen == everything


async def test_T32_T33_a_writer_that_idles_in_its_transaction_delays_the_others_and_loses_nothing(
    log: EventLog, database: str
) -> None:
    await log.append(beginning(log, "account-1"))
    with closing(connect_sync(database)) as idler:
        idler.execute("SET idle_in_transaction_session_timeout = '500ms'")
        idler.execute("BEGIN")
        idler.execute(
            """SELECT log.append(ARRAY[0], ARRAY['account-1'], ARRAY[2]::bigint[], ARRAY['account.accessed'],
               ARRAY['x'::bytea], ARRAY['p'], ARRAY[now()], ARRAY['a'], ARRAY['o'], ARRAY['r'], ARRAY['c'],
               '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')"""
        )
        waiting = asyncio.create_task(log.append(labels("account-1", 2, "ours")))
        await until(lambda: advisory_locks(database, granted=False) > 0)
        assert not waiting.done()
        # PostgreSQL ends the idle session, so its event was never there and ours is.
        (recorded,) = await waiting
    assert recorded.stream_version == 2
    assert [type(each.event) for each in await log.load("account-1")][1:] == [LabelAdded]


# Queue, cancellation, idempotency -------------------------------------------------------------------------------------


async def test_a_full_queue_sheds_and_keeps_what_it_has(
    log: EventLog, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_QUEUE", 10)
    outcomes = await asyncio.gather(
        *(log.append(beginning(log, f"account-{nth}")) for nth in range(50)), return_exceptions=True
    )
    refused = [each for each in outcomes if isinstance(each, LogBusy)]
    assert (len(outcomes) - len(refused), len(refused)) == (10, 40)
    assert rows(database, "SELECT count(*) FROM log.accounts_events") == [(10,)]
    assert rows(database, "SELECT count(*) FROM log.subject_keys WHERE NOT starts_with(subject, 'origins-')") == [(10,)]
    assert log.recorder._queued_bytes == 0


async def test_a_queue_full_of_bytes_sheds_too(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_QUEUE_BYTES", 100)
    with pytest.raises(LogBusy):
        await log.append(beginning(log, "account-1"))


async def test_a_server_at_its_limit_says_so_and_forgets_the_key_it_made(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_QUEUE", 0)
    with pytest.raises(GeneralServiceUnavailable):
        await sign_up(application, "account-1")
    assert application.log.keys.get("account-1") is None
    monkeypatch.undo()
    await sign_up(application, "account-1")


async def test_a_request_that_is_cancelled_does_not_cancel_its_append(application: Application, database: str) -> None:
    several = [asyncio.create_task(sign_up(application, f"account-{nth}", email=f"{nth}@b.co")) for nth in range(20)]
    await until(lambda: len(application.log.recorder._queue) > 0 or all(each.done() for each in several))
    for each in several:
        each.cancel()
    await asyncio.gather(*several, return_exceptions=True)
    await sign_up(application, "account-last")
    recorded = {stream for (stream,) in rows(database, "SELECT DISTINCT originator_id FROM log.accounts_events")}
    keys = {
        stream
        for (stream,) in rows(
            database, "SELECT subject FROM log.subject_keys WHERE NOT starts_with(subject, 'origins-')"
        )
    }
    assert recorded == keys
    assert len(recorded) > 1, "the writer had begun before they were cancelled"
    for stream in recorded:
        state = (await application.load(ACCOUNT, stream)).state
        assert state.account_id == stream.removeprefix("account-")


async def test_cancelled_writers_of_one_account_leave_no_turn_behind_and_lose_nothing(
    application: Application, database: str
) -> None:
    chance = random.Random(5)
    await sign_up(application, "account-1")

    async def impatient(nth: int) -> bool:
        writing = asyncio.create_task(application.execute(metadata(), ACCOUNT, "account-1", add_label, label=str(nth)))
        done, _ = await asyncio.wait({writing}, timeout=chance.choice((0, 0.001, 0.005, 5)))
        if not done:
            writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        return not writing.cancelled()

    told = await asyncio.gather(*(impatient(nth) for nth in range(100)))
    await application.execute(metadata(), ACCOUNT, "account-1", add_label, label="last")
    state = (await application.load(ACCOUNT, "account-1")).state
    assert [label.partition("-")[0] for label in state.labels] == [str(nth) for nth in range(len(state.labels))]
    there = {label.partition("-")[2] for label in state.labels}
    assert {str(nth) for nth, heard in enumerate(told) if heard} <= there
    assert len(there) == len(state.labels)
    assert application._turns._waiting == {}, "nothing grows with the number of accounts"


async def test_T34_a_command_sent_twice_with_one_key_is_carried_out_once(application: Application) -> None:
    await sign_up(application, "account-1")
    key = Besides(IdempotencyKey(b"key", b"fingerprint"))

    async def once(label: str) -> None:
        await application.execute_with(metadata(), key, ACCOUNT, "account-1", add_label, label=label)

    outcomes = await asyncio.gather(*(once(str(nth)) for nth in range(10)), return_exceptions=True)
    assert outcomes_of(outcomes) == {"GeneralIdempotencyKeyReused": 9, "stored": 1}
    assert len((await application.load(ACCOUNT, "account-1")).state.labels) == 1
    with pytest.raises(GeneralIdempotencyKeyReused):
        await once("again")


async def test_T34_the_key_of_a_refused_command_stays_free(application: Application) -> None:
    key = Besides(IdempotencyKey(b"key", b"fingerprint"))
    await sign_up(application, "account-1", email="a@b.co")

    async def keyed(stream: str, email: str) -> None:
        await application.execute_with(
            metadata(),
            key,
            ACCOUNT,
            stream,
            commands.sign_up,
            account_id=stream,
            email=email,
            email_target_id=f"t-{stream}",
        )

    with pytest.raises(UserAlreadyExists):
        await keyed("account-2", "a@b.co")
    await keyed("account-2", "c@d.co")
    with pytest.raises(Refusal):
        await keyed("account-3", "e@f.co")


async def test_stopping_writes_what_is_queued_and_refuses_what_comes_later(database: str, master: MasterKey) -> None:
    async with logs(database, master) as (log,):
        several = [asyncio.create_task(log.append(beginning(log, f"account-{nth}"))) for nth in range(300)]
        await until(lambda: len(log.recorder._queue) > 0)
        await log.recorder.stop()
        outcomes = await asyncio.gather(*several, return_exceptions=True)
        assert {type(each) for each in outcomes} == {tuple}
        with pytest.raises(LogBusy):
            await log.append(beginning(log, "account-late"))
    assert rows(database, "SELECT count(*) FROM log.accounts_events") == [(300,)]
