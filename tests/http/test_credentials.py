"""Addresses, numbers and passwords of one's own account (contract: account, 2.1 and 4)."""

from typing import Any

import pytest

from accounts_es.domain.account import commands
from tests.http.calls import PAGE
from tests.support.answers import ok, refusal
from tests.support.running import PASSWORD, Person, World, a_phone, an_email
from tests.support.server import Client

WRONG = (401, "user_invalid_credentials")


def targets(account: Any) -> list[tuple[str, str]]:
    """The targets of an account on the wire."""
    return [(each["providerType"], each["identifier"]) for each in account["targets"]]


def test_another_address_frees_the_old_one_and_is_not_verified(world: World, jane: Person, guest: Client) -> None:
    world.decide(jane.account_id, commands.set_email_verification, verified=True)
    assert refusal(jane.ask("PATCH", "/account/email", email=an_email(), password="wrong horse")) == WRONG
    email = an_email()
    changed = ok(jane.ask("PATCH", "/account/email", email=email.upper(), password=PASSWORD))
    assert (changed["email"], changed["emailVerification"]) == (email, False)
    assert targets(changed) == [("email", email)]
    ok(jane.ask("GET", "/account"))

    warning = world.mailbox.mail(jane.email)
    assert "email address" in warning.subject, "T15: the old address is told"
    assert len(world.mailbox.all_to(jane.email)) == 1, "once, and of the wrong password nothing"
    assert refusal(guest.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD)) == WRONG
    ok(guest.ask("POST", "/account", userId="unique()", email=jane.email, password=PASSWORD))
    ok(guest.ask("POST", "/account/sessions/email", email=email, password=PASSWORD))


def test_an_address_or_number_of_somebody_else_is_taken(world: World, jane: Person) -> None:
    mary, phone = world.person(), a_phone()
    ok(mary.ask("PATCH", "/account/phone", phone=phone, password=PASSWORD))
    taken = jane.ask("PATCH", "/account/email", email=mary.email, password=PASSWORD)
    assert refusal(taken) == (409, "user_target_already_exists")
    status, type_ = refusal(jane.ask("PATCH", "/account/phone", phone=phone, password=PASSWORD))
    assert (status, type_) in {(409, "user_phone_already_exists"), (409, "user_target_already_exists")}
    assert ok(jane.ask("GET", "/account"))["email"] == jane.email


def test_another_number_is_not_verified(world: World, jane: Person) -> None:
    first, second = a_phone(), a_phone()
    assert refusal(jane.ask("PATCH", "/account/phone", phone=first, password="wrong horse")) == WRONG
    assert ("sms", first) in targets(ok(jane.ask("PATCH", "/account/phone", phone=first, password=PASSWORD)))
    world.decide(jane.account_id, commands.set_phone_verification, verified=True)
    world.decide(jane.account_id, commands.set_email_verification, verified=True)
    changed = ok(jane.ask("PATCH", "/account/phone", phone=second, password=PASSWORD))
    assert (changed["phone"], changed["phoneVerification"]) == (second, False)
    assert sorted(targets(changed)) == [("email", jane.email), ("sms", second)]
    assert "phone number" in world.mailbox.mail(jane.email).subject


@pytest.mark.parametrize("way", ["email", "phone"])
def test_a_nobody_becomes_somebody_and_keeps_everything(world: World, guest: Client, way: str) -> None:
    session = ok(guest.ask("POST", "/account/sessions/anonymous"))
    ok(guest.ask("PATCH", "/account/prefs", prefs={"cart": [1]}))
    value = an_email() if way == "email" else a_phone()
    assert refusal(guest.ask("PATCH", f"/account/{way}", **{way: value, "password": ""}))[0] == 400
    changed = ok(guest.ask("PATCH", f"/account/{way}", **{way: value, "password": PASSWORD}))
    assert (changed["$id"], changed["prefs"], changed[way]) == (session["userId"], {"cart": [1]}, value)
    assert changed["passwordUpdate"]
    assert ok(guest.ask("GET", "/account/sessions/current"))["provider"] == "anonymous"
    if way == "phone":
        value = an_email()
        assert refusal(guest.ask("PATCH", "/account/email", email=value, password="wrong horse")) == WRONG
        ok(guest.ask("PATCH", "/account/email", email=value, password=PASSWORD))
    opened = world.server.client().ask("POST", "/account/sessions/email", email=value, password=PASSWORD)
    assert ok(opened)["userId"] == session["userId"]


def test_another_password_ends_the_other_sessions(world: World, jane: Person, guest: Client) -> None:
    world.decide(jane.account_id, commands.set_email_verification, verified=True)
    ok(guest.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD))
    for shown in ({}, {"oldPassword": ""}, {"oldPassword": "wrong horse"}):
        assert refusal(jane.ask("PATCH", "/account/password", password="another horse", **shown)) == WRONG
    ok(jane.ask("PATCH", "/account/password", password="another horse", oldPassword=PASSWORD))
    ok(jane.ask("GET", "/account"))
    assert refusal(guest.ask("GET", "/account")) == (401, "general_unauthorized_scope")
    assert "password" in world.mailbox.mail(jane.email).subject
    assert len(world.mailbox.all_to(jane.email)) == 1
    again = guest.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD)
    assert refusal(again) == WRONG
    ok(guest.ask("POST", "/account/sessions/email", email=jane.email, password="another horse"))


def test_a_first_password_needs_no_old_one_and_the_next_does(world: World, guest: Client, operator: Client) -> None:
    token = ok(operator.ask("POST", "/account/tokens/email", userId="unique()", email=an_email()))
    ok(guest.ask("POST", "/account/sessions/token", userId=token["userId"], secret=token["secret"]))
    ok(guest.ask("PATCH", "/account/password", password=PASSWORD))
    assert refusal(guest.ask("PATCH", "/account/password", password="another horse")) == WRONG
    ok(guest.ask("PATCH", "/account/password", password="another horse", oldPassword=PASSWORD))


def test_T15_nobody_is_told_at_an_address_that_is_not_verified(world: World, jane: Person) -> None:
    ok(jane.ask("PATCH", "/account/password", password="another horse", oldPassword=PASSWORD))
    ok(jane.ask("POST", "/account/verifications/email", url=PAGE))
    assert world.mailbox.mail(jane.email).subject.startswith("Account Verification")
    assert len(world.mailbox.all_to(jane.email)) == 1


def test_an_address_is_verified_by_its_own_secret_only(world: World, jane: Person, guest: Client) -> None:
    ok(jane.ask("POST", "/account/verifications/email", url=PAGE))
    secret = world.mailbox.mail(jane.email).parameters["secret"]
    wrong = guest.ask("PUT", "/account/verifications/email", userId=jane.account_id, secret="f" * 256)
    assert refusal(wrong) == (401, "user_invalid_token")
    unknown = guest.ask("PUT", "/account/verifications/email", userId="nobody", secret=secret)
    assert refusal(unknown) == (401, "user_invalid_token"), "guests do not learn who exists"
    mary = world.person()
    others = guest.ask("PUT", "/account/verifications/email", userId=mary.account_id, secret=secret)
    assert refusal(others) == (401, "user_invalid_token")
    ok(guest.ask("PUT", "/account/verifications/email", userId=jane.account_id, secret=secret))
    assert ok(jane.ask("GET", "/account"))["emailVerification"] is True
    again = guest.ask("PUT", "/account/verifications/email", userId=jane.account_id, secret=secret)
    assert refusal(again) == (401, "user_invalid_token")
    assert refusal(jane.ask("POST", "/account/verifications/email", url=PAGE)) == (409, "user_email_already_verified")


@pytest.mark.parametrize("path", ["/account/verifications/email", "/account/verifications/email/otp"])
def test_a_verification_of_the_old_address_does_not_verify_the_new_one(world: World, jane: Person, path: str) -> None:
    ok(jane.ask("POST", path, **({} if path.endswith("otp") else {"url": PAGE})))
    letter = world.mailbox.mail(jane.email)
    secret = letter.code if path.endswith("otp") else letter.parameters["secret"]
    ok(jane.ask("PATCH", "/account/email", email=an_email(), password=PASSWORD))
    answer = jane.ask("PUT", path, userId=jane.account_id, secret=secret)
    assert refusal(answer) == (401, "user_invalid_token")
    assert ok(jane.ask("GET", "/account"))["emailVerification"] is False


@pytest.mark.parametrize("path", ["/account/verifications/email", "/account/verifications/email/otp"])
def test_who_has_no_address_has_none_to_verify(guest: Client, path: str) -> None:
    ok(guest.ask("POST", "/account/sessions/anonymous"))
    answer = guest.ask("POST", path, **({} if path.endswith("otp") else {"url": PAGE}))
    assert refusal(answer) == (400, "user_email_not_found")


def test_who_shuts_the_account_stays_out(world: World, jane: Person, guest: Client) -> None:
    ok(guest.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD))
    answer = jane.ask("PATCH", "/account/status")
    assert ok(answer)["status"] is False
    assert any("a_session_default=deleted" in each for each in answer.headers.get_list("set-cookie"))
    assert refusal(jane.ask("GET", "/account")) == (401, "general_unauthorized_scope")
    assert refusal(guest.ask("GET", "/account")) == (403, "user_blocked")
    assert refusal(guest.ask("PATCH", "/account/status")) == (403, "user_blocked")
    world.decide(jane.account_id, commands.set_active, active=True)
    ok(guest.ask("GET", "/account"))
