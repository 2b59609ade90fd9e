"""What people and servers can see of what happened to an account."""

import json
from typing import Any

import pytest

from tests.support.running import PASSWORD, Person, World
from tests.support.server import Client

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def query(method: str, value: Any) -> str:
    return json.dumps({"method": method, "values": [value]})


def named(logs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["event"], each["userType"]) for each in logs]


def test_the_log_begins_with_the_sign_up(world: World, jane: Person) -> None:
    world.server.client().ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD)
    answer = jane.ask("GET", "/account/logs").json()
    assert answer["total"] == 3
    assert [each["event"] for each in answer["logs"]] == ["session.create", "session.create", "user.create"]


def test_T49_the_owner_sees_every_sign_in_every_refused_one_and_every_change(
    world: World, jane: Person, operator: Client
) -> None:
    thief = world.server.client(user_agent=FIREFOX, x_forwarded_for="193.0.6.139")
    thief.ask("POST", "/account/sessions/email", email=jane.email, password="a wrong password")
    jane.ask("PATCH", "/account/prefs", prefs={"theme": "dark"})
    jane.ask("PATCH", "/account/prefs", prefs={"theme": "dark"})
    operator.ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip", "pro", "staff"])
    operator.ask("PATCH", f"/users/{jane.account_id}/verification", emailVerification=True)
    jane.ask("DELETE", f"/account/sessions/{jane.session_id}")
    jane.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD)

    logs = jane.ask("GET", "/account/logs").json()["logs"]
    assert named(logs) == [
        ("session.create", "user"),
        ("session.delete", "user"),
        ("verification.update", "keyProject"),
        ("user.update", "keyProject"),
        ("user.update", "user"),
        ("session.refuse", "guest"),
        ("session.create", "user"),
        ("user.create", "user"),
    ]
    assert {(each["userId"], each["userEmail"], each["userName"], each["mode"]) for each in logs} == {
        (jane.account_id, jane.email, "Jane Roe", "default")
    }
    assert [each["time"] for each in logs] == sorted((each["time"] for each in logs), reverse=True)
    refused = logs[5]
    assert (refused["ip"], refused["countryCode"], refused["clientCode"]) == ("193.0.6.139", "nl", "FF")
    assert operator.ask("GET", f"/users/{jane.account_id}/logs").json()["logs"] == logs


def test_pages_and_totals(jane: Person, operator: Client) -> None:
    for nth in range(5):
        jane.ask("PATCH", "/account/name", name=f"Jane {nth}")
    path = f"/users/{jane.account_id}/logs"
    whole = operator.ask("GET", path).json()
    assert whole["total"] == len(whole["logs"]) == 7

    page = operator.get(path, params={"queries[]": [query("limit", 3), query("offset", 2)]}).json()
    assert page == {"total": 7, "logs": whole["logs"][2:5]}
    beyond = operator.get(path, params={"queries[]": [query("offset", 2**62)]}).json()
    assert beyond == {"total": 7, "logs": []}
    assert operator.ask("GET", path, total="false").json() == {"total": 0, "logs": whole["logs"]}
    assert (
        jane.client.get("/account/logs", params={"queries[]": [query("limit", 1)]}).json()["logs"] == whole["logs"][:1]
    )


@pytest.mark.parametrize(
    "text",
    [
        query("cursorAfter", "someone"),
        query("cursorBefore", "someone"),
        query("equal", "someone"),
        query("limit", 0),
        query("limit", "1"),
        query("offset", -1),
        "limit(1)",
    ],
)
def test_other_queries_are_refused(jane: Person, operator: Client, text: str) -> None:
    for client, path in ((jane.client, "/account/logs"), (operator, f"/users/{jane.account_id}/logs")):
        answer = client.get(path, params={"queries[]": text})
        assert answer.status_code == 400
        assert answer.json()["type"] == "general_argument_invalid"


def test_logs_are_the_account_s_alone(world: World, jane: Person, guest: Client, operator: Client) -> None:
    other = world.person()
    guest.ask("POST", "/account/sessions/email", email=other.email, password="a wrong password")
    assert [each["event"] for each in jane.ask("GET", "/account/logs").json()["logs"]] == [
        "session.create",
        "user.create",
    ]
    assert guest.ask("GET", "/account/logs").status_code == 401

    jane.ask("DELETE", "/account")
    assert operator.ask("GET", f"/users/{jane.account_id}/logs").json()["type"] == "user_not_found"
    again = world.server.client()
    again.ask("POST", "/account", userId=jane.account_id, email=jane.email, password=PASSWORD)
    logs = operator.ask("GET", f"/users/{jane.account_id}/logs").json()["logs"]
    assert [each["event"] for each in logs] == ["user.create"], "what the last owner of the id did is not theirs"


def test_servers_see_what_happened_to_a_team_and_who_did_it(world: World, jane: Person, operator: Client) -> None:
    team = jane.ask("POST", "/teams", teamId="unique()", name="The Crew").json()["$id"]
    path = f"/teams/{team}/logs"
    jane.ask("PUT", f"/teams/{team}", name="The Others")
    other = world.person()
    operator.ask("POST", f"/teams/{team}/memberships", userId=other.account_id, roles=["player"])
    answer = operator.ask("GET", path)
    logs = answer.json()["logs"]
    assert named(logs) == [("membership.create", "keyProject"), ("team.update", "user"), ("team.create", "user")]
    assert [each["userId"] for each in logs] == ["", jane.account_id, jane.account_id]
    assert {each["userEmail"] for each in logs[1:]} == {jane.email}
    assert answer.json()["total"] == 3
    page = operator.get(path, params={"queries[]": [query("limit", 1), query("offset", 1)], "total": "false"}).json()
    assert page == {"total": 0, "logs": logs[1:2]}
    (read,) = world.log.of(answer)
    assert read.model_dump()["count"] == 3
    assert jane.ask("GET", path).json()["type"] == "user_unauthorized"
    assert other.ask("GET", "/teams/nobodys/logs").json()["type"] == "team_not_found"


def test_T50_servers_that_look_at_a_person_s_log_are_on_record(world: World, jane: Person, operator: Client) -> None:
    (read,) = world.log.recorded(operator.ask("GET", f"/users/{jane.account_id}/logs"))
    assert read.event.topic == "security.audit_read"
    assert read.event.model_dump()["about"].startswith("account-")
    assert read.meta.actor.kind == "key"
    assert not world.log.of(jane.ask("GET", "/account/logs")), "one's own is no audit"
