"""What changed of a user: every visible field, with the event and the request behind it."""

import json
from typing import Any

import pytest

from accounts_es.domain.account import commands
from tests.support.pastime import Past
from tests.support.running import Person, World
from tests.support.server import Client

HIDDEN = {"password", "hash", "hashOptions", "secret", "current"} | {
    f"provider{each}" for each in ("AccessToken", "AccessTokenExpiry", "RefreshToken")
}


def head(world: World) -> int:
    ((position,),) = world.log.connection.execute("SELECT max(notification_id) FROM log.accounts_events").fetchall()
    return int(position)


def patched(document: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    """RFC 6902, as much of it as a diff uses; what was there before must be what it says."""
    made = json.loads(json.dumps(document))
    for each in patch:
        *parents, name = [part.replace("~1", "/").replace("~0", "~") for part in each["path"][1:].split("/")]
        place = made
        for parent in parents:
            place = place[parent]
        assert (name in place) == (each["op"] != "add")
        if name in place:
            assert place[name] == each["old"]
        if each["op"] == "remove":
            del place[name]
        else:
            place[name] = each["value"]
    return made


def document(client: Client, user: str, at: int) -> dict[str, Any]:
    """A user as of then, put together from the responses as of then."""
    answer = client.get(f"/users/{user}?at={at}")
    if answer.status_code == 404:
        return {}
    sessions = client.get(f"/users/{user}/sessions?at={at}").json()["sessions"]
    shown = [answer.json(), *sessions]
    for each in shown:
        for name in HIDDEN:
            each.pop(name, None)
    return {**shown[0], "sessions": {each["$id"]: each for each in sessions}, "identities": {}}


def changes(client: Client, user: str, **asked: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/users/{user}/history", params={"limit": 5000, **asked})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["total"] >= len(body["changes"])
    return list(body["changes"])


@pytest.fixture(scope="module")
def past(world: World) -> Past:
    """A few users with a history."""
    made = Past(world, seed=7, people=3, teams=2)
    made.run(120, lists_every=1000)
    return made


def test_T52_a_diff_applied_to_one_moment_gives_the_other(past: Past) -> None:
    positions = sorted({each.position for each in past.captured})
    for _ in range(40):
        user, begin, end = past.user(), *past.random.choices(positions, k=2)
        old, new = document(past.client, user, begin), document(past.client, user, end)
        answer = past.client.get(f"/users/{user}/history/diff", params={"from": begin, "to": end})
        if not old and not new:
            assert answer.status_code == 404
            continue
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["from"], body["to"]) == (begin, end)
        assert patched(old, body["patch"]) == new


def test_T52_the_changes_one_after_the_other_lead_from_nothing_to_now(past: Past) -> None:
    for number in range(past.people):
        user = f"user{number}"
        told = changes(past.client, user)
        assert [each["position"] for each in told] == sorted((each["position"] for each in told), reverse=True)
        seen: dict[str, Any] = {}
        for each in reversed(told):
            *parents, name = each["field"].split("/")
            place = seen
            for parent in parents:
                place = place[parent]
            assert place.get(name) == each["old"]
            if each["new"] is None:
                place.pop(name, None)
            else:
                place[name] = each["new"]
        wanted = document(past.client, user, past.head())
        assert seen == {name: value for name, value in wanted.items() if value is not None}


def test_T52_blame_names_the_last_change_of_each_field(past: Past) -> None:
    blamed = 0
    for number in range(past.people):
        user = f"user{number}"
        answer = past.client.get(f"/users/{user}/history/blame")
        if answer.status_code == 404:
            assert document(past.client, user, past.head()) == {}
            continue
        told = changes(past.client, user)
        for field in answer.json()["fields"]:
            path = f"{field['field']}/"
            by = [each for each in told if path.startswith(f"{each['field']}/")]
            if field["value"] == {}:  # what emptied it
                by += [each for each in told if each["field"].startswith(path)]
            elif field["value"] is not None:
                by = [each for each in by if each["new"] is not None]
            assert field["position"] == max(each["position"] for each in by)
            assert field["event"]
            blamed += 1
    assert blamed > 20


def test_who_from_where_and_by_which_request(world: World, operator: Client, jane: Person) -> None:
    position = head(world)
    by_jane = jane.ask("PATCH", "/account/name", name="Janet")
    by_server = operator.ask("PATCH", f"/users/{jane.account_id}/name", name="Joan")
    second, first = changes(operator, jane.account_id, **{"from": position, "field": "name"})
    assert (first["old"], first["new"], first["event"]) == ("Jane Roe", "Janet", "NameChanged")
    assert (first["actorType"], first["actorId"]) == ("user", jane.account_id)
    assert (first["operation"], first["requestId"]) == ("account.updateName", by_jane.headers["x-request-id"])
    assert first["ip"] == "127.0.0.1"
    assert first["userAgent"].startswith("python-httpx")
    assert (second["actorType"], second["requestId"]) == ("keyProject", by_server.headers["x-request-id"])
    assert (second["old"], second["new"]) == ("Janet", "Joan")


def test_pages_follow_each_other(past: Past) -> None:
    whole, cursor, pages = changes(past.client, "user0"), None, []
    while page := changes(past.client, "user0", limit=7, **({"cursor": cursor} if cursor else {})):
        pages += page
        cursor = page[-1]["$id"]
    assert pages == whole
    assert past.client.get("/users/user0/history?cursor=nonsense").json()["type"] == "general_cursor_not_found"


def test_no_hash_and_no_secret_is_told(world: World, operator: Client, jane: Person) -> None:
    jane.ask("PATCH", "/account/password", password="another long one", oldPassword="correct horse battery")
    world.decide(
        jane.account_id,
        commands.link_identity,
        identity_id="i1",
        provider="google",
        provider_uid="1",
        access_token="canary-token",
    )
    for path in ("", "/blame", "/diff?from=1"):
        answer = operator.get(f"/users/{jane.account_id}/history{path}")
        assert answer.status_code == 200
        assert "argon2" not in answer.text
        assert "canary" not in answer.text
    fields = {each["field"] for each in changes(operator, jane.account_id)}
    assert {"passwordUpdate", "identities/i1"} <= fields


def test_deleted_users_have_a_history_until_they_are_erased(world: World, operator: Client, jane: Person) -> None:
    assert operator.ask("DELETE", f"/users/{jane.account_id}").status_code == 204
    told = changes(operator, jane.account_id, field="name")
    assert [(each["old"], each["new"], each["event"]) for each in told] == [
        ("Jane Roe", None, "AccountDeleted"),
        (None, "Jane Roe", "SignedUp"),
    ]
    assert operator.get(f"/users/{jane.account_id}/history/blame").status_code == 404

    world.log.connection.execute(
        "DELETE FROM log.subject_keys WHERE subject = (SELECT stream FROM read.streams_v1 WHERE id = %s)",
        (jane.account_id,),
    )
    for path in ("", "/blame", "/diff?from=1"):
        answer = operator.get(f"/users/{jane.account_id}/history{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "user_not_found")


def test_a_key_needs_both_scopes(world: World, jane: Person) -> None:
    for scopes, status in ((("users.read",), 401), (("audit.read",), 401), (("users.read", "audit.read"), 200)):
        client = world.server.client(key=world.key(*scopes))
        assert client.get(f"/users/{jane.account_id}/history").status_code == status
    assert jane.client.get(f"/users/{jane.account_id}/history").status_code == 401


def test_without_a_moment_the_end_of_the_log_is_meant_whatever_the_clocks_say(
    world: World, operator: Client, jane: Person
) -> None:
    """A clock that was set back, or another server's that is ahead: the newest events are later than now (T38)."""
    user = f"/users/{jane.account_id}"
    begin = world.log.connection.execute("SELECT max(notification_id) FROM log.accounts_events").fetchall()[0][0]
    changed = operator.ask("PATCH", f"{user}/name", name="Later").headers["x-request-id"]

    def shift(hours: int) -> None:
        with world.log.connection.transaction():
            world.log.connection.execute("SET LOCAL session_replication_role = replica")
            world.log.connection.execute(
                """UPDATE log.accounts_events SET recorded_at = recorded_at + make_interval(hours => %s)
                   WHERE request_id = %s""",
                (hours, changed),
            )

    shift(1)
    try:
        blamed = operator.get(f"{user}/history/blame").json()["fields"]
        patch = operator.get(f"{user}/history/diff?from={begin}").json()["patch"]
    finally:
        shift(-1)
    assert [(each["value"], each["requestId"]) for each in blamed if each["field"] == "name"] == [("Later", changed)]
    assert {"op": "replace", "path": "/name", "value": "Later", "old": "Jane Roe"} in patch
