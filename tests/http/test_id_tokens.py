"""Signing in with an ID token of Apple or Google, against a provider that really signs and publishes its keys."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from secrets import token_hex
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from accounts_es.domain.account import commands
from tests.support.issuer import CLIENT, Issuer, issuing
from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client


@pytest.fixture(scope="module")
def issuer(world: World) -> Iterator[Issuer]:
    """A provider that is both Google and Apple to a project of its own."""
    with issuing() as running:
        world.project("native")
        for provider in ("google", "apple"):
            world.provider(
                provider,
                project="native",
                enabled=False,  # the browser's switch: it says nothing about apps
                client_id=CLIENT,
                native_enabled=True,
                native_client_ids=("the.app",),
                settings=running.settings,
            )
        yield running


@pytest.fixture
def app(world: World, issuer: Issuer) -> Client:
    """An app in somebody's hand."""
    return world.server.client(project="native")


def sign_in(client: Client, token: str, provider: str = "google", **more: Any) -> httpx.Response:
    return client.ask("POST", "/account/sessions/id-token", provider=provider, idToken=token, **more)


def test_somebody_new_gets_an_account_an_identity_and_a_session(app: Client, issuer: Issuer) -> None:
    email, uid = an_email(), token_hex(8)
    token = issuer.token(sub=uid, email=email.upper(), name="Jane Roe")

    session = sign_in(app, token, accessToken="theirs", accessTokenExpiry=3600, name="Ignored").json()

    assert session["provider"] == "google"
    assert session["providerUid"] == uid
    assert session["factors"] == ["email", "oauth2"]
    assert session["current"] is True
    assert session["providerAccessToken"] == "theirs"
    assert session["providerAccessTokenExpiry"]
    assert session["providerRefreshToken"] == ""
    account = app.ask("GET", "/account").json()
    assert (account["$id"], account["email"], account["name"]) == (session["userId"], email, "Jane Roe")
    assert account["emailVerification"] is True
    assert [each["identifier"] for each in account["targets"]] == [email]
    (identity,) = app.ask("GET", "/account/identities").json()["identities"]
    assert (identity["provider"], identity["providerUid"], identity["providerEmail"]) == ("google", uid, email)
    assert identity["providerAccessToken"] == ""  # it is kept on the session alone
    for answer in (
        app.ask("GET", "/account/sessions/current").json(),
        *app.ask("GET", "/account/sessions").json()["sessions"],
    ):
        assert answer["providerAccessToken"] == "theirs"


def test_providers_tokens_are_in_no_read_model(world: World, app: Client, issuer: Issuer) -> None:
    secret = token_hex(16)
    assert sign_in(app, issuer.token(email=an_email()), accessToken=secret).status_code == 201
    tables = world.log.connection.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'read'"
    ).fetchall()
    for (table,) in tables:
        found = world.log.connection.execute(
            f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE %s", (f"%{secret}%",)
        )
        assert found.fetchone() == (0,), table


def test_whoever_comes_back_finds_their_account_by_the_providers_id(world: World, issuer: Issuer, app: Client) -> None:
    uid = token_hex(8)
    first = sign_in(app, issuer.token(sub=uid, email=an_email())).json()
    for changed in (an_email(), None):  # what else the provider says does not matter
        again = sign_in(world.server.client(project="native"), issuer.token(sub=uid, email=changed))
        assert again.status_code == 201
        assert again.json()["userId"] == first["userId"]


def test_the_same_id_at_another_provider_is_somebody_else(world: World, issuer: Issuer, app: Client) -> None:
    uid, nonce = token_hex(8), token_hex(8)
    first = sign_in(app, issuer.token(sub=uid, email=an_email())).json()
    claims = {"sub": uid, "email": an_email(), "nonce": sha256(nonce.encode()).hexdigest()}
    other = sign_in(world.server.client(project="native"), issuer.token(**claims), "apple", nonce=nonce)
    assert other.json()["userId"] != first["userId"]


def test_two_first_sign_ins_at_once_make_one_account(world: World, issuer: Issuer) -> None:
    token = issuer.token(email=an_email())
    clients = [world.server.client(project="native") for _ in range(6)]
    with ThreadPoolExecutor(6) as people:
        answers = list(people.map(lambda client: sign_in(client, token), clients))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["userId"] for answer in answers}) == 1


# What the token must be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another.app"},
        {"aud": None},
        {"iss": "https://accounts.google.example"},
        pytest.param({"exp": int(time.time()) - 3600}, id="ended an hour ago"),
        {"exp": None},
        {"sub": None},
        {"iat": None},
        pytest.param({"iat": int(time.time()) + 3600}, id="issued in an hour"),
    ],
    ids=str,
)
def test_a_token_with_another_claim_opens_nothing(app: Client, issuer: Issuer, claims: dict[str, Any]) -> None:
    answer = sign_in(app, issuer.token(email=an_email(), **claims))
    assert answer.status_code == 401
    assert answer.json()["type"] == "user_invalid_token"


def test_T21_a_token_signed_in_another_way_opens_nothing(world: World, app: Client, issuer: Issuer) -> None:
    other = Issuer()
    other.close()
    public = issuer.published.decode()
    forged = [
        issuer.token(email=an_email(), key="", algorithm="none"),
        issuer.token(email=an_email(), key=public * 2, algorithm="HS256"),
        issuer.token(email=an_email(), key=other.keys[other.key_id]),
        issuer.token(email=an_email(), key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        issuer.token(email=an_email())[:-8] + "AAAAAAAA",
        "rubbish",
        "a.b.c",
    ]
    for token in forged:
        answer = sign_in(app, token)
        assert answer.status_code == 401, token
        assert answer.json()["type"] == "user_invalid_token"
        (refused,) = world.log.of(answer)
        assert refused.model_dump(exclude={"identifier", "account"}) == {
            "method": "google",
            "reason": "user_invalid_token",
        }


@pytest.mark.parametrize("audience", [CLIENT, "the.app", ["the.app", "other"]], ids=str)
def test_the_configured_client_and_the_native_ones_are_taken(app: Client, issuer: Issuer, audience: Any) -> None:
    assert sign_in(app, issuer.token(email=an_email(), aud=audience)).status_code == 201


def test_apple_needs_the_hash_of_the_nonce(world: World, issuer: Issuer) -> None:
    raw = token_hex(8)
    hashed = sha256(raw.encode()).hexdigest()
    for claimed, sent, status in (
        (hashed, raw, 201),
        (hashed, hashed, 401),
        (raw, raw, 401),
        (hashed, "", 401),
        (None, raw, 401),
        (None, "", 401),
    ):
        token = issuer.token(email=an_email(), nonce=claimed)
        answer = sign_in(world.server.client(project="native"), token, "apple", nonce=sent)
        assert answer.status_code == status, (claimed, sent)


def test_google_is_asked_for_the_nonce_where_the_token_has_one(world: World, issuer: Issuer) -> None:
    raw = token_hex(8)
    hashed = sha256(raw.encode()).hexdigest()
    for claimed, sent, status in (
        (None, raw, 201),
        (None, "", 201),
        (raw, raw, 201),
        (hashed, raw, 201),
        (raw, "", 401),
    ):
        token = issuer.token(email=an_email(), nonce=claimed)
        answer = sign_in(world.server.client(project="native"), token, nonce=sent)
        assert answer.status_code == status, (claimed, sent)


def test_apples_name_comes_from_the_app(app: Client, issuer: Issuer) -> None:
    nonce = token_hex(8)
    token = issuer.token(email=an_email(), email_verified="true", nonce=sha256(nonce.encode()).hexdigest())
    assert sign_in(app, token, "apple", nonce=nonce, name="Jane Roe").status_code == 201
    account = app.ask("GET", "/account").json()
    assert (account["name"], account["emailVerification"]) == ("Jane Roe", True)


def test_a_provider_that_is_not_switched_on_for_apps_is_refused(world: World, issuer: Issuer) -> None:
    world.project("browser-only")
    client = world.server.client(project="browser-only")
    assert sign_in(client, issuer.token(email=an_email())).json()["type"] == "project_provider_disabled"
    world.provider("google", project="browser-only", client_id=CLIENT, settings=issuer.settings)
    answer = sign_in(client, issuer.token(email=an_email()))
    assert (answer.status_code, answer.json()["type"]) == (412, "project_provider_disabled")


# Whose account it is --------------------------------------------------------------------------------------------------


def verified(world: World, *, project: str = "native") -> Person:
    """Somebody with a verified address."""
    person = world.person(project=project)
    world.decide(person.account_id, commands.set_email_verification, verified=True)
    return person


def test_T16_an_address_links_when_both_sides_verified_it(world: World, app: Client, issuer: Issuer) -> None:
    jane = verified(world)
    assert sign_in(app, issuer.token(email=jane.email)).json()["userId"] == jane.account_id


@pytest.mark.parametrize(("here", "there"), [(False, True), (True, False), (False, False)])
def test_T16_an_address_links_nothing_that_one_side_did_not_verify(
    world: World, app: Client, issuer: Issuer, *, here: bool, there: bool
) -> None:
    jane = verified(world) if here else world.person(project="native")
    answer = sign_in(app, issuer.token(email=jane.email, email_verified=there))
    assert (answer.status_code, answer.json()["type"]) == (400, "general_bad_request")
    assert jane.ask("GET", "/account/identities").json()["total"] == 0


@pytest.mark.parametrize(("first", "second", "same"), [(True, True, True), (True, False, False), (False, True, False)])
def test_T16_two_providers_share_an_account_when_both_verified_the_address(
    world: World, app: Client, issuer: Issuer, *, first: bool, second: bool, same: bool
) -> None:
    jane, elsewhere, nonce = world.person(project="native"), an_email(), token_hex(8)
    linked = sign_in(jane.client, issuer.token(email=elsewhere, email_verified=first))
    assert linked.json()["userId"] == jane.account_id
    claims = {"email": elsewhere, "email_verified": second, "nonce": sha256(nonce.encode()).hexdigest()}
    answer = sign_in(app, issuer.token(**claims), "apple", nonce=nonce)
    assert answer.status_code == (201 if same else 400)
    if same:
        assert answer.json()["userId"] == jane.account_id


def test_whoever_is_signed_in_links(world: World, issuer: Issuer) -> None:
    jane = world.person(project="native")
    push = jane.ask("POST", "/account/targets/push", targetId="unique()", identifier=token_hex(8)).json()["$id"]
    email = an_email()

    session = sign_in(jane.client, issuer.token(email=email, name="Another")).json()

    assert session["userId"] == jane.account_id
    assert [each["$id"] for each in jane.ask("GET", "/account/sessions").json()["sessions"]] == [session["$id"]]
    account = jane.ask("GET", "/account").json()
    assert (account["email"], account["name"], account["emailVerification"]) == (jane.email, "Jane Roe", False)
    assert push in [each["$id"] for each in account["targets"]]
    assert jane.ask("GET", "/account/identities").json()["identities"][0]["providerEmail"] == email


def test_an_anonymous_account_becomes_somebodys(world: World, app: Client, issuer: Issuer) -> None:
    anonymous = app.ask("POST", "/account/sessions/anonymous").json()
    email = an_email()
    session = sign_in(app, issuer.token(email=email, name="Jane Roe")).json()
    assert session["userId"] == anonymous["userId"]
    account = app.ask("GET", "/account").json()
    assert (account["email"], account["name"], account["emailVerification"]) == (email, "Jane Roe", True)


def test_an_identity_or_address_of_somebody_else_cannot_be_linked(world: World, app: Client, issuer: Issuer) -> None:
    uid, jane = token_hex(8), verified(world)
    assert sign_in(app, issuer.token(sub=uid, email=an_email())).status_code == 201
    for claims in ({"sub": uid, "email": an_email()}, {"email": jane.email}):
        other = world.person(project="native")
        answer = sign_in(other.client, issuer.token(**claims))
        assert (answer.status_code, answer.json()["type"]) == (409, "user_already_exists")
        assert other.ask("GET", "/account/identities").json()["total"] == 0
        assert other.ask("GET", "/account/sessions").json()["total"] == 1


def test_a_blocked_account_stays_shut_and_that_is_recorded(world: World, app: Client, issuer: Issuer) -> None:
    uid = token_hex(8)
    first = sign_in(app, issuer.token(sub=uid, email=an_email())).json()
    world.decide(first["userId"], commands.set_active, active=False)
    answer = sign_in(world.server.client(project="native"), issuer.token(sub=uid))
    assert (answer.status_code, answer.json()["type"]) == (403, "user_blocked")
    assert world.log.of(answer)[0].reason == "user_blocked"


def test_nobody_known_and_no_address_is_nobody(app: Client, issuer: Issuer) -> None:
    for claims in ({}, {"email": "no address"}, {"email": 7}):
        answer = sign_in(app, issuer.token(**claims))
        assert (answer.status_code, answer.json()["type"]) == (401, "user_unauthorized")


def test_an_account_without_a_password_is_no_way_in_for_one(app: Client, issuer: Issuer, world: World) -> None:
    email = an_email()
    assert sign_in(app, issuer.token(email=email)).status_code == 201
    answer = world.server.client(project="native").ask(
        "POST", "/account/sessions/email", email=email, password=PASSWORD
    )
    assert answer.json()["type"] == "user_invalid_credentials"


# The provider's keys --------------------------------------------------------------------------------------------------


@pytest.fixture
def own(world: World) -> Iterator[tuple[Issuer, Client]]:
    """A provider nobody has asked yet, and an app of its project."""
    with issuing() as running:
        project = world.project(f"own-{token_hex(4)}")
        world.provider("google", project=project, client_id=CLIENT, native_enabled=True, settings=running.settings)
        yield running, world.server.client(project=project)


def test_keys_are_read_once_and_again_for_one_that_is_unknown(own: tuple[Issuer, Client]) -> None:
    issuer, client = own
    uid = token_hex(8)
    for _ in range(3):
        assert sign_in(client, issuer.token(sub=uid, email=an_email())).status_code == 201
        client.ask("DELETE", "/account/sessions/current")
    assert issuer.asked == 1
    # Within the pause nobody makes the server ask again, however many keys are named.
    for _ in range(5):
        issuer.keys["unknown"] = issuer.keys[issuer.key_id]
        assert sign_in(client, issuer.token(key_id="unknown", email=an_email())).status_code == 401
    assert issuer.asked == 1


def test_T64_a_provider_that_is_away_is_no_refused_sign_in(own: tuple[Issuer, Client]) -> None:
    issuer, client = own
    issuer.down = True
    answer = sign_in(client, issuer.token(email=an_email()))
    assert (answer.status_code, answer.json()["type"]) == (500, "user_oauth2_provider_failure")
