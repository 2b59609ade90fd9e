"""A JWT stands for a session, and ends with it (contract: account, 2.7)."""

import base64
import json
import time
from typing import Any

import pytest

from accounts_es.domain.account import commands
from tests.support.answers import ok, refusal
from tests.support.running import PASSWORD, Person, World
from tests.support.server import Client

NOBODY = (401, "general_unauthorized_scope")


def bearer(world: World, jwt: str) -> Client:
    """Somebody who has nothing but a JWT."""
    return world.server.client(x_appwrite_jwt=jwt)


def minted(person: Person, **more: Any) -> str:
    """A JWT of somebody's session."""
    return ok(person.ask("POST", "/account/jwts", **more))["jwt"]


def part(jwt: str, nth: int) -> Any:
    """The header or the claims."""
    text = jwt.split(".")[nth]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_it_says_who_and_how_long(world: World, jane: Person) -> None:
    before = int(time.time())
    jwt = minted(jane)
    assert part(jwt, 0) == {"typ": "JWT", "alg": "HS256"}
    claims = part(jwt, 1)
    assert (claims["userId"], claims["sessionId"]) == (jane.account_id, jane.session_id)
    assert 900 <= claims["exp"] - before <= 902
    client = bearer(world, jwt)
    assert ok(client.ask("GET", "/account"))["$id"] == jane.account_id
    ok(client.ask("PATCH", "/account/prefs", prefs={"by": "jwt"}))
    assert [each["current"] for each in ok(client.ask("GET", "/account/sessions"))["sessions"]] == [False]
    assert refusal(client.ask("GET", "/account/sessions/current")) == (404, "user_session_not_found")
    assert refusal(client.ask("POST", "/account/jwts")) == (403, "user_jwt_creation_denied")
    assert refusal(client.ask("POST", "/account/sessions/anonymous")) == (401, "user_session_already_exists")


def signs_out(_world: World, jane: Person) -> None:
    ok(jane.ask("DELETE", "/account/sessions/current"))


def signs_out_everywhere(_world: World, jane: Person) -> None:
    ok(jane.ask("DELETE", "/account/sessions"))


def leaves(_world: World, jane: Person) -> None:
    ok(jane.ask("DELETE", "/account"))


def changes_the_password_elsewhere(world: World, jane: Person) -> None:
    client = world.server.client()
    ok(client.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD))
    ok(client.ask("PATCH", "/account/password", password="another horse", oldPassword=PASSWORD))


def is_signed_out_by_a_server(world: World, jane: Person) -> None:
    ok(world.server.operator().ask("DELETE", f"/users/{jane.account_id}/sessions"))


@pytest.mark.parametrize(
    "ending",
    [signs_out, signs_out_everywhere, leaves, changes_the_password_elsewhere, is_signed_out_by_a_server],
    ids=lambda each: each.__name__,
)
def test_T19_it_ends_with_its_session(world: World, jane: Person, ending: Any) -> None:
    client = bearer(world, minted(jane))
    ok(client.ask("GET", "/account"))
    ending(world, jane)
    assert refusal(client.ask("GET", "/account")) == NOBODY


def test_T19_it_opens_nothing_while_its_owner_is_blocked(world: World, jane: Person) -> None:
    client = bearer(world, minted(jane))
    world.decide(jane.account_id, commands.set_active, active=False)
    assert refusal(client.ask("GET", "/account")) == (403, "user_blocked")
    world.decide(jane.account_id, commands.set_active, active=True)
    ok(client.ask("GET", "/account"))


def test_it_expires(world: World, jane: Person) -> None:
    jwt = minted(jane, duration=0)
    client = bearer(world, jwt)
    while time.time() < part(jwt, 1)["exp"]:
        assert client.ask("GET", "/health/version").status_code in {200, 401, 404}
    assert refusal(client.ask("GET", "/account")) == (401, "user_jwt_invalid")


def test_T21_only_ours_is_taken(world: World, jane: Person) -> None:
    head, claims, signature = minted(jane).split(".")
    nobody = base64.urlsafe_b64encode(json.dumps({"typ": "JWT", "alg": "none"}).encode()).decode().rstrip("=")
    other = base64.urlsafe_b64encode(json.dumps({**part(f".{claims}", 1), "userId": "somebody"}).encode()).decode()
    for forged in (
        f"{nobody}.{claims}.",
        f"{nobody}.{claims}.{signature}",
        f"{head}.{claims}.{signature[:-4]}AAAA",
        f"{head}.{other.rstrip('=')}.{signature}",
        "rubbish",
    ):
        assert refusal(bearer(world, forged).ask("GET", "/account")) == (401, "user_jwt_invalid")


def test_with_a_session_beside_it_nobody_knows_who_is_meant(jane: Person) -> None:
    answer = jane.client.get("/account", headers={"x-appwrite-jwt": minted(jane)})
    assert refusal(answer) == (403, "user_jwt_and_cookie_set")


def test_T25_it_is_good_in_its_project_only(world: World, jane: Person) -> None:
    project = world.project("jwtelsewhere")
    client = world.server.client(project=project, x_appwrite_jwt=minted(jane))
    assert refusal(client.ask("GET", "/account")) == (401, "user_jwt_invalid")


def test_a_cache_keeps_the_public_keys_of_each_project_and_page_apart(world: World, guest: Client) -> None:
    """The project may be named by a header: the address alone does not tell whose keys they are."""
    for headers in ({}, {"origin": world.server.url}):
        answer = guest.get("/.well-known/jwks.json", headers=headers)
        assert "public" in answer.headers["cache-control"]
        assert {each.strip() for each in answer.headers["vary"].split(",")} >= {"Origin", "X-Appwrite-Project"}
