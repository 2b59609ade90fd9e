"""People brought along from other systems go on with the passwords they have."""

from typing import Any, Final

import bcrypt
import pytest

from accounts_es.adapters.ids import wire_id
from tests.support.running import World, an_email
from tests.support.server import Client

PASSWORD: Final = "appwrite"

HASHED: Final[dict[str, tuple[dict[str, Any], str, dict[str, Any]]]] = {
    "argon2": (
        {"password": "$argon2i$v=19$m=20,t=3,p=2$YXBwd3JpdGU$A/54i238ed09ZR4NwlACU5XnkjNBZU9QeOEuhjLiexI"},
        "argon2",
        {"type": "argon2", "memory_cost": 20, "time_cost": 3, "threads": 2},
    ),
    "bcrypt": (
        {"password": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()},
        "bcrypt",
        {"type": "bcrypt", "cost": 8},
    ),
    "md5": ({"password": "144fa7eaa4904e8ee120651997f70dcc"}, "md5", {"type": "md5"}),
    "phpass": (
        {"password": "$P$Br387rwferoKN7uwHZqNMu98q3U8RO."},
        "phpass",
        {"type": "phpass", "iteration_count_log2": 8, "portable_hashes": False, "random_state": ""},
    ),
    "sha": (
        {
            "password": "4243da0a694e8a2f727c8060fe0507c8fa01ca68146c76d2c190805b638c20c6"
            "bf6ba04e21f11ae138785d0bff63c416e6f87badbffad37f6dee50094cc38c70",
            "passwordVersion": "sha512",
        },
        "sha",
        {"version": "sha512"},
    ),
    "scrypt": (
        {
            "password": "3fdef49701bc4cfaacd551fe017283513284b4731e6945c263246ef948d3cf63"
            "b5d269c31fd697246085111a428245e24a4ddc6b64c687bc60a8910dbafc1d5b",
            "passwordSalt": "appwrite",
            "passwordCpu": 16384,
            "passwordMemory": 13,
            "passwordParallel": 2,
            "passwordLength": 64,
        },
        "scrypt",
        {
            "type": "scrypt",
            "costCpu": 16384,
            "costMemory": 13,
            "costParallel": 2,
            "length": 64,
            "salt": "appwrite",
        },
    ),
    "scrypt-modified": (
        {
            "password": "UlM7JiXRcQhzAGlaonpSqNSLIz475WMddOgLjej5De9vxTy48K6WtqlEzrRFeK4t0COfMhWCb8wuMHgxOFCHFQ==",
            "passwordSalt": "UxLMreBr6tYyjQ==",
            "passwordSaltSeparator": "Bw==",
            "passwordSignerKey": "XyEKE9RcTDeLEsL/RjwPDBv/RqDl8fb3gpYEOQaPihbxf1ZAtSOHCjuAAa7Q3oHp"
            "CYhXSN9tizHgVOwn6krflQ==",
        },
        "scryptMod",
        {
            "type": "scryptMod",
            "salt": "UxLMreBr6tYyjQ==",
            "saltSeparator": "Bw==",
            "signerKey": "XyEKE9RcTDeLEsL/RjwPDBv/RqDl8fb3gpYEOQaPihbxf1ZAtSOHCjuAAa7Q3oHpCYhXSN9tizHgVOwn6krflQ==",
        },
    ),
}
"""Of each kind one that the contract names, its name on the wire and its options there."""


def signs_in(client: Client, email: str, password: str) -> bool:
    client.cookies.clear()
    answer = client.ask("POST", "/account/sessions/email", email=email, password=password)
    assert answer.status_code == 201 or answer.json()["type"] == "user_invalid_credentials"
    return answer.status_code == 201


@pytest.mark.parametrize("kind", HASHED)
def test_T5_a_hash_works_as_it_came_and_becomes_ours_at_the_first_sign_in(
    world: World, operator: Client, guest: Client, kind: str
) -> None:
    fields, name, options = HASHED[kind]
    email = an_email()
    made = operator.ask("POST", f"/users/{kind}", userId=wire_id(), email=email.upper(), name="Brought", **fields)
    user = made.json()
    assert (user["email"], user["name"]) == (email, "Brought")
    assert (user["password"], user["hash"], user["hashOptions"]) == (fields["password"], name, options)
    assert user["passwordUpdate"] == user["registration"]
    assert [each["identifier"] for each in user["targets"]] == [email]

    path = f"/users/{user['$id']}"
    assert not signs_in(guest, email, "appwritf")
    assert operator.ask("GET", path).json()["password"] == fields["password"]
    guest.cookies.clear()
    signed_in = guest.ask("POST", "/account/sessions/email", email=email, password=PASSWORD)
    assert [event.topic for event in world.log.of(signed_in)] == [
        "account.session_created",
        "account.password_rehashed",
    ]
    ours = operator.ask("GET", path).json()
    assert ours["hash"] == "argon2"
    assert ours["password"].startswith("$argon2id$v=19$m=7168,t=1,p=1$")
    assert ours["passwordUpdate"] == user["passwordUpdate"], "it is the same password"

    assert not signs_in(guest, email, "appwritf")
    guest.cookies.clear()
    again = guest.ask("POST", "/account/sessions/email", email=email, password=PASSWORD)
    assert [event.topic for event in world.log.of(again)] == ["account.session_created"]


def test_somebody_brought_along_changes_the_password_as_everybody_does(operator: Client, guest: Client) -> None:
    email = an_email()
    operator.ask("POST", "/users/md5", userId="unique()", email=email, password=HASHED["md5"][0]["password"])
    assert signs_in(guest, email, PASSWORD)
    wrong = guest.ask("PATCH", "/account/password", password="another password", oldPassword="appwritf")
    assert wrong.json()["type"] == "user_invalid_credentials"
    changed = guest.ask("PATCH", "/account/password", password="another password", oldPassword=PASSWORD)
    assert changed.status_code == 200
    assert signs_in(guest, email, "another password")


@pytest.mark.parametrize(
    ("kind", "fields", "blamed"),
    [
        ("argon2", {"password": "$argon2id$v=19$m=4194304,t=3,p=2$YXBwd3JpdGU$A/54i238ed09ZR4NwlACU5Xn"}, "password"),
        ("bcrypt", {"password": "$2a$31$xX/myGbFU.ZSKHSi6EHdBOySTdYm8QxBLXmOPHrYMwV0mHRBBSBOq"}, "password"),
        ("phpass", {"password": "$P$Sr387rwferoKN7uwHZqNMu98q3U8RO."}, "password"),
        ("scrypt", {"passwordCpu": 2**20, "passwordMemory": 8}, "passwordCpu"),
        ("scrypt", {"passwordCpu": 16383}, "passwordCpu"),
        ("scrypt", {"passwordCpu": 1}, "passwordCpu"),
        ("scrypt", {"passwordMemory": 0}, "passwordMemory"),
        ("scrypt", {"passwordParallel": 0}, "passwordParallel"),
        ("scrypt", {"passwordLength": 15}, "passwordLength"),
        ("scrypt-modified", {"passwordSignerKey": "not base64!"}, "passwordSignerKey"),
        ("sha", {"passwordVersion": "sha0"}, "passwordVersion"),
    ],
)
def test_a_hash_that_cannot_be_checked_is_refused_when_it_comes(
    operator: Client, kind: str, fields: dict[str, Any], blamed: str
) -> None:
    whole = {**HASHED[kind][0], **fields}
    answer = operator.ask("POST", f"/users/{kind}", userId="unique()", email=an_email(), **whole)
    assert (answer.status_code, answer.json()["type"]) == (400, "general_argument_invalid")
    assert answer.json()["message"].startswith(f"Invalid `{blamed}` param: ")


def test_who_is_there_already_is_not_brought_along_again(operator: Client, world: World) -> None:
    jane = world.person()
    for fields in (
        {"userId": jane.account_id, "email": an_email()},
        {"userId": "unique()", "email": jane.email},
    ):
        answer = operator.ask("POST", "/users/md5", **fields, password=HASHED["md5"][0]["password"])
        assert (answer.status_code, answer.json()["type"]) == (409, "user_already_exists")
