"""Different people reach different resources: by who they are, what is verified, their labels and their teams."""

import json
from collections.abc import Callable
from secrets import token_hex
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts_es.adapters.ids import stream_id, wire_id
from accounts_es.application import Application
from accounts_es.domain.account import commands
from accounts_es.domain.team import TEAM
from accounts_es.domain.team import commands as team_commands
from tests.support.metadata import metadata
from tests.support.running import Person, World, administer
from tests.support.server import Client


def protect(operator: Client, *permissions: str, kind: str = "notes") -> str:
    """A new resource with these permissions; its id."""
    resource_id = wire_id()
    answer = operator.ask("PUT", f"/resources/{kind}/{resource_id}", permissions=list(permissions))
    assert answer.status_code == 200, answer.text
    return resource_id


def verified(world: World, person: Person) -> Person:
    world.decide(person.account_id, commands.set_email_verification, verified=True)
    return person


def reads(client: Client, resource_id: str, kind: str = "notes") -> bool:
    answer = client.ask("GET", f"/resources/{kind}/{resource_id}")
    assert answer.status_code in {200, 404}
    return answer.status_code == 200


def join(world: World, person: Person, *roles: str) -> tuple[str, str]:
    """A new team with this member; its id and the membership's."""
    team_id, membership_id = wire_id(), wire_id()
    stream = world.log.connection.execute(
        "SELECT stream FROM read.accounts_v2 WHERE account_id = %s", (person.account_id,)
    ).fetchone()[0]

    async def work(app: Application) -> None:
        team = stream_id("team")
        await app.execute(metadata("test"), TEAM, team, team_commands.create_team, team_id=team_id, name="Crew")
        await app.execute(
            metadata("test"),
            TEAM,
            team,
            team_commands.add_member,
            membership_id=membership_id,
            account=stream,
            roles=roles,
        )

    administer(world.conninfo, work)
    return team_id, membership_id


# Who reads what -------------------------------------------------------------------------------------------------------


def test_the_table_of_the_documentation(world: World, operator: Client, guest: Client) -> None:
    ann, bob = verified(world, world.person()), world.person()
    table: dict[str, tuple[bool, bool, bool]] = {
        "any": (True, True, True),
        "guests": (False, False, True),
        "users": (True, True, False),
        "users/verified": (True, False, False),
        "users/unverified": (False, True, False),
        f"user:{ann.account_id}": (True, False, False),
        f"user:{ann.account_id}/verified": (True, False, False),
        f"user:{ann.account_id}/unverified": (False, False, False),
        f"user:{bob.account_id}/unverified": (False, True, False),
        "label:vip": (False, False, False),
        "team:nowhere": (False, False, False),
    }
    for role, expected in table.items():
        resource_id = protect(operator, f'read("{role}")')
        assert tuple(reads(each, resource_id) for each in (ann.client, bob.client, guest)) == expected, role
        assert reads(operator, resource_id)


def test_T27_labels_memberships_and_verification_count_from_the_next_request_on(
    world: World, operator: Client, jane: Person
) -> None:
    labelled, seen = protect(operator, 'read("label:vip")'), protect(operator, 'read("users/verified")')
    assert not reads(jane.client, labelled)
    operator.ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip"])
    assert reads(jane.client, labelled)
    operator.ask("PUT", f"/users/{jane.account_id}/labels", labels=[])
    assert not reads(jane.client, labelled)
    assert not reads(jane.client, seen)
    verified(world, jane)
    assert reads(jane.client, seen)
    team_id, membership_id = join(world, jane, "editor")
    for role, expected in (("team:{}", True), ("team:{}/editor", True), ("team:{}/owner", False)):
        assert reads(jane.client, protect(operator, f'read("{role.format(team_id)}")')) is expected
    assert reads(jane.client, protect(operator, f'read("member:{membership_id}")'))


def test_a_jwt_reads_what_its_person_reads(operator: Client, jane: Person, world: World) -> None:
    resource_id = protect(operator, f'read("user:{jane.account_id}")')
    jwt = jane.ask("POST", "/account/jwts").json()["jwt"]
    assert reads(world.server.client(x_appwrite_jwt=jwt), resource_id)


# Who changes what -----------------------------------------------------------------------------------------------------


def test_write_is_taken_apart_and_repeated_permissions_count_once(operator: Client) -> None:
    resource_id = protect(operator, 'write("users")', 'read("any")', 'update("users")')
    answer = operator.ask("GET", f"/resources/notes/{resource_id}").json()
    assert answer["$permissions"] == ['update("users")', 'delete("users")', 'read("any")']
    assert (answer["resourceType"], answer["resourceId"]) == ("notes", resource_id)


def test_a_person_changes_what_they_may_and_grants_only_what_they_are(
    world: World, operator: Client, jane: Person
) -> None:
    own = f"user:{jane.account_id}"
    mine = protect(operator, f'read("{own}")', f'update("{own}")')
    path = f"/resources/notes/{mine}"
    foreign = jane.ask("PUT", path, permissions=['read("label:vip")'])
    assert (foreign.status_code, foreign.json()["type"]) == (401, "user_unauthorized")
    assert own in foreign.json()["message"]
    assert jane.ask("PUT", path, permissions=['read("users")', f'update("{own}")']).status_code == 200
    assert reads(world.person().client, mine)
    assert jane.ask("DELETE", path).status_code == 401
    assert operator.ask("DELETE", path).status_code == 204
    assert operator.ask("GET", path).status_code == 404
    assert operator.ask("PUT", path, permissions=[]).status_code == 200, "what was released can be protected again"


def test_what_one_may_not_read_does_not_exist_and_nobody_but_a_server_begins(operator: Client, jane: Person) -> None:
    theirs = protect(operator, 'write("label:vip")')
    for method in ("PUT", "DELETE"):
        answer = jane.ask(method, f"/resources/notes/{theirs}", **({"permissions": []} if method == "PUT" else {}))
        assert answer.status_code == 404
    new = jane.ask("PUT", f"/resources/notes/{wire_id()}", permissions=[])
    assert (new.status_code, new.json()["type"]) == (401, "user_unauthorized")


def test_the_same_put_by_many_servers_at_once_makes_one_resource(world: World, operator: Client) -> None:
    from concurrent.futures import ThreadPoolExecutor

    resource_id = wire_id()
    with ThreadPoolExecutor(8) as crowd:
        answers = list(
            crowd.map(
                lambda nth: world.server.operator().ask(
                    "PUT", f"/resources/race/{resource_id}", permissions=[f'read("label:l{nth}")']
                ),
                range(16),
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    assert operator.ask("GET", "/resources/race").json()["total"] == 1


# Lists ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(world: World) -> dict[str, tuple[Client, set[str]]]:
    """Three people and a guest, each with the roles they have."""
    ann, bob, cay = verified(world, world.person()), world.person(), world.person()
    operator = world.server.operator()
    operator.ask("PUT", f"/users/{bob.account_id}/labels", labels=["vip"])
    team_id, membership_id = join(world, cay, "owner")
    world.team_id = team_id  # type: ignore[attr-defined]

    def roles(person: Person, *more: str, state: str = "unverified") -> set[str]:
        own = f"user:{person.account_id}"
        return {"any", "users", f"users/{state}", own, f"{own}/{state}", *more}

    return {
        "ann": (ann.client, roles(ann, state="verified")),
        "bob": (bob.client, roles(bob, "label:vip")),
        "cay": (cay.client, roles(cay, f"team:{team_id}", f"team:{team_id}/owner", f"member:{membership_id}")),
        "guest": (world.server.client(), {"any", "guests"}),
    }


def in_pages(client: Client, kind: str) -> list[str]:
    """What a client may read, two at a time by cursor; the same by offset and in the other order."""

    def page(*queries: dict[str, Any]) -> tuple[list[str], int]:
        limited = [json.dumps(each) for each in ({"method": "limit", "values": [2]}, *queries)]
        listed = client.ask("GET", f"/resources/{kind}", **{"queries[]": limited}).json()
        return [each["resourceId"] for each in listed["resources"]], listed["total"]

    part, total = page()
    found = [*part]
    while part:
        assert page({"method": "offset", "values": [len(found) - len(part)]}) == (part, total)
        part, again = page({"method": "cursorAfter", "values": [found[-1]]})
        assert again == total
        found += part
    down = {"method": "orderDesc", "attribute": "$sequence"}
    assert page(down) == (found[::-1][:2], total)
    assert total == len(found)
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_list_and_a_decision_are_what_brute_force_says(
    world: World, operator: Client, people: dict[str, tuple[Client, set[str]]], data: st.DataObject
) -> None:
    every = sorted(set().union(*(roles for _, roles in people.values())) | {"label:other", "team:nowhere"})
    permission = st.tuples(st.sampled_from(["read", "update", "write"]), st.sampled_from(every))
    kind = f"k{token_hex(4)}"
    made = [
        (protect(operator, *(f'{action}("{role}")' for action, role in permissions), kind=kind), permissions)
        for permissions in data.draw(st.lists(st.lists(permission, max_size=4), min_size=1, max_size=8))
    ]
    made[0] = made[0][0], data.draw(st.lists(permission, max_size=4))
    written = [f'{action}("{role}")' for action, role in made[0][1]]
    operator.ask("PUT", f"/resources/{kind}/{made[0][0]}", permissions=written)
    if len(made) > 5:
        operator.ask("DELETE", f"/resources/{kind}/{made.pop(3)[0]}")
    for client, roles in people.values():
        expected = [
            resource_id
            for resource_id, permissions in made
            if any(action == "read" and role in roles for action, role in permissions)
        ]
        listed = client.ask("GET", f"/resources/{kind}").json()
        assert [each["resourceId"] for each in listed["resources"]] == expected
        assert listed["total"] == len(expected)
        assert in_pages(client, kind) == expected
        assert [each for each, _ in made if reads(client, each, kind)] == expected
        for resource_id, permissions in made:
            asked = {"action": {"name": "update"}, "resource": {"type": kind, "id": resource_id}}
            decision = client.ask("POST", "/access/v1/evaluation", **asked).json()["decision"]
            assert decision is any(action != "read" and role in roles for action, role in permissions)


# Decisions ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ask(operator: Client) -> Callable[..., Any]:
    """A server's question about somebody."""

    def question(person: Person | None, action: str, resource_id: str) -> Any:
        subject = {"type": "user", "id": person.account_id} if person is not None else {"type": "guest", "id": "-"}
        answer = operator.ask(
            "POST",
            "/access/v1/evaluation",
            subject=subject,
            action={"name": action},
            resource={"type": "notes", "id": resource_id},
            context={"time": "now"},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    return question


def test_a_decision_names_the_permission_the_role_and_the_fact_it_came_from(
    world: World, operator: Client, jane: Person, ask: Callable[..., Any]
) -> None:
    team_id, membership_id = join(world, jane, "owner")
    verified(world, jane)
    operator.ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip"])
    for role, event in (
        (f"team:{team_id}/owner", "MemberAdded"),
        (f"member:{membership_id}", "MemberAdded"),
        ("users/verified", "VerifiedEmail"),
        ("label:vip", "LabelAdded"),
        (f"user:{jane.account_id}", "SignedUp"),
    ):
        told = ask(jane, "read", protect(operator, 'read("label:other")', f'read("{role}")'))
        reason = told["context"]["reason"]
        assert told["decision"] is True
        assert (reason["permission"], reason["role"]) == (f'read("{role}")', role)
        assert reason["source"]["event"] == event
        (recorded,) = world.log.read("notification_id = %s", reason["source"]["position"])
        assert type(recorded.event).__name__ == event
        assert recorded.meta.at.isoformat() == reason["source"]["at"]


def test_a_no_says_why_and_is_recorded(world: World, operator: Client, jane: Person, ask: Callable[..., Any]) -> None:
    resource_id = protect(operator, 'read("label:vip")')
    for told in (ask(jane, "read", resource_id), ask(None, "read", resource_id), ask(jane, "update", resource_id)):
        assert told["decision"] is False
        assert told["context"]["reason"]["denied"] == "no role of the subject may do this"
    assert ask(jane, "read", "nothing")["context"]["reason"]["denied"] == "there is no such resource"
    operator.ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip"])
    assert ask(jane, "read", resource_id)["decision"] is True
    world.decide(jane.account_id, commands.set_active, active=False)
    assert ask(jane, "read", resource_id)["context"]["reason"]["denied"] == "the subject is blocked"
    asked = {"action": {"name": "read"}, "resource": {"type": "notes", "id": resource_id}}
    answer = world.person().ask("POST", "/access/v1/evaluation", **asked)
    (denied,) = world.log.recorded(answer)
    assert denied.event.model_dump() == {"operation": "access.evaluate", "reason": "permission_missing"}


def test_a_person_asks_about_themselves_only(operator: Client, jane: Person, world: World) -> None:
    asked = {"action": {"name": "read"}, "resource": {"type": "notes", "id": protect(operator, 'read("users")')}}
    assert jane.ask("POST", "/access/v1/evaluation", **asked).json()["decision"] is True
    me = {"type": "user", "id": jane.account_id}
    assert jane.ask("POST", "/access/v1/evaluation", subject=me, **asked).json()["decision"] is True
    other = {"type": "user", "id": world.person().account_id}
    assert jane.ask("POST", "/access/v1/evaluation", subject=other, **asked).status_code == 401


def test_several_questions_take_what_they_leave_out_from_around_them(operator: Client, jane: Person) -> None:
    open_, shut = protect(operator, 'read("users")'), protect(operator, 'read("label:vip")')
    around = {"subject": {"type": "user", "id": jane.account_id}, "action": {"name": "read"}}
    questions = [{"resource": {"type": "notes", "id": each}} for each in (open_, shut, open_)]

    def decisions(**more: Any) -> list[bool]:
        answer = operator.ask("POST", "/access/v1/evaluations", **around, evaluations=questions, **more)
        assert answer.status_code == 200, answer.text
        return [each["decision"] for each in answer.json()["evaluations"]]

    assert decisions() == [True, False, True]
    assert decisions(options={"evaluations_semantic": "deny_on_first_deny"}) == [True, False]
    assert decisions(options={"evaluations_semantic": "permit_on_first_permit"}) == [True]
    wrong = operator.ask(
        "POST", "/access/v1/evaluations", **around, evaluations=questions, options={"evaluations_semantic": "x"}
    )
    assert wrong.status_code == 400
    alone = operator.ask("POST", "/access/v1/evaluations", **around, resource=questions[0]["resource"])
    assert alone.json()["decision"] is True
    unclear = operator.ask("POST", "/access/v1/evaluations", **around, evaluations=[{}])
    assert (unclear.status_code, unclear.json()["message"]) == (400, 'Param "resource" is not optional.')


# Proxies --------------------------------------------------------------------------------------------------------------


def test_a_proxy_is_told_who_it_is_or_what_is_missing(operator: Client, jane: Person, guest: Client) -> None:
    resource_id = protect(operator, 'read("users")')
    fields = {"resourceType": "notes", "resourceId": resource_id}
    let_in = jane.ask("GET", "/access/forward", **fields)
    assert let_in.status_code == 204
    assert let_in.headers["x-auth-user-id"] == jane.account_id
    assert "users/unverified" in let_in.headers["x-auth-roles"].split(",")
    assert guest.ask("GET", "/access/forward", **fields).status_code == 401
    assert jane.ask("GET", "/access/forward", **fields, action="update").status_code == 403
    assert jane.ask("GET", "/access/forward", role="users/verified").status_code == 403
    assert jane.ask("GET", "/access/forward").status_code == 204
    assert guest.ask("GET", "/access/forward").status_code == 401
    assert guest.ask("GET", "/access/forward", role="any").status_code == 204
    assert jane.ask("GET", "/access/forward", role="nonsense").status_code == 400
    assert jane.ask("GET", "/access/forward", resourceType="notes").status_code == 400


def test_decisions_are_found_where_the_standard_looks(world: World) -> None:
    root = world.server.url.removesuffix("/v1")
    found = httpx.get(f"{root}/.well-known/authzen-configuration", trust_env=False).json()
    assert found["policy_decision_point"] == root
    asked = httpx.post(found["access_evaluation_endpoint"], json={}, trust_env=False)
    assert asked.status_code == 404, "without a project"
    assert found["access_evaluations_endpoint"] == f"{root}/v1/access/v1/evaluations"
