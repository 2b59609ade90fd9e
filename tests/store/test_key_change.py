"""Another master key: what was stored goes on as it was, and the former key opens nothing and adds nothing."""

import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import NameChanged, SignedUp
from accounts_es.domain.event import Recorded
from accounts_es.erasures import Erasures
from accounts_es.eventstore import key_change
from accounts_es.eventstore import log as log_module
from accounts_es.eventstore.append import ClaimTaken, IdempotencyKey, LogBusy
from accounts_es.eventstore.audit import Wanted, find_stream, records
from accounts_es.eventstore.certificates import facts
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.key_change import InUse, KeysBroken, change
from accounts_es.eventstore.keys import KeyRing, MasterKey, WrongMasterKey
from accounts_es.eventstore.ledger.note import public_key
from accounts_es.eventstore.library import Accounts
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.migrate import migrate
from accounts_es.eventstore.reader import ReadsClosed
from accounts_es.eventstore.rebuild import verify
from accounts_es.http.idempotency import KEEP
from tests.support.appends import beginning, following, labels, logs, rows, stored, taking
from tests.support.metadata import metadata
from tests.support.proxy import Proxy
from tests.support.waiting import until

NEW = MasterKey(b"n" * 32)
SECRET = b"l" * 32
KEYS = "SELECT subject, wrapped FROM log.subject_keys ORDER BY 1"
CHECK = "SELECT sealed, digests, mark FROM log.key_check"


def rotate(database: str, master: MasterKey, new: MasterKey = NEW) -> int:
    return change(database, master, new, lambda _done, _total: None)


async def people(database: str, master: MasterKey, count: int = 3) -> None:
    async with logs(database, master) as (log,):
        for nth in range(count):
            stream = f"account-{nth}"
            claim = taking(stream, "account.email", f"{nth}@example.org")
            await log.append(beginning(log, stream, claims=(claim,), name=f"Name {nth}"))


async def name_of(log: EventLog, stream: str) -> str | None:
    signed_up = (await log.load(stream))[0].event
    assert isinstance(signed_up, SignedUp)
    return signed_up.name


async def refused_as_taken(log: EventLog, email: str) -> None:
    append = beginning(log, "account-9", claims=(taking("account-9", "account.email", email),))
    with pytest.raises(ClaimTaken):
        await log.append(append)


@pytest.fixture
def two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_change, "_BATCH", 2)


@pytest.mark.usefixtures("two_at_a_time")
async def test_everything_goes_on_under_the_new_key(database: str, master: MasterKey) -> None:
    await people(database, master)
    digests = rows(database, "SELECT kind, digest FROM log.claims ORDER BY 2")
    told: list[tuple[int, int]] = []
    count = change(database, master, NEW, lambda done, total: told.append((done, total)))
    assert count == len(rows(database, KEYS)) >= 3
    assert told[-1] == (count, count)
    assert len(told) > 1
    async with logs(database, NEW) as (log,):
        assert [await name_of(log, f"account-{nth}") for nth in range(3)] == ["Name 0", "Name 1", "Name 2"]
        with pytest.raises(ClaimTaken):
            await log.append(
                beginning(log, "account-9", claims=(taking("account-9", "account.email", "1@example.org"),))
            )
        await log.append(following("account-1", 3, NameChanged(name="Later")))
        await log.append(beginning(log, "account-4", name="New"))
    async with logs(database, NEW) as (log,):
        assert await name_of(log, "account-4") == "New"
    assert rows(database, "SELECT kind, digest FROM log.claims ORDER BY 2") == digests
    _, difference = verify(database, NEW, projections.ALL)
    assert difference is None
    with connect_sync(database, as_app=False) as owner:
        migrate(owner, NEW, projections.ALL)
        said = [each.data.get("name") for each in records(owner, NEW, Wanted(stream="account-1"))]
        assert said[0] == "Name 1"
        assert said[-1] == "Later"


async def test_it_can_be_changed_again_and_back(database: str, master: MasterKey) -> None:
    await people(database, master, 1)
    third = MasterKey(b"t" * 32)
    for former, new in ((master, NEW), (NEW, third), (third, master)):
        rotate(database, former, new)
        async with logs(database, new) as (log,):
            assert await name_of(log, "account-0") == "Name 0"
            await refused_as_taken(log, "0@example.org")
        with pytest.raises(WrongMasterKey, match="belongs to another one"):
            async with logs(database, former):
                pass


async def test_accounts_are_found_by_their_id_and_the_library_goes_on(database: str, master: MasterKey) -> None:
    async with logs(database, master) as (log,):
        await Application(log).execute(metadata(), ACCOUNT, "account-1", commands.sign_up, account_id="jane")
    rotate(database, master)
    with connect_sync(database, as_app=False) as owner:
        assert find_stream(owner, NEW, "default", "jane") == "account-1"
        with pytest.raises(WrongMasterKey):
            find_stream(owner, master, "default", "jane")
    with pytest.raises(WrongMasterKey):
        Accounts(database, master, projections.ALL)
    library = Accounts(database, NEW, projections.ALL)
    try:
        assert library.state(ACCOUNT, "account-1").account_id == "jane"
        library.save(Recorded("account-2", 1, SignedUp(account_id="joe"), metadata()))
        with pytest.raises(InUse):
            rotate(database, NEW, master)
    finally:
        library.close()
    async with logs(database, NEW) as (log,):
        assert [each.erased for each in await log.load("account-2")] == [False]


async def test_a_former_key_cannot_migrate_or_rebuild(database: str, master: MasterKey) -> None:
    rotate(database, master)
    with connect_sync(database, as_app=False) as owner, pytest.raises(WrongMasterKey, match="belongs to another one"):
        migrate(owner, master, projections.ALL)
    with pytest.raises(WrongMasterKey):
        verify(database, master, projections.ALL)
    with pytest.raises(WrongMasterKey):
        rotate(database, master, MasterKey(b"t" * 32))


async def test_the_present_key_is_no_new_one(database: str, master: MasterKey) -> None:
    before = rows(database, CHECK)
    with pytest.raises(WrongMasterKey, match="is the present one"):
        rotate(database, master, MasterKey(b"k" * 32))
    assert rows(database, CHECK) == before


async def test_nothing_is_changed_while_somebody_works_on_the_database(
    log: EventLog, database: str, master: MasterKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append(beginning(log, "account-1", name="Ann"))
    monkeypatch.setattr(key_change, "_PARTING", 0.0)
    before = rows(database, KEYS), rows(database, CHECK)
    with pytest.raises(InUse, match="stop them; nothing was changed"):
        rotate(database, master)
    await log.append(beginning(log, "account-2", name="Joe"))
    assert (rows(database, KEYS)[:1], rows(database, CHECK)) == (before[0][:1], before[1])


async def test_nothing_is_changed_while_somebody_reads_the_keys(
    database: str, master: MasterKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_change, "_PATIENCE", "50ms")
    with psycopg.connect(database) as backup:
        backup.execute("SELECT FROM log.subject_keys")
        with pytest.raises(InUse, match="a backup"):
            rotate(database, master)
    rotate(database, master)


@pytest.mark.usefixtures("two_at_a_time")
async def test_keys_that_do_not_open_are_named_and_nothing_is_changed(database: str, master: MasterKey) -> None:
    await people(database, master)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(
            """UPDATE log.subject_keys SET wrapped = (SELECT wrapped FROM log.subject_keys WHERE subject = 'account-0')
               WHERE subject = 'account-1'"""
        )
    before = rows(database, KEYS), rows(database, CHECK)
    with pytest.raises(KeysBroken, match="the keys of account-1, which"):
        rotate(database, master)
    assert (rows(database, KEYS), rows(database, CHECK)) == before


async def test_answers_that_the_former_key_has_sealed_are_gone_and_their_requests_stay_known(
    database: str, master: MasterKey
) -> None:
    async with logs(database, master) as (log,):
        await log.append(beginning(log, "account-1", idempotency=IdempotencyKey(b"key", b"print")))
        await log.reads.fetch(KEEP, (log.keys.seal_answer("key", b"answer"), b"key"))
    rotate(database, master)
    assert rows(database, "SELECT key, fingerprint, answer FROM log.idempotency") == [(b"key", b"print", None)]


async def test_erasure_goes_on(database: str, master: MasterKey, tmp_path: Path) -> None:
    await people(database, master, 1)
    rotate(database, master)
    ((_, wrapped),) = [row for row in rows(database, KEYS) if row[0] == "account-0"]
    async with logs(database, NEW) as (log,):
        note = await Erasures(Application(log), SECRET, tmp_path).erase(
            metadata(at=datetime.now(UTC)), "account-0", "request"
        )
        assert all(each.erased for each in await log.load("account-0") if isinstance(each.event, SignedUp))
    ((origin,),) = rows(database, "SELECT origin FROM log.ledger")
    said = facts(note, origin, public_key(SECRET))
    assert said["key"] == f"sha256:{hashlib.sha256(bytes(wrapped)).hexdigest()}"
    assert rows(database, "SELECT 1 FROM log.subject_keys WHERE subject = 'account-0'") == []


@asynccontextmanager
async def cut_off(database: str, master: MasterKey) -> AsyncIterator[EventLog]:
    """A log that was cut off while the key was changed, and is let through again."""
    await people(database, master, 2)
    async with Proxy(database) as proxy, logs(proxy.conninfo, master) as (stale,):
        await stale.append(labels("account-0", 2, "before"))
        proxy.part()
        await until(lambda: not _connected(database))
        rotate(database, master)
        proxy.parted = False
        yield stale


async def test_whoever_was_cut_off_meanwhile_can_begin_nothing_with_the_former_key(
    database: str, master: MasterKey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_module, "FORGETTING", 600.0)
    async with cut_off(database, master) as stale:
        # What it knows is still true, and may be added to: data keys are what they were.
        await stale.append(labels("account-0", 3, "known"))
        # A stream of its own it cannot begin, and a key it does not hold it cannot open.
        with pytest.raises(LogBusy):
            await stale.append(beginning(stale, "account-9", claims=(taking("account-9", "account.email", "9@x.org"),)))
        assert "wrapped_by_the_master_key" in caplog.text, "the database refused the key"
        with pytest.raises(WrongMasterKey, match="was changed"):
            await stale.load("account-1")
    assert stored(database, "account-9") == []
    assert rows(database, "SELECT 1 FROM log.claims WHERE stream = 'account-9'") == []
    async with logs(database, NEW) as (log,):
        assert len(await log.load("account-0")) == 3


async def test_whoever_was_cut_off_meanwhile_notices_and_stops(
    database: str, master: MasterKey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_module, "FORGETTING", 0.05)
    async with cut_off(database, master) as stale:
        await until(lambda: any(each.levelno == logging.CRITICAL for each in caplog.records))
        await until(lambda: not _connected(database))
        with pytest.raises((LogBusy, ReadsClosed)):
            await stale.append(labels("account-0", 3, "late"))
    assert stored(database, "account-0") == [1, 2]


def _connected(database: str) -> bool:
    return bool(
        rows(
            database,
            """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
               AND starts_with(application_name, 'accounts-es')""",
        )
    )


async def test_a_database_of_before_keeps_its_digests(database: str, master: MasterKey) -> None:
    await people(database, master, 1)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("ALTER TABLE log.key_check DROP COLUMN digests, DROP COLUMN mark")
        owner.execute("DELETE FROM log.migrations WHERE name = '0013_master_key.sql'")
    with connect_sync(database, as_app=False) as owner:
        migrate(owner, master, projections.ALL)
    ((wrapped,),) = rows(database, "SELECT wrapped FROM log.subject_keys WHERE subject = 'account-0'")
    assert len(bytes(wrapped)) == 60, "what releases of before read as well, until the key is changed"
    rotate(database, master)
    async with logs(database, NEW) as (log,):
        await refused_as_taken(log, "0@example.org")
        keys = KeyRing(NEW)
        keys.add(dict(rows(database, "SELECT subject, wrapped FROM log.subject_keys")))
        assert keys.get("account-0") is not None
