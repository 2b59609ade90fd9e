"""Every method of the official web SDK's Account, in stories of people with a real browser."""

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyotp
import pytest

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import commands
from tests.browser.people import Visitor, query_of
from tests.support.calls import Calls
from tests.support.issuer import CLIENT, Issuer, issuing
from tests.support.running import PASSWORD, World, a_phone, an_email
from tests.support.script import refused
from tests.support.server import Client

MFA_SPELLINGS = pytest.mark.parametrize("mfa", ["MFA", "Mfa"])
"""The SDK has every method of second factors twice."""


def signed_in(visitor: Visitor) -> str:
    """Sign up and in; the address."""
    email = an_email()
    visitor.account("create", userId="unique()", email=email, password=PASSWORD, name="Jane Roe")
    visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    return email


# Ways in --------------------------------------------------------------------------------------------------------------


def test_a_link_from_a_mail(world: World, visitor: Visitor) -> None:
    email = an_email()
    url = f"{visitor.page_url}?from=mail"
    token = visitor.account("createMagicURLToken", userId="unique()", email=email, url=url, phrase=True)
    assert token["secret"] == ""
    letter = world.mailbox.mail(email)
    assert token["phrase"] in letter.text
    assert list(query_of(letter.link)) == ["from", "userId", "secret", "expire", "project"]

    assert visitor.open(letter.link) == letter.link
    landed = visitor.run("Object.fromEntries(new URLSearchParams(location.search))")
    session = visitor.account("createSession", userId=landed["userId"], secret=landed["secret"])
    assert (session["provider"], session["factors"], session["secret"]) == ("magic-url", ["email"], "")
    visitor.reload()
    me = visitor.account("get")
    assert (me["email"], me["emailVerification"], me["passwordUpdate"]) == (email, True, "")
    visitor.account("deleteSession", sessionId="current")
    with refused("user_invalid_token"):
        visitor.account("createSession", userId=landed["userId"], secret=landed["secret"])


@pytest.mark.parametrize("method", ["updateMagicURLSession", "createSession"])
def test_a_link_asked_for_on_one_device_and_opened_on_another(
    world: World, visit: Callable[[], Visitor], method: str
) -> None:
    asking, opening, email = visit(), visit(), an_email()
    asking.account("createMagicURLToken", userId="unique()", email=email, url=asking.page_url)
    letter = world.mailbox.mail(email)
    opening.open(letter.link)
    landed = opening.run("Object.fromEntries(new URLSearchParams(location.search))")
    opening.account(method, userId=landed["userId"], secret=landed["secret"])
    assert opening.account("get")["email"] == email
    with refused("general_unauthorized_scope"):
        asking.account("get")


def test_a_code_from_a_mail(world: World, visitor: Visitor) -> None:
    email = an_email()
    token = visitor.account("createEmailToken", userId="unique()", email=email, phrase=True)
    letter = world.mailbox.mail(email)
    assert token["phrase"] in letter.text
    with refused("user_invalid_token"):
        visitor.account("createSession", userId=token["userId"], secret="0" * 6)
    session = visitor.account("createSession", userId=token["userId"], secret=letter.code)
    assert (session["provider"], session["factors"]) == ("token", ["email"])
    me = visitor.account("get")
    assert [(each["providerType"], each["identifier"]) for each in me["targets"]] == [("email", email)]


@pytest.mark.parametrize("method", ["createSession", "updatePhoneSession"])
def test_a_code_from_a_text_message(world: World, visitor: Visitor, method: str) -> None:
    phone = a_phone()
    token = visitor.account("createPhoneToken", userId="unique()", phone=phone)
    session = visitor.account(method, userId=token["userId"], secret=world.mailbox.text(phone))
    assert (session["provider"], session["factors"]) == ("phone", ["phone"])
    me = visitor.account("get")
    assert (me["phone"], me["phoneVerification"]) == (phone, True)


def test_a_secret_made_by_a_server(visitor: Visitor, operator: Client) -> None:
    email = an_email()
    token = operator.ask("POST", "/account/tokens/magic-url", userId="unique()", email=email).json()
    visitor.account("createSession", userId=token["userId"], secret=token["secret"])
    assert visitor.account("get")["email"] == email


@pytest.fixture(scope="module")
def issuer(world: World) -> Iterator[Issuer]:
    """A provider that the default project takes ID tokens of."""
    with issuing() as running:
        settings = {"client_id": CLIENT, "native_enabled": True, "settings": running.settings}
        world.provider("google", project="default", enabled=False, **settings)
        yield running


def test_an_id_token_of_a_provider(visitor: Visitor, issuer: Issuer) -> None:
    email = an_email()
    session = visitor.account("createIdTokenSession", provider="google", idToken=issuer.token(email=email))
    assert (session["provider"], session["secret"]) == ("google", "")
    assert visitor.account("get")["email"] == email
    assert [each["providerEmail"] for each in visitor.account("listIdentities")["identities"]] == [email]


@pytest.mark.parametrize("method", ["createOAuth2Session", "createOAuth2Token"])
def test_a_provider_and_back(world: World, visitor: Visitor, method: str) -> None:
    world.provider("mock", client_id="1", settings={"client_secret": "123456"})
    ended = visitor.leave_for(method, provider="mock", success=visitor.page_url, failure=visitor.page_url)
    given = dict(parse_qsl(urlsplit(ended).query))
    if method == "createOAuth2Token":
        visitor.account("createSession", userId=given["userId"], secret=given["secret"])
    else:
        assert given == {}
        assert "a_session_default_legacy" in visitor.cookies
    # Without TLS the browser keeps the session's cookie from pages of another host.
    if method == "createOAuth2Token" or "127.0.0.1" in visitor.page_url:
        assert visitor.account("get")["email"] == "useroauth@localhost.test"
        visitor.account("deleteSessions")


def test_a_nobody_becomes_somebody_by_an_address(visitor: Visitor) -> None:
    visitor.account("createAnonymousSession")
    before = visitor.account("get")
    visitor.account("updatePrefs", prefs={"cart": [1, 2]})
    email = an_email()
    assert visitor.account("updateEmail", email=email, password=PASSWORD)["$id"] == before["$id"]
    visitor.account("deleteSession", sessionId="current")
    visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    after = visitor.account("get")
    assert (after["$id"], after["prefs"], after["emailVerification"]) == (before["$id"], {"cart": [1, 2]}, False)


def test_a_nobody_becomes_somebody_by_a_number(world: World, visitor: Visitor) -> None:
    visitor.account("createAnonymousSession")
    before, phone = visitor.account("get"), a_phone()
    visitor.account("updatePhone", phone=phone, password=PASSWORD)
    visitor.account("deleteSessions")
    token = visitor.account("createPhoneToken", userId="unique()", phone=phone)
    assert token["userId"] == before["$id"]
    visitor.account("createSession", userId=token["userId"], secret=world.mailbox.text(phone))
    assert visitor.account("get")["phone"] == phone


# Sessions -------------------------------------------------------------------------------------------------------------


def test_sessions_on_two_devices(visit: Callable[[], Visitor]) -> None:
    here, there = visit(), visit()
    email = signed_in(here)
    other = there.account("createEmailPasswordSession", email=email, password=PASSWORD)
    listed = here.account("listSessions")
    assert [each["current"] for each in listed["sessions"]] == [True, False]
    mine = here.account("getSession", sessionId="current")
    assert here.account("updateSession", sessionId="current")["expire"] > mine["expire"]
    here.account("deleteSession", sessionId=other["$id"])
    with refused("general_unauthorized_scope"):
        there.account("get")
    here.account("deleteSessions")
    with refused("general_unauthorized_scope"):
        here.account("get")


def test_a_jwt_stands_for_the_session_elsewhere(visit: Callable[[], Visitor]) -> None:
    here, there = visit(), visit()
    email = signed_in(here)
    jwt = here.account("createJWT", duration=60)["jwt"]
    with refused("general_unauthorized_scope"):
        there.account("get")
    there.run(f"client.setJWT('{jwt}') && null")
    assert there.account("get")["email"] == email
    assert there.account("updateName", name="By JWT")["name"] == "By JWT"
    with refused("user_jwt_creation_denied"):
        there.account("createJWT")
    here.account("deleteSession", sessionId="current")
    with refused("general_unauthorized_scope"):
        there.account("get")


def test_somebody_shuts_their_account(visitor: Visitor) -> None:
    email = signed_in(visitor)
    assert visitor.account("updateStatus")["status"] is False
    assert visitor.cookies == {}
    assert visitor.run("localStorage.getItem('cookieFallback')") in {None, "[]"}
    with refused("general_unauthorized_scope"):
        visitor.account("get")
    with refused("user_blocked"):
        visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)


# Credentials ----------------------------------------------------------------------------------------------------------


def test_another_password_ends_the_sessions_elsewhere(visit: Callable[[], Visitor]) -> None:
    here, there = visit(), visit()
    email = signed_in(here)
    there.account("createEmailPasswordSession", email=email, password=PASSWORD)
    with refused("user_invalid_credentials"):
        here.account("updatePassword", password="another horse", oldPassword="wrong horse")
    here.account("updatePassword", password="another horse", oldPassword=PASSWORD)
    assert here.account("get")["email"] == email
    with refused("general_unauthorized_scope"):
        there.account("get")
    there.account("createEmailPasswordSession", email=email, password="another horse")


def test_a_forgotten_password_by_link(world: World, visitor: Visitor) -> None:
    email = signed_in(visitor)
    visitor.account("deleteSession", sessionId="current")
    visitor.account("createRecovery", email=email, url=f"{visitor.page_url}?then=account")
    visitor.open(world.mailbox.mail(email).link)
    landed = visitor.run("Object.fromEntries(new URLSearchParams(location.search))")
    assert set(landed) == {"then", "userId", "secret", "expire"}
    chosen = {"userId": landed["userId"], "secret": landed["secret"], "password": "another horse"}
    visitor.account("updateRecovery", **chosen)
    with refused("user_invalid_token"):
        visitor.account("updateRecovery", **chosen)
    with refused("user_invalid_credentials"):
        visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    visitor.account("createEmailPasswordSession", email=email, password="another horse")
    assert visitor.account("get")["emailVerification"] is True


def test_a_forgotten_password_by_code(world: World, visitor: Visitor) -> None:
    email = signed_in(visitor)
    visitor.account("deleteSession", sessionId="current")
    token = visitor.account("createRecoveryOTP", email=email, phrase=True)
    letter = world.mailbox.mail(email)
    assert token["phrase"] in letter.text
    visitor.account("updateRecoveryOTP", userId=token["userId"], secret=letter.code, password="another horse")
    visitor.account("createEmailPasswordSession", email=email, password="another horse")


@pytest.mark.parametrize("name", ["EmailVerification", "Verification"])
def test_an_address_is_verified_by_link(world: World, visitor: Visitor, name: str) -> None:
    email = signed_in(visitor)
    visitor.account(f"create{name}", url=visitor.page_url)
    visitor.open(world.mailbox.mail(email).link)
    landed = visitor.run("Object.fromEntries(new URLSearchParams(location.search))")
    visitor.account(f"update{name}", userId=landed["userId"], secret=landed["secret"])
    assert visitor.account("get")["emailVerification"] is True
    with refused("user_email_already_verified"):
        visitor.account(f"create{name}", url=visitor.page_url)


def test_an_address_is_verified_by_code(world: World, visitor: Visitor) -> None:
    email = signed_in(visitor)
    token = visitor.account("createEmailVerificationOTP", phrase=True)
    letter = world.mailbox.mail(email)
    assert token["phrase"] in letter.text
    visitor.account("updateEmailVerificationOTP", userId=token["userId"], secret=letter.code)
    assert visitor.account("get")["emailVerification"] is True


def test_a_number_is_verified(world: World, visitor: Visitor) -> None:
    signed_in(visitor)
    phone = a_phone()
    assert visitor.account("updatePhone", phone=phone, password=PASSWORD)["phoneVerification"] is False
    token = visitor.account("createPhoneVerification")
    visitor.account("updatePhoneVerification", userId=token["userId"], secret=world.mailbox.text(phone))
    assert visitor.account("get")["phoneVerification"] is True


# Second factors -------------------------------------------------------------------------------------------------------


@MFA_SPELLINGS
def test_second_factors(visitor: Visitor, world: World, mfa: str) -> None:
    email = signed_in(visitor)
    none = dict.fromkeys(("totp", "phone", "email", "recoveryCode", "custom"), False)
    assert visitor.account(f"list{mfa}Factors") == none
    visitor.account("updateMFA", mfa=True)
    assert visitor.account("get")["mfa"] is True, "who has no second factor is not locked out"

    made = visitor.account(f"create{mfa}Authenticator", type="totp")
    assert made["uri"].startswith("otpauth://totp/")
    app = pyotp.parse_uri(made["uri"])
    assert isinstance(app, pyotp.TOTP)
    code = app.now()
    visitor.account(f"update{mfa}Authenticator", type="totp", otp=code)
    codes = visitor.account(f"create{mfa}RecoveryCodes")["recoveryCodes"]
    with refused("user_challenge_required"):
        visitor.account(f"get{mfa}RecoveryCodes")
    assert visitor.account(f"list{mfa}Factors") == none | {"totp": True, "recoveryCode": True}

    # Another time, the password alone opens next to nothing.
    visitor.account("deleteSession", sessionId="current")
    pending = visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    assert pending["factors"] == ["password"]
    closed: list[tuple[str, dict[str, Any]]] = [
        ("get", {}),
        ("getPrefs", {}),
        ("listSessions", {}),
        ("createJWT", {}),
        ("updateMFA", {"mfa": False}),
        (f"create{mfa}Authenticator", {"type": "totp"}),
        (f"create{mfa}RecoveryCodes", {}),
        ("updatePassword", {"password": "another horse", "oldPassword": PASSWORD}),
        ("updateStatus", {}),
    ]
    for method, params in closed:
        with refused("user_more_factors_required"):
            visitor.account(method, **params)
    assert visitor.account(f"list{mfa}Factors")["totp"] is True
    asked = visitor.account(f"create{mfa}Challenge", factor="totp")
    with refused("user_invalid_token"):
        visitor.account(f"update{mfa}Challenge", challengeId=asked["$id"], otp=code)
    asked = visitor.account(f"create{mfa}Challenge", factor="recoverycode")
    session = visitor.account(f"update{mfa}Challenge", challengeId=asked["$id"], otp=codes[0])
    assert session["factors"] == ["password", "recoveryCode"]
    assert visitor.account("get")["email"] == email

    # The factor is fresh now.
    assert visitor.account(f"get{mfa}RecoveryCodes")["recoveryCodes"] == codes[1:]
    others = visitor.account(f"update{mfa}RecoveryCodes")["recoveryCodes"]
    assert not {*codes} & {*others}
    visitor.account(f"delete{mfa}Authenticator", type="totp")
    assert visitor.account(f"list{mfa}Factors") == none | {"recoveryCode": True}
    visitor.account("updateMFA", mfa=False)
    visitor.account("deleteSession", sessionId="current")
    visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    assert visitor.account("get")["mfa"] is False


def test_a_mail_as_second_factor_lets_a_pending_session_sign_out(world: World, visitor: Visitor) -> None:
    email = signed_in(visitor)
    token = visitor.account("createEmailVerificationOTP")
    visitor.account("updateEmailVerificationOTP", userId=token["userId"], secret=world.mailbox.mail(email).code)
    visitor.account("updateMFA", mfa=True)
    assert "changed" in world.mailbox.mail(email).subject
    assert visitor.account("getSession", sessionId="current")["factors"] == ["password", "email"]
    visitor.account("deleteSession", sessionId="current")
    visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    visitor.account("deleteSession", sessionId="current")
    visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    asked = visitor.account("createMFAChallenge", factor="email")
    visitor.account("updateMFAChallenge", challengeId=asked["$id"], otp=world.mailbox.mail(email).code)
    assert visitor.account("get")["email"] == email


# What hangs on an account ---------------------------------------------------------------------------------------------


def test_push_targets(visitor: Visitor) -> None:
    signed_in(visitor)
    made = visitor.account("createPushTarget", targetId="unique()", identifier=token_hex(8))
    assert (made["providerType"], made["expired"]) == ("push", False)
    changed = visitor.account("updatePushTarget", targetId=made["$id"], identifier=token_hex(8))
    assert changed["identifier"] != made["identifier"]
    assert changed in visitor.account("get")["targets"]
    visitor.account("deletePushTarget", targetId=made["$id"])
    assert [each["providerType"] for each in visitor.account("get")["targets"]] == ["email"]


def test_identities(world: World, visitor: Visitor) -> None:
    signed_in(visitor)
    account_id, identity_id = visitor.account("get")["$id"], wire_id()
    identity = {"identity_id": identity_id, "provider": "google", "provider_uid": token_hex(8)}
    world.decide(account_id, commands.link_identity, **identity)
    listed = visitor.account("listIdentities")
    assert [(each["$id"], each["provider"]) for each in listed["identities"]] == [(identity_id, "google")]
    visitor.account("deleteIdentity", identityId=identity_id)
    assert visitor.account("listIdentities") == {"total": 0, "identities": []}


def test_what_was_called_is_written_down(calls: Calls) -> None:
    calls.held()
