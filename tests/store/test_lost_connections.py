"""A connection lost at the worst moment: what was committed is acknowledged, once; what was not is not."""

import asyncio
import random
import re
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

import projections
from accounts_es.adapters.embedded_postgres import EmbeddedPostgres
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.events import AccountEvent, LabelAdded
from accounts_es.domain.errors import GeneralServiceUnavailable
from accounts_es.eventstore import recorder
from accounts_es.eventstore.append import Conflict, LogBusy
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.migrate import migrate
from accounts_es.eventstore.reader import ReadsClosed
from tests.support.appends import advisory_locks, beginning, labels, logs, rows, stored
from tests.support.metadata import metadata
from tests.support.proxy import Cut, Proxy
from tests.support.waiting import until

UNAVAILABLE = (GeneralServiceUnavailable, LogBusy, ReadsClosed, psycopg.OperationalError)


@pytest_asyncio.fixture
async def proxy(database: str) -> AsyncIterator[Proxy]:
    async with Proxy(database) as between:
        yield between


@pytest_asyncio.fixture
async def log(proxy: Proxy, master: MasterKey) -> AsyncIterator[EventLog]:
    """A log behind the proxy."""
    async with logs(proxy.conninfo, master) as (one,):
        yield one


def add_two_labels(account: Account, *, name: str) -> Iterator[AccountEvent]:
    """Not idempotent, and not to be halved: carried out twice or by half it shows."""
    yield LabelAdded(label=f"{name}-a")
    yield LabelAdded(label=f"{name}-b")


def waits_for_the_append_lock(conninfo: str) -> bool:
    return advisory_locks(conninfo, granted=False) > 0


async def test_T28_a_commit_whose_answer_is_lost_is_recognised(proxy: Proxy, log: EventLog, database: str) -> None:
    proxy.cut = Cut.ANSWER_LOST
    several = [log.append(beginning(log, f"account-{nth}", LabelAdded(label="x"))) for nth in range(5)]
    recorded = await asyncio.gather(*several)
    assert proxy.cuts == 1
    assert [[each.stream_version for each in events] for events in recorded] == [[1, 2]] * 5
    positions = rows(database, "SELECT originator_id, notification_id FROM log.accounts_events")
    assert sorted(positions) == sorted((each.stream, each.position) for events in recorded for each in events)


async def test_T28_a_commit_that_never_arrived_is_sent_again(proxy: Proxy, log: EventLog, database: str) -> None:
    proxy.cut = Cut.REQUEST_LOST
    await log.append(beginning(log, "account-1", LabelAdded(label="x")))
    assert proxy.cuts == 1
    assert stored(database, "account-1") == [1, 2]


async def test_T28_a_commit_that_arrives_after_we_looked_for_it_is_recognised(
    proxy: Proxy, log: EventLog, database: str
) -> None:
    proxy.cut = Cut.REQUEST_LATE
    appending = asyncio.create_task(log.append(beginning(log, "account-1", LabelAdded(label="x"))))
    await until(lambda: waits_for_the_append_lock(database))
    proxy.deliver()
    assert [each.stream_version for each in await appending] == [1, 2]
    assert stored(database, "account-1") == [1, 2]
    assert rows(database, "SELECT version, labels FROM read.accounts_v2") == [(2, ["x"])]


async def test_a_version_somebody_else_took_while_the_connection_was_lost_is_a_conflict(
    proxy: Proxy, log: EventLog, database: str, master: MasterKey
) -> None:
    async with logs(database, master) as (other,):
        await other.append(beginning(other, "account-1"))
        await log.load("account-1")
        proxy.cut = Cut.REQUEST_LOST
        lost = asyncio.create_task(log.append(labels("account-1", 2, "ours")))
        await until(lambda: proxy.cuts == 1)
        outcomes = await asyncio.gather(lost, other.append(labels("account-1", 2, "theirs")), return_exceptions=True)
        assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "tuple"]
    assert stored(database, "account-1") == [1, 2]


async def test_a_command_whose_answer_is_lost_is_carried_out_once(proxy: Proxy, log: EventLog) -> None:
    application = Application(log)
    proxy.cut = Cut.ANSWER_LOST
    await application.execute(metadata(), ACCOUNT, "account-1", commands.sign_up, account_id="a")
    outcome = await application.execute(metadata(), ACCOUNT, "account-1", add_two_labels, name="x")
    assert outcome.state.labels == ("x-a", "x-b")


async def test_a_database_that_stays_away_is_an_honest_refusal(
    proxy: Proxy, log: EventLog, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PATIENCE", 0.2)
    append = beginning(log, "account-1")
    proxy._server.close()
    log.recorder._connection.pgconn.finish()  # type: ignore[union-attr]
    with pytest.raises(LogBusy):
        await log.append(append)
    assert stored(database, "account-1") == []


async def test_a_connection_lost_again_and_again_ends_in_a_refusal(
    log: EventLog, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PATIENCE", 0.3)
    commit = log.recorder._commit

    async def losing(connection, group) -> None:
        await connection.close()
        await commit(connection, group)

    monkeypatch.setattr(log.recorder, "_commit", losing)
    with pytest.raises(LogBusy):
        await log.append(beginning(log, "account-1"))
    monkeypatch.undo()
    await log.append(beginning(log, "account-1"))
    assert stored(database, "account-1") == [1]


async def test_T33_an_append_lock_held_for_long_is_an_honest_refusal_for_all_who_wait(
    log: EventLog, database: str
) -> None:
    await log.recorder._connection.execute("SET lock_timeout = '300ms'")  # type: ignore[union-attr]
    with connect_sync(database) as holder, holder.transaction():
        lock = re.search(r"advisory_xact_lock\((\d+)\)", append_function(database))
        assert lock is not None
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (int(lock[1]),))
        several = [log.append(beginning(log, f"account-{nth}")) for nth in range(50)]
        began = asyncio.get_running_loop().time()
        outcomes = await asyncio.gather(*several, return_exceptions=True)
        assert {type(each) for each in outcomes} == {LogBusy}
        assert asyncio.get_running_loop().time() - began < 5
    await log.append(beginning(log, "account-1"))


def append_function(conninfo: str) -> str:
    return rows(conninfo, "SELECT prosrc FROM pg_proc WHERE proname = 'append'")[0][0]


# Under load -----------------------------------------------------------------------------------------------------------


class Load:
    """Writers that note what was acknowledged to them, and the proof that the log says the same."""

    def __init__(self, conninfo: str, master: MasterKey) -> None:
        self.conninfo = conninfo
        self.master = master
        self.acknowledged: set[str] = set()
        self.refused = 0
        self.ending = False

    async def run(self, applications: list[Application], writers: int) -> None:
        await asyncio.gather(*(self._writer(applications[nth % len(applications)], nth) for nth in range(writers)))

    async def _writer(self, application: Application, nth: int) -> None:
        turn = 0
        while not self.ending:
            turn += 1
            stream = f"account-{nth % 7}-{turn % 3}"
            name = f"{nth}-{turn}"
            try:
                await application.execute(metadata(), ACCOUNT, stream, add_two_labels, name=name)
            except UNAVAILABLE:
                self.refused += 1
            else:
                self.acknowledged.add(name)

    async def proof(self) -> None:
        async with logs(self.conninfo, self.master) as (log,):
            streams = [
                stream
                for (stream,) in rows(
                    self.conninfo, "SELECT subject FROM log.subject_keys WHERE NOT starts_with(subject, 'origins-')"
                )
            ]
            seen: list[str] = []
            for stream in streams:
                events = await log.load(stream)
                assert [each.stream_version for each in events] == list(range(1, len(events) + 1))
                seen += [each.event.label for each in events if isinstance(each.event, LabelAdded)]
        times = Counter(seen)
        assert set(times.values()) <= {1}, "nothing is there twice"
        halves = {label[:-2] for label in seen if label.endswith("-a")}
        assert halves == {label[:-2] for label in seen if label.endswith("-b")}, "nothing is there by half"
        assert self.acknowledged <= halves, "everything acknowledged is there"


async def test_T28_backends_killed_under_load_lose_nothing_and_store_nothing_twice(
    database: str, master: MasterKey
) -> None:
    async with logs(database, master, 2) as several:
        load = Load(database, master)
        writing = asyncio.create_task(load.run([Application(log) for log in several], 32))
        chance = random.Random(7)
        killed = 0
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as killer:
            while killed < 25:
                before = len(load.acknowledged)
                await until(lambda before=before: len(load.acknowledged) > before + 20)
                await asyncio.sleep(chance.uniform(0, 0.01))
                ended = await killer.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
                       AND application_name = 'accounts-es' ORDER BY random() LIMIT 1"""
                )
                killed += len(await ended.fetchall())
        load.ending = True
        await writing
    await load.proof()


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="aes-"))
    server = EmbeddedPostgres(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("how", ["stopped", "crashed"])
async def test_T28_a_database_restarted_under_load_makes_requests_wait_or_fail_and_loses_nothing(
    own_server: EmbeddedPostgres, master: MasterKey, how: str
) -> None:
    conninfo = own_server.start()
    with connect_sync(conninfo, as_app=False) as owner:
        migrate(owner, master, projections.ALL)
    async with logs(conninfo, master, 2) as several:
        load = Load(conninfo, master)
        writing = asyncio.create_task(load.run([Application(log) for log in several], 24))
        for _ in range(2):
            before = len(load.acknowledged)
            await until(lambda before=before: len(load.acknowledged) > before + 100)
            if how == "crashed":
                own_server._process.send_signal(signal.SIGQUIT)  # type: ignore[union-attr]
            await asyncio.to_thread(own_server.stop)
            assert await asyncio.to_thread(own_server.start) == conninfo
        before = len(load.acknowledged)
        await until(lambda: len(load.acknowledged) > before + 100)
        load.ending = True
        await writing
    await load.proof()


async def test_databases_of_one_new_cluster_are_migrated_at_once_from_everywhere(
    own_server: EmbeddedPostgres, master: MasterKey
) -> None:
    conninfo = own_server.start()
    names = [f"accounts_{nth}" for nth in range(4)]
    with psycopg.connect(conninfo, autocommit=True) as owner:
        for name in names:
            owner.execute(f"CREATE DATABASE {name}".encode())

    def migrated(name: str) -> list[str]:
        with connect_sync(psycopg.conninfo.make_conninfo(conninfo, dbname=name), as_app=False) as owner:
            return migrate(owner, master, projections.ALL)

    starts = [asyncio.to_thread(migrated, name) for _ in range(4) for name in names]
    assert await asyncio.gather(*starts) == [[]] * 16
    for name in names:
        async with logs(psycopg.conninfo.make_conninfo(conninfo, dbname=name), master) as (log,):
            await log.append(beginning(log, "account-1"))
            with pytest.raises(Conflict):
                await log.append(labels("account-1", 1, "x"))


async def test_a_session_ended_by_the_server_is_a_lost_connection(log: EventLog, database: str) -> None:
    pid = log.recorder._connection.info.backend_pid  # type: ignore[union-attr]
    rows(database, "SELECT pg_terminate_backend(%s, 5000)", pid)
    await log.append(beginning(log, "account-1"))
    assert log.recorder._connection.info.backend_pid != pid  # type: ignore[union-attr]
