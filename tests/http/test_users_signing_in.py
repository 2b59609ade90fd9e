"""How a backend lets people in: sessions, tokens, JWTs, second factors; and where it reaches them."""

from datetime import datetime, timedelta
from secrets import token_hex

import pyotp
import pytest

from tests.support.running import Person, World
from tests.support.server import Client


def refusal(answer: object) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"]


# Sessions -------------------------------------------------------------------------------------------------------------


def test_a_session_made_by_a_server_is_a_session(operator: Client, world: World, jane: Person) -> None:
    answer = operator.ask("POST", f"/users/{jane.account_id}/sessions")
    session = answer.json()
    assert "set-cookie" not in answer.headers
    assert (session["provider"], session["providerUid"], session["factors"]) == ("server", "", ["server"])
    assert session["current"] is False
    lasts = datetime.fromisoformat(session["expire"]) - datetime.fromisoformat(session["$createdAt"])
    assert lasts == timedelta(seconds=31_536_000)

    acting = world.server.client(x_appwrite_session=session["secret"])
    assert acting.ask("GET", "/account").json()["$id"] == jane.account_id
    assert acting.ask("GET", "/account/sessions/current").json()["$id"] == session["$id"]
    listed = operator.ask("GET", f"/users/{jane.account_id}/sessions").json()["sessions"]
    assert [each["secret"] for each in listed] == ["", ""], "shown once"


def test_sessions_made_by_a_server_push_none_out(operator: Client, jane: Person) -> None:
    for _ in range(12):
        assert operator.ask("POST", f"/users/{jane.account_id}/sessions").status_code == 201
    assert operator.ask("GET", f"/users/{jane.account_id}/sessions").json()["total"] == 13


def test_a_key_for_sessions_makes_them_and_nothing_else(world: World, jane: Person) -> None:
    sessions = world.server.client(key=world.key("sessions.write"))
    assert sessions.ask("POST", f"/users/{jane.account_id}/sessions").status_code == 201
    assert sessions.ask("POST", f"/users/{jane.account_id}/tokens").status_code == 401
    assert sessions.ask("POST", f"/users/{jane.account_id}/jwts").status_code == 401


# Tokens ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "digits", "seconds"), [({}, 6, 900), ({"length": 15, "expire": 60}, 15, 60)])
def test_a_token_opens_one_session(
    operator: Client, guest: Client, jane: Person, fields: dict[str, int], digits: int, seconds: int
) -> None:
    token = operator.ask("POST", f"/users/{jane.account_id}/tokens", **fields).json()
    assert len(token["secret"]) == digits
    assert set(token["secret"]) <= set("0123456789abcdef")
    assert (token["userId"], token["phrase"]) == (jane.account_id, "")
    lasts = datetime.fromisoformat(token["expire"]) - datetime.fromisoformat(token["$createdAt"])
    assert lasts == timedelta(seconds=seconds)

    redeem = {"userId": jane.account_id, "secret": token["secret"]}
    session = guest.ask("POST", "/account/sessions/token", **redeem).json()
    assert (session["provider"], session["factors"]) == ("token", ["token"])
    guest.cookies.clear()
    assert refusal(guest.ask("POST", "/account/sessions/token", **redeem)) == (401, "user_invalid_token")


# JWTs -----------------------------------------------------------------------------------------------------------------


def test_a_jwt_stands_for_the_newest_session(operator: Client, world: World, jane: Person) -> None:
    path = f"/users/{jane.account_id}"
    newest = operator.ask("POST", f"{path}/sessions").json()["$id"]
    bound = world.server.client(x_appwrite_jwt=operator.ask("POST", f"{path}/jwts").json()["jwt"])
    older = operator.ask("POST", f"{path}/jwts", sessionId=jane.session_id).json()["jwt"]
    bound_to_older = world.server.client(x_appwrite_jwt=older)
    assert bound.ask("GET", "/account").json()["$id"] == jane.account_id
    operator.ask("DELETE", f"{path}/sessions/{newest}")
    assert bound.ask("GET", "/account").status_code == 401
    assert bound_to_older.ask("GET", "/account").status_code == 200


def test_a_jwt_without_any_session_lasts_as_long_as_the_account(operator: Client, world: World) -> None:
    user_id = operator.ask("POST", "/users", userId="unique()").json()["$id"]
    jwt = operator.ask("POST", f"/users/{user_id}/jwts", duration=3600).json()["jwt"]
    acting = world.server.client(x_appwrite_jwt=jwt)
    assert acting.ask("GET", "/account").json()["$id"] == user_id
    operator.ask("PATCH", f"/users/{user_id}/status", status=False)
    assert refusal(acting.ask("GET", "/account")) == (403, "user_blocked")
    operator.ask("DELETE", f"/users/{user_id}")
    assert acting.ask("GET", "/account").status_code == 401


def test_a_jwt_is_not_made_for_a_session_that_is_not_there(operator: Client, world: World, jane: Person) -> None:
    for session_id in ("nothing", world.person().session_id):
        answer = operator.ask("POST", f"/users/{jane.account_id}/jwts", sessionId=session_id)
        assert refusal(answer) == (404, "user_session_not_found")


# Second factors -------------------------------------------------------------------------------------------------------


def test_a_server_switches_second_factors_and_helps_who_lost_one(operator: Client, jane: Person) -> None:
    path = f"/users/{jane.account_id}/mfa"
    none = {"totp": False, "phone": False, "email": False, "recoveryCode": False, "custom": False}
    assert operator.ask("GET", f"{path}/factors").json() == none
    missing = operator.ask("DELETE", f"{path}/authenticators/totp")
    assert refusal(missing) == (404, "user_authenticator_not_found")

    seed = jane.ask("POST", "/account/mfa/authenticators/totp").json()["secret"]
    jane.ask("PUT", "/account/mfa/authenticators/totp", otp=pyotp.TOTP(seed).now())
    operator.ask("PATCH", f"/users/{jane.account_id}/verification", emailVerification=True)
    assert operator.ask("GET", f"{path}/factors").json() == {**none, "totp": True, "email": True}

    assert operator.ask("PATCH", path, mfa=True).json()["mfa"] is True
    assert jane.ask("GET", "/account").status_code == 200, "this session has shown its authenticator"
    session = operator.ask("POST", f"/users/{jane.account_id}/sessions").json()
    jane.client.cookies.clear()
    jane.client.headers["x-appwrite-session"] = session["secret"]
    assert refusal(jane.ask("GET", "/account")) == (401, "user_more_factors_required")

    assert operator.ask("DELETE", f"{path}/authenticators/totp").status_code == 204
    assert operator.ask("GET", f"{path}/factors").json() == {**none, "email": True}
    assert operator.ask("GET", f"/users/{jane.account_id}").json()["mfa"] is True, "that is another switch"
    assert operator.ask("PATCH", path, mfa=False).json()["mfa"] is False
    assert jane.ask("GET", "/account").status_code == 200


def test_recovery_codes_are_made_read_and_made_anew(operator: Client, jane: Person) -> None:
    path = f"/users/{jane.account_id}/mfa/recovery-codes"
    assert refusal(operator.ask("GET", path)) == (404, "user_recovery_codes_not_found")
    assert refusal(operator.ask("PUT", path)) == (404, "user_recovery_codes_not_found")
    codes = operator.ask("PATCH", path).json()["recoveryCodes"]
    assert [len(code) for code in codes] == [10] * 6
    assert operator.ask("GET", path).json()["recoveryCodes"] == codes
    assert refusal(operator.ask("PATCH", path)) == (409, "user_recovery_codes_already_exists")
    others = operator.ask("PUT", path).json()["recoveryCodes"]
    assert not set(codes) & set(others)

    asked = jane.ask("POST", "/account/mfa/challenges", factor="recoveryCode").json()["$id"]
    wrong = jane.ask("PUT", "/account/mfa/challenges", challengeId=asked, otp=codes[0])
    assert refusal(wrong) == (401, "user_invalid_token")
    assert jane.ask("PUT", "/account/mfa/challenges", challengeId=asked, otp=others[0]).status_code == 200
    assert operator.ask("GET", path).json()["recoveryCodes"] == others[1:]


def test_a_server_delivers_the_code_of_its_own_factor(world: World) -> None:
    project = world.project(f"custom-{token_hex(4)}")
    world.policy("mfa_factors", project=project, custom=True)
    jane = world.person(project=project)
    backend = world.server.client(project=project, key=world.key("users.read", project=project))
    challenge = jane.ask("POST", "/account/mfa/challenges", factor="custom").json()
    path = f"/users/{jane.account_id}/mfa/challenges"
    told = backend.ask("GET", f"{path}/{challenge['$id']}").json()
    assert {**challenge, "code": told["code"]} == told
    assert refusal(jane.ask("GET", f"{path}/{challenge['$id']}")) == (401, "general_unauthorized_scope")
    shown = jane.ask("PUT", "/account/mfa/challenges", challengeId=challenge["$id"], otp=told["code"])
    assert shown.json()["factors"] == ["password", "custom"]

    other = jane.ask("POST", "/account/mfa/challenges", factor="totp").json()["$id"]
    for challenge_id in (challenge["$id"], other, "nothing"):
        assert refusal(backend.ask("GET", f"{path}/{challenge_id}")) == (401, "user_invalid_token")


# Targets --------------------------------------------------------------------------------------------------------------


def test_targets_are_made_changed_and_taken_away(operator: Client, world: World, jane: Person) -> None:
    path, address = f"/users/{jane.account_id}/targets", f"Second.{token_hex(4)}@Example.org"
    made = operator.ask("POST", path, targetId="unique()", providerType="email", identifier=address, name="Work").json()
    assert (made["identifier"], made["name"], made["userId"]) == (address.lower(), "Work", jane.account_id)
    assert operator.ask("GET", f"{path}/{made['$id']}").json() == made
    assert made in jane.ask("GET", "/account").json()["targets"]

    changed = operator.ask("PATCH", f"{path}/{made['$id']}", name="Home").json()
    assert (changed["name"], changed["identifier"]) == ("Home", made["identifier"])
    own = world.person().email
    taken = operator.ask("PATCH", f"{path}/{made['$id']}", identifier=own)
    assert refusal(taken) == (409, "user_target_already_exists")
    wrong = operator.ask("PATCH", f"{path}/{made['$id']}", identifier="+4930901820")
    assert refusal(wrong) == (400, "general_invalid_email")

    assert operator.ask("DELETE", f"{path}/{made['$id']}").status_code == 204
    assert refusal(operator.ask("GET", f"{path}/{made['$id']}")) == (404, "user_target_not_found")


def test_a_target_is_of_its_type_and_nobody_elses(operator: Client, world: World, jane: Person) -> None:
    path = f"/users/{jane.account_id}/targets"

    def make(provider_type: str, identifier: str, target_id: str = "unique()") -> tuple[int, str]:
        answer = operator.ask("POST", path, targetId=target_id, providerType=provider_type, identifier=identifier)
        return answer.status_code, answer.json().get("type", "")

    assert make("email", "+4930901820") == (400, "general_invalid_email")
    assert make("sms", "somebody@example.org") == (400, "general_invalid_phone")
    assert make("push", token_hex(8), f"device-{jane.account_id}") == (201, "")
    assert make("push", token_hex(8), f"device-{jane.account_id}") == (409, "user_target_already_exists")
    assert make("email", jane.email) == (409, "user_target_already_exists")
    assert make("email", world.person().email) == (409, "user_target_already_exists")

    elsewhere = f"/users/{world.person().account_id}/targets/device-{jane.account_id}"
    for method in ("GET", "PATCH", "DELETE"):
        assert refusal(operator.ask(method, elsewhere)) == (404, "user_target_not_found")
