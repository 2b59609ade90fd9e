"""Links and codes that come by mail and sign in (contract: account, 2.3 and 2.4)."""

from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import pytest

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import commands
from accounts_es.domain.account.events import TokenPurpose
from tests.http.calls import PAGE
from tests.support.answers import ok, refusal
from tests.support.running import PASSWORD, Person, World, a_phone, an_email
from tests.support.server import Client, Server

INVALID = (401, "user_invalid_token")

every_way = pytest.mark.parametrize("path", ["/account/tokens/magic-url", "/account/tokens/email"])


@pytest.fixture(scope="module")
def mary(world: World) -> Person:
    """Somebody whom these tests leave as she is."""
    return world.person()


def asked(client: Client, path: str, email: str, **more: Any) -> Any:
    """The token that somebody asks for."""
    return ok(client.ask("POST", path, userId="unique()", email=email, **more))


def redeemed(client: Client, user_id: str, secret: str) -> Any:
    """What redeeming a secret comes to."""
    return client.ask("POST", "/account/sessions/token", userId=user_id, secret=secret)


def test_a_link_makes_an_account_and_opens_it_once(world: World, guest: Client) -> None:
    email = an_email()
    token = asked(guest, "/account/tokens/magic-url", email.upper(), url=PAGE)
    assert (token["secret"], token["phrase"]) == ("", "")
    life = datetime.fromisoformat(token["expire"]) - datetime.fromisoformat(token["$createdAt"])
    assert life == timedelta(hours=1)

    letter = world.mailbox.mail(email)
    name = ok(world.server.operator().ask("GET", f"/users/{token['userId']}"))["name"]
    assert name == ""
    assert letter.subject.endswith(" Login")
    assert "security phrase" not in letter.text
    assert letter.link.startswith(PAGE)
    assert list(letter.parameters) == ["from", "userId", "secret", "expire", "project"]
    assert letter.parameters["userId"] == token["userId"]
    assert letter.parameters["expire"] == token["expire"]
    assert letter.parameters["project"] == "default"
    assert len(letter.parameters["secret"]) == 64

    session = ok(redeemed(guest, token["userId"], letter.parameters["secret"]))
    assert (session["provider"], session["factors"], session["current"]) == ("magic-url", ["email"], True)
    me = ok(guest.ask("GET", "/account"))
    assert (me["email"], me["emailVerification"], me["passwordUpdate"]) == (email, True, "")
    assert refusal(redeemed(world.server.client(), token["userId"], letter.parameters["secret"])) == INVALID


def test_a_code_makes_an_account_and_opens_it_once(world: World, guest: Client) -> None:
    email = an_email()
    token = asked(guest, "/account/tokens/email", email, phrase=True)
    life = datetime.fromisoformat(token["expire"]) - datetime.fromisoformat(token["$createdAt"])
    assert life == timedelta(minutes=15)
    letter = world.mailbox.mail(email)
    assert letter.subject.startswith("OTP for ")
    assert "security phrase" in letter.text
    assert token["phrase"] in letter.text
    assert token["phrase"] in letter.html

    session = ok(redeemed(guest, token["userId"], letter.code))
    assert (session["provider"], session["factors"]) == ("token", ["email"])
    assert ok(guest.ask("GET", "/account"))["emailVerification"] is True
    assert refusal(redeemed(world.server.client(), token["userId"], letter.code)) == INVALID


def test_a_link_without_a_page_leads_to_ours(world: World, guest: Client) -> None:
    email = an_email()
    asked(guest, "/account/tokens/magic-url", email)
    assert world.mailbox.mail(email).link.startswith(f"{world.server.url.removesuffix('/v1')}/auth/magic-url?")


@every_way
def test_known_people_keep_their_account_whatever_id_is_sent(
    world: World, jane: Person, guest: Client, path: str
) -> None:
    token = ok(guest.ask("POST", path, userId="somebodyelse", email=f" {jane.email.upper()}"))
    assert token["userId"] == jane.account_id
    letter = world.mailbox.mail(jane.email)
    assert "Hello Jane Roe," in letter.text


@every_way
def test_a_new_account_cannot_take_an_id_that_is_taken(jane: Person, guest: Client, path: str) -> None:
    answer = guest.ask("POST", path, userId=jane.account_id, email=an_email())
    assert refusal(answer) == (409, "user_already_exists")


@every_way
def test_an_address_that_signs_in_twice_is_one_account_with_one_target(world: World, guest: Client, path: str) -> None:
    email = an_email()
    first, second = asked(guest, path, email), asked(guest, path, email)
    assert first["userId"] == second["userId"]
    account = ok(world.server.operator().ask("GET", f"/users/{first['userId']}"))
    assert [each["identifier"] for each in account["targets"]] == [email]


def test_a_newer_code_leaves_the_older_good_and_each_counts_once(world: World, guest: Client) -> None:
    email = an_email()
    token = asked(guest, "/account/tokens/email", email)
    older = world.mailbox.mail(email).code
    asked(guest, "/account/tokens/email", email)
    newer = world.mailbox.mail(email).code
    for code in {newer, older}:
        ok(redeemed(world.server.client(), token["userId"], code))
        assert refusal(redeemed(world.server.client(), token["userId"], code)) == INVALID


def test_wrong_secrets_and_unknown_people_are_refused_alike(world: World, jane: Person, operator: Client) -> None:
    other = asked(operator, "/account/tokens/email", an_email())
    mine = asked(operator, "/account/tokens/email", jane.email)
    wrong = f"{(int(mine['secret']) + 1) % 10**6:06}"
    attempts = [(jane.account_id, wrong), (jane.account_id, "x" * 256), ("nobody", mine["secret"])]
    if other["secret"] != mine["secret"]:
        attempts.append((jane.account_id, other["secret"]))
    answers = [redeemed(world.server.client(), *attempt) for attempt in attempts]
    assert {refusal(answer) for answer in answers} == {INVALID}
    assert len({answer.text for answer in answers}) == 1
    for answer in answers:
        assert [each.topic for each in world.log.of(answer)] == ["security.sign_in_refused"]


@pytest.mark.parametrize("purpose", ["magic-url", "email-otp", "phone", "custom"])
def test_T12_secrets_expire(world: World, jane: Person, purpose: TokenPurpose) -> None:
    secret, now = token_hex(8), datetime.now(UTC)
    world.token(jane.account_id, purpose, f"{secret}past", now - timedelta(seconds=1))
    world.token(jane.account_id, purpose, f"{secret}next", now + timedelta(minutes=1))
    assert refusal(redeemed(world.server.client(), jane.account_id, f"{secret}past")) == INVALID
    ok(redeemed(world.server.client(), jane.account_id, f"{secret}next"))


@pytest.mark.parametrize("purpose", ["recovery", "recovery-otp", "verification", "verification-otp"])
def test_secrets_for_something_else_do_not_sign_in(world: World, jane: Person, purpose: TokenPurpose) -> None:
    secret = token_hex(8)
    world.token(jane.account_id, purpose, secret, datetime.now(UTC) + timedelta(minutes=1))
    assert refusal(redeemed(world.server.client(), jane.account_id, secret)) == INVALID


def test_blocked_people_are_told_and_keep_the_secret(world: World, jane: Person, operator: Client) -> None:
    token = asked(operator, "/account/tokens/email", jane.email)
    world.decide(jane.account_id, commands.set_active, active=False)
    assert refusal(redeemed(world.server.client(), jane.account_id, token["secret"])) == (403, "user_blocked")
    world.decide(jane.account_id, commands.set_active, active=True)
    ok(redeemed(world.server.client(), jane.account_id, token["secret"]))


def test_who_is_signed_in_signs_out_first(jane: Person, operator: Client) -> None:
    token = asked(operator, "/account/tokens/email", jane.email)
    assert refusal(redeemed(jane.client, jane.account_id, token["secret"])) == (401, "user_session_already_exists")


def test_what_went_to_the_old_address_is_void(world: World, jane: Person) -> None:
    client = world.server.client()
    asked(client, "/account/tokens/magic-url", jane.email)
    link = world.mailbox.mail(jane.email).parameters["secret"]
    asked(client, "/account/tokens/email", jane.email)
    code = world.mailbox.mail(jane.email).code
    ok(jane.ask("PATCH", "/account/email", email=an_email(), password=PASSWORD))
    for secret in (link, code):
        assert refusal(redeemed(client, jane.account_id, secret)) == INVALID


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/landing",
        "http://localhost.example.com/",
        "http://127.0.0.2/",
        "http://localhost@evil.example/",
        "http://evil.example/#@localhost/",
        "http://evil.example\\@localhost/",
        "localhost/landing",
        "//localhost/landing",
        "javascript:alert(1)",
        "appwrite-callback-other://x",
        "ftp://localhost/",
        "http://evil.example\t@localhost/",
        "http:\\\\localhost/",
    ],
)
def test_links_lead_to_the_projects_pages_only(world: World, mary: Person, url: str) -> None:
    guest = world.server.client()
    for answer in (
        guest.ask("POST", "/account/tokens/magic-url", userId="unique()", email=mary.email, url=url),
        guest.ask("POST", "/account/recovery", email=mary.email, url=url),
        mary.ask("POST", "/account/verifications/email", url=url),
    ):
        assert refusal(answer) == (400, "general_argument_invalid")
        assert world.log.of(answer) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:3000/landing",
        "https://127.0.0.1/",
        "http://[::1]:8000/x#top",
        "appwrite-callback-default://signin?x=1",
        "exp://127.0.0.1:8081",
    ],
)
def test_pages_of_the_project_and_apps_by_their_scheme(world: World, guest: Client, url: str) -> None:
    email = an_email()
    asked(guest, "/account/tokens/magic-url", email, url=url)
    assert world.mailbox.mail(email).link.startswith(url.partition("#")[0])


def test_nothing_is_sent_when_the_request_is_refused(world: World, jane: Person, guest: Client) -> None:
    email = an_email()
    for path in ("/account/tokens/magic-url", "/account/tokens/email"):
        assert guest.ask("POST", path, userId=jane.account_id, email=email).status_code == 409
    asked(guest, "/account/tokens/email", email)
    world.mailbox.mail(email)
    assert len(world.mailbox.all_to(email)) == 1


def test_mail_is_in_the_readers_language(world: World) -> None:
    email = an_email()
    client = world.server.client(x_appwrite_locale="de")
    asked(client, "/account/tokens/email", email)
    assert "Hallo" in world.mailbox.mail(email).text


def made_before(world: World) -> Person:
    """Somebody who signed up with another's address, linked what opens the account, and stays signed in."""
    mallory = world.person()
    number = a_phone()
    ok(mallory.ask("PATCH", "/account/phone", phone=number, password=PASSWORD))
    world.decide(
        mallory.account_id, commands.link_identity, identity_id=wire_id(), provider="github", provider_uid=wire_id()
    )
    return mallory


@every_way
def test_who_made_the_account_in_another_s_name_is_out_once_the_owner_comes(
    world: World, guest: Client, path: str
) -> None:
    mallory = made_before(world)
    token = asked(guest, path, mallory.email)
    letter = world.mailbox.mail(mallory.email)
    secret = letter.parameters["secret"] if path.endswith("magic-url") else letter.code
    ok(redeemed(guest, token["userId"], secret))
    me = ok(guest.ask("GET", "/account"))
    assert (me["$id"], me["emailVerification"], me["passwordUpdate"]) == (mallory.account_id, True, "")
    assert (me["phone"], [each["identifier"] for each in me["targets"]]) == ("", [mallory.email])
    assert ok(guest.ask("GET", "/account/identities"))["total"] == 0
    assert ok(guest.ask("GET", "/account/sessions"))["total"] == 1

    assert mallory.ask("GET", "/account").status_code == 401
    again = {"email": mallory.email, "password": PASSWORD}
    refused = world.server.client().ask("POST", "/account/sessions/email", **again)
    assert refusal(refused) == (401, "user_invalid_credentials")
    ok(guest.ask("PATCH", "/account/password", password="the owner's own"))
    ok(world.server.client().ask("POST", "/account/sessions/email", email=mallory.email, password="the owner's own"))


def test_a_server_may_share_the_account_as_appwrite_does(
    world: World, guest: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mallory = made_before(world)
    token = asked(guest, "/account/tokens/email", mallory.email)
    code = world.mailbox.mail(mallory.email).code
    folder = tmp_path_factory.mktemp("sharing") / "data"
    with Server(folder, database_url=world.conninfo, ACCOUNTS_TRUST_UNVERIFIED="on") as server:
        ok(redeemed(server.client(), token["userId"], code))
    assert ok(mallory.ask("GET", "/account"))["emailVerification"] is True
