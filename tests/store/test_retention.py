"""What is kept for a while goes when it is time, and so do its keys: nobody can read it, whoever asks (T60)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

import projections
from accounts_es.application import Application, Besides, step
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import NameChanged, SessionCreated, SignedUp
from accounts_es.domain.errors import UserNotFound
from accounts_es.domain.event import Actor, Event, Metadata, Recorded
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project import commands as project_commands
from accounts_es.domain.project.aggregate import project_stream
from accounts_es.domain.project.events import DetailsForgotten, PolicyChanged
from accounts_es.domain.security.events import AccessDenied, SignInRefused
from accounts_es.domain.team import TEAM
from accounts_es.domain.team import commands as team_commands
from accounts_es.domain.team.events import TeamCreated
from accounts_es.erasures import Erasures
from accounts_es.eventstore import log as log_module
from accounts_es.eventstore.activities import COLUMNS, EventRow
from accounts_es.eventstore.append import Append, IdempotencyKey
from accounts_es.eventstore.audit_record import Record
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.mapper import sealed_for
from accounts_es.eventstore.opening import Opening, answered
from accounts_es.eventstore.rebuild import verify
from accounts_es.http.idempotency import KEEP
from accounts_es.reactors import retention as retention_module
from accounts_es.reactors.retention import Retention
from accounts_es.security import Refusals
from tests.support.appends import beginning, following, logs, rows
from tests.support.examples import EXAMPLE_OF
from tests.support.metadata import metadata
from tests.support.waiting import until

SECRET = b"l" * 32
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
PROJECT_STREAM = project_stream("default")
PERSON = Actor(kind="account", id="account-1")


@pytest_asyncio.fixture
async def retention(application: Application, database: str, tmp_path: Path) -> AsyncIterator[Retention]:
    meta = metadata("test", at=NOW - timedelta(days=400))
    await application.execute(
        meta, PROJECT, PROJECT_STREAM, project_commands.create_project, project_id="default", name="Default"
    )
    yield Retention(application, Erasures(application, SECRET, tmp_path / "erasures"), database)


async def keep(application: Application, **days: int) -> None:
    await application.execute(
        metadata("test", at=NOW),
        PROJECT,
        PROJECT_STREAM,
        project_commands.change_policy,
        policy="retention",
        settings=days,
    )


def ago(days: int, **more: object) -> Metadata:
    return metadata(at=NOW - timedelta(days=days), **more)


async def read(database: str, master: MasterKey) -> list[Recorded[Event]]:
    """The whole log, as a process that has just started reads it."""
    stored = rows(
        database,
        "SELECT originator_id, originator_version, topic, state, notification_id FROM log.accounts_events ORDER BY 5",
    )
    async with logs(database, master) as (fresh,):
        return await fresh.decode(stored)


async def test_T60_where_things_came_from_goes_after_its_days_and_the_rest_stays(
    log: EventLog, application: Application, retention: Retention, database: str, master: MasterKey
) -> None:
    session = EXAMPLE_OF[SessionCreated]
    await log.append(beginning(log, "account-1", session, name="Ann", meta=ago(31)))
    await log.append(following("account-1", 3, NameChanged(name="Anna"), meta=ago(29)))
    assert rows(database, "SELECT ip <> '' FROM read.sessions_v2") == [(True,)]
    await retention.look(NOW)
    assert all(each.meta.ip for each in (await read(database, master)) if each.stream == "account-1"), (
        "nothing was said"
    )
    await keep(application, origins=30)
    await retention.look(NOW)
    await retention.look(NOW)
    found = [each for each in await read(database, master) if each.stream == "account-1"]
    assert [(each.meta.ip is None, each.meta.user_agent is None, each.erased) for each in found] == [
        (True, True, False),
        (True, True, False),
        (False, False, False),
    ]
    assert isinstance(found[2].event, NameChanged)
    assert found[2].event.name == "Anna"
    assert rows(database, "SELECT ip, user_agent FROM read.sessions_v2") == [("", "")]
    said = [each.event for each in await log.load(PROJECT_STREAM) if isinstance(each.event, DetailsForgotten)]
    assert said == [DetailsForgotten(kind="origins", before="2026-05-16")]
    _, difference = verify(database, master, projections.ALL)
    assert difference is None


async def test_T60_what_was_typed_when_somebody_was_refused_goes_after_its_days(
    log: EventLog, application: Application, retention: Retention, database: str, master: MasterKey
) -> None:
    await log.append(beginning(log, "account-1", name="Ann", meta=ago(40)))
    refusals = Refusals(log)
    for days in (31, 29):
        event = SignInRefused(method="password", reason="wrong", identifier=f"ann-{days}", account="account-1")
        await refusals.record(ago(days), event)
        await refusals.record(ago(days, actor=PERSON), AccessDenied(operation="users.get", reason="scope"))
    await keep(application, refusals=30)
    await retention.look(NOW)
    found = [each for each in await read(database, master) if each.stream.startswith("security-")]
    assert [each.event.identifier for each in found if isinstance(each.event, SignInRefused)] == ["", "ann-29"]
    assert [each.meta.ip is None for each in found] == [True, True, False, False]


async def test_T57_what_other_streams_hold_of_a_person_goes_with_the_person(
    log: EventLog, application: Application, database: str, master: MasterKey, tmp_path: Path
) -> None:
    await log.append(beginning(log, "account-1", name="Ann", meta=ago(1)))
    await Refusals(log).record(
        ago(1), SignInRefused(method="password", reason="wrong", identifier="ann@example.org", account="account-1")
    )
    await Refusals(log).record(ago(1, actor=PERSON), AccessDenied(operation="users.get", reason="scope"))
    team = Recorded("team-1", 1, TeamCreated(team_id="t", name="Anns"), ago(1, actor=PERSON))
    await log.append(Append((team,), (), (("team-1", log.keys.create("team-1")),)))
    before = [each for each in await read(database, master) if each.stream != "account-1"]
    assert all(each.meta.ip and each.meta.user_agent and not each.erased for each in before)
    await Erasures(application, SECRET, tmp_path).erase(metadata(), "account-1", "request")
    after = [each for each in await read(database, master) if each.stream != "account-1"]
    assert all(each.meta.ip is None and each.meta.user_agent is None for each in after)
    refused = next(each.event for each in after if isinstance(each.event, SignInRefused))
    assert refused.identifier == ""
    made = next(each.event for each in after if isinstance(each.event, TeamCreated))
    assert made.name == "Anns", "the team is the team's"


async def test_T58_deleted_accounts_are_erased_after_their_days_unless_a_hold_keeps_them(
    log: EventLog, application: Application, retention: Retention, database: str, tmp_path: Path
) -> None:
    for nth, days in ((1, 31), (2, 31), (3, 29), (4, None)):
        stream = f"account-{nth}"
        await log.append(beginning(log, stream, name="Ann", meta=ago(100)))
        if nth == 2:
            await application.execute(ago(50), ACCOUNT, stream, commands.place_hold, reason="court")
        if days is not None:
            await application.execute(ago(days), ACCOUNT, stream, commands.delete_account)
    await retention.look(NOW)
    assert rows(database, "SELECT stream FROM log.erasures") == []
    await keep(application, deleted_accounts=30)
    await retention.look(NOW)
    assert rows(database, "SELECT stream, reason, kept, swept FROM log.erasures") == [
        ("account-1", "retention", True, True)
    ]
    assert [path.name for path in (tmp_path / "erasures").iterdir()] == ["account-1.txt"]
    # Somebody who came back meanwhile is not deleted any more.
    again = following("account-3", 3, EXAMPLE_OF[SignedUp], meta=ago(0))
    await log.append(again)
    assert rows(database, "SELECT deleted_at FROM read.people_v1 WHERE stream = 'account-3'") == [(None,)]
    await application.execute(ago(0), ACCOUNT, "account-2", commands.lift_hold)
    await retention.look(NOW + timedelta(days=3))
    assert rows(database, "SELECT stream FROM log.erasures ORDER BY number") == [
        ("account-1",),
        ("account-2",),
    ]


async def test_T51_how_long_things_are_kept_is_changed_by_events_alone(
    log: EventLog, application: Application, retention: Retention
) -> None:
    await keep(application, deleted_accounts=30, refusals=7)
    await keep(application, refusals=7)
    changes = [each.event for each in await log.load(PROJECT_STREAM) if isinstance(each.event, PolicyChanged)]
    assert changes == [PolicyChanged(policy="retention", settings={"deleted_accounts": 30, "refusals": 7})]


async def test_a_certificate_that_could_not_be_kept_is_kept_later(
    log: EventLog, application: Application, database: str, tmp_path: Path
) -> None:
    await log.append(beginning(log, "account-1", name="Ann"))
    (tmp_path / "full").write_text("no folder")
    note = await Erasures(application, SECRET, tmp_path / "full").erase(metadata(), "account-1", "request")
    assert rows(database, "SELECT kept FROM log.erasures") == [(False,)]
    await Retention(application, Erasures(application, SECRET, tmp_path / "good"), database).look(NOW)
    assert (tmp_path / "good" / "account-1.txt").read_text() == note
    assert rows(database, "SELECT kept, swept FROM log.erasures") == [(True, True)]


async def test_two_processes_begin_a_day_with_one_key(database: str, master: MasterKey) -> None:
    async with logs(database, master, 2) as (here, there):
        await here.append(beginning(here, "account-1", meta=ago(1)))
        await there.append(beginning(there, "account-2", meta=ago(1)))
    found = await read(database, master)
    assert all(each.meta.ip for each in found)
    assert len(rows(database, "SELECT 1 FROM log.subject_keys WHERE subject LIKE 'origins-%%'")) == 1


def test_the_keys_of_an_event_are_found_without_reading_it() -> None:
    state = (
        b'{"v":1,"meta":{"at":"2026-06-15T12:00:00.000000+00:00","project":"p"},"data":{},"keys":{"data":"account-1"}}'
    )
    assert sealed_for("security-p", state) == ("security-p", "origins-p-2026-06-15", "account-1")
    assert sealed_for("team-1", b"{}") == ("team-1",)


async def test_who_comes_back_while_retention_is_at_work_is_not_erased(
    log: EventLog, application: Application, retention: Retention, database: str, tmp_path: Path
) -> None:
    await webhook(application)
    await log.append(beginning(log, "account-1", name="Ann", meta=ago(100)))
    await application.execute(ago(50), ACCOUNT, "account-1", commands.delete_account)
    await log.append(following("account-1", 3, EXAMPLE_OF[SignedUp], meta=ago(0)))
    # Retention had found them deleted.
    with pytest.raises(UserNotFound):
        await Erasures(application, SECRET, tmp_path).erase(metadata("retention"), "account-1", "retention")
    assert rows(database, "SELECT 1 FROM log.subject_keys WHERE subject = 'account-1'") == [(1,)]
    assert rows(database, "SELECT stream FROM log.erased_ids") == []


async def webhook(application: Application) -> None:
    """Somebody is told of what happens."""
    await application.execute(
        metadata("test", at=NOW),
        PROJECT,
        PROJECT_STREAM,
        project_commands.add_webhook,
        webhook_id="w",
        name="Theirs",
        url="https://example.org/hook",
        events=("users.*",),
        secret="s",
        position=0,
    )


@pytest.mark.parametrize("at_once", [1, 100])
async def test_one_who_cannot_be_erased_keeps_nobody_else(
    log: EventLog,
    application: Application,
    retention: Retention,
    database: str,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention_module, "_AT_ONCE", at_once)
    for nth in (1, 2):
        await log.append(beginning(log, f"account-{nth}", name="Ann", meta=ago(100)))
        await application.execute(ago(50 - nth), ACCOUNT, f"account-{nth}", commands.delete_account)
    later = b'{"v":1,"meta":{"project":"default","at":"2026-06-01T00:00:00Z","actor":"system","operation":"t",'
    later += b'"request":"r","correlation":"c"},"data":{}}'
    rows(
        database,
        """INSERT INTO log.accounts_events (originator_id, originator_version, topic, state)
           VALUES ('account-1', 3, 'account.levitated', %s) RETURNING 1""",
        later,
    )
    await keep(application, deleted_accounts=30)
    await retention.look(NOW)
    assert rows(database, "SELECT stream FROM log.erasures") == [("account-2",)]


@pytest.mark.parametrize("condition", ["query_canceled", "deadlock_detected"])
async def test_one_whose_erasure_the_database_refuses_keeps_nobody_else(
    log: EventLog, application: Application, retention: Retention, database: str, condition: str
) -> None:
    for nth in (1, 2):
        await log.append(beginning(log, f"account-{nth}", name="Ann", meta=ago(100)))
        await application.execute(ago(50 - nth), ACCOUNT, f"account-{nth}", commands.delete_account)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(
            f"""CREATE FUNCTION read.refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'not this one' USING ERRCODE = '{condition}'; END $$""".encode()
        )
        owner.execute(
            """CREATE TRIGGER refuse BEFORE DELETE ON read.people_v1 FOR EACH ROW
            WHEN (OLD.stream = 'account-1') EXECUTE FUNCTION read.refuse()"""
        )
    await keep(application, deleted_accounts=30)
    await retention.look(NOW)
    assert rows(database, "SELECT stream FROM log.erasures") == [("account-2",)]


async def test_T60_a_process_that_knows_an_address_forgets_it_with_its_day(
    application: Application,
    retention: Retention,
    database: str,
    master: MasterKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_module, "FORGETTING", 0.05)
    monkeypatch.setattr(log_module, "FORGETTING_DAYS", 0.0)
    async with logs(database, master) as (here,):
        await here.append(beginning(here, "account-1", name="Ann", meta=ago(31)))
        assert all(each.meta.ip for each in await here.load("account-1"))
        await keep(application, origins=30)
        await retention.look(NOW)
        await until(lambda: not any(each.startswith("origins-default-2026-05-15") for each in here.keys.held()))
        assert [each.meta.ip for each in await here.load("account-1")] == [None]


async def test_T60_the_audit_shows_no_address_whose_day_is_gone_whatever_the_process_remembers(
    log: EventLog, application: Application, retention: Retention
) -> None:
    await log.append(beginning(log, "account-1", name="Ann", meta=ago(31)))
    assert [each.ip for each in await audited(log)] == ["203.0.113.7"]
    await keep(application, origins=30)
    await retention.look(NOW)
    assert [(each.ip, each.data["name"]) for each in await audited(log)] == [("[erased]", "Ann")]


async def audited(log: EventLog) -> list[Record]:
    """The events of the account as the audit shows them."""
    found = await log.reads.fetch(
        f"SELECT {COLUMNS} FROM log.accounts_events WHERE originator_id = 'account-1' ORDER BY 1"
    )
    return await answered(log.reads, Opening(log.keys).records([EventRow._make(row) for row in found]))


async def test_a_folder_that_takes_no_certificate_is_in_nobody_s_way(
    log: EventLog, application: Application, database: str, tmp_path: Path
) -> None:
    (tmp_path / "full").write_text("no folder")
    erasures = Erasures(application, SECRET, tmp_path / "full")
    for nth in (1, 2, 3):
        await log.append(beginning(log, f"account-{nth}", name="Ann"))
        note = await erasures.erase(metadata(), f"account-{nth}", "request")
        assert f"subject: account-{nth}\n" in note
    assert rows(database, "SELECT count(*) FROM log.erasures WHERE certificate IS NOT NULL AND NOT kept") == [(3,)]
    # Nor in that of answers that are kept since then.
    others = IdempotencyKey(b"key", b"print")
    await application.execute(metadata(), TEAM, "team-1", team_commands.create_team, team_id="t", name="T")
    rows(
        database,
        "INSERT INTO read.belongings_v1 (team, account, version) VALUES ('team-1', 'account-1', 1) RETURNING 1",
    )
    renamed = step(TEAM, "team-1", team_commands.rename_team, name="U")
    await application.execute_together(metadata(), Besides(others), renamed)
    await log.reads.fetch(KEEP, (b"sealed", others.key))
    await erasures.finish()
    assert rows(database, "SELECT answer FROM log.idempotency") == [(b"sealed",)]
    await Erasures(application, SECRET, tmp_path / "good").finish()
    assert len(list((tmp_path / "good").iterdir())) == 3


async def test_T57_the_statistics_of_the_database_hold_no_value_of_an_erased_person(
    log: EventLog, application: Application, retention: Retention, database: str, tmp_path: Path
) -> None:
    canary = "canary7f3a"
    for nth in range(5):
        await log.append(beginning(log, f"account-{nth}", name=f"{canary}-{nth}" if nth == 3 else f"Ann {nth}"))
    seen = "SELECT count(*) FROM pg_stats WHERE schemaname = 'read' AND histogram_bounds::text LIKE %s"
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("ANALYZE read.accounts_v2")
    assert rows(database, seen, f"%{canary}%") != [(0,)], "the search itself works"
    await Erasures(application, SECRET, tmp_path).erase(metadata(), "account-3", "request")
    await retention.look(NOW)
    assert rows(database, seen, f"%{canary}%") == [(0,)]


async def test_T57_a_sign_in_refused_at_the_moment_of_the_erasure_says_nothing(
    log: EventLog, application: Application, database: str, master: MasterKey, tmp_path: Path
) -> None:
    await log.append(beginning(log, "account-1", name="Ann"))
    await Erasures(application, SECRET, tmp_path).erase(metadata(), "account-1", "request")
    # Whoever records it had found the account before.
    event = SignInRefused(method="password", reason="wrong", identifier="ann@example.org", account="account-1")
    await Refusals(log).record(ago(0), event)
    await Refusals(log).record(ago(0, actor=PERSON), AccessDenied(operation="users.get", reason="scope"))
    found = [each for each in await read(database, master) if each.stream.startswith("security-")]
    assert [each.event for each in found if isinstance(each.event, SignInRefused)] == [
        event.model_copy(update={"identifier": ""})
    ]
    assert [each.meta.ip for each in found] == [None, None]


async def test_T57_a_sign_in_refused_says_nothing_when_the_erasure_is_heard_of_in_the_middle_of_it(
    log: EventLog, database: str, master: MasterKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "FORGETTING", 600.0)
    await log.append(beginning(log, "account-1", name="Ann"))
    async with logs(database, master) as (there,):
        await Erasures(Application(there), SECRET, tmp_path).erase(metadata(), "account-1", "request")
    fetch = log.reads.fetch

    async def meanwhile(*arguments):
        found = await fetch(*arguments)
        log.forget("account-1")
        return found

    monkeypatch.setattr(log.reads, "fetch", meanwhile)
    event = SignInRefused(method="password", reason="wrong", identifier="ann@example.org", account="account-1")
    await Refusals(log).record(ago(0), event)
    monkeypatch.undo()
    (found,) = [each for each in await read(database, master) if each.stream.startswith("security-")]
    assert found.event == event.model_copy(update={"identifier": ""})
    assert (found.meta.ip, found.meta.user_agent) == (None, None)


async def test_a_request_that_began_before_midnight_is_recorded_after_one_that_began_later(
    log: EventLog, database: str, master: MasterKey
) -> None:
    refusals = Refusals(log)
    late, early = NOW.replace(hour=23, minute=59), NOW.replace(hour=0) + timedelta(days=1)
    for at in (late, early, late, early):
        await refusals.record(metadata(at=at), AccessDenied(operation="users.get", reason="scope"))
    assert [each.meta.ip is None for each in await read(database, master)] == [False] * 4
