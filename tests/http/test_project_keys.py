"""Keys that manage keys: what they may give, when they end, and that their secrets are shown once."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from accounts_es.http.callers import ALL_KEY_SCOPES
from tests.support.running import World
from tests.support.server import MASTER, Client


def made(client: Client, *scopes: str, **more: Any) -> Any:
    answer = client.ask("POST", "/project/keys", keyId="unique()", name="Made", scopes=list(scopes), **more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_secret_is_shown_once_and_opens_what_the_key_may(world: World, operator: Client) -> None:
    key = made(operator, "users.read")
    assert key["secret"].startswith("standard_")
    assert len(key["secret"]) == len("standard_") + 256
    for path in ("/project/keys", f"/project/keys/{key['$id']}"):
        assert key["secret"] not in operator.ask("GET", path).text
    assert operator.ask("GET", f"/project/keys/{key['$id']}").json()["secret"] == ""
    assert not world.log.connection.execute(
        "SELECT 1 FROM log.accounts_events WHERE convert_from(state, 'UTF8') LIKE %s", (f"%{key['secret']}%",)
    ).fetchall()
    by_key = world.server.client(key=key["secret"])
    assert by_key.ask("GET", "/users").status_code == 200
    assert by_key.ask("POST", "/users", userId="unique()").json()["type"] == "general_unauthorized_scope"


def test_T23_a_key_creates_nothing_wider_or_longer_than_itself(world: World) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    narrow = world.server.client(key=world.key("users.read", "keys.write", "keys.read", expires_at=end))
    within = made(narrow, "users.read", expire=end.isoformat())
    denied: list[dict[str, Any]] = [
        {"scopes": ["users.write"], "expire": end.isoformat()},
        {"scopes": ["users.read"]},
        {"scopes": ["users.read"], "expire": (end + timedelta(seconds=1)).isoformat()},
    ]
    for fields in denied:
        for method, path in (("POST", "/project/keys"), ("PUT", f"/project/keys/{within['$id']}")):
            key_id = {"keyId": "unique()"} if method == "POST" else {}
            answer = narrow.ask(method, path, name="Wide", **key_id, **fields)
            assert (answer.status_code, answer.json()["type"]) == (403, "key_creation_denied")
    answer = narrow.ask("POST", "/project/keys/ephemeral", scopes=["users.write"], duration=60)
    assert answer.json()["type"] == "key_creation_denied"
    assert (
        narrow.ask("PUT", f"/project/keys/{within['$id']}", name="x", scopes=[], expire=end.isoformat()).json()[
            "scopes"
        ]
        == []
    )


def test_T23_people_manage_no_keys(world: World, operator: Client) -> None:
    jane = world.person()
    token = jane.ask("POST", "/account/jwts").json()["jwt"]
    by_jwt = world.server.client(x_appwrite_jwt=token)
    key_id = made(operator, "users.read")["$id"]
    for client in (jane.client, by_jwt):
        for method, path in (
            ("GET", "/project/keys"),
            ("POST", "/project/keys"),
            ("POST", "/project/keys/ephemeral"),
            ("PUT", f"/project/keys/{key_id}"),
            ("DELETE", f"/project/keys/{key_id}"),
        ):
            assert client.ask(method, path).json()["type"] == "general_unauthorized_scope"


def test_T27_a_key_s_scopes_and_end_hold_from_its_next_request_on(world: World, operator: Client) -> None:
    key = made(operator, "users.read")
    by_key = world.server.client(key=key["secret"])
    path = f"/project/keys/{key['$id']}"
    assert operator.ask("PUT", path, name="Less", scopes=["teams.read"]).json()["scopes"] == ["teams.read"]
    assert by_key.ask("GET", "/users").json()["type"] == "general_unauthorized_scope"
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    operator.ask("PUT", path, name="Over", scopes=["users.read"], expire=past)
    assert by_key.ask("GET", "/users").json()["type"] == "project_key_expired"
    operator.ask("PUT", path, name="Again", scopes=["users.read"])
    assert by_key.ask("GET", "/users").status_code == 200
    assert operator.ask("DELETE", path).status_code == 204
    assert by_key.ask("GET", "/users").json()["type"] == "user_unauthorized"
    assert operator.ask("GET", path).json()["type"] == "key_not_found"


def test_when_and_by_which_program_a_key_was_used_is_noted_once_a_day(world: World, operator: Client) -> None:
    key = made(operator, "users.read")
    assert (key["accessedAt"], key["sdks"]) == ("", [])
    by_key = world.server.client(key=key["secret"], x_sdk_name="Node.js")
    first = by_key.ask("GET", "/users")
    by_key.ask("GET", "/users")
    seen = operator.ask("GET", f"/project/keys/{key['$id']}").json()
    assert seen["sdks"] == ["Node.js"]
    assert seen["accessedAt"]
    used = list(world.log.read("topic = 'project.api_key_used' AND request_id = %s", first.headers["x-request-id"]))
    assert len(used) == 1
    everything = world.log.read("topic = 'project.api_key_used'")
    assert [each.event.model_dump()["key_id"] for each in everything].count(key["$id"]) == 1


def test_an_id_is_given_once(operator: Client) -> None:
    body = {"name": "Twice", "scopes": []}
    assert operator.ask("POST", "/project/keys", keyId="twice", **body).status_code == 201
    assert operator.ask("POST", "/project/keys", keyId="twice", **body).json()["type"] == "key_already_exists"


# Ephemeral keys -------------------------------------------------------------------------------------------------------


def ephemeral(client: Client, *scopes: str, duration: int = 60) -> Any:
    answer = client.ask("POST", "/project/keys/ephemeral", scopes=list(scopes), duration=duration)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_an_ephemeral_key_opens_its_scopes_and_is_listed_nowhere(world: World, operator: Client) -> None:
    key = ephemeral(operator, "users.read")
    assert key["secret"].startswith("ephemeral_")
    claims = jwt.decode(key["secret"].removeprefix("ephemeral_"), options={"verify_signature": False})
    assert (claims["projectId"], claims["scopes"], claims["name"]) == ("default", ["users.read"], "")
    by_key = world.server.client(key=key["secret"])
    assert by_key.ask("GET", "/users").status_code == 200
    assert by_key.ask("POST", "/users", userId="unique()").json()["type"] == "general_unauthorized_scope"
    assert operator.ask("GET", f"/project/keys/{key['$id']}").json()["type"] == "key_not_found"


def test_T27_an_ephemeral_key_has_no_more_than_the_key_it_was_made_with_still_has(
    world: World, operator: Client
) -> None:
    parent = made(operator, "users.read", "keys.write")
    child = world.server.client(key=ephemeral(world.server.client(key=parent["secret"]), "users.read")["secret"])
    assert child.ask("GET", "/users").status_code == 200
    operator.ask("PUT", f"/project/keys/{parent['$id']}", name="Less", scopes=["keys.write"])
    assert child.ask("GET", "/users").json()["type"] == "general_unauthorized_scope"
    operator.ask("PUT", f"/project/keys/{parent['$id']}", name="More", scopes=["users.read", "keys.write"])
    assert child.ask("GET", "/users").status_code == 200
    operator.ask("DELETE", f"/project/keys/{parent['$id']}")
    assert child.ask("GET", "/users").json()["type"] == "general_unauthorized_scope"


def test_T23_an_ephemeral_key_gives_nothing_that_outlives_it(world: World, operator: Client) -> None:
    child = world.server.client(key=ephemeral(operator, "keys.write", "users.read")["secret"])
    for expire in (None, (datetime.now(UTC) + timedelta(hours=1)).isoformat()):
        answer = child.ask("POST", "/project/keys", keyId="unique()", name="x", scopes=["users.read"], expire=expire)
        assert answer.json()["type"] == "key_creation_denied"
    longer = child.ask("POST", "/project/keys/ephemeral", scopes=["users.read"], duration=3600)
    assert longer.json()["type"] == "key_creation_denied"


def forged(purpose: str, project: str, **claims: Any) -> str:
    secret = hmac.digest(MASTER, f"accounts-es {purpose}: {project}".encode(), hashlib.sha256)
    return f"ephemeral_{jwt.encode(claims, secret, 'HS256')}"


def test_ephemeral_keys_that_are_over_or_not_ours_open_nothing(world: World, operator: Client) -> None:
    (key_id,) = [each["$id"] for each in operator.ask("GET", "/project/keys").json()["keys"]][:1]
    now = datetime.now(UTC)
    claims = {"projectId": "default", "keyId": key_id, "scopes": list(ALL_KEY_SCOPES), "name": ""}
    keys = {
        forged("key", "default", **claims, exp=now + timedelta(minutes=1)): 200,
        forged("key", "default", **claims, exp=now - timedelta(minutes=1)): "project_key_expired",
        forged("key", "default", **claims, exp=now + timedelta(days=2)): "general_unauthorized_scope",
        forged("key", "default", **claims): "general_unauthorized_scope",
        forged("jwt", "default", **claims, exp=now + timedelta(minutes=1)): "general_unauthorized_scope",
        forged("key", "other", **claims, exp=now + timedelta(minutes=1)): "general_unauthorized_scope",
        "ephemeral_rubbish": "general_unauthorized_scope",
        "ephemeral_": "general_unauthorized_scope",
    }
    for text, expected in keys.items():
        answer = world.server.client(key=text).ask("GET", "/users")
        assert expected in {answer.status_code, answer.json().get("type")}


@pytest.mark.parametrize("scope", ["fly", "account", "global"])
def test_a_key_has_only_scopes_there_are(operator: Client, scope: str) -> None:
    answer = operator.ask("POST", "/project/keys", keyId="unique()", name="x", scopes=[scope])
    assert answer.json()["type"] == "general_argument_invalid"
