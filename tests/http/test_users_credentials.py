"""What a backend changes about how people sign in."""

from secrets import randbelow, token_hex

import pytest

from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client


def a_number() -> str:
    return f"+4930{randbelow(10**8):08}"


def refusal(answer: object) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"]


def signs_in(client: Client, email: str, password: str) -> bool:
    client.cookies.clear()
    return client.ask("POST", "/account/sessions/email", email=email, password=password).status_code == 201


# Addresses ------------------------------------------------------------------------------------------------------------


def test_an_address_is_changed_with_its_target_and_counts_as_new(operator: Client, jane: Person) -> None:
    path, email = f"/users/{jane.account_id}", an_email()
    operator.ask("PATCH", f"{path}/verification", emailVerification=True)
    user = operator.ask("PATCH", f"{path}/email", email=email.upper()).json()
    assert (user["email"], user["emailVerification"]) == (email, False)
    assert [each["identifier"] for each in user["targets"]] == [email]
    assert signs_in(jane.client, email, PASSWORD)


def test_an_address_is_taken_away_and_free_again(operator: Client, jane: Person, world: World) -> None:
    user = operator.ask("PATCH", f"/users/{jane.account_id}/email", email="").json()
    assert (user["email"], user["targets"], user["emailCanonical"]) == ("", [], None)
    other = world.person()
    assert operator.ask("PATCH", f"/users/{other.account_id}/email", email="").status_code == 200, "any number may"
    assert operator.ask("POST", "/users", userId="unique()", email=jane.email).status_code == 201


def test_the_own_address_again_changes_nothing_and_anothers_is_refused(
    operator: Client, world: World, jane: Person
) -> None:
    path = f"/users/{jane.account_id}/email"
    same = operator.ask("PATCH", path, email=jane.email)
    assert same.status_code == 200
    assert world.log.of(same) == []
    assert refusal(operator.ask("PATCH", path, email=world.person().email)) == (409, "user_target_already_exists")


def test_a_number_is_changed_and_taken_away(operator: Client, world: World, jane: Person) -> None:
    path, number = f"/users/{jane.account_id}/phone", a_number()
    user = operator.ask("PATCH", path, number=number).json()
    assert (user["phone"], user["phoneVerification"]) == (number, False)
    assert [each["providerType"] for each in user["targets"]] == ["email", "sms"]
    verified = operator.ask("PATCH", f"/users/{jane.account_id}/verification/phone", phoneVerification=True).json()
    assert verified["phoneVerification"] is True
    other = world.person().account_id
    assert refusal(operator.ask("PATCH", f"/users/{other}/phone", number=number)) == (409, "user_target_already_exists")
    gone = operator.ask("PATCH", path, number="").json()
    assert (gone["phone"], gone["phoneVerification"]) == ("", False)
    assert operator.ask("PATCH", f"/users/{other}/phone", number=number).json()["phone"] == number


# Passwords ------------------------------------------------------------------------------------------------------------


def test_another_password_ends_the_sessions(operator: Client, jane: Person) -> None:
    path, new = f"/users/{jane.account_id}", f"new {PASSWORD}"
    before = operator.ask("GET", path).json()
    after = operator.ask("PATCH", f"{path}/password", password=new).json()
    assert after["password"] != before["password"]
    assert after["passwordUpdate"] > before["passwordUpdate"]
    assert operator.ask("GET", f"{path}/sessions").json()["total"] == 0
    assert jane.ask("GET", "/account").status_code == 401
    assert not signs_in(jane.client, jane.email, PASSWORD)
    assert signs_in(jane.client, jane.email, new)


def test_a_password_is_taken_away(operator: Client, jane: Person) -> None:
    path = f"/users/{jane.account_id}/password"
    assert operator.ask("PATCH", path, password="").json()["password"] == ""
    jane.client.cookies.clear()
    for password in (PASSWORD, "        "):
        answer = jane.ask("POST", "/account/sessions/email", email=jane.email, password=password)
        assert refusal(answer) == (401, "user_invalid_credentials")
    assert operator.ask("PATCH", path, password=PASSWORD).status_code == 200
    assert signs_in(jane.client, jane.email, PASSWORD)


def test_T17_a_password_set_by_a_server_is_seen_as_such(operator: Client, world: World, jane: Person) -> None:
    set_by_server = operator.ask("PATCH", f"/users/{jane.account_id}/password", password=f"new {PASSWORD}")
    changed, *_ended = world.log.recorded(set_by_server)
    assert changed.event.topic == "account.password_changed"
    assert (changed.meta.actor.kind, changed.meta.operation) == ("key", "users.updatePassword")
    assert signs_in(jane.client, jane.email, f"new {PASSWORD}")
    logs = jane.ask("GET", "/account/logs").json()["logs"]
    assert ("user.update", "keyProject") in [(each["event"], each["userType"]) for each in logs], (
        "its owner sees it, too"
    )


@pytest.fixture
def strict(world: World) -> Client:
    """A backend of a project with rules for passwords and addresses."""
    project = world.project(f"strict-{token_hex(4)}")
    world.policy("password_history", project=project, total=2)
    world.policy("password_personal_data", project=project, enabled=True)
    world.policy("password_strength", project=project, number=True)
    world.policy("deny_free_email", project=project, enabled=True)
    world.policy("session_invalidation", project=project, enabled=False)
    return world.server.client(project=project, key=world.key("users.read", "users.write", project=project))


def test_the_rules_of_a_project_hold_for_its_servers(strict: Client) -> None:
    def create(**fields: str) -> tuple[int, str]:
        answer = strict.ask("POST", "/users", userId="jane-roe", **fields)
        return answer.status_code, answer.json().get("type", "")

    assert create(password="no digits here") == (400, "general_argument_invalid")
    assert create(password="the JANE-roe 1") == (400, "password_personal_data")
    assert create(password="digits 1234", email="somebody@gmail.com") == (400, "user_email_free")
    assert create(password="digits 1234", email="somebody@work.example") == (201, "")

    password = "/users/jane-roe/password"
    assert refusal(strict.ask("PATCH", password, password="no digits here")) == (400, "general_argument_invalid")
    assert refusal(strict.ask("PATCH", password, password="somebody 1")) == (400, "password_personal_data")
    assert refusal(strict.ask("PATCH", password, password="digits 1234")) == (400, "password_recently_used")
    session = strict.ask("POST", "/users/jane-roe/sessions")
    assert session.status_code == 201
    assert strict.ask("PATCH", password, password="digits 2345").status_code == 200
    assert strict.ask("PATCH", password, password="digits 3456").status_code == 200
    assert strict.ask("PATCH", password, password="digits 1234").status_code == 200, "forgotten after two"
    assert strict.ask("PATCH", password, password="").status_code == 200, "no rule is about none"
    assert strict.ask("GET", "/users/jane-roe/sessions").json()["total"] == 1, "this project keeps sessions"
    email = strict.ask("PATCH", "/users/jane-roe/email", email="somebody@gmail.com")
    assert refusal(email) == (400, "user_email_free")


# Standing -------------------------------------------------------------------------------------------------------------


def test_a_blocked_account_waits_with_its_sessions(operator: Client, jane: Person) -> None:
    path = f"/users/{jane.account_id}/status"
    assert operator.ask("PATCH", path, status=False).json()["status"] is False
    assert refusal(jane.ask("GET", "/account")) == (403, "user_blocked")
    assert refusal(operator.ask("POST", f"/users/{jane.account_id}/sessions")) == (403, "user_blocked")
    assert operator.ask("PATCH", path, status="true").json()["status"] is True
    assert jane.ask("GET", "/account").status_code == 200


def test_verification_needs_no_address(operator: Client) -> None:
    user_id = operator.ask("POST", "/users", userId="unique()").json()["$id"]
    for path, flag in (("verification", "emailVerification"), ("verification/phone", "phoneVerification")):
        for value in (True, False):
            assert operator.ask("PATCH", f"/users/{user_id}/{path}", **{flag: value}).json()[flag] is value


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("PATCH", "/email", {"email": "a@b.example"}),
        ("PATCH", "/phone", {"number": "+4930901820"}),
        ("PATCH", "/password", {"password": PASSWORD}),
        ("PATCH", "/status", {"status": True}),
        ("PATCH", "/verification/phone", {"phoneVerification": True}),
        ("PATCH", "/impersonator", {"impersonator": True}),
        ("PATCH", "/mfa", {"mfa": True}),
        ("GET", "/mfa/factors", {}),
        ("DELETE", "/mfa/authenticators/totp", {}),
        ("GET", "/mfa/recovery-codes", {}),
        ("PATCH", "/mfa/recovery-codes", {}),
        ("PUT", "/mfa/recovery-codes", {}),
        ("GET", "/mfa/challenges/any", {}),
        ("POST", "/sessions", {}),
        ("POST", "/tokens", {}),
        ("POST", "/jwts", {}),
        ("POST", "/targets", {"targetId": "any", "providerType": "push", "identifier": "any"}),
        ("GET", "/targets/any", {}),
        ("PATCH", "/targets/any", {}),
        ("DELETE", "/targets/any", {}),
    ],
)
def test_nobody_is_not_found(operator: Client, method: str, path: str, fields: dict[str, object]) -> None:
    assert refusal(operator.ask(method, f"/users/nobody{path}", **fields)) == (404, "user_not_found")
