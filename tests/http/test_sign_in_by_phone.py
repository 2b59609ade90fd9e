"""Codes that come by text message (contract: account, 2.5 and 2.11)."""

import base64
import json
from typing import Any

import pytest

from tests.support.answers import ok, refusal
from tests.support.running import PASSWORD, Person, World, a_phone
from tests.support.server import Client

INVALID = (401, "user_invalid_token")


def asked(client: Client, phone: str) -> Any:
    """The token that somebody asks for."""
    return ok(client.ask("POST", "/account/tokens/phone", userId="unique()", phone=phone))


def test_a_code_makes_an_account_and_opens_it_once(world: World, guest: Client) -> None:
    phone = a_phone()
    token = asked(guest, phone)
    assert token["secret"] == ""
    code = world.mailbox.text(phone)
    assert len(code) == 6
    redeem = {"userId": token["userId"], "secret": code}
    session = ok(guest.ask("POST", "/account/sessions/token", **redeem))
    assert (session["provider"], session["factors"]) == ("phone", ["phone"])
    me = ok(guest.ask("GET", "/account"))
    assert (me["phone"], me["phoneVerification"], me["email"]) == (phone, True, "")
    assert [(each["providerType"], each["identifier"]) for each in me["targets"]] == [("sms", phone)]
    assert refusal(world.server.client().ask("POST", "/account/sessions/token", **redeem)) == INVALID
    assert asked(world.server.client(), phone)["userId"] == token["userId"]


def test_servers_get_the_code_wrapped_and_either_form_is_taken(world: World, operator: Client) -> None:
    for bare in (True, False):
        token = asked(operator, a_phone())
        wrapped = json.loads(base64.b64decode(token["secret"]))
        assert wrapped["id"] == token["userId"]
        secret = wrapped["secret"] if bare else token["secret"]
        answer = world.server.client().ask("POST", "/account/sessions/token", userId=token["userId"], secret=secret)
        assert ok(answer)["provider"] == "phone"


def test_mock_numbers_have_a_fixed_code_and_get_no_message(world: World) -> None:
    phone, project = a_phone(), world.project(f"p{a_phone()[1:]}")
    world.mock_phone(phone, "424242", project=project)
    client = world.server.client(project=project)
    token = asked(client, phone)
    wrong = client.ask("POST", "/account/sessions/token", userId=token["userId"], secret="424243")
    assert refusal(wrong) == INVALID
    ok(client.ask("POST", "/account/sessions/token", userId=token["userId"], secret="424242"))
    other = a_phone()
    asked(world.server.client(project=project), other)
    world.mailbox.text(other)
    with pytest.raises(AssertionError, match="nothing came"):
        world.mailbox.text(phone, limit=0.1)


def test_a_number_is_verified_by_a_code_of_either_kind(world: World, jane: Person) -> None:
    phone = a_phone()
    ok(jane.ask("PATCH", "/account/phone", phone=phone, password=PASSWORD))
    asked(world.server.client(), phone)
    signing = world.mailbox.text(phone)
    ok(jane.ask("POST", "/account/verifications/phone"))
    verifying = world.mailbox.text(phone)
    ok(jane.ask("PUT", "/account/verifications/phone", userId=jane.account_id, secret=signing))
    assert ok(jane.ask("GET", "/account"))["phoneVerification"] is True
    assert refusal(jane.ask("POST", "/account/verifications/phone")) == (409, "user_phone_already_verified")
    if verifying != signing:
        client = world.server.client()
        ok(client.ask("POST", "/account/sessions/token", userId=jane.account_id, secret=verifying))


def test_what_went_to_the_old_number_is_void(world: World, jane: Person) -> None:
    phone = a_phone()
    ok(jane.ask("PATCH", "/account/phone", phone=phone, password=PASSWORD))
    asked(world.server.client(), phone)
    code = world.mailbox.text(phone)
    ok(jane.ask("PATCH", "/account/phone", phone=a_phone(), password=PASSWORD))
    answer = world.server.client().ask("POST", "/account/sessions/token", userId=jane.account_id, secret=code)
    assert refusal(answer) == INVALID


def test_without_a_number_there_is_nothing_to_verify(jane: Person) -> None:
    assert refusal(jane.ask("POST", "/account/verifications/phone")) == (400, "user_phone_not_found")
