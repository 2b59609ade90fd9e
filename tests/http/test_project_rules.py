"""What a project may want of its people (contract: account, 1.8 and 1.9), each in a project of its own."""

from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

import pytest

from accounts_es.domain.account import commands as account_commands
from tests.support.answers import ok, refusal
from tests.support.running import PASSWORD, Person, World, a_phone, an_email
from tests.support.server import Client

INVALID = (400, "general_argument_invalid")


@pytest.fixture
def project(world: World) -> str:
    """A new project with the rules a project begins with."""
    return world.project(f"p{token_hex(6)}")


def again(world: World, person: Person, project: str) -> Client:
    """The same person signs in somewhere else."""
    client = world.server.client(project=project)
    ok(client.ask("POST", "/account/sessions/email", email=person.email, password=PASSWORD))
    return client


def length(session: Any) -> float:
    """How long a session is good, in seconds."""
    expire, created = (datetime.fromisoformat(session[name]) for name in ("expire", "$createdAt"))
    return (expire - created) / timedelta(seconds=1)


def test_the_oldest_sessions_end_beyond_the_limit(world: World, project: str) -> None:
    world.policy("session_limit", project=project, total=2)
    person = world.person(project=project)
    second = again(world, person, project)
    third = again(world, person, project)
    assert refusal(person.ask("GET", "/account")) == (401, "general_unauthorized_scope")
    for client in (second, third):
        assert ok(client.ask("GET", "/account/sessions"))["total"] == 2


def test_sessions_are_as_long_as_the_project_wants_from_then_on(world: World, project: str) -> None:
    before = world.person(project=project)
    old = ok(before.ask("GET", "/account/sessions/current"))
    assert length(old) == 31_536_000
    world.policy("session_duration", project=project, duration=120)
    assert ok(before.ask("GET", "/account/sessions/current"))["expire"] == old["expire"]
    after = ok(again(world, before, project).ask("GET", "/account/sessions/current"))
    assert 119 <= length(after) <= 121
    anonymous = ok(world.server.client(project=project).ask("POST", "/account/sessions/anonymous"))
    assert 119 <= length(anonymous) <= 121
    extended = ok(before.ask("PATCH", "/account/sessions/current"))
    assert extended["expire"] < old["expire"], "from now on, for as long as sessions are now"


def test_people_are_told_of_every_session_but_the_first(world: World, project: str) -> None:
    world.policy("session_alert", project=project, enabled=True)
    person = world.person(project=project)
    again(world, person, project)
    alert = world.mailbox.mail(person.email)
    assert alert.subject.startswith("Security alert: new session")
    assert len(world.mailbox.all_to(person.email)) == 1, "the first was silent"

    # Whoever signs in by mail has just been told by that mail; a wrong password opens nothing to tell of.
    # An address that is not verified would end the password (docs/decisions/0015).
    world.decide(person.account_id, account_commands.set_email_verification, verified=True)
    client = world.server.client(project=project)
    wrong = client.ask("POST", "/account/sessions/email", email=person.email, password="wrong horse")
    assert wrong.status_code == 401
    token = ok(client.ask("POST", "/account/tokens/email", userId="unique()", email=person.email))
    ok(
        client.ask(
            "POST", "/account/sessions/token", userId=token["userId"], secret=world.mailbox.mail(person.email).code
        )
    )
    world.policy("session_alert", project=project, enabled=False)
    again(world, person, project)
    world.policy("session_alert", project=project, enabled=True)
    phone = a_phone()
    ok(person.ask("PATCH", "/account/phone", phone=phone, password=PASSWORD))
    other = world.server.client(project=project)
    ok(other.ask("POST", "/account/tokens/phone", userId="unique()", phone=phone))
    ok(other.ask("POST", "/account/sessions/token", userId=person.account_id, secret=world.mailbox.text(phone)))
    assert "phone number" in world.mailbox.mail(person.email).subject
    assert world.mailbox.mail(person.email).subject.startswith("Security alert")
    assert len(world.mailbox.all_to(person.email)) == 4


def test_sessions_survive_another_password_where_the_project_wants_it(world: World, project: str) -> None:
    world.policy("session_invalidation", project=project, enabled=False)
    person = world.person(project=project)
    elsewhere = again(world, person, project)
    ok(person.ask("PATCH", "/account/password", password="another horse", oldPassword=PASSWORD))
    ok(elsewhere.ask("GET", "/account"))


def test_old_passwords_are_not_taken_again(world: World, project: str) -> None:
    world.policy("password_history", project=project, total=2)
    person = world.person(project=project)

    def change(before: str, after: str) -> Any:
        return person.ask("PATCH", "/account/password", password=after, oldPassword=before)

    recently = (400, "password_recently_used")
    assert refusal(change(PASSWORD, PASSWORD)) == recently
    ok(change(PASSWORD, "second horse"))
    assert refusal(change("second horse", PASSWORD)) == recently
    ok(change("second horse", "third horse"))
    ok(change("third horse", PASSWORD))


def passwords(world: World, project: str, password: str) -> list[tuple[int, str]]:
    """How a password is taken at sign-up, as another one, and by recovery, each by somebody else."""
    guest, person = world.server.client(project=project), world.person(project=project)
    operator = world.server.client(project=project, key=world.key("sessions.write", project=project))
    token = ok(operator.ask("POST", "/account/recovery/otp", email=person.email))
    answers = [
        guest.ask("POST", "/account", userId="unique()", email=an_email(), password=password),
        person.ask("PATCH", "/account/password", password=password, oldPassword=PASSWORD),
        guest.ask("PUT", "/account/recovery/otp", userId=person.account_id, secret=token["secret"], password=password),
    ]
    return [(answer.status_code, answer.json().get("type", "")) for answer in answers]


def test_T4_common_passwords_are_refused_where_the_project_wants_it(world: World, project: str) -> None:
    assert {status for status, _ in passwords(world, project, "football")} <= {200, 201}
    world.policy("password_dictionary", project=project, enabled=True)
    assert passwords(world, project, "football") == [INVALID] * 3
    assert {status for status, _ in passwords(world, project, "Football!x")} <= {200, 201}


def test_strength_as_the_project_wants_it(world: World, project: str) -> None:
    world.policy("password_strength", project=project, min=12, uppercase=True, number=True)
    world.policy("password_strength", project=project, min=10)
    # Who is made by `passwords` signs up with a password that is weak now.
    weak = world.server.client(project=project).ask(
        "POST", "/account", userId="unique()", email=an_email(), password=PASSWORD
    )
    assert refusal(weak) == INVALID
    for password in ("Short1", "Onlylettersss", "0nlylowercase"):
        answer = world.server.client(project=project).ask(
            "POST", "/account", userId="unique()", email=an_email(), password=password
        )
        assert refusal(answer) == INVALID
        assert "Password must" in answer.json()["message"]
    strong = world.server.client(project=project).ask(
        "POST", "/account", userId="unique()", email=an_email(), password="Correct Horse 1"
    )
    ok(strong)


def test_T4_passwords_hold_nothing_that_everybody_knows(world: World, project: str) -> None:
    world.policy("password_personal_data", project=project, enabled=True)
    guest, person = world.server.client(project=project), world.person(project=project)
    phone = a_phone()
    ok(person.ask("PATCH", "/account/phone", phone=phone, password=PASSWORD))
    local = person.email.partition("@")[0]
    personal = (400, "password_personal_data")
    for word in (person.account_id, person.email, local.upper(), "jane ROE", phone, phone[1:]):
        answer = person.ask("PATCH", "/account/password", password=f"-{word}-", oldPassword=PASSWORD)
        assert refusal(answer) == personal
    sign_up = {"userId": "somebody", "email": an_email(), "name": "Ada", "password": "iamsomebody"}
    assert refusal(guest.ask("POST", "/account", **sign_up)) == personal
    assert refusal(guest.ask("POST", "/account", **sign_up | {"password": "adalovelace"})) == personal
    ok(guest.ask("POST", "/account", **sign_up | {"password": PASSWORD}))


def test_a_full_project_takes_nobody_new_by_any_way(world: World, project: str) -> None:
    person = world.person(project=project)
    world.policy("user_limit", project=project, total=1)
    guest = world.server.client(project=project)
    new = {"userId": "unique()"}
    for path, fields in {
        "/account": new | {"email": an_email(), "password": PASSWORD},
        "/account/sessions/anonymous": {},
        "/account/tokens/email": new | {"email": an_email()},
        "/account/tokens/magic-url": new | {"email": an_email()},
        "/account/tokens/phone": new | {"phone": a_phone()},
    }.items():
        assert refusal(guest.ask("POST", path, **fields)) == (400, "user_count_exceeded")
    ok(guest.ask("POST", "/account/tokens/email", userId="unique()", email=person.email))
    again(world, person, project)


WAYS = {
    "email-password": ("POST", "/account", {"userId": "unique()", "email": "one@example.org", "password": PASSWORD}),
    "magic-url": ("POST", "/account/tokens/magic-url", {"userId": "unique()", "email": "two@example.org"}),
    "email-otp": ("POST", "/account/tokens/email", {"userId": "unique()", "email": "three@example.org"}),
    "phone": ("POST", "/account/tokens/phone", {"userId": "unique()", "phone": "+4915100000001"}),
    "anonymous": ("POST", "/account/sessions/anonymous", {}),
}
NAMES = {
    "email-password": "Email / Password",
    "magic-url": "Magic URL",
    "email-otp": "Email OTP",
    "phone": "Phone",
    "anonymous": "Anonymous",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_way_in_that_is_off_is_off_for_all_but_servers(world: World, project: str, way: str) -> None:
    method, path, fields = WAYS[way]
    world.method(way, enabled=False, project=project)
    guest = world.server.client(project=project)
    for sent in (fields, {}):
        answer = guest.ask(method, path, **sent)
        assert refusal(answer) == (501, "user_auth_method_unsupported"), "before the parameters are looked at"
    assert answer.json()["message"] == f"{NAMES[way]} authentication is disabled for this project"
    if way == "email-password":
        login = guest.ask("POST", "/account/sessions/email", email=an_email(), password=PASSWORD)
        assert refusal(login) == (501, "user_auth_method_unsupported")
    operator = world.server.client(project=project, key=world.key("sessions.write", project=project))
    ok(operator.ask(method, path, **fields))
    world.method(way, enabled=True, project=project)
    assert guest.ask(method, path, **fields).status_code in {201, 409}


def test_without_jwts_and_phones(world: World, project: str) -> None:
    person = world.person(project=project)
    ok(person.ask("PATCH", "/account/phone", phone=a_phone(), password=PASSWORD))
    for way, path in {"jwt": "/account/jwts", "phone": "/account/verifications/phone"}.items():
        world.method(way, enabled=False, project=project)
        assert refusal(person.ask("POST", path)) == (501, "user_auth_method_unsupported")


def test_a_secret_from_before_a_way_was_shut_still_opens(world: World, project: str) -> None:
    guest, email = world.server.client(project=project), an_email()
    token = ok(guest.ask("POST", "/account/tokens/email", userId="unique()", email=email))
    world.method("email-otp", enabled=False, project=project)
    code = world.mailbox.mail(email).code
    ok(guest.ask("POST", "/account/sessions/token", userId=token["userId"], secret=code))
