"""What is told with an event is what the API answered right after it, whenever it is told."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pytest_asyncio

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.event import Metadata
from accounts_es.domain.team import TEAM
from accounts_es.domain.team import commands as team_commands
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.moments import Moments
from accounts_es.http.models import accounts as account_models
from accounts_es.http.models import sessions as session_models
from accounts_es.http.models import teams as team_models
from accounts_es.http.wire_events import told_together
from accounts_es.http.wire_feed import WireFeed
from accounts_es.http.wire_payloads import Teller
from projections import accounts, sessions, teams
from tests.support.metadata import NOON, metadata

_ALL = """SELECT originator_id, originator_version, topic, state, notification_id
    FROM log.accounts_events ORDER BY notification_id"""


@pytest_asyncio.fixture
async def teller(log: EventLog, database: str, master: MasterKey) -> AsyncIterator[Teller]:
    moments = Moments(database, master, projections.ALL)
    await moments.start()
    try:
        yield Teller(log, moments)
    finally:
        await moments.stop()


@dataclass
class Story:
    """Commands of one account and one team, and what the API would have answered after each."""

    application: Application
    said: dict[str, Any] = field(default_factory=dict[str, Any])
    requests: int = 0

    async def carry_out(self, decider: Any, stream: str, command: Callable[..., Any], **arguments: Any) -> None:
        self.requests += 1
        await self.application.execute(self.meta(), decider, stream, command, **arguments)

    def meta(self) -> Metadata:
        return metadata(request_id=f"r{self.requests}", at=NOON + timedelta(seconds=self.requests))

    async def account(self) -> Any:
        return account_models.account(await accounts.get_by_stream(self.application.log.reads, "account-1"))

    async def team(self) -> Any:
        return team_models.team(await teams.get_by_stream(self.application.log.reads, "team-1"))

    async def membership(self) -> Any:
        reads = self.application.log.reads
        row = await teams.get_membership(reads, "default", "m")
        member = await accounts.get_by_stream(reads, "account-1")
        return team_models.membership(row, member, team_models.EVERYTHING)

    async def session(self) -> Any:
        rows, _ = await sessions.list_sessions(self.application.log.reads, "account-1")
        return session_models.session(rows[0], "a.1", current=True)


async def lived(story: Story) -> None:
    """One life, from sign-up to the end."""
    said, on_account = story.said, (ACCOUNT, "account-1")
    await story.carry_out(
        *on_account, commands.sign_up, account_id="a.1", email="a@b.co", email_target_id="t1", name="A"
    )
    said["users.a.1.create"] = await story.account()
    await story.carry_out(*on_account, commands.update_prefs, prefs={"dark": True})
    said["users.a.1.update.prefs"] = {"dark": True}
    await story.carry_out(
        *on_account,
        commands.create_session,
        session_id="s",
        secret_hash="h",
        provider="email",
        factors=("password",),
        expires_at=NOON + timedelta(days=1),
    )
    said["users.a.1.sessions.s.create"] = await story.session()
    await story.carry_out(TEAM, "team-1", team_commands.create_team, team_id="t", name="T")
    said["teams.t.create"] = await story.team()
    await story.carry_out(
        TEAM, "team-1", team_commands.add_member, membership_id="m", account="account-1", roles=["owner"]
    )
    said["teams.t.memberships.m.create"] = await story.membership()
    await story.carry_out(TEAM, "team-1", team_commands.change_roles, membership_id="m", roles=["x"])
    said["teams.t.memberships.m.update"] = said["teams.t.memberships.m.delete"] = await story.membership()
    await story.carry_out(*on_account, commands.replace_labels, labels=["one", "two"])
    said["users.a.1.update.labels"] = await story.account()
    await story.carry_out(TEAM, "team-1", team_commands.end_membership, membership_id="m")
    await story.carry_out(*on_account, commands.change_name, name="B")
    said["users.a.1.update.name"] = await story.account()
    said["users.a.1.sessions.s.delete"] = await story.session()
    await story.carry_out(*on_account, commands.delete_session, session_id="s", reason="test")
    said["users.a.1.delete"] = await story.account()
    await story.carry_out(*on_account, commands.delete_account)


async def test_payloads_are_those_of_their_moment(application: Application, teller: Teller) -> None:
    story = Story(application)
    await lived(story)
    rows = await application.log.reads.fetch(_ALL)
    told: dict[str, Any] = {}
    for group in told_together(await application.log.decode(rows)):
        for event in await teller.events(group):
            told[".".join(event.pattern)] = await teller.payload(event)
    # Members are counted when it is told.
    assert told == story.said


async def test_payloads_are_the_same_when_told_at_once(application: Application, teller: Teller) -> None:
    story = Story(application)
    told: dict[str, Any] = {}
    reached = 0

    async def tell() -> None:
        nonlocal reached
        rows = [row for row in await application.log.reads.fetch(_ALL) if row[4] > reached]
        for group in told_together(await application.log.decode(rows)):
            for event in await teller.events(group):
                told[".".join(event.pattern)] = await teller.payload(event)
            reached = group[-1].position

    carry_out = story.carry_out

    async def followed(*args: Any, **arguments: Any) -> None:
        await carry_out(*args, **arguments)
        await tell()

    story.carry_out = followed  # type: ignore[method-assign]
    await lived(story)
    assert told == story.said


async def test_nothing_is_told_of_an_erased_person(application: Application, teller: Teller, database: str) -> None:
    await lived(Story(application))
    with psycopg.connect(database) as owner:
        owner.execute("DELETE FROM log.subject_keys WHERE subject = 'account-1'")
    application.log.keys.forget("account-1")
    rows = await application.log.reads.fetch(_ALL)
    groups = told_together(await application.log.decode(rows))
    told = [event for group in groups if group[0].stream == "account-1" for event in await teller.events(group)]
    assert told == []


async def test_T57_a_payload_kept_for_the_next_goes_with_the_person_it_shows(
    application: Application, log: EventLog, database: str, master: MasterKey
) -> None:
    story = Story(application)
    await story.carry_out(ACCOUNT, "account-1", commands.sign_up, account_id="a.1", name="Ann")
    await story.carry_out(TEAM, "team-1", team_commands.create_team, team_id="t", name="T")
    await story.carry_out(
        TEAM, "team-1", team_commands.add_member, membership_id="m", account="account-1", roles=["owner"]
    )
    moments = Moments(database, master, projections.ALL)
    await moments.start()
    try:
        feed = WireFeed(log, moments, master)
        page = await feed.page("default", 0)
        (joined,) = [each for told in page.told for each in told.notices if "memberships" in each.pattern]
        assert "Ann" in str(await joined.payload())
        await story.carry_out(ACCOUNT, "account-1", commands.erase, reason="request")
        assert await joined.payload() is None
    finally:
        await moments.stop()
