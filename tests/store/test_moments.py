"""What a moment answers is what the live read models answered then."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.event import Metadata
from accounts_es.domain.team import TEAM
from accounts_es.domain.team import commands as team_commands
from accounts_es.eventstore import moments as moments_module
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.listing import Asked
from accounts_es.eventstore.moments import Moments, TooMuchHistory
from accounts_es.eventstore.reads import Reads
from projections import accounts, sessions, teams
from tests.support.appends import logs
from tests.support.metadata import NOON

Meta = Callable[..., Metadata]
STREAMS = ("account-1", "account-2", "team-1")


@pytest_asyncio.fixture
async def moments(database: str, master: MasterKey) -> AsyncIterator[Moments]:
    made = Moments(database, master, projections.ALL)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def told(reads: Reads) -> list[Any]:
    """What the read models say of two accounts and a team, asked in every way there is."""
    return [
        await accounts.find(reads, "default", "a1"),
        await accounts.find_by_email(reads, "default", "new@example.com"),
        await accounts.list_accounts(reads, "default", asked=Asked()),
        await sessions.list_sessions(reads, "account-1"),
        await reads.load(teams.BY_STREAM, ("team-1",)),
        await teams.member_of(reads, "account-2"),
    ]


async def head(database: str) -> int:
    with psycopg.connect(database) as owner:
        row = owner.execute("SELECT coalesce(max(notification_id), 0) FROM log.accounts_events").fetchone()
    assert row is not None
    return int(row[0])


async def history(application: Application, meta: Meta, database: str) -> list[tuple[int, list[Any]]]:
    """A few commands, and what the live read models said after each."""
    session: dict[str, Any] = {
        "session_id": "s1",
        "secret_hash": "hash",
        "provider": "email",
        "factors": ("password",),
        "expires_at": NOON + timedelta(days=1),
    }
    steps: list[tuple[Any, str, Any, dict[str, Any]]] = [
        (ACCOUNT, "account-1", commands.sign_up, {"account_id": "a1", "email": "a@b.co", "email_target_id": "t1"}),
        (ACCOUNT, "account-2", commands.sign_up, {"account_id": "a2", "name": "Two"}),
        (ACCOUNT, "account-1", commands.replace_labels, {"labels": ["x", "y"]}),
        (TEAM, "team-1", team_commands.create_team, {"team_id": "t", "name": "T"}),
        (
            TEAM,
            "team-1",
            team_commands.add_member,
            {"membership_id": "m", "account": "account-2", "roles": ["owner"]},
        ),
        (ACCOUNT, "account-1", commands.update_prefs, {"prefs": {"b": 1, "a": [None]}}),
        (ACCOUNT, "account-1", commands.create_session, session),
        (ACCOUNT, "account-2", commands.delete_account, {}),
        (ACCOUNT, "account-1", commands.delete_account, {}),
        (ACCOUNT, "account-3", commands.sign_up, {"account_id": "a1", "name": "Next of the id"}),
    ]
    seen = [(0, await told(application.log.reads))]
    for decider, stream, command, arguments in steps:
        await application.execute(meta(), decider, stream, command, **arguments)
        seen.append((await head(database), await told(application.log.reads)))
    return seen


async def test_a_moment_answers_as_the_live_read_models_did(
    application: Application, moments: Moments, database: str, meta: Meta
) -> None:
    seen = await history(application, meta, database)
    for position, then in [*seen, *reversed(seen)]:
        async with moments.at(position, project="default") as reads:
            assert await told(reads) == then
        async with moments.at(position, project="default", streams=[*STREAMS, "account-3"]) as reads:
            assert await told(reads) == then
    assert await told(application.log.reads) == seen[-1][1]


async def test_a_moment_of_some_streams_knows_no_others(
    application: Application, moments: Moments, database: str, meta: Meta
) -> None:
    await history(application, meta, database)
    async with moments.at(2**62, project="default", streams=["account-2"]) as reads:
        assert await accounts.find(reads, "default", "a1") is None


async def test_a_moment_of_some_streams_reads_no_more_the_longer_the_log_is(
    database: str, master: MasterKey, meta: Meta
) -> None:
    async with logs(database, master, 1) as (log,):
        application = Application(log)
        await history(application, meta, database)
        for nth in range(200):
            await application.execute(
                meta(), ACCOUNT, f"account-other-{nth}", commands.sign_up, account_id=f"other-{nth}", name="Other"
            )
    moments = Moments(database, master, projections.ALL)
    await moments.start()
    before = walked(database)
    for _ in range(20):  # after some, a plan is kept that fits any positions
        async with moments.at(2**62, project="default", streams=["account-2"]):
            pass
    await moments.stop()
    assert walked(database) == before


def walked(database: str) -> int:
    """How many events were read by their positions, by connections that are closed."""
    with psycopg.connect(database) as owner:
        ((count,),) = owner.execute(
            "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'accounts_events_notification_id_idx'"
        ).fetchall()
    return int(count)


async def test_a_moment_of_one_project_knows_no_other(
    application: Application, moments: Moments, database: str, meta: Meta
) -> None:
    await history(application, meta, database)
    async with moments.at(2**62, project="other") as reads:
        assert await accounts.find(reads, "default", "a1") is None


async def test_an_erased_person_is_in_no_moment(
    application: Application, moments: Moments, database: str, meta: Meta
) -> None:
    seen = await history(application, meta, database)
    with psycopg.connect(database) as owner:
        owner.execute("DELETE FROM log.subject_keys WHERE subject = 'account-1'")
    async with moments.at(seen[4][0], project="default") as reads:
        assert await accounts.find(reads, "default", "a1") is None
        assert await accounts.find(reads, "default", "a2") is not None


async def test_too_much_history_is_refused_and_harms_nobody(
    application: Application, moments: Moments, database: str, meta: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await history(application, meta, database)
    monkeypatch.setattr(moments_module, "MOST_EVENTS", 3)
    with pytest.raises(TooMuchHistory):
        async with moments.at(2**62, project="default"):
            pass
    async with moments.at(seen[1][0], project="default") as reads:
        assert await told(reads) == seen[1][1]


async def test_a_moment_that_failed_leaves_nothing_for_the_next(
    application: Application, moments: Moments, database: str, meta: Meta
) -> None:
    seen = await history(application, meta, database)
    for _ in range(3):
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with moments.at(seen[6][0], project="default") as reads:
                await reads.fetch("SELECT 1/0")
        with pytest.raises(RuntimeError):
            async with moments.at(seen[6][0], project="default"):
                raise RuntimeError
    async with moments.at(2**62, project="other") as reads:
        assert await accounts.find(reads, "default", "a1") is None
        assert (await reads.fetch("SELECT count(*) FROM accounts_v2"))[0][0] == 0


async def test_a_moment_given_up_leaves_nothing_for_the_next(
    application: Application, moments: Moments, database: str, meta: Meta
) -> None:
    seen = await history(application, meta, database)

    async def linger() -> None:
        async with moments.at(seen[-1][0], project="default") as reads:
            await reads.fetch("SELECT pg_sleep(30)")

    for patience in (0.001, 0.01, 0.03, 0.1, 0.2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(linger(), patience)
        async with moments.at(0, project="default") as reads:
            assert await told(reads) == seen[0][1]
