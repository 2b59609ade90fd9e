"""The official web SDK's realtime in a real browser: one page changes something, another one sees it."""

import json
from collections.abc import Callable
from typing import Any

from tests.browser.people import Visitor
from tests.support.calls import Calls
from tests.support.running import PASSWORD, World, an_email
from tests.support.server import Client
from tests.support.waiting import eventually


def signed_in(visitor: Visitor, email: str) -> str:
    """Sign in; the account's id."""
    visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    return visitor.account("get")["$id"]


def subscribe(visitor: Visitor, *channels: str, queries: str = "[]", with_: str = "Realtime") -> None:
    """Subscribe as an application does, with the service or with the client's older method."""
    how = "new Appwrite.Realtime(window.client)" if with_ == "Realtime" else "window.client"
    visitor.run(
        f"""(async () => {{
            window.told = [];
            window.realtime = {how};
            window.subscribed = await window.realtime.subscribe(
                {json.dumps(channels)}, (event) => window.told.push(event), {queries});
        }})()"""
    )


def told(visitor: Visitor, name: str) -> list[dict[str, Any]]:
    """What the page was told of this name."""
    return [each for each in visitor.run("window.told") if name in each["events"]]


def heard(visitor: Visitor, name: str, change: Callable[[], object]) -> dict[str, Any]:
    """What the page is told of a change. It is made again until the subscription has begun."""

    def tried() -> list[dict[str, Any]]:
        change()
        return told(visitor, name)

    return eventually(tried)[-1]


def test_what_one_page_changes_the_other_sees(visit: Callable[[], Visitor]) -> None:
    first, other, email = visit(), visit(), an_email()
    first.account("create", userId="unique()", email=email, password=PASSWORD, name="Jane Roe")
    me = signed_in(first, email)
    signed_in(other, email)
    for with_ in ("Realtime", "client"):
        subscribe(other, "account", with_=with_)
        turns = iter(range(1000))
        seen = heard(
            other,
            f"users.{me}.update.prefs",
            lambda turns=turns: first.account("updatePrefs", prefs={"nth": next(turns)}),
        )
        assert set(seen["channels"]) >= {"account", f"account.{me}"}
        first.account("updateName", name=f"Janet with {with_}")
        (named,) = eventually(lambda: told(other, f"users.{me}.update.name"))
        assert named["payload"] == first.account("get")
        other.run("window.subscribed.close ? window.subscribed.close() : window.subscribed()")
        other.reload()
        signed = other.account("get")
        assert signed["name"] == f"Janet with {with_}"


def test_members_see_their_team_and_strangers_do_not(
    world: World, operator: Client, visit: Callable[[], Visitor]
) -> None:
    owner, member, stranger = visit(), visit(), visit()
    ids: list[str] = []
    for each in (owner, member, stranger):
        email = an_email()
        each.account("create", userId="unique()", email=email, password=PASSWORD, name="Somebody")
        ids.append(signed_in(each, email))
    team = owner.call("Teams", "create", teamId="unique()", name="Crew")["$id"]
    joined = operator.ask("POST", f"/teams/{team}/memberships", userId=ids[1], roles=["player"]).json()["$id"]
    for each in (member, stranger):
        subscribe(each, "teams", f"teams.{team}", "memberships", f"memberships.{joined}")
    turns = iter(range(1000))

    def rename() -> None:
        owner.call("Teams", "updateName", teamId=team, name=f"Crew {next(turns)}")

    seen = heard(member, f"teams.{team}.update", rename)
    assert seen["payload"]["$id"] == team
    operator.ask("PATCH", f"/teams/{team}/memberships/{joined}", roles=["coach"])
    (changed,) = eventually(lambda: told(member, f"teams.{team}.memberships.{joined}.update"))
    assert changed["payload"]["roles"] == ["coach"]
    assert stranger.run("window.told") == []

    owner.call("Teams", "deleteMembership", teamId=team, membershipId=joined)
    rename()
    subscribe(owner, "teams")
    heard(owner, f"teams.{team}.update", rename)
    last = owner.call("Teams", "get", teamId=team)["$updatedAt"]
    assert all(each["payload"].get("$updatedAt") != last for each in member.run("window.told"))
    assert told(member, f"teams.{team}.memberships.{joined}.delete") == []


def test_who_signs_out_is_told_no_more_and_who_signs_in_again_is(visit: Callable[[], Visitor]) -> None:
    first, other, email = visit(), visit(), an_email()
    first.account("create", userId="unique()", email=email, password=PASSWORD, name="Jane Roe")
    me = signed_in(first, email)
    signed_in(other, email)
    subscribe(other, "account")
    other.run("window.codes = []; window.realtime.onError((error, code) => window.codes.push(code)); undefined")
    turns = iter(range(1000))
    heard(other, f"users.{me}.update.prefs", lambda: first.account("updatePrefs", prefs={"nth": next(turns)}))
    first.account("deleteSessions")
    eventually(lambda: other.run("window.realtime.socket.readyState") == 3)
    assert other.run("window.codes") == [1008]
    signed_in(first, email)
    signed_in(other, email)
    subscribe(other, "account")
    heard(other, f"users.{me}.update.prefs", lambda: first.account("updatePrefs", prefs={"nth": next(turns)}))


def test_what_was_called_is_written_down(calls: Calls) -> None:
    calls.held()
