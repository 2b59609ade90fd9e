"""A message reaches those whose roles allow it, for as long as they do, on whatever server they are connected."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.running import Person, World
from tests.support.server import Client, Server
from tests.support.sockets import Listener, listening

EVERYTHING = ("account", "teams", "memberships")
AT_ONCE = 1.0
"""Seconds within which somebody who may no longer hear is hung up on."""


def team_of(owner: Person) -> str:
    """A new team of somebody's."""
    return owner.ask("POST", "/teams", teamId="unique()", name="Crew").json()["$id"]


def joined(operator: Client, team: str, person: Person, *roles: str) -> str:
    """A server adds somebody to a team; the membership."""
    fields = {"userId": person.account_id, "roles": list(roles)}
    answer = operator.ask("POST", f"/teams/{team}/memberships", **fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["$id"]


def test_a_stranger_hears_nothing_of_others(world: World, operator: Client, jane: Person) -> None:
    stranger, server = world.person(), world.server
    team = team_of(jane)
    with (
        listening(server, stranger) as listener,
        listening(server, jane, *EVERYTHING) as own,
        Listener(server) as guest,
    ):
        guest.said("connected")
        for each in (listener, guest):
            answer = each.subscribe(*EVERYTHING, f"account.{jane.account_id}", f"teams.{team}", "memberships.x")
            assert f"account.{jane.account_id}" not in answer["subscriptions"][0]["channels"]
        jane.ask("PATCH", "/account/name", name="Janet")
        jane.ask("PUT", f"/teams/{team}", name="Others")
        membership = joined(operator, team, world.bystander, "player")
        own.event(f"teams.{team}.memberships.{membership}.create")
        listener.nothing_yet()
        guest.nothing_yet()


def test_people_hear_of_their_teams_and_each_channel_is_heard_once(
    world: World, operator: Client, jane: Person
) -> None:
    joe = world.person()
    team = team_of(jane)
    membership = joined(operator, team, joe, "player")
    with listening(world.server, joe, *EVERYTHING) as listener:
        listener.subscribe(f"teams.{team}", name="one")
        listener.subscribe(f"memberships.{membership}", name="mine")
        jane.ask("PUT", f"/teams/{team}", name="Others")
        told = listener.said("event")
        assert told["events"] == [f"teams.{team}.update", "teams.*.update", f"teams.{team}", "teams.*"]
        assert set(told["subscriptions"]) == {"first", "one"}
        assert (told["payload"]["name"], told["payload"]["total"]) == ("Others", 2)
        operator.ask("PATCH", f"/teams/{team}/memberships/{membership}", roles=["coach"])
        told = listener.said("event")
        assert told["events"][0] == f"teams.{team}.memberships.{membership}.update"
        assert set(told["subscriptions"]) == {"first", "mine"}
        assert told["payload"]["roles"] == ["coach"]
        jane.ask("PUT", f"/teams/{team}/prefs", prefs={"a": 1})
        assert listener.event("teams.*.update.prefs")["payload"] == {"a": 1}
        jane.ask("DELETE", f"/teams/{team}")
        assert listener.event(f"teams.{team}.delete")["payload"]["$id"] == team


def test_T27_who_joins_hears_from_then_on_and_who_leaves_no_longer(
    world: World, second: Server, operator: Client, jane: Person
) -> None:
    joe = world.person()
    team = team_of(jane)
    with listening(second, joe, *EVERYTHING) as listener, listening(world.server, jane, *EVERYTHING) as owner:
        jane.ask("PUT", f"/teams/{team}", name="Before")
        owner.event("teams.*.update")
        listener.nothing_yet()
        for _ in range(3):
            membership = joined(operator, team, joe, "player")
            assert listener.said("event")["payload"]["$id"] == membership
            jane.ask("PUT", f"/teams/{team}", name=f"With {membership}")
            assert listener.said("event")["payload"]["name"] == f"With {membership}"
            jane.ask("DELETE", f"/teams/{team}/memberships/{membership}")
            jane.ask("PUT", f"/teams/{team}", name="Without")
            owner.until(lambda told: told["data"]["payload"].get("name") == "Without")
            time.sleep(0.2)  # the other server may be later
            listener.nothing_yet()


def test_who_makes_a_team_hears_of_it(world: World, jane: Person) -> None:
    with listening(world.server, jane, "teams", "memberships") as listener:
        team = team_of(jane)
        names = [listener.said("event")["events"][0] for _ in range(2)]
        assert names[0] == f"teams.{team}.create"
        assert names[1].startswith(f"teams.{team}.memberships.")


Ending = Callable[[World, Client, Person], Any]
ENDINGS: dict[str, Ending] = {
    "logged out": lambda world, operator, jane: jane.ask("DELETE", "/account/sessions/current"),
    "all sessions": lambda world, operator, jane: operator.ask("DELETE", f"/users/{jane.account_id}/sessions"),
    "blocked": lambda world, operator, jane: operator.ask("PATCH", f"/users/{jane.account_id}/status", status=False),
    "deleted": lambda world, operator, jane: operator.ask("DELETE", f"/users/{jane.account_id}"),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_T19_who_may_no_longer_hear_is_hung_up_on_at_once(
    world: World, second: Server, operator: Client, jane: Person, ending: str, elsewhere: bool
) -> None:
    jwt = jane.ask("POST", "/account/jwts").json()["jwt"]
    server = second if elsewhere else world.server
    with listening(server, jane, *EVERYTHING) as by_cookie, Listener(server, query=f"&jwt={jwt}") as by_jwt:
        assert by_jwt.said("connected")["user"] is not None
        done = ENDINGS[ending](world, operator, jane)
        assert done.is_success
        begun = time.monotonic()
        for listener in (by_cookie, by_jwt):
            assert listener.said("error", AT_ONCE)["code"] == 1008
            assert listener.ended(AT_ONCE)[0] == 1008
        assert time.monotonic() - begun < AT_ONCE


def test_T19_one_session_that_ends_takes_no_other_with_it(world: World, jane: Person) -> None:
    other = world.server.client()
    answer = other.ask("POST", "/account/sessions/email", email=jane.email, password="correct horse battery")
    with listening(world.server, jane, "account") as listener:
        with Listener(world.server, cookies=dict(other.cookies.items())) as ending:
            ending.said("connected")
            other.ask("DELETE", "/account/sessions/current")
            assert ending.ended()[0] == 1008
        told = listener.event(f"users.{jane.account_id}.sessions.{answer.json()['$id']}.delete")
        assert told["channels"] == ["account", f"account.{jane.account_id}"]
        jane.ask("PATCH", "/account/name", name="Janet")
        assert listener.event("users.*.update.name")["payload"]["name"] == "Janet"


def test_no_secret_is_told(world: World, operator: Client, jane: Person) -> None:
    with listening(world.server, jane, "account") as listener:
        jane.ask("POST", "/account/recovery", email=jane.email, url="http://localhost:3000/")
        assert listener.event("users.*.recovery.*.create")["payload"]["secret"] == ""
        session = operator.ask("POST", f"/users/{jane.account_id}/sessions").json()
        told = listener.event(f"users.*.sessions.{session['$id']}.create")
        assert session["secret"]
        assert told["payload"]["secret"] == ""


def test_another_project_hears_nothing(world: World, jane: Person) -> None:
    world.project("elsewhere-heard")
    joe = world.person(project="elsewhere-heard")
    cookies = dict(joe.client.cookies.items())
    with Listener(world.server, project="elsewhere-heard", cookies=cookies) as listener:
        assert listener.said("connected")["user"]["$id"] == joe.account_id
        listener.subscribe(*EVERYTHING)
        with listening(world.server, jane, *EVERYTHING) as own:
            team_of(jane)
            own.said("event")
        listener.nothing_yet()
        joe.ask("PATCH", "/account/name", name="Joe")
        assert listener.said("event")["payload"]["name"] == "Joe"
    with Listener(world.server, cookies=cookies) as stranger:
        assert stranger.said("connected")["user"] is None


def test_sockets_of_one_account_and_address_are_counted(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("counted") / "data"
    limits = {"ACCOUNTS_SOCKETS_PER_ADDRESS": "4", "ACCOUNTS_SOCKETS_PER_ACCOUNT": "2"}
    with Server(folder, database_url=world.conninfo, **limits) as server:
        jane = world.person(server=server)
        first, other = listening(server, jane), listening(server, jane)
        with Listener(server, cookies=dict(jane.client.cookies.items())) as third:
            assert third.said("error")["code"] == 1013
            assert third.ended()[0] == 1013
        more = [Listener(server), Listener(server)]
        with pytest.raises(InvalidStatus) as refused:
            Listener(server)
        assert refused.value.response.status_code == 429
        for each in (first, other, *more):
            each.close()
        again = listening(server, jane, "account")
        jane.ask("PATCH", "/account/name", name="Janet")
        again.event("users.*.update.name")
        again.close()


def test_a_project_that_switches_sockets_off_has_none_from_then_on(world: World) -> None:
    world.project("switched-off")
    by_key = world.server.client(project="switched-off", key=world.key("project.write", project="switched-off"))
    joe = world.person(project="switched-off")
    cookies = dict(joe.client.cookies.items())
    with (
        Listener(world.server, project="switched-off", cookies=cookies) as listener,
        Listener(world.server, project="switched-off") as guest,
        Listener(world.server) as elsewhere,
    ):
        for each in (listener, guest, elsewhere):
            each.said("connected")
        assert by_key.ask("PATCH", "/project/protocols/websocket", enabled=False).is_success
        for each in (listener, guest):
            assert each.said("error", AT_ONCE)["code"] == 1008
            assert each.ended(AT_ONCE)[0] == 1008
        elsewhere.nothing_yet()
