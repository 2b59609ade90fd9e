"""What happened is undone over the wire: shown first, done at once, undone again."""

from typing import Any

import pytest

from accounts_es.http.callers import ALL_KEY_SCOPES
from tests.support.running import Person, World, an_email
from tests.support.server import Client


@pytest.fixture(scope="module")
def undoer(world: World) -> Client:
    """Somebody with a key that may undo everything, and nothing to do with what it undoes."""
    return world.server.client(key=world.key(*ALL_KEY_SCOPES, key_id="undoer"))


def ask(client: Client, **fields: Any) -> dict[str, Any]:
    answer = client.ask("POST", "/reverts", **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def user(operator: Client, person: Person) -> dict[str, Any]:
    return operator.ask("GET", f"/users/{person.account_id}").json()


def changed(answer: Any) -> str:
    """The id of a request that changed something."""
    assert answer.status_code < 300, answer.text
    return answer.headers["x-request-id"]


def outcomes(told: dict[str, Any]) -> list[str]:
    return [each["outcome"] for each in told["reverts"]]


def test_a_request_is_undone_and_that_undone_again(undoer: Client, operator: Client, jane: Person) -> None:
    request = changed(operator.ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip", "staff"]))
    would = ask(undoer, requestId=request, dryRun=True)
    assert (would["total"], would["reverted"], would["dryRun"], would["scopes"]) == (2, 2, True, ["users.write"])
    first = would["reverts"][0]
    assert (first["event"], first["field"], first["from"], first["to"]) == ("LabelAdded", "label:vip", True, False)
    assert (first["resourceType"], first["resourceId"]) == ("user", jane.account_id)
    assert user(operator, jane)["labels"] == ["vip", "staff"], "a dry run changes nothing"

    done = ask(undoer, requestId=request)
    assert outcomes(done) == ["reverted", "reverted"]
    assert user(operator, jane)["labels"] == []

    again = ask(undoer, requestId=done["requestId"])
    assert outcomes(again) == ["reverted", "reverted"]
    assert sorted(user(operator, jane)["labels"]) == ["staff", "vip"]

    late = ask(undoer, requestId=request)
    assert outcomes(late) == ["conflict", "conflict"]
    assert late["reverts"][0]["reason"].startswith("undone already by event ")


def test_the_audit_says_what_undid_what(world: World, undoer: Client, operator: Client, jane: Person) -> None:
    changed(operator.ask("PATCH", f"/users/{jane.account_id}/name", name="Wrong"))
    (item,) = ask(undoer, keyId=_key_of(world, operator), userId=jane.account_id, **{"from": "2020-01-01"})["reverts"]
    rows = world.log.connection.execute(
        """SELECT convert_from(state, 'UTF8')::jsonb #>> '{meta,causation}', actor, operation
           FROM log.accounts_events WHERE originator_id = %s ORDER BY notification_id DESC LIMIT 1""",
        (item["stream"],),
    ).fetchall()
    assert rows == [(str(item["position"]), "key:undoer", "reverts.create")]


def _key_of(world: World, operator: Client) -> str:
    keys = operator.ask("GET", "/project/keys").json()["keys"]
    return next(each["$id"] for each in keys if each["name"] != "For a test")


def test_what_somebody_changed_since_stays(undoer: Client, operator: Client, jane: Person) -> None:
    request = changed(operator.ask("PATCH", f"/users/{jane.account_id}/name", name="Wrong"))
    changed(jane.ask("PATCH", "/account/name", name="Janet"))
    told = ask(undoer, requestId=request)
    assert outcomes(told) == ["conflict"]
    assert user(operator, jane)["name"] == "Janet"


def test_what_a_user_did_is_undone_within_a_time(undoer: Client, operator: Client, jane: Person) -> None:
    changed(jane.ask("PATCH", "/account/name", name="Wrong"))
    changed(jane.ask("PATCH", "/account/prefs", prefs={"theme": "dark"}))
    team = jane.ask("POST", "/teams", teamId="unique()", name="Wrong").json()
    told = ask(undoer, actor=jane.account_id, to="2100-01-01")
    by_event = {each["event"]: each["outcome"] for each in told["reverts"]}
    assert by_event["NameChanged"] == by_event["PrefsUpdated"] == by_event["TeamCreated"] == "reverted"
    now = user(operator, jane)
    assert (now["name"], now["prefs"]) == ("Jane Roe", {})
    assert operator.ask("GET", f"/teams/{team['$id']}").status_code == 404


def test_a_deleted_user_comes_back_and_signs_in(undoer: Client, operator: Client, world: World) -> None:
    jane = world.person()
    before = user(operator, jane)
    changed(operator.ask("DELETE", f"/users/{jane.account_id}"))
    told = ask(undoer, userId=jane.account_id, **{"from": before["$createdAt"], "keyId": _key_of(world, operator)})
    assert outcomes(told) == ["reverted"]
    now = user(operator, jane)
    for name in ("$id", "email", "name", "prefs", "labels", "targets", "password"):
        if name == "targets":
            assert [t["identifier"] for t in now[name]] == [t["identifier"] for t in before[name]]
        else:
            assert now[name] == before[name], name
    assert jane.ask("GET", "/account").status_code == 401, "sessions stay ended"
    client = world.server.client()
    signed_in = client.ask("POST", "/account/sessions/email", email=jane.email, password="correct horse battery")
    assert signed_in.status_code == 201


def test_an_address_somebody_else_has_by_now_does_not_come_back(
    undoer: Client, operator: Client, jane: Person, world: World
) -> None:
    request = changed(operator.ask("PATCH", f"/users/{jane.account_id}/email", email=an_email()))
    world.person(email=jane.email)
    told = ask(undoer, requestId=request)
    assert {each["outcome"] for each in told["reverts"]} == {"impossible"}
    assert {each["reason"] for each in told["reverts"]} == {"somebody else has it by now"}


def test_T26_a_revert_needs_the_scopes_of_its_changes(world: World, operator: Client, jane: Person) -> None:
    request = changed(operator.ask("PATCH", f"/users/{jane.account_id}/status", status=False))
    for scopes in (("reverts.write",), ("reverts.write", "teams.write"), ("events.read", "users.write")):
        poor = world.server.client(key=world.key(*scopes))
        answer = poor.ask("POST", "/reverts", requestId=request)
        assert (answer.status_code, answer.json()["type"]) == (401, "general_unauthorized_scope")
    reader = world.server.client(key=world.key("reverts.write"))
    assert reader.ask("POST", "/reverts", requestId=request, dryRun=True).status_code == 401
    assert not user(operator, jane)["status"]
    exact = world.server.client(key=world.key("reverts.write", "users.write"))
    assert ask(exact, requestId=request)["reverted"] == 1
    assert user(operator, jane)["status"]


def test_T23_a_key_brings_no_other_back_with_more_than_it_has(world: World, operator: Client) -> None:
    made = operator.ask("POST", "/project/keys", keyId="unique()", name="Wide", scopes=["users.read"]).json()
    request = changed(operator.ask("DELETE", f"/project/keys/{made['$id']}"))
    poor = world.server.client(key=world.key("reverts.write", "keys.write"))
    assert outcomes(ask(poor, requestId=request)) == ["impossible"]
    rich = world.server.client(key=world.key("reverts.write", "keys.write", "users.read"))
    assert outcomes(ask(rich, requestId=request)) == ["reverted"]
    again = world.server.client(key=made["secret"])
    assert again.ask("GET", "/users").status_code == 200


def test_T25_nothing_of_another_project_is_selected(world: World, operator: Client, jane: Person) -> None:
    other = world.project("undone")
    stranger = world.server.client(project=other, key=world.key(*ALL_KEY_SCOPES, project=other))
    answer = operator.ask("PATCH", f"/users/{jane.account_id}/name", name="Wrong")
    told = ask(stranger, requestId=changed(answer))
    assert (told["total"], told["reverts"]) == (0, [])
    ((position,),) = world.log.connection.execute("SELECT max(notification_id) FROM log.accounts_events").fetchall()
    assert ask(stranger, positions=[position - 1, position], dryRun=True)["total"] == 0
    assert stranger.ask("POST", "/reverts", requestId="x", userId=jane.account_id).status_code == 404
    assert user(operator, jane)["name"] == "Wrong"


def test_what_is_selected_must_be_said_and_bounded(world: World, undoer: Client) -> None:
    for fields in ({}, {"userId": "jane"}, {"to": "2030-01-01"}, {"positions": []}):
        assert undoer.ask("POST", "/reverts", **fields).json()["type"] == "general_argument_invalid"
    project = world.project("busy")
    many = world.server.client(project=project, key=world.key(*ALL_KEY_SCOPES, project=project, key_id="busy"))
    people = [many.ask("POST", "/users", userId="unique()").json()["$id"] for _ in range(2)]
    for nth in range(8):
        labels = [f"{nth}l{each}" for each in range(70)]
        for person in people:
            assert many.ask("PUT", f"/users/{person}/labels", labels=labels).status_code == 200
    answer = many.ask("POST", "/reverts", keyId="busy", dryRun=True)
    assert (answer.status_code, answer.json()["type"]) == (400, "revert_too_large")


def test_no_secret_is_told(undoer: Client, jane: Person) -> None:
    told = ask(undoer, actor=jane.account_id, dryRun=True)
    created = undoer.ask("POST", "/reverts", userId=jane.account_id, dryRun=True, **{"from": "2020-01-01"})
    assert "argon2" not in created.text
    assert {each["outcome"] for each in told["reverts"]} <= {"impossible", "conflict", "reverted", "nothing"}


def test_what_was_done_to_a_team_is_undone_when_it_is_gone(undoer: Client, operator: Client, world: World) -> None:
    team = operator.ask("POST", "/teams", teamId="unique()", name="Crew").json()["$id"]
    request = changed(operator.ask("DELETE", f"/teams/{team}"))
    assert outcomes(ask(undoer, requestId=request, teamId=team)) == ["reverted"]
    assert operator.ask("GET", f"/teams/{team}").json()["name"] == "Crew"
    assert undoer.ask("POST", "/reverts", requestId=request, teamId="nobody").status_code == 404
