"""Passwords: what is taken, how it is kept, and that it is checked to the last byte."""

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type

from tests.support.running import Person, World, an_email
from tests.support.server import Client


def signs_in(client: Client, email: str, password: str) -> bool:
    """Whether this password opens the account."""
    client.cookies.clear()
    answer = client.ask("POST", "/account/sessions/email", email=email, password=password)
    if answer.status_code == 201:
        return True
    assert (answer.status_code, answer.json()["type"]) == (401, "user_invalid_credentials")
    return False


@pytest.mark.parametrize(
    "password",
    [
        "a" * 8,
        "a" * 64,
        "a" * 256,
        "é" * 128,
        "  spaces around  ",
        "Pa\u0308ssword",
        "12345678",
        "\x00" * 8,
        "\u202egnp.exe",
    ],
    ids=ascii,
)
def test_T1_T2_T3_any_password_of_8_to_256_bytes_is_taken_as_it_is(guest: Client, password: str) -> None:
    email = an_email()
    assert guest.ask("POST", "/account", userId="unique()", email=email, password=password).status_code == 201
    assert signs_in(guest, email, password)
    for other in (password + "x", password[:-1] + "x", password.swapcase() + "!", password.strip() + " "):
        if 8 <= len(other.encode()) <= 256:
            assert not signs_in(guest, email, other)


def test_T2_the_last_of_200_characters_counts(guest: Client) -> None:
    email, stem = an_email(), "a" * 199
    guest.ask("POST", "/account", userId="unique()", email=email, password=stem + "b")
    assert not signs_in(guest, email, stem + "c")
    assert not signs_in(guest, email, stem)
    assert signs_in(guest, email, stem + "b")


def test_T2_no_two_spellings_of_a_letter_are_one(guest: Client) -> None:
    email = an_email()
    guest.ask("POST", "/account", userId="unique()", email=email, password="Pässword")
    assert not signs_in(guest, email, "Pa\u0308ssword")
    assert not signs_in(guest, email, "PÄSSWORD")
    assert signs_in(guest, email, "Pässword")


def test_T5_the_hash_is_argon2id_and_says_how_it_was_made(operator: Client, jane: Person) -> None:
    user = operator.ask("GET", f"/users/{jane.account_id}").json()
    found = extract_parameters(user["password"])
    assert found.type is Type.ID
    assert (found.memory_cost, found.time_cost, found.parallelism) == (7168, 1, 1), "what this server was told"
    assert user["hash"] == "argon2"
    assert user["hashOptions"] == {"type": "argon2", "memory_cost": 7168, "time_cost": 1, "threads": 1}


def test_T5_equal_passwords_do_not_look_equal(world: World, operator: Client) -> None:
    hashes = {operator.ask("GET", f"/users/{world.person().account_id}").json()["password"] for _ in range(3)}
    assert len(hashes) == 3


def test_who_has_no_password_cannot_sign_in_with_one(operator: Client, guest: Client) -> None:
    email = an_email()
    assert operator.ask("POST", "/users", userId="unique()", email=email).json()["password"] is None
    assert not signs_in(guest, email, "some password")
