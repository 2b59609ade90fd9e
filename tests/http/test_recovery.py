"""A password that was forgotten (contract: account, 2.10)."""

from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import pyotp
import pytest

from accounts_es.domain.account import commands
from accounts_es.domain.account.events import TokenPurpose
from tests.http.calls import PAGE
from tests.support.answers import ok, refusal
from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client

INVALID = (401, "user_invalid_token")
NEW = "another horse battery"

every_way = pytest.mark.parametrize("path", ["/account/recovery", "/account/recovery/otp"])


def asked(client: Client, path: str, email: str) -> Any:
    """The token that somebody asks for."""
    return ok(client.ask("POST", path, email=email, **({} if path.endswith("otp") else {"url": PAGE})))


def chosen(client: Client, path: str, user_id: str, secret: str, password: str = NEW) -> Any:
    """What choosing a password with a secret comes to."""
    return client.ask("PUT", path, userId=user_id, secret=secret, password=password)


def signs_in(world: World, email: str, password: str) -> int:
    """The status of signing in somewhere else."""
    return world.server.client().ask("POST", "/account/sessions/email", email=email, password=password).status_code


@every_way
def test_T14_a_secret_from_the_mail_chooses_a_password_once_and_ends_every_session(
    world: World, jane: Person, guest: Client, path: str
) -> None:
    token = asked(guest, path, jane.email.upper())
    assert (token["userId"], token["secret"]) == (jane.account_id, "")
    letter = world.mailbox.mail(jane.email)
    assert letter.subject.startswith("Password Reset for ")
    if path.endswith("otp"):
        secret = letter.code
    else:
        assert list(letter.parameters) == ["from", "userId", "secret", "expire"]
        assert letter.parameters["expire"] == token["expire"]
        secret = letter.parameters["secret"]
        assert len(secret) == 256

    assert ok(chosen(guest, path, jane.account_id, secret))["$id"] == token["$id"]
    assert refusal(jane.ask("GET", "/account")) == (401, "general_unauthorized_scope")
    assert refusal(guest.ask("GET", "/account")) == (401, "general_unauthorized_scope"), "it does not sign in"
    assert (signs_in(world, jane.email, PASSWORD), signs_in(world, jane.email, NEW)) == (401, 201)
    assert refusal(chosen(guest, path, jane.account_id, secret)) == INVALID


@every_way
def test_T14_recovery_does_not_spare_the_second_factor(world: World, jane: Person, operator: Client, path: str) -> None:
    seed = ok(jane.ask("POST", "/account/mfa/authenticators/totp"))["secret"]
    ok(jane.ask("PUT", "/account/mfa/authenticators/totp", otp=pyotp.TOTP(seed).now()))
    ok(jane.ask("PATCH", "/account/mfa", mfa=True))
    ok(chosen(operator, path, jane.account_id, asked(operator, path, jane.email)["secret"]))
    again = world.server.client()
    ok(again.ask("POST", "/account/sessions/email", email=jane.email, password=NEW))
    assert refusal(again.ask("GET", "/account")) == (401, "user_more_factors_required")


@every_way
def test_T8_unknown_and_blocked_people_are_answered_like_known_ones(world: World, guest: Client, path: str) -> None:
    known, blocked = world.person(), world.person()
    world.decide(blocked.account_id, commands.set_active, active=False)
    stranger = an_email()
    answers = {email: asked(guest, path, email) for email in (known.email, blocked.email, stranger)}
    for answer in answers.values():
        assert len(answer["userId"]) == len(answers[known.email]["userId"])
        assert set(answer["userId"]) <= set("0123456789abcdef")
        created, expire = (datetime.fromisoformat(answer[name]) for name in ("$createdAt", "expire"))
        assert expire - created == timedelta(minutes=15 if path.endswith("otp") else 60)
    assert asked(guest, path, stranger)["userId"] == answers[stranger]["userId"], "as for somebody known"
    # Who tries to go on with it learns nothing either.
    guesses = [chosen(guest, path, answer["userId"], "123456") for answer in answers.values()]
    assert {refusal(answer) for answer in guesses} == {INVALID}
    assert len({answer.text for answer in guesses}) == 1
    world.mailbox.mail(known.email)
    assert world.mailbox.all_to(stranger) == world.mailbox.all_to(blocked.email) == []


@every_way
def test_servers_are_told_who_is_unknown_or_blocked(world: World, operator: Client, jane: Person, path: str) -> None:
    fields = {"email": an_email()} | ({} if path.endswith("otp") else {"url": PAGE})
    assert refusal(operator.ask("POST", path, **fields)) == (404, "user_not_found")
    world.decide(jane.account_id, commands.set_active, active=False)
    assert refusal(operator.ask("POST", path, **fields | {"email": jane.email})) == (403, "user_blocked")
    assert refusal(chosen(operator, path, "nobody", "123456")) == (404, "user_not_found")


@pytest.mark.parametrize("purpose", ["recovery", "recovery-otp"])
def test_T12_secrets_expire(world: World, jane: Person, guest: Client, purpose: TokenPurpose) -> None:
    path = "/account/recovery/otp" if purpose.endswith("otp") else "/account/recovery"
    secret, now = token_hex(8), datetime.now(UTC)
    world.token(jane.account_id, purpose, f"{secret}past", now - timedelta(seconds=1))
    world.token(jane.account_id, purpose, f"{secret}next", now + timedelta(minutes=1))
    assert refusal(chosen(guest, path, jane.account_id, f"{secret}past")) == INVALID
    ok(chosen(guest, path, jane.account_id, f"{secret}next"))


def test_the_code_of_the_one_is_not_the_link_of_the_other(jane: Person, operator: Client) -> None:
    secret = asked(operator, "/account/recovery/otp", jane.email)["secret"]
    assert refusal(chosen(operator, "/account/recovery", jane.account_id, secret)) == INVALID
    signing_in = ok(operator.ask("POST", "/account/tokens/email", userId="unique()", email=jane.email))["secret"]
    assert refusal(chosen(operator, "/account/recovery/otp", jane.account_id, signing_in)) == INVALID


@every_way
def test_what_went_to_the_old_address_is_void(jane: Person, operator: Client, path: str) -> None:
    secret = asked(operator, path, jane.email)["secret"]
    ok(jane.ask("PATCH", "/account/email", email=an_email(), password=PASSWORD))
    assert refusal(chosen(operator, path, jane.account_id, secret)) == INVALID


@every_way
def test_the_rules_for_passwords_hold_and_a_refused_one_leaves_the_secret_good(world: World, path: str) -> None:
    project = world.project(f"p{token_hex(6)}")
    world.policy("password_history", project=project, total=3)
    world.policy("password_personal_data", project=project, enabled=True)
    person = world.person(project=project)
    key = world.key("sessions.write", project=project)
    operator = world.server.client(project=project, key=key)
    secret = asked(operator, path, person.email)["secret"]
    for password, type_ in {
        PASSWORD: "password_recently_used",
        f"1{person.email}1": "password_personal_data",
        "jane roe 1": "password_personal_data",
        "short": "general_argument_invalid",
    }.items():
        assert refusal(chosen(operator, path, person.account_id, secret, password)) == (400, type_)
    ok(chosen(operator, path, person.account_id, secret))


def test_sessions_stay_where_the_project_wants_it(world: World) -> None:
    project = world.project(f"p{token_hex(6)}")
    world.policy("session_invalidation", project=project, enabled=False)
    person = world.person(project=project)
    operator = world.server.client(project=project, key=world.key("sessions.write", project=project))
    token = asked(operator, "/account/recovery", person.email)
    ok(chosen(operator, "/account/recovery", person.account_id, token["secret"]))
    ok(person.ask("GET", "/account"))


def test_T15_the_owner_of_a_verified_address_is_told(world: World, jane: Person, operator: Client) -> None:
    world.decide(jane.account_id, commands.set_email_verification, verified=True)
    token = asked(operator, "/account/recovery", jane.email)
    assert world.mailbox.mail(jane.email).subject.startswith("Password Reset")
    assert refusal(chosen(operator, "/account/recovery", jane.account_id, "f" * 256)) == INVALID
    ok(chosen(operator, "/account/recovery", jane.account_id, token["secret"]))
    assert "password" in world.mailbox.mail(jane.email).subject
    assert len(world.mailbox.all_to(jane.email)) == 2, "of the refused attempt nothing was said"
