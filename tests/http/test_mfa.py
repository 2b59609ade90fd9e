"""Second factors (contract: account, 1.10 and 2.12)."""

from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import pyotp
import pytest

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import commands
from accounts_es.domain.account.events import Factor
from accounts_es.http.callers import USER_SCOPES
from accounts_es.http.operation import Operation
from accounts_es.http.table import OPERATIONS
from tests.http.calls import Call
from tests.support.answers import ok, refusal
from tests.support.running import PASSWORD, Person, World, a_phone, an_email
from tests.support.server import Client

INVALID = (401, "user_invalid_token")
OWED = (401, "user_more_factors_required")


def enrolled(person: Person) -> pyotp.TOTP:
    """Give somebody an authenticator; its first code is spent."""
    app = pyotp.TOTP(ok(person.ask("POST", "/account/mfa/authenticators/totp"))["secret"])
    ok(person.ask("PUT", "/account/mfa/authenticators/totp", otp=app.now()))
    return app


def later(app: pyotp.TOTP) -> str:
    """The code of the next step, which counts already."""
    return app.at(datetime.now(UTC) + timedelta(seconds=30))


def again(world: World, person: Person) -> Client:
    """The same person signs in somewhere else, with the password alone."""
    client = world.server.client()
    ok(client.ask("POST", "/account/sessions/email", email=person.email, password=PASSWORD))
    return client


def challenged(client: Client, factor: str) -> str:
    """The id of a challenge."""
    return ok(client.ask("POST", "/account/mfa/challenges", factor=factor))["$id"]


def shown(client: Client, challenge_id: str, otp: str) -> Any:
    """What showing a factor comes to."""
    return client.ask("PUT", "/account/mfa/challenges", challengeId=challenge_id, otp=otp)


def verified(world: World, person: Person) -> str:
    """Give somebody a verified address and a verified number; the number."""
    phone = a_phone()
    ok(person.ask("PATCH", "/account/phone", phone=phone, password=PASSWORD))
    world.decide(person.account_id, commands.set_email_verification, verified=True)
    world.decide(person.account_id, commands.set_phone_verification, verified=True)
    return phone


@pytest.fixture(scope="module")
def pending(world: World) -> Client:
    """Somebody who has shown the password and owes the second factor."""
    person = world.person()
    enrolled(person)
    ok(person.ask("PATCH", "/account/mfa", mfa=True))
    return again(world, person)


OWN = [each for each in OPERATIONS if USER_SCOPES & set(each.scopes) and each.group == "account"]
CLOSED = [each for each in OWN if not each.mfa_pending]


@pytest.mark.parametrize("operation", CLOSED, ids=lambda each: each.id)
def test_who_owes_a_factor_is_let_in_nowhere(world: World, pending: Client, operation: Operation) -> None:
    call = Call(operation, pending, {each.wire: "current" for each in operation.parameters})
    answer = call.send()
    if operation.for_browsers:
        assert (answer.status_code, OWED[1] in answer.text) == (401, True)
    else:
        assert refusal(answer) == OWED
    assert [each.topic for each in world.log.of(answer)] in ([], ["security.access_denied"])


def test_but_for_what_brings_the_factor_and_for_signing_out(pending: Client) -> None:
    assert {each.id for each in OWN if each.mfa_pending} == {
        "account.listMFAFactors",
        "account.createMFAChallenge",
        "account.updateMFAChallenge",
        "account.deleteSession",
    }
    assert ok(pending.ask("GET", "/account/mfa/factors"))["totp"] is True


def test_an_authenticator_completes_a_sign_in(world: World, jane: Person) -> None:
    app = enrolled(jane)
    ok(jane.ask("PATCH", "/account/mfa", mfa=True))
    assert ok(jane.ask("GET", "/account"))["mfa"] is True
    client = again(world, jane)
    challenge = challenged(client, "TOTP")
    assert refusal(shown(client, challenge, "000000")) == INVALID
    session = ok(shown(client, challenge, later(app)))
    assert session["factors"] == ["password", "totp"]
    assert session["mfaUpdatedAt"]
    assert ok(client.ask("GET", "/account"))["$id"] == jane.account_id
    assert refusal(shown(client, challenge, later(app))) == INVALID, "the challenge is spent"


def test_T13_a_code_counts_once_also_the_one_that_enrolled(world: World, jane: Person) -> None:
    app = pyotp.TOTP(ok(jane.ask("POST", "/account/mfa/authenticators/totp"))["secret"])
    code = later(app)
    ok(jane.ask("PUT", "/account/mfa/authenticators/totp", otp=code))
    assert refusal(shown(jane.client, challenged(jane.client, "totp"), code)) == INVALID
    assert refusal(shown(jane.client, challenged(jane.client, "totp"), app.now())) == INVALID, "an earlier step"


def test_an_authenticator_is_another_until_it_is_shown(jane: Person) -> None:
    first, second = (ok(jane.ask("POST", "/account/mfa/authenticators/totp")) for _ in range(2))
    assert first["secret"] != second["secret"]
    assert f"secret={second['secret']}" in second["uri"]
    assert (
        refusal(jane.ask("PUT", "/account/mfa/authenticators/totp", otp=pyotp.TOTP(first["secret"]).now())) == INVALID
    )
    ok(jane.ask("PUT", "/account/mfa/authenticators/totp", otp=pyotp.TOTP(second["secret"]).now()))
    already = (409, "user_authenticator_already_verified")
    assert refusal(jane.ask("POST", "/account/mfa/authenticators/totp")) == already
    assert refusal(jane.ask("PUT", "/account/mfa/authenticators/totp", otp="123456")) == already


@pytest.mark.parametrize("factor", ["email", "phone"])
def test_a_code_by_mail_or_text_completes_a_sign_in(world: World, jane: Person, factor: str) -> None:
    phone = verified(world, jane)
    ok(jane.ask("PATCH", "/account/mfa", mfa=True))
    if factor == "email":
        assert "second factor" in world.mailbox.mail(jane.email).subject
    client = again(world, jane)
    assert refusal(client.ask("GET", "/account")) == OWED
    challenge = challenged(client, factor)
    code = world.mailbox.mail(jane.email).code if factor == "email" else world.mailbox.text(phone)
    session = ok(shown(client, challenge, code))
    assert session["factors"] == ["password", factor]
    assert refusal(shown(client, challenge, code)) == INVALID


def test_who_switched_it_on_stays_in_with_what_is_verified(world: World, jane: Person) -> None:
    verified(world, jane)
    ok(jane.ask("PATCH", "/account/mfa", mfa=True))
    assert ok(jane.ask("GET", "/account/sessions/current"))["factors"] == ["password", "email", "phone"]


def test_who_has_no_factor_is_not_locked_out(world: World, jane: Person) -> None:
    ok(jane.ask("PATCH", "/account/mfa", mfa=True))
    ok(again(world, jane).ask("GET", "/account"))


def test_recovery_codes_count_once_each(world: World, jane: Person) -> None:
    enrolled(jane)
    ok(jane.ask("PATCH", "/account/mfa", mfa=True))
    codes = ok(jane.ask("POST", "/account/mfa/recovery-codes"))["recoveryCodes"]
    assert [len(code) for code in codes] == [10] * 6
    assert refusal(jane.ask("POST", "/account/mfa/recovery-codes")) == (409, "user_recovery_codes_already_exists")
    for nth, code in enumerate(codes):
        client = again(world, jane)
        if nth:
            assert refusal(shown(client, challenged(client, "recoverycode"), codes[nth - 1])) == INVALID
        session = ok(shown(client, challenged(client, "recoveryCode"), code.upper()))
        assert session["factors"] == ["password", "recoveryCode"]
    assert refusal(client.ask("GET", "/account/mfa/recovery-codes")) == (404, "user_recovery_codes_not_found")
    assert ok(client.ask("GET", "/account/mfa/factors"))["recoveryCode"] is False
    ok(client.ask("POST", "/account/mfa/recovery-codes"))


def test_T14_codes_and_authenticators_ask_for_a_fresh_factor(world: World, jane: Person) -> None:
    app = enrolled(jane)
    codes = ok(jane.ask("POST", "/account/mfa/recovery-codes"))["recoveryCodes"]
    for method, path in (
        ("GET", "/account/mfa/recovery-codes"),
        ("PATCH", "/account/mfa/recovery-codes"),
        ("DELETE", "/account/mfa/authenticators/totp"),
    ):
        assert refusal(jane.ask(method, path)) == (401, "user_challenge_required")
    ok(shown(jane.client, challenged(jane.client, "totp"), later(app)))
    assert ok(jane.ask("GET", "/account/mfa/recovery-codes"))["recoveryCodes"] == codes
    others = ok(jane.ask("PATCH", "/account/mfa/recovery-codes"))["recoveryCodes"]
    assert refusal(shown(jane.client, challenged(jane.client, "recoverycode"), codes[0])) == INVALID
    ok(shown(jane.client, challenged(jane.client, "recoverycode"), others[0]))
    elsewhere = again(world, jane)
    assert refusal(elsewhere.ask("GET", "/account/mfa/recovery-codes")) == (401, "user_challenge_required")
    ok(jane.ask("DELETE", "/account/mfa/authenticators/totp"))
    assert refusal(jane.ask("DELETE", "/account/mfa/authenticators/totp")) == (404, "user_authenticator_not_found")


def test_challenges_are_ones_own(world: World, jane: Person) -> None:
    mary = world.person()
    codes = ok(jane.ask("POST", "/account/mfa/recovery-codes"))["recoveryCodes"]
    challenge = challenged(jane.client, "recoverycode")
    assert refusal(shown(mary.client, challenge, codes[0])) == INVALID
    assert refusal(shown(jane.client, "nothing", codes[0])) == INVALID
    ok(shown(jane.client, challenge, codes[0]))


@pytest.mark.parametrize("factor", ["email", "phone"])
def test_a_challenge_expires(world: World, jane: Person, factor: Factor) -> None:
    verified(world, jane)
    now, code = datetime.now(UTC), token_hex(4)
    for challenge_id, expires_at in (("past", now - timedelta(seconds=1)), ("next", now + timedelta(minutes=1))):
        world.decide(
            jane.account_id,
            commands.create_challenge,
            challenge_id=challenge_id,
            factor=factor,
            code_hash=world.digest(jane.account_id, code),
            expires_at=expires_at,
        )
    assert refusal(shown(jane.client, "past", code)) == INVALID
    ok(shown(jane.client, "next", code))


def test_a_challenge_sent_to_the_old_address_is_void(world: World, jane: Person) -> None:
    verified(world, jane)
    challenge = challenged(jane.client, "email")
    code = world.mailbox.mail(jane.email).code
    ok(jane.ask("PATCH", "/account/email", email=an_email(), password=PASSWORD))
    assert refusal(shown(jane.client, challenge, code)) == INVALID


@pytest.mark.parametrize(("factor", "type_"), [("email", "user_email_not_verified"), ("phone", "user_phone_not_found")])
def test_a_challenge_goes_to_verified_addresses_only(jane: Person, factor: str, type_: str) -> None:
    assert refusal(jane.ask("POST", "/account/mfa/challenges", factor=factor)) == (400, type_)


def test_T15_changes_are_told_to_the_verified_address(world: World, jane: Person) -> None:
    verified(world, jane)
    app = enrolled(jane)
    ok(jane.ask("PATCH", "/account/mfa", mfa=True))
    assert "second factor" in world.mailbox.mail(jane.email).subject
    ok(shown(jane.client, challenged(jane.client, "totp"), later(app)))
    ok(jane.ask("DELETE", "/account/mfa/authenticators/totp"))
    assert "second factor" in world.mailbox.mail(jane.email).subject
    ok(jane.ask("PATCH", "/account/mfa", mfa=False))
    assert "second factor" in world.mailbox.mail(jane.email).subject


def test_a_project_chooses_its_factors(world: World) -> None:
    project = world.project(f"p{token_hex(6)}")
    person = world.person(project=project)
    app = enrolled(person)
    open_before = challenged(person.client, "totp")
    off = (501, "user_auth_method_unsupported")
    assert refusal(person.ask("POST", "/account/mfa/challenges", factor="custom")) == off
    world.policy("mfa_factors", project=project, totp=False, custom=True)
    assert ok(person.ask("GET", "/account/mfa/factors")) == {
        "totp": False,
        "phone": False,
        "email": False,
        "recoveryCode": False,
        "custom": True,
    }
    assert refusal(person.ask("POST", "/account/mfa/challenges", factor="totp")) == off
    assert refusal(shown(person.client, open_before, later(app))) == off
    challenged(person.client, "custom")


def test_a_jwt_shows_no_factor(jane: Person, world: World) -> None:
    """It has no session that a factor could be added to."""
    codes = ok(jane.ask("POST", "/account/mfa/recovery-codes"))["recoveryCodes"]
    jwt = ok(jane.ask("POST", "/account/jwts"))["jwt"]
    client = world.server.client(x_appwrite_jwt=jwt)
    answer = shown(client, challenged(client, "recoverycode"), codes[0])
    assert refusal(answer) == (404, "user_session_not_found")
    assert refusal(client.ask("PATCH", "/account/mfa", mfa=True)) == (404, "user_session_not_found")


def test_an_unknown_kind_of_authenticator(jane: Person) -> None:
    answer = jane.ask("POST", f"/account/mfa/authenticators/{wire_id()}")
    assert refusal(answer) == (400, "general_argument_invalid")
