"""Whatever happened is undone in the log and in the read models: random histories, races, and restored accounts."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import projections
from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.catalog import REVERTS
from accounts_es.domain.errors import UserAlreadyExists
from accounts_es.domain.event import Event, JSONObject, Metadata, Recorded
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project import commands as project_commands
from accounts_es.domain.reverts import Item
from accounts_es.eventstore.append import Append
from accounts_es.eventstore.audit import Wanted
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.rebuild import verify
from accounts_es.reverting import Undoing, preview, revert, selected
from projections import accounts, people
from tests.conftest import temporary_database
from tests.projections.test_rebuild import STEPS, History
from tests.support.metadata import NOON, metadata
from tests.support.reverting import lasting

Meta = Callable[..., Metadata]
STAYING = {"IdentityRemoved"}
"""What does not come back, of what random histories do to fields that are compared."""


async def undo(application: Application, **wanted: Any) -> Undoing:
    chosen = await selected(application, Wanted(project="default", **wanted))
    return await revert(application, metadata("reverts.create", request_id="undo"), chosen)


def stays(item: Item) -> bool:
    """Whether it changed what lasts, and does not come back."""
    return item.event in STAYING or item.reason == "somebody else has it by now"


async def states(application: Application) -> dict[str, Any]:
    """What lasts of every stream with a state that exists."""
    rows = await application.log.reads.fetch("SELECT DISTINCT originator_id FROM log.accounts_events")
    found: dict[str, Any] = {}
    for (stream,) in rows:
        state = (await application.load(REVERTS[stream.partition("-")[0]].decider, stream)).state
        if state.exists:
            found[stream] = lasting(state)
    return found


async def head(application: Application) -> int:
    ((position,),) = await application.log.reads.fetch("SELECT max(notification_id) FROM log.accounts_events")
    return int(position)


async def since(application: Application, position: int) -> dict[str, set[int]]:
    """Everything after a position."""
    rows = await application.log.reads.fetch(
        "SELECT notification_id, originator_id FROM log.accounts_events WHERE notification_id > %s", (position,)
    )
    chosen: dict[str, set[int]] = {}
    for at, stream in rows:
        chosen.setdefault(stream, set()).add(at)
    return chosen


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(STEPS, max_size=25), window=st.lists(STEPS, min_size=1, max_size=25))
def test_a_window_undone_is_the_state_before_it_and_that_undone_the_state_after(
    server_conninfo: str,
    template: str,
    master: MasterKey,
    before: list[tuple[str, JSONObject]],
    window: list[tuple[str, JSONObject]],
) -> None:
    async def live(database: str) -> None:
        log = EventLog(database, master, projections.ALL)
        await log.start()
        try:
            await tell(Application(log))
        finally:
            await log.stop()

    async def tell(application: Application) -> None:
        made = 0

        def meta() -> Metadata:
            nonlocal made
            made += 1
            return metadata(at=NOON + timedelta(seconds=made), request_id=f"r{made}")

        history = History(application, meta)
        named = {"project_id": "default", "name": "D"}
        await application.execute(meta(), PROJECT, "project-default", project_commands.create_project, **named)
        for step in before:
            await history.step(*step)
        start, was = await head(application), await states(application)
        for step in window:
            await history.step(*step)
        end, became = await head(application), await states(application)

        undoing = await revert(application, metadata("undo", request_id="undo"), await since(application, start))
        kept = {each.stream for each in undoing.items if each.outcome == "impossible" and stays(each)}
        assert not [each for each in undoing.items if each.outcome == "conflict" and each.stream not in kept]
        now = await states(application)
        assert {k: v for k, v in now.items() if k not in kept} == {k: v for k, v in was.items() if k not in kept}

        again = await revert(application, metadata("undo", request_id="again"), await since(application, end))
        kept |= {each.stream for each in again.items if each.outcome == "impossible"}
        now = await states(application)
        assert {k: v for k, v in now.items() if k not in kept} == {k: v for k, v in became.items() if k not in kept}

    with temporary_database(server_conninfo, template) as database:
        asyncio.run(live(database))
        _, difference = verify(database, master, projections.ALL)
        assert difference is None


async def test_a_deleted_account_is_in_the_read_models_again(
    application: Application, database: str, master: MasterKey, meta: Meta
) -> None:
    jane = {"account_id": "jane", "email": "jane@example.org", "name": "Jane", "email_target_id": "mail"}
    await application.execute(meta(), ACCOUNT, "account-1", commands.sign_up, **jane, password_hash="hash")
    await application.execute(meta(), ACCOUNT, "account-1", commands.replace_labels, labels=["vip"])
    await application.execute(meta(), ACCOUNT, "account-1", commands.update_prefs, prefs={"a": 1})
    before = await accounts.get(application.log.reads, "default", "jane")
    await application.execute(meta(request_id="gone"), ACCOUNT, "account-1", commands.delete_account)
    undoing = await undo(application, request="gone")
    assert [each.outcome for each in undoing.items] == ["reverted"]
    now = await accounts.get(application.log.reads, "default", "jane")
    times = {"created_at": NOON, "updated_at": NOON, "accessed_at": NOON, "password_updated_at": NOON, "position": 0}
    same = before._asdict().keys() - {*times, "version"}
    assert {name: getattr(now, name) for name in same} == {name: getattr(before, name) for name in same}
    assert (await people.get(application.log.reads, "default", "jane")).deleted_at is None
    _, difference = await asyncio.to_thread(verify, database, master, projections.ALL)
    assert difference is None


async def test_what_changed_since_the_plan_is_looked_at_again(application: Application, meta: Meta) -> None:
    await application.execute(meta(), ACCOUNT, "account-1", commands.sign_up, account_id="jane", name="Jane")
    await application.execute(meta(request_id="wrong"), ACCOUNT, "account-1", commands.change_name, name="Wrong")
    chosen = await selected(application, Wanted(project="default", request="wrong"))
    assert [each.outcome for each in (await preview(application, "default", chosen)).items] == ["reverted"]

    async def meddle(elsewhere: Application) -> None:
        await elsewhere.execute(meta(), ACCOUNT, "account-1", commands.change_name, name="Right")

    just_before(application.log, meddle)
    undoing = await revert(application, meta(), chosen)
    assert [each.outcome for each in undoing.items] == ["conflict"]
    assert (await application.load(ACCOUNT, "account-1")).state.name == "Right"


def just_before(log: EventLog, meddle: Callable[[Application], Awaitable[None]]) -> None:
    """Let somebody in another process be quicker than the next append."""
    append = log.append

    async def after_them(what: Append) -> tuple[Recorded[Event], ...]:
        log.append = append  # type: ignore[method-assign]
        await meddle(Application(log))
        return await append(what)

    log.append = after_them  # type: ignore[method-assign]


async def test_nothing_is_undone_when_something_is_taken_at_that_very_moment(
    application: Application, meta: Meta
) -> None:
    for name in ("a", "b"):
        await application.execute(meta(), ACCOUNT, f"account-{name}", commands.sign_up, account_id=name, name=name)
    mail = {"email": "x@example.org", "target_id": "t"}
    await application.execute(meta(), ACCOUNT, "account-a", commands.change_email, **mail)
    none = {"email": None, "target_id": "t"}
    await application.execute(meta(request_id="w"), ACCOUNT, "account-a", commands.change_email, **none)
    await application.execute(meta(request_id="w"), ACCOUNT, "account-b", commands.change_name, name="wrong")
    chosen = await selected(application, Wanted(project="default", request="w"))

    async def take_it(elsewhere: Application) -> None:
        taken = {"account_id": "c", "email": "x@example.org", "email_target_id": "u"}
        await elsewhere.execute(meta(), ACCOUNT, "account-c", commands.sign_up, **taken)

    just_before(application.log, take_it)
    with pytest.raises(UserAlreadyExists):
        await revert(application, meta(), chosen)
    assert (await application.load(ACCOUNT, "account-b")).state.name == "wrong", "all or nothing"
    undoing = await revert(application, meta(), chosen)
    assert {each.stream: each.outcome for each in undoing.items} == {
        "account-a": "impossible",
        "account-b": "reverted",
    }


async def test_a_thousand_events_of_many_people_are_undone_at_once(application: Application, meta: Meta) -> None:
    for nth in range(100):
        await application.execute(meta(), ACCOUNT, f"account-{nth}", commands.sign_up, account_id=f"a{nth}")
    labels = [f"l{nth}" for nth in range(10)]
    for nth in range(100):
        await application.execute(
            meta(request_id="all"), ACCOUNT, f"account-{nth}", commands.replace_labels, labels=labels
        )
    undoing = await undo(application, request="all")
    assert len([each for each in undoing.items if each.outcome == "reverted"]) == 1000
    rows = await application.log.reads.fetch("SELECT 1 FROM log.accounts_events WHERE request_id = 'undo'")
    assert len(rows) == 1000


# Values that only one may have ----------------------------------------------------------------------------------------


async def people_called(application: Application, meta: Meta, *names: str) -> None:
    for name in names:
        of = {"account_id": name, "email": f"{name}@example.org", "email_target_id": f"t{name}"}
        await application.execute(meta(), ACCOUNT, f"account-{name}", commands.sign_up, **of)


async def move(application: Application, of: Metadata, name: str, address: str) -> None:
    mail = {"email": f"{address}@example.org", "target_id": f"t{name}"}
    await application.execute(of, ACCOUNT, f"account-{name}", commands.change_email, **mail)


async def addresses(application: Application, *names: str) -> list[str]:
    """What they are called by, in the log, in the read models and by their targets."""
    found: list[str] = []
    for name in names:
        state = (await application.load(ACCOUNT, f"account-{name}")).state
        row = await accounts.get(application.log.reads, "default", name)
        assert row.email == state.email == state.targets[0].identifier
        found.append((state.email or "").partition("@")[0])
    return found


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
async def test_people_whose_addresses_were_swapped_have_their_own_again(
    application: Application, meta: Meta, names: tuple[str, ...]
) -> None:
    await people_called(application, meta, *names)
    await move(application, meta(request_id="swap"), names[-1], "aside")
    for name, other in zip(reversed(names[:-1]), reversed(names[1:]), strict=True):
        await move(application, meta(request_id="swap"), name, other)
    await move(application, meta(request_id="swap"), names[-1], names[0])
    assert await addresses(application, *names) == [*names[1:], names[0]]

    assert {each.outcome for each in (await undo(application, request="swap")).items} == {"reverted"}
    assert await addresses(application, *names) == [*names]
    for name in names:
        again = {"account_id": "new", "email": f"{name}@example.org", "email_target_id": "tnew"}
        with pytest.raises(UserAlreadyExists):
            await application.execute(meta(), ACCOUNT, "account-new", commands.sign_up, **again)


async def test_who_does_not_get_an_address_back_keeps_the_one_there_is(application: Application, meta: Meta) -> None:
    await people_called(application, meta, "a", "b")
    await move(application, meta(request_id="swap"), "b", "aside")
    await move(application, meta(request_id="swap"), "a", "b")
    await move(application, meta(request_id="swap"), "b", "a")
    await move(application, meta(), "a", "elsewhere")
    taken = {"account_id": "c", "email": "b@example.org", "email_target_id": "tc"}
    await application.execute(meta(), ACCOUNT, "account-c", commands.sign_up, **taken)
    undoing = await undo(application, request="swap")
    assert {each.stream: each.outcome for each in undoing.items} == {
        "account-a": "conflict",
        "account-b": "impossible",
    }
    assert await addresses(application, "a", "b", "c") == ["elsewhere", "a", "b"]


async def test_a_value_that_two_want_back_goes_to_the_first_and_the_plan_says_so(
    application: Application, meta: Meta
) -> None:
    await people_called(application, meta, "a", "b")
    await move(application, meta(request_id="wrong"), "a", "x")
    await move(application, meta(), "b", "a")
    await move(application, meta(request_id="wrong"), "b", "y")
    chosen = await selected(application, Wanted(project="default", request="wrong"))
    said = {each.stream: each.outcome for each in (await preview(application, "default", chosen)).items}
    assert said == {"account-a": "reverted", "account-b": "impossible"}
    assert {each.stream: each.outcome for each in (await undo(application, request="wrong")).items} == said
    assert await addresses(application, "a", "b") == ["a", "y"]
