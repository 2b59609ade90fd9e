"""Commands on several streams in one append: all of them or none."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from accounts_es.application import NOTHING_BESIDES, Application, Besides, Outcome, step
from accounts_es.domain.account import ACCOUNT
from accounts_es.domain.account import commands as account_commands
from accounts_es.domain.errors import (
    GeneralIdempotencyKeyReused,
    MembershipAlreadyConfirmed,
    TeamAlreadyExists,
    UserAlreadyExists,
    UserNotFound,
)
from accounts_es.domain.event import Metadata
from accounts_es.domain.team import TEAM, commands
from accounts_es.eventstore.append import IdempotencyKey
from accounts_es.eventstore.keys import MasterKey
from accounts_es.messages import Mail
from tests.support.appends import logs, rows

Meta = Callable[..., Metadata]


def begin(account: str, **more: Any) -> Any:
    return step(ACCOUNT, f"account-{account}", account_commands.sign_up, account_id=account, **more)


def add(team: str, account: str) -> Any:
    member = {"membership_id": f"{team}-{account}", "account": f"account-{account}", "roles": ["player"]}
    return step(TEAM, f"team-{team}", commands.add_member, **member)


async def team(application: Application, meta: Meta, name: str = "crew") -> None:
    await application.execute(meta(), TEAM, f"team-{name}", commands.create_team, team_id=name, name=name)


async def together(application: Application, meta: Meta, *steps: Any, **besides: Any) -> list[Outcome[Any]]:
    return await application.execute_together(meta(), Besides(**besides), *steps)


async def test_both_are_stored_one_after_the_other(application: Application, meta: Meta) -> None:
    await team(application, meta)
    added, begun = await together(application, meta, add("crew", "joe"), begin("joe"))
    assert (added.version, begun.version) == (2, 1)
    assert added.state.membership_of("account-joe").confirmed
    assert begun.state.account_id == "joe"
    positions = [each.position for outcome in (added, begun) for each in outcome.recorded]
    assert positions == [positions[0], positions[0] + 1]


async def test_what_one_refuses_the_other_does_not_store(application: Application, meta: Meta, database: str) -> None:
    await team(application, meta)
    nobody = step(ACCOUNT, "account-nobody", account_commands.change_name, name="x")
    with pytest.raises(UserNotFound):
        await together(application, meta, add("crew", "nobody"), nobody)
    await together(application, meta, add("crew", "joe"), begin("joe"))
    rename = step(ACCOUNT, "account-joe", account_commands.change_name, name="Joe")
    with pytest.raises(MembershipAlreadyConfirmed):
        await together(application, meta, add("crew", "joe"), rename)
    assert (await application.load(ACCOUNT, "account-joe")).version == 1
    assert (await application.load(TEAM, "team-crew")).version == 2
    assert rows(database, "SELECT count(*) FROM log.claims WHERE kind = 'team.membership_id'") == [(1,)]


async def test_a_value_that_is_taken_in_either_refuses_both(
    application: Application, meta: Meta, database: str
) -> None:
    await team(application, meta)
    await application.execute(meta(), ACCOUNT, "account-1", account_commands.sign_up, account_id="joe")
    again = step(ACCOUNT, "account-2", account_commands.sign_up, account_id="joe")
    with pytest.raises(UserAlreadyExists):
        await together(application, meta, add("crew", "2"), again)
    twice = step(TEAM, "team-other", commands.create_team, team_id="crew", name="x")
    with pytest.raises(TeamAlreadyExists):
        await together(application, meta, begin("new"), twice)
    for stream in ("account-2", "team-other", "account-new"):
        assert await application.log.load(stream) == []
        assert rows(database, f"SELECT 1 FROM log.subject_keys WHERE subject = '{stream}'") == []
    # What was refused leaves nothing in memory either.
    await together(application, meta, add("crew", "new"), begin("new"))
    assert (await application.load(ACCOUNT, "account-new")).state.account_id == "new"


async def test_where_one_has_nothing_to_do_the_other_is_stored(application: Application, meta: Meta) -> None:
    await team(application, meta)
    await together(application, meta, add("crew", "joe"), begin("joe", name="Joe"))
    same = step(ACCOUNT, "account-joe", account_commands.change_name, name="Joe")
    rename = step(TEAM, "team-crew", commands.rename_team, name="Other")
    renamed, unchanged = await together(application, meta, rename, same)
    assert (renamed.version, unchanged.version, unchanged.recorded) == (3, 1, ())
    nothing = await together(application, meta, rename, same)
    assert [each.recorded for each in nothing] == [(), ()]


async def test_keys_and_messages_go_with_all_of_it(application: Application, meta: Meta, database: str) -> None:
    await team(application, meta)
    key = IdempotencyKey(b"k" * 32, b"f" * 32)
    mail = Mail(template="invitation", to="joe@example.org")
    steps = add("crew", "joe"), begin("joe")
    await together(application, meta, *steps, idempotency=key, messages=(mail,))
    with pytest.raises(GeneralIdempotencyKeyReused):
        await together(application, meta, add("crew", "ann"), begin("ann"), idempotency=key, messages=(mail,))
    assert rows(database, "SELECT kind, subject FROM log.outbox") == [("mail", "team-crew")]
    assert await application.log.load("account-ann") == []


async def test_two_commands_on_one_stream_are_a_mistake(application: Application, meta: Meta) -> None:
    with pytest.raises(ValueError, match="same stream"):
        await application.execute_together(meta(), NOTHING_BESIDES, begin("joe"), begin("joe"))


async def test_many_at_once_in_two_processes_neither_wait_for_each_other_nor_lose_anything(
    database: str, master: MasterKey, meta: Meta
) -> None:
    async with logs(database, master, 2) as opened:
        first, second = (Application(log) for log in opened)
        for name in ("red", "blue"):
            await team(first, meta, name)

        async def join(nth: int) -> None:
            application = (first, second)[nth % 2]
            sides = [add("red", str(nth)), add("blue", str(nth)), begin(str(nth))]
            await together(application, meta, *(sides if nth % 3 else reversed(sides)))

        await asyncio.wait_for(asyncio.gather(*(join(nth) for nth in range(40))), 60)
        for name in ("red", "blue"):
            found = await first.load(TEAM, f"team-{name}")
            assert (found.version, len(found.state.memberships)) == (41, 40)
