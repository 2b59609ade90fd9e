"""A client that was away is told what it missed, once and in order, if it says where it was."""

from accounts_es.http.realtime.hub import MOST_MISSED
from tests.support.running import Person, World
from tests.support.server import Client
from tests.support.sockets import Listener, listening


def names_told(listener: Listener, until: str) -> list[str]:
    """The names in the payloads of what is told, up to one of them."""
    found = [listener.said("event")["payload"]["name"]]
    while found[-1] != until:
        found.append(listener.said("event")["payload"]["name"])
    return found


def test_who_comes_back_is_told_what_happened_meanwhile(world: World, jane: Person) -> None:
    with listening(world.server, jane, "account") as listener:
        jane.ask("PATCH", "/account/name", name="N0")
        position = listener.event("users.*.update.name")["position"]
    for nth in range(1, 6):
        jane.ask("PATCH", "/account/name", name=f"N{nth}")
    team = jane.ask("POST", "/teams", teamId="unique()", name="N6").json()["$id"]
    jane.ask("PUT", f"/teams/{team}", name="N7")
    with listening(world.server, jane, query=f"&after={position}") as back:
        back.subscribe("account", "teams")
        jane.ask("PUT", f"/teams/{team}", name="N8")
        assert names_told(back, "N8") == [f"N{nth}" for nth in range(1, 9)]
        positions = [each["position"] for each in back.events]
        assert positions == sorted(positions)
    with listening(world.server, jane) as again:
        again.subscribe("account", after=positions[2])
        assert names_told(again, "N5") == ["N4", "N5"]
        again.nothing_yet()


def test_what_was_told_before_is_told_as_it_was_then(world: World, jane: Person) -> None:
    with listening(world.server, jane) as listener:
        jane.ask("PATCH", "/account/prefs", prefs={"nth": 0})
        for nth in range(1, 4):
            jane.ask("PATCH", "/account/prefs", prefs={"nth": nth})
        listener.subscribe("account", after=0)
        told = [listener.event("users.*.update.prefs")["payload"] for _ in range(4)]
        assert told == [{"nth": nth} for nth in range(4)]


def test_nobody_is_told_what_they_may_not_hear_now(world: World, operator: Client, jane: Person) -> None:
    joe = world.person()
    team = jane.ask("POST", "/teams", teamId="unique()", name="Crew").json()["$id"]
    fields = {"userId": joe.account_id, "roles": ["player"]}
    membership = operator.ask("POST", f"/teams/{team}/memberships", **fields).json()["$id"]
    jane.ask("PUT", f"/teams/{team}", name="Known")
    with listening(world.server, joe) as listener:
        listener.subscribe("teams", after=0)
        assert listener.event("teams.*.update")["payload"]["name"] == "Known"
    operator.ask("DELETE", f"/teams/{team}/memberships/{membership}")
    with listening(world.server, joe) as listener:
        listener.subscribe("teams", after=0)
        listener.nothing_yet()


def test_who_was_away_too_long_is_told_so(world: World, jane: Person) -> None:
    for nth in range(MOST_MISSED + 1):
        jane.ask("PATCH", "/account/prefs", prefs={"nth": nth})
    with listening(world.server, jane) as listener:
        listener.subscribe("account", after=0)
        assert listener.said("error")["code"] == 1013
        jane.ask("PATCH", "/account/name", name="Janet")
        listener.event("users.*.update.name")


def test_what_happened_in_a_team_before_they_joined_is_told_to_nobody(
    world: World, operator: Client, jane: Person
) -> None:
    """They may hear of the team from now on; who was in it and has left is none of their business."""
    left, joe = world.person(), world.person()
    team = jane.ask("POST", "/teams", teamId="unique()", name="Crew").json()["$id"]
    memberships = f"/teams/{team}/memberships"
    earlier = operator.ask("POST", memberships, userId=left.account_id, roles=[]).json()["$id"]
    operator.ask("DELETE", f"{memberships}/{earlier}")
    jane.ask("PUT", f"/teams/{team}", name="Before")
    own = operator.ask("POST", memberships, userId=joe.account_id, roles=["player"]).json()["$id"]
    jane.ask("PUT", f"/teams/{team}", name="After")
    with listening(world.server, joe) as listener:
        listener.subscribe("teams", "memberships", after=0)
        listener.event("teams.*.update")
        assert [each["payload"].get("name", each["payload"]["$id"]) for each in listener.events] == [own, "After"]
