"""Other services check our JWTs with the keys we publish, and never ask us about a token (T21)."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.support.answers import ok, refusal
from tests.support.running import World
from tests.support.server import MASTER, Server
from tests.support.tools import node

VERIFY = Path(__file__).parent / "verify.mjs"


@pytest.fixture(scope="module")
def public(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that makes tokens for others to check; its key came after the other servers'."""
    keys = {
        "ACCOUNTS_JWT_KEY": base64.b64encode(b"n" * 32).decode(),
        "ACCOUNTS_JWT_OTHER_KEY": base64.b64encode(MASTER).decode(),
    }
    folder = tmp_path_factory.mktemp("public") / "data"
    with Server(folder, database_url=world.conninfo, ACCOUNTS_JWT_ALGORITHM="ES256", **keys) as server:
        yield server


def keys_of(server: Server, project: str = "default") -> str:
    return f"{server.url}/.well-known/jwks.json?project={project}"


def test_two_libraries_check_a_token_with_nothing_but_the_keys(world: World, public: Server) -> None:
    jane = world.person(server=public)
    token = ok(jane.ask("POST", "/account/jwts"))["jwt"]
    by_server = ok(public.client(key=world.key("users.write")).ask("POST", f"/users/{jane.account_id}/jwts"))["jwt"]
    found = jwt.PyJWKClient(keys_of(public))
    for each in (token, by_server):
        said: Any = jwt.decode(
            each, found.get_signing_key_from_jwt(each), ["ES256"], audience="default", issuer=public.url,
            options={"require": ["exp", "nbf", "iat", "sub"]},
        )  # fmt: skip
        assert (said["sub"], said["sessionId"]) == (jane.account_id, jane.session_id)
    unsigned = f"{token.rpartition('.')[0]}."
    said = node(VERIFY, keys_of(public), public.url, "default", token, by_server, unsigned)
    assert [said[0]["sub"], said[1]["sub"]] == [jane.account_id] * 2
    assert said[2] == "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
    said = node(VERIFY, keys_of(public), public.url, "other", token)
    assert said == ["ERR_JWT_CLAIM_VALIDATION_FAILED"]
    assert node(VERIFY, keys_of(public, world.project("jwkselsewhere")), public.url, "default", token) == [
        "ERR_JWKS_NO_MATCHING_KEY"
    ]


def test_they_are_as_good_as_the_other_form_and_end_with_their_session(world: World, public: Server) -> None:
    jane = world.person(server=public)
    token = ok(jane.ask("POST", "/account/jwts"))["jwt"]
    bearer = public.client(x_appwrite_jwt=token)
    assert ok(bearer.ask("GET", "/account"))["$id"] == jane.account_id
    elsewhere = public.client(project=world.project("jwtothers"), x_appwrite_jwt=token)
    assert refusal(elsewhere.ask("GET", "/account")) == (401, "user_jwt_invalid")
    ok(jane.ask("DELETE", "/account/sessions/current"))
    assert refusal(bearer.ask("GET", "/account")) == (401, "general_unauthorized_scope")


def test_tokens_of_the_key_before_are_good_meanwhile(world: World, public: Server) -> None:
    jane = world.person()
    token = ok(jane.ask("POST", "/account/jwts"))["jwt"]
    assert ok(public.client(x_appwrite_jwt=token).ask("GET", "/account"))["$id"] == jane.account_id
    before = ok(world.server.client().ask("GET", "/.well-known/jwks.json"))["keys"]
    now = ok(public.client().ask("GET", "/.well-known/jwks.json"))["keys"]
    assert [len(before), len(now)] == [1, 2]
    assert now[1] == before[0]


def test_anybody_may_keep_the_keys_for_a_while(world: World) -> None:
    answer = world.server.client().ask("GET", "/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=600"
    nowhere = world.server.client(project="nowhere").ask("GET", "/.well-known/jwks.json")
    assert refusal(nowhere) == (404, "project_not_found")
    assert "no-store" in nowhere.headers["cache-control"]
