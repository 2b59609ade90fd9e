"""Inline read models change with their events or not at all, wherever it breaks off."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands, events
from accounts_es.domain.event import Event, Metadata, Recorded
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project import commands as project_commands
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.projection import KeyedUpdate, Projection, Statements, Tx
from projections import accounts
from tests.support.appends import rows
from tests.support.examples import EXAMPLES
from tests.support.metadata import NOON, metadata

Meta = Callable[..., Metadata]

SIGN_UP: dict[str, Any] = {"account_id": "jane", "email": "jane@example.com", "email_target_id": "t1"}


def counts(conninfo: str) -> dict[str, int]:
    tables = ("log.accounts_events", "log.claims", "log.subject_keys", "read.accounts_v2", "read.sessions_v2")
    with psycopg.connect(conninfo) as owner:
        found = {}
        for table in tables:
            # The key of a day is nobody's, and begun before it is used.
            own = " WHERE NOT starts_with(subject, 'origins-')" if table == "log.subject_keys" else ""
            row = owner.execute(f"SELECT count(*) FROM {table}{own}".encode()).fetchone()
            assert row is not None
            found[table] = row[0]
        return found


def breaking_at(nth: int) -> tuple[list[Projection], list[int]]:
    """The read models, the nth of whose statements is one the database refuses."""
    seen = [0]

    class Breaking:
        def __init__(self, tx: Tx) -> None:
            self.tx = tx

        def execute(self, sql: Any, params: tuple[object, ...], /) -> None:
            seen[0] += 1
            if seen[0] == nth:
                self.tx.execute("SELECT 1 / 0", ())
            self.tx.execute(sql, params)

    def wrapped(handler: Any) -> Any:
        return lambda tx, recorded: handler(Breaking(tx), recorded)

    models = [
        Projection(each.name, each.tables, each.ddl, each.lifecycle, {e: wrapped(h) for e, h in each.handlers.items()})
        for each in projections.ALL
    ]
    return models, seen


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
async def test_T42_a_break_at_any_statement_leaves_nothing_and_the_next_try_everything(
    database: str, master: MasterKey, meta: Meta, nth: int
) -> None:
    before = counts(database)
    models, seen = breaking_at(nth)
    log = EventLog(database, master, models)
    await log.start()
    try:
        application = Application(log)
        failed = 0
        # Two commands of one and three statements; whichever holds the nth statement fails once.
        for command, arguments in (
            (commands.sign_up, SIGN_UP),
            (commands.update_prefs, {"prefs": {"a": 1}}),
            (
                commands.create_session,
                {
                    "session_id": "s1",
                    "secret_hash": "h1",
                    "provider": "email",
                    "factors": ("password",),
                    "expires_at": NOON,
                },
            ),
        ):
            state = counts(database)
            try:
                await application.execute(meta(), ACCOUNT, "account-1", command, **arguments)  # type: ignore[arg-type]
            except psycopg.errors.DivisionByZero:
                failed += 1
                assert counts(database) == state
                await application.execute(meta(), ACCOUNT, "account-1", command, **arguments)  # type: ignore[arg-type]
        assert failed == 1
        assert seen[0] >= nth
    finally:
        await log.stop()
    after = counts(database)
    assert {table: after[table] - before[table] for table in after} == {
        "log.accounts_events": 4,
        "log.claims": 4,
        "log.subject_keys": 1,
        "read.accounts_v2": 1,
        "read.sessions_v2": 1,
    }


CHANGES = [
    each
    for each in EXAMPLES
    if each.topic.startswith("account.") and not isinstance(each, events.SignedUp | events.AccountDeleted)
    if not each.destroys
]
TELLING = {events.NameChanged, events.PrefsUpdated, events.PasswordChanged, events.AccountBlocked, events.MfaSwitchedOn}


class Unread:
    """Reads of nobody."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.mark.parametrize("event", CHANGES, ids=lambda each: type(each).__name__)
async def test_what_an_event_leaves_of_a_row_is_what_it_is_read_as(
    application: Application, meta: Meta, event: Event
) -> None:
    """Whether it follows from the row and the event, or was read."""
    reads = application.log.reads
    await application.execute(meta(), ACCOUNT, "account-1", commands.sign_up, **SIGN_UP)
    before = await accounts.get_by_stream(reads, "account-1")
    later = meta(at=NOON + timedelta(microseconds=1))
    outcome = await application.execute(later, ACCOUNT, "account-1", lambda _: iter([event]))
    after = await accounts.get_by_stream(reads, "account-1")
    assert await accounts.get_after(reads, before, outcome.recorded) == after
    assert await accounts.get_after(reads, after, ()) == after
    if type(event) in TELLING:
        assert await accounts.get_after(Unread(), before, outcome.recorded) == after
    # A row that is not the one before is read again.
    older = before._replace(version=before.version - 1)
    assert await accounts.get_after(reads, older, outcome.recorded) == after


def sets_columns(event: Event) -> bool:
    made = Statements()
    accounts.projection.apply(made, Recorded("account-1", 2, event, metadata()))
    return bool(made) and isinstance(made[0][0], KeyedUpdate)


@pytest.mark.parametrize("event", [*filter(sets_columns, CHANGES)], ids=lambda each: type(each).__name__)
async def test_events_of_several_people_at_once_leave_of_each_row_what_one_alone_does(
    application: Application, database: str, meta: Meta, event: Event, caplog: pytest.LogCaptureFixture
) -> None:
    people = ["account-1", "account-2", "account-3"]
    before = {}
    for stream in people:
        await application.execute(meta(), ACCOUNT, stream, commands.sign_up, account_id=stream)
        before[stream] = await accounts.get_by_stream(application.log.reads, stream)
    # Addresses and numbers are somebody's own.
    own = {"email", "phone"} & event.model_dump().keys()
    outcomes = await asyncio.gather(
        *(
            application.execute(meta(), ACCOUNT, stream, lambda _, told=told: iter([told]))
            for nth, stream in enumerate(people)
            if (told := event.model_copy(update={name: f"{nth}{getattr(event, name)}" for name in own}))
        )
    )
    for outcome in outcomes:
        after = await accounts.get_by_stream(application.log.reads, outcome.stream)
        assert await accounts.get_after(Unread(), before[outcome.stream], outcome.recorded) == after
    assert len(rows(database, "SELECT DISTINCT xmin::text FROM read.accounts_v2")) == 1, "in one transaction"
    assert caplog.records == [], "that was not refused first"


async def test_the_settings_of_a_project_are_read_as_they_were_decided(application: Application, meta: Meta) -> None:
    async def decide(command, **arguments: object) -> projections.projects.Rules:
        await application.execute(meta(), PROJECT, "project-default", command, **arguments)
        return (await projections.projects.get(application.log.reads, "default")).rules

    await decide(project_commands.create_project, project_id="default", name="D")
    await decide(project_commands.change_policy, policy="password_strength", settings={"min": 12})
    rules = await decide(project_commands.change_policy, policy="password_strength", settings={"number": True})
    assert (rules.policies.password_strength.min, rules.policies.password_strength.number) == (12, True)
    await decide(project_commands.switch_auth_method, method="jwt", enabled=False)
    rules = await decide(project_commands.add_mock_phone, number="+4930901820", otp="123456")
    assert (rules.methods_off, rules.mock_phones) == ({"jwt"}, {"+4930901820": "123456"})
    await decide(project_commands.switch_service, service="teams", enabled=False)
    rules = await decide(project_commands.switch_protocol, protocol="rest", enabled=False)
    assert (rules.services_off, rules.protocols_off) == ({"teams"}, {"rest"})
    rules = await decide(project_commands.switch_protocol, protocol="rest", enabled=True)
    assert (rules.services_off, rules.protocols_off) == ({"teams"}, frozenset())
    await decide(project_commands.switch_auth_method, method="jwt", enabled=True)
    rules = await decide(project_commands.remove_mock_phone, number="+4930901820")
    assert (rules.methods_off, rules.mock_phones) == (frozenset(), {})
