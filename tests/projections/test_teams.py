"""Memberships as they are read back: there while both the team and the account are."""

from collections.abc import Callable

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT
from accounts_es.domain.account import commands as account_commands
from accounts_es.domain.event import Metadata
from accounts_es.domain.team import TEAM, commands
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.rebuild import verify
from projections import teams
from projections.teams import MemberOf

Meta = Callable[..., Metadata]


async def test_a_membership_ends_with_its_account_whatever_comes_after(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    reads = application.log.reads
    for name in ("jane", "joe"):
        await application.execute(meta(), ACCOUNT, f"account-{name}", account_commands.sign_up, account_id=name)
    founder = {"by": "account-jane", "membership_id": "founder"}
    await application.execute(meta(), TEAM, "team-1", commands.create_team, team_id="crew", name="Crew", **founder)
    added = {"membership_id": "joe", "account": "account-joe", "roles": ["coach", "player"]}
    await application.execute(meta(), TEAM, "team-1", commands.add_member, **added)
    assert (await teams.get_by_stream(reads, "team-1")).total == 2
    assert await teams.member_of(reads, "account-joe") == [MemberOf("crew", "joe", ["coach", "player"], "team-1")]

    await application.execute(meta(), ACCOUNT, "account-joe", account_commands.delete_account)

    assert (await teams.get_by_stream(reads, "team-1")).total == 1
    assert await teams.member_of(reads, "account-joe") == []
    assert await teams.find_membership(reads, "default", "joe") is None

    # Somebody else may add the account until its end is known everywhere.
    await application.execute(meta(), TEAM, "team-1", commands.end_membership, membership_id="joe")
    late = {"membership_id": "late", "account": "account-joe", "roles": []}
    await application.execute(meta(), TEAM, "team-1", commands.add_member, **late)
    assert await teams.find_membership(reads, "default", "late") is None
    assert (await teams.get_by_stream(reads, "team-1")).total == 1

    # Whoever gets the id next is somebody else.
    await application.execute(meta(), ACCOUNT, "account-joe2", account_commands.sign_up, account_id="joe")
    assert await teams.member_of(reads, "account-joe2") == []
    assert verify(database, master, projections.ALL)[1] is None
