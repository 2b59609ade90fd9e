"""The eventsourcing library reads and writes the server's log, and the server the library's."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise

import psycopg
import pytest
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import IntegrityError, OperationalError, ProgrammingError
from psycopg.conninfo import make_conninfo

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import (
    AccountDeleted,
    LabelAdded,
    NameChanged,
    PrefsUpdated,
    SignedUp,
    TargetAdded,
)
from accounts_es.domain.errors import UserAlreadyExists
from accounts_es.domain.event import Event, Metadata, Recorded
from accounts_es.domain.security.events import AccessDenied
from accounts_es.eventstore.append import ClaimTaken, Conflict
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.library import Accounts, projector
from accounts_es.eventstore.rebuild import verify
from projections import accounts
from tests.support.proxy import Cut, Proxy

Meta = Callable[..., Metadata]


@pytest.fixture
def library(database: str, master: MasterKey) -> Iterator[Accounts]:
    """The library's application on the test's database."""
    app = Accounts(database, master, projections.ALL)
    try:
        yield app
    finally:
        app.close()


def sign_up(library: Accounts, meta: Meta, stream: str, account_id: str, **fields: str) -> None:
    library.save(Recorded(stream, 1, SignedUp(account_id=account_id, **fields), meta()))


def query(conninfo: str, statement: str) -> list[tuple[object, ...]]:
    with connect_sync(conninfo, as_app=False) as owner:
        return owner.execute(statement.encode()).fetchall()


# Reading --------------------------------------------------------------------------------------------------------------


async def test_the_library_reads_what_the_server_wrote(application: Application, library: Accounts, meta: Meta) -> None:
    await application.execute(meta(), ACCOUNT, "account-1", commands.sign_up, account_id="jane", name="Jane")
    await application.execute(meta(), ACCOUNT, "account-1", commands.update_prefs, prefs={"a": 1})
    state = library.state(ACCOUNT, "account-1")
    assert (state.account_id, state.name, state.prefs) == ("jane", "Jane", {"a": 1})
    project = projector(ACCOUNT)
    assert library.repository.get("account-1", projector_func=project) == state
    assert library.repository.get("account-1", version=1, projector_func=project).prefs == {}
    with pytest.raises(AggregateNotFoundError):
        library.repository.get("account-2", projector_func=project)
    notifications = library.notification_log.select(start=1, limit=10)
    assert [each.topic for each in notifications] == ["account.signed_up", "account.prefs_updated"]
    assert [library.mapper.to_domain_event(each).position for each in notifications] == [1, 2]  # type: ignore[attr-defined]


async def test_an_event_without_its_key_reads_as_erased(library: Accounts, database: str, meta: Meta) -> None:
    sign_up(library, meta, "account-1", "jane")
    library.save(Recorded("account-1", 2, PrefsUpdated(prefs={"secret": "x"}), meta()))
    query(database, "DELETE FROM log.subject_keys RETURNING 1")
    library.keys.forget("account-1")
    events: list[Recorded[Event]] = list(library.events.get("account-1"))  # type: ignore[arg-type]
    assert all(each.erased for each in events)
    assert "jane" not in repr(events)


# Writing --------------------------------------------------------------------------------------------------------------


async def test_the_server_reads_what_the_library_wrote(application: Application, library: Accounts, meta: Meta) -> None:
    sign_up(library, meta, "account-1", "jane")
    library.save(Recorded("account-1", 2, NameChanged(name="Jane"), meta()))
    row = await accounts.get(application.log.reads, "default", "jane")
    assert (row.name, row.position) == ("Jane", 1)
    outcome = await application.execute(meta(), ACCOUNT, "account-1", commands.update_prefs, prefs={"b": 2})
    assert outcome.version == 3


async def test_a_save_leaves_what_an_append_of_the_server_leaves(
    application: Application, library: Accounts, database: str, master: MasterKey, meta: Meta
) -> None:
    one = {"account_id": "jane", "email": "jane@example.org", "name": "Jane"}
    await application.execute(meta(), ACCOUNT, "account-s", commands.sign_up, **one, email_target_id="t")
    target = TargetAdded(target_id="u", provider_type="email", identifier="joe@example.org")
    two = {"account_id": "joe", "email": "joe@example.org", "name": "Joe"}
    recordings = library.save(
        Recorded("account-l", 1, SignedUp(**two), meta()), Recorded("account-l", 2, target, meta())
    )
    assert [each.notification.id for each in recordings] == [3, 4]
    columns = "project_id, recorded_at, actor, operation, request_id, correlation_id"
    assert len(query(database, f"SELECT DISTINCT {columns} FROM log.accounts_events")) == 1
    for what in ("log.claims WHERE stream", "log.subject_keys WHERE subject"):
        counts = [query(database, f"SELECT count(*) FROM {what} = 'account-{each}'") for each in "sl"]
        assert counts[0] == counts[1] != [(0,)]
    assert verify(database, master, projections.ALL)[1] is None


async def test_claims_follow_the_state_whoever_writes(
    application: Application, library: Accounts, database: str, meta: Meta
) -> None:
    sign_up(library, meta, "account-1", "jane", email="jane@example.org")
    with pytest.raises(UserAlreadyExists):
        await application.execute(meta(), ACCOUNT, "account-2", commands.sign_up, account_id="jane")
    library.save(Recorded("account-1", 2, AccountDeleted(), meta()))
    assert query(database, "SELECT count(*) FROM log.claims") == [(0,)]
    await application.execute(meta(), ACCOUNT, "account-2", commands.sign_up, account_id="jane")


def test_several_streams_are_saved_together_or_not_at_all(library: Accounts, database: str, meta: Meta) -> None:
    sign_up(library, meta, "account-1", "jane")
    event = Recorded("account-2", 1, SignedUp(account_id="joe"), meta())
    with pytest.raises(IntegrityError):
        library.save(event, Recorded("account-3", 1, SignedUp(account_id="jane"), meta()))
    assert query(database, "SELECT count(*) FROM log.accounts_events") == [(1,)]
    denied = AccessDenied(operation="users.list", reason="no")
    library.save(event, Recorded("security-default-2026-03-14", 1, denied, meta()))
    assert query(database, "SELECT count(*) FROM log.accounts_events") == [(3,)]


def test_the_library_meets_the_same_refusals(library: Accounts, meta: Meta) -> None:
    sign_up(library, meta, "account-1", "jane")
    with pytest.raises(IntegrityError) as taken:
        sign_up(library, meta, "account-2", "jane")
    assert isinstance(taken.value.__cause__, ClaimTaken)
    with pytest.raises(IntegrityError) as stale:
        library.save(Recorded("account-1", 1, NameChanged(name="x"), meta()))
    assert isinstance(stale.value.__cause__, Conflict)
    with pytest.raises(IntegrityError, match="versions must go on"):
        library.save(Recorded("account-1", 4, LabelAdded(label="x"), meta()))
    with pytest.raises(ProgrammingError):
        library.recorder.insert_events(
            [library.mapper.to_stored_event(Recorded("account-1", 2, NameChanged(name="x"), meta()))]
        )


async def test_T32_a_subscriber_misses_nothing_that_server_and_library_write_together(
    application: Application, library: Accounts, meta: Meta
) -> None:
    seen: list[int] = []
    expected = 2 * 60
    done = threading.Event()

    def follow() -> None:
        with library.recorder.subscribe(gt=0) as subscription:
            for notification in subscription:
                seen.append(notification.id)
                if len(seen) == expected:
                    done.set()
                    return

    def write() -> None:
        for nth in range(60):
            sign_up(library, meta, f"account-library-{nth}", f"l{nth}")

    follower = threading.Thread(target=follow)
    follower.start()
    writer = asyncio.to_thread(write)
    signing_up = [
        application.execute(meta(), ACCOUNT, f"account-server-{nth}", commands.sign_up, account_id=f"s{nth}")
        for nth in range(60)
    ]
    await asyncio.gather(writer, *signing_up)
    assert await asyncio.to_thread(done.wait, 30)
    follower.join()
    assert all(earlier < later for earlier, later in pairwise(seen))
    assert len(set(seen)) == expected


# What the library does by itself, and must not here -------------------------------------------------------------------


@pytest.fixture
async def proxy(database: str) -> AsyncIterator[Proxy]:
    """A way to the database that can be cut."""
    async with Proxy(database) as between:
        yield between


@pytest.mark.parametrize(("cut", "stored"), [(Cut.ANSWER_LOST, 1), (Cut.REQUEST_LOST, 0)])
async def test_T28_a_save_whose_commit_is_lost_says_what_became_of_it(
    proxy: Proxy, database: str, master: MasterKey, meta: Meta, cut: Cut, stored: int
) -> None:
    def save() -> list[int]:
        library = Accounts(proxy.conninfo, master, projections.ALL)
        try:
            proxy.cut = cut
            event = Recorded("account-1", 1, SignedUp(account_id="jane"), meta())
            return [each.notification.id for each in library.save(event)]
        finally:
            library.close()

    if stored:
        assert await asyncio.to_thread(save) == [1]
    else:
        with pytest.raises(OperationalError):
            await asyncio.to_thread(save)
    assert proxy.cuts == 1
    for table in ("log.accounts_events", "log.claims", "log.subject_keys", "read.accounts_v2"):
        assert query(database, f"SELECT count(*) FROM {table}") == [(stored,)]


def test_variables_of_the_process_do_not_change_the_storage_format(
    database: str, master: MasterKey, meta: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    strays = {
        "COMPRESSOR_TOPIC": "zlib",
        "CIPHER_TOPIC": "eventsourcing.cipher:AESCipher",
        "POSTGRES_SCHEMA": "public",
        "POSTGRES_DBNAME": "elsewhere",
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
        "CREATE_TABLE": "y",
        "IS_SNAPSHOTTING_ENABLED": "y",
        "PERSISTENCE_MODULE": "eventsourcing.popo",
    }
    for name, value in strays.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(f"ACCOUNTS_{name}", value)
    library = Accounts(database, master, projections.ALL)
    try:
        sign_up(library, meta, "account-1", "jane")
    finally:
        library.close()
    states = query(database, "SELECT convert_from(state, 'UTF8')::jsonb -> 'v' FROM log.accounts_events")
    assert states == [(1,)]
    assert query(database, "SELECT to_regproc('log.es_insert_events_text')") == [(None,)]


def test_the_whole_connection_string_counts(database: str, master: MasterKey) -> None:
    library = Accounts(make_conninfo(database, application_name="library", connect_timeout=3), master, ())
    try:
        with library.recorder.datastore.get_connection() as connection:  # type: ignore[attr-defined]
            given = psycopg.conninfo.conninfo_to_dict(connection.info.dsn)
        assert (given["application_name"], given["connect_timeout"]) == ("library", "3")
    finally:
        library.close()
