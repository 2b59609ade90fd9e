"""People whom a server lets look at the project as others see it."""

from secrets import randbelow
from typing import Any

import pytest

from tests.support.running import Person, World
from tests.support.server import Client


@pytest.fixture
def agent(world: World, operator: Client) -> Person:
    """Somebody of the support team."""
    person = world.person()
    user = operator.ask("PATCH", f"/users/{person.account_id}/impersonator", impersonator=True).json()
    assert user["impersonator"] is True
    return person


def as_other(person: Person, method: str = "GET", path: str = "/account", **named: str) -> Any:
    """A request that names somebody: ``user_id``, ``user_email`` or ``user_phone``."""
    headers = {f"x-appwrite-impersonate-{name.replace('_', '-')}": value for name, value in named.items()}
    return person.client.request(method, path, headers=headers)


def seen(answer: Any) -> tuple[str, str | None]:
    body = answer.json()
    return body["$id"], body["impersonatorUserId"]


def test_an_appointed_account_sees_what_another_sees(operator: Client, agent: Person, jane: Person) -> None:
    number = f"+4930{randbelow(10**8):08}"
    operator.ask("PATCH", f"/users/{jane.account_id}/phone", number=number)
    operator.ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip"])
    janes = (jane.account_id, agent.account_id)
    assert seen(as_other(agent, user_id=jane.account_id)) == janes
    assert seen(as_other(agent, user_email=jane.email.upper())) == janes
    assert seen(as_other(agent, user_phone=number)) == janes
    for name, value in (
        ("impersonateUserId", jane.account_id),
        ("impersonateuserid", jane.account_id),
        ("impersonateEmail", jane.email),
        ("impersonatePhone", number),
    ):
        assert seen(agent.client.get("/account", params={name: value})) == janes
    assert as_other(agent, user_id=jane.account_id).json()["labels"] == ["vip"]
    assert seen(agent.ask("GET", "/account")) == (agent.account_id, None)
    assert seen(jane.ask("GET", "/account")) == (jane.account_id, None)


def test_the_id_counts_before_the_address_and_headers_before_the_query(
    world: World, agent: Person, jane: Person
) -> None:
    other = world.person()
    assert seen(as_other(agent, user_id=jane.account_id, user_email=other.email))[0] == jane.account_id
    answer = as_other(agent, path=f"/account?impersonateUserId={other.account_id}", user_id=jane.account_id)
    assert seen(answer)[0] == jane.account_id


def test_everything_else_is_done_in_ones_own_name(world: World, agent: Person, jane: Person) -> None:
    agent.client.headers["x-appwrite-impersonate-user-id"] = jane.account_id
    assert agent.ask("PATCH", "/account/name", name="Agent").json()["$id"] == agent.account_id
    assert agent.ask("GET", "/account/sessions").json()["sessions"][0]["$id"] == agent.session_id
    assert jane.ask("GET", "/account").json()["name"] == "Jane Roe"


def test_nobody_else_acts_as_others(operator: Client, agent: Person, jane: Person) -> None:
    assert seen(as_other(jane, user_id=agent.account_id)) == (jane.account_id, None)
    assert seen(as_other(agent, user_id="nobody")) == (agent.account_id, None)
    assert seen(agent.client.get("/account?impersonateEmail=%00")) == (agent.account_id, None)
    assert seen(as_other(agent, user_id=agent.account_id)) == (agent.account_id, None)
    assert operator.request("GET", "/account", headers={"x-appwrite-impersonate-user-id": "any"}).status_code == 401
    operator.ask("PATCH", f"/users/{agent.account_id}/impersonator", impersonator=False)
    assert seen(as_other(agent, user_id=jane.account_id)) == (agent.account_id, None), "at once"


def test_T24_nobody_acts_as_somebody_who_may_act_as_others(world: World, operator: Client, agent: Person) -> None:
    other = world.person()
    operator.ask("PATCH", f"/users/{other.account_id}/impersonator", impersonator=True)
    assert seen(as_other(agent, user_id=other.account_id)) == (agent.account_id, None)


def test_T24_what_is_done_in_anothers_name_says_who_did_it(
    world: World, operator: Client, agent: Person, jane: Person
) -> None:
    streams = {
        person.account_id: world.log.connection.execute(
            "SELECT stream FROM read.accounts_v2 WHERE account_id = %s", (person.account_id,)
        ).fetchone()[0]
        for person in (agent, jane)
    }
    answer = as_other(agent, "DELETE", user_id=jane.account_id)
    assert answer.status_code == 204
    (deleted,) = world.log.recorded(answer)
    assert (deleted.event.topic, deleted.stream) == ("account.deleted", streams[jane.account_id])
    actor = deleted.meta.actor
    assert (actor.kind, actor.id, actor.impersonator) == (
        "account",
        streams[jane.account_id],
        streams[agent.account_id],
    )
    assert operator.ask("GET", f"/users/{jane.account_id}").status_code == 404
    assert agent.ask("GET", "/account").status_code == 200


def test_nobody_is_deleted_in_place_of_the_one_who_was_named(agent: Person, jane: Person) -> None:
    for person, named in ((agent, "nobody"), (jane, agent.account_id)):
        answer = as_other(person, "DELETE", user_id=named)
        assert (answer.status_code, answer.json()["type"]) == (404, "user_not_found")
        assert person.ask("GET", "/account").status_code == 200


def test_a_blocked_account_shows_nothing_and_its_block_is_no_way_in(
    operator: Client, agent: Person, jane: Person
) -> None:
    operator.ask("PATCH", f"/users/{jane.account_id}/status", status=False)
    assert as_other(agent, user_id=jane.account_id).json()["type"] == "user_blocked"
    operator.ask("PATCH", f"/users/{jane.account_id}/status", status=True)
    operator.ask("PATCH", f"/users/{agent.account_id}/status", status=False)
    assert as_other(agent, user_id=jane.account_id).json()["type"] == "user_blocked"


def test_who_owes_a_second_factor_acts_as_nobody(operator: Client, agent: Person, jane: Person) -> None:
    for person in (agent, jane):
        path = f"/users/{person.account_id}"
        operator.ask("PATCH", f"{path}/verification", emailVerification=True)
        operator.ask("PATCH", f"{path}/mfa", mfa=True)
        assert as_other(agent, user_id=jane.account_id).json()["type"] == "user_more_factors_required"
        operator.ask("PATCH", f"{path}/mfa", mfa=False)


def test_looking_at_an_account_is_no_use_of_it(world: World, operator: Client, agent: Person, jane: Person) -> None:
    long_ago = "UPDATE read.accounts_v2 SET accessed_at = now() - interval '2 days' WHERE account_id = %s"
    world.log.connection.execute(long_ago, (jane.account_id,))
    before = operator.ask("GET", f"/users/{jane.account_id}").json()["accessedAt"]
    assert world.log.of(as_other(agent, user_id=jane.account_id)) == []
    assert operator.ask("GET", f"/users/{jane.account_id}").json()["accessedAt"] == before


def test_a_jwt_acts_as_others_as_its_account_does(world: World, operator: Client, agent: Person, jane: Person) -> None:
    jwt = operator.ask("POST", f"/users/{agent.account_id}/jwts").json()["jwt"]
    client = world.server.client(x_appwrite_jwt=jwt, x_appwrite_impersonate_user_id=jane.account_id)
    assert seen(client.ask("GET", "/account")) == (jane.account_id, agent.account_id)


# Looking around -------------------------------------------------------------------------------------------------------


def test_an_appointed_account_finds_people_and_sees_no_secrets(operator: Client, agent: Person, jane: Person) -> None:
    found = agent.ask("GET", "/users", search=f'"{jane.email}"').json()["users"]
    one = agent.ask("GET", f"/users/{jane.account_id}").json()
    assert found == [one]
    assert (one["email"], one["password"], one["hash"], one["hashOptions"]) == (
        jane.email,
        None,
        "argon2",
        {"type": "argon2"},
    )
    assert operator.ask("GET", f"/users/{jane.account_id}").json()["password"].startswith("$argon2id$")
    assert as_other(agent, path=f"/users/{jane.account_id}", user_id=jane.account_id).status_code == 200
    for path in ("prefs", "sessions", "logs", "mfa/factors", "mfa/recovery-codes", "targets/any"):
        answer = agent.ask("GET", f"/users/{jane.account_id}/{path}")
        assert (answer.status_code, answer.json()["type"]) == (401, "general_unauthorized_scope"), path
    assert agent.ask("PATCH", f"/users/{jane.account_id}/name", name="x").status_code == 401
    assert jane.ask("GET", "/users").status_code == 401
