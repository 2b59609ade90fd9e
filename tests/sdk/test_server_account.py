"""Every method of Account that the official server SDKs have: a backend signs people in and acts for them (SSR)."""

from collections.abc import Iterator
from secrets import token_hex

import pyotp
import pytest

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import commands
from tests.support.backends import Backend
from tests.support.calls import Calls
from tests.support.identity_provider import Browser, told
from tests.support.issuer import CLIENT, Issuer, issuing
from tests.support.running import PASSWORD, World, a_phone, an_email
from tests.support.script import refused

PAGE = "http://localhost:3000/landing"


def signed_in(keyed: Backend, email: str) -> Backend:
    """Sign up and in."""
    keyed.account("create", userId="unique()", email=email, password=PASSWORD, name="Jane Roe")
    session = keyed.account("createEmailPasswordSession", email=email, password=PASSWORD)
    return keyed.acting(setSession=session["secret"])


@pytest.mark.parametrize("method", ["createSession", "updateMagicURLSession"])
def test_by_link(keyed: Backend, method: str) -> None:
    email = an_email()
    token = keyed.account("createMagicURLToken", userId="unique()", email=email, url=PAGE, phrase=True)
    assert len(token["secret"]) == 64
    assert token["phrase"]
    session = keyed.account(method, userId=token["userId"], secret=token["secret"])
    assert session["provider"] == "magic-url"
    assert keyed.acting(setSession=session["secret"]).account("get")["email"] == email


def test_by_code_in_a_mail(keyed: Backend, backend: Backend, world: World) -> None:
    email = an_email()
    token = keyed.account("createEmailToken", userId="unique()", email=email)
    assert token["secret"] == world.mailbox.mail(email).code
    assert backend.account("createEmailToken", userId="unique()", email=email)["secret"] == "", "only keys see secrets"
    session = keyed.account("createSession", userId=token["userId"], secret=token["secret"])
    assert keyed.acting(setSession=session["secret"]).account("get")["emailVerification"] is True


@pytest.mark.parametrize("method", ["createSession", "updatePhoneSession"])
def test_by_code_in_a_text_message(keyed: Backend, world: World, method: str) -> None:
    phone = a_phone()
    token = keyed.account("createPhoneToken", userId="unique()", phone=phone)
    session = keyed.account(method, userId=token["userId"], secret=world.mailbox.text(phone))
    assert keyed.acting(setSession=session["secret"]).account("get")["phone"] == phone


@pytest.fixture(scope="module")
def issuer(world: World) -> Iterator[Issuer]:
    """A provider that the default project takes ID tokens of."""
    with issuing() as running:
        settings = {"client_id": CLIENT, "native_enabled": True, "settings": running.settings}
        world.provider("google", project="default", enabled=False, **settings)
        yield running


def test_by_an_id_token_of_a_provider(keyed: Backend, issuer: Issuer) -> None:
    if not keyed.has("createIdTokenSession"):
        pytest.skip("this SDK does not have it")
    email = an_email()
    session = keyed.account("createIdTokenSession", provider="google", idToken=issuer.token(email=email))
    assert keyed.acting(setSession=session["secret"]).account("get")["email"] == email


def test_a_nobody_becomes_somebody(keyed: Backend) -> None:
    nobody = keyed.acting(setSession=keyed.account("createAnonymousSession")["secret"])
    before, email = nobody.account("get"), an_email()
    nobody.account("updateEmail", email=email, password=PASSWORD)
    nobody.account("updatePhone", phone=a_phone(), password=PASSWORD)
    session = keyed.account("createEmailPasswordSession", email=email, password=PASSWORD)
    assert session["userId"] == before["$id"]


def test_profile(keyed: Backend) -> None:
    person = signed_in(keyed, an_email())
    assert person.account("updateName", name="Jane Doe")["name"] == "Jane Doe"
    assert person.account("getPrefs") == {}
    person.account("updatePrefs", prefs={"darkTheme": True})
    assert person.account("getPrefs") == {"darkTheme": True}
    if person.has("listLogs"):
        assert [each["event"] for each in person.account("listLogs")["logs"]][-1] == "user.create"


def test_sessions(keyed: Backend) -> None:
    email = an_email()
    person = signed_in(keyed, email)
    other = keyed.account("createEmailPasswordSession", email=email, password=PASSWORD)
    assert [each["current"] for each in person.account("listSessions")["sessions"]] == [True, False]
    before = person.account("getSession", sessionId="current")
    assert person.account("updateSession", sessionId="current")["expire"] > before["expire"]
    person.account("deleteSession", sessionId=other["$id"])
    with refused("general_unauthorized_scope"):
        keyed.acting(setSession=other["secret"]).account("get")
    person.account("deleteSessions")
    with refused("general_unauthorized_scope"):
        person.account("get")


def test_a_jwt(keyed: Backend) -> None:
    email = an_email()
    person = signed_in(keyed, email)
    if not person.has("createJWT"):
        pytest.skip("this SDK does not have it")
    jwt = person.account("createJWT", duration=60)["jwt"]
    assert keyed.acting(setJWT=jwt).account("get")["email"] == email


def test_somebody_shuts_their_account(keyed: Backend) -> None:
    person = signed_in(keyed, an_email())
    assert person.account("updateStatus")["status"] is False
    with refused("user_blocked"):
        person.account("get")


def test_passwords(keyed: Backend) -> None:
    email = an_email()
    person = signed_in(keyed, email)
    person.account("updatePassword", password="another horse", oldPassword=PASSWORD)
    token = keyed.account("createRecovery", email=email, url=PAGE)
    chosen = {"userId": token["userId"], "secret": token["secret"], "password": "a third horse"}
    keyed.account("updateRecovery", **chosen)
    with refused("user_invalid_token"):
        keyed.account("updateRecovery", **chosen)
    with refused("general_unauthorized_scope"):
        person.account("get")
    keyed.account("createEmailPasswordSession", email=email, password="a third horse")


def test_a_password_by_code(keyed: Backend) -> None:
    if not keyed.has("createRecoveryOTP"):
        pytest.skip("this SDK does not have it")
    email = an_email()
    signed_in(keyed, email)
    token = keyed.account("createRecoveryOTP", email=email, phrase=True)
    chosen = {"userId": token["userId"], "secret": token["secret"], "password": "another horse"}
    keyed.account("updateRecoveryOTP", **chosen)
    keyed.account("createEmailPasswordSession", email=email, password="another horse")


@pytest.mark.parametrize("name", ["EmailVerification", "Verification"])
def test_an_address_is_verified_by_link(keyed: Backend, world: World, name: str) -> None:
    email = an_email()
    person = signed_in(keyed, email)
    token = person.account(f"create{name}", url=PAGE)
    secret = world.mailbox.mail(email).parameters["secret"]
    person.account(f"update{name}", userId=token["userId"], secret=secret)
    assert person.account("get")["emailVerification"] is True


def test_an_address_is_verified_by_code(keyed: Backend, world: World) -> None:
    if not keyed.has("createEmailVerificationOTP"):
        pytest.skip("this SDK does not have it")
    email = an_email()
    person = signed_in(keyed, email)
    token = person.account("createEmailVerificationOTP", phrase=True)
    person.account("updateEmailVerificationOTP", userId=token["userId"], secret=world.mailbox.mail(email).code)
    assert person.account("get")["emailVerification"] is True


def test_a_number_is_verified(keyed: Backend, world: World) -> None:
    person, phone = signed_in(keyed, an_email()), a_phone()
    person.account("updatePhone", phone=phone, password=PASSWORD)
    token = person.account("createPhoneVerification")
    person.account("updatePhoneVerification", userId=token["userId"], secret=world.mailbox.text(phone))
    assert person.account("get")["phoneVerification"] is True


@pytest.mark.parametrize("mfa", ["MFA", "Mfa"])
def test_second_factors(keyed: Backend, mfa: str) -> None:
    email = an_email()
    person = signed_in(keyed, email)
    person.account("updateMFA", mfa=True)
    seed = person.account(f"create{mfa}Authenticator", type="totp")["secret"]
    person.account(f"update{mfa}Authenticator", type="totp", otp=pyotp.TOTP(seed).now())
    codes = person.account(f"create{mfa}RecoveryCodes")["recoveryCodes"]

    session = keyed.account("createEmailPasswordSession", email=email, password=PASSWORD)
    again = keyed.acting(setSession=session["secret"])
    with refused("user_more_factors_required"):
        again.account("get")
    factors = again.account(f"list{mfa}Factors")
    assert (factors["totp"], factors["recoveryCode"], factors["email"]) == (True, True, False)
    asked = again.account(f"create{mfa}Challenge", factor="recoverycode")
    passed = again.account(f"update{mfa}Challenge", challengeId=asked["$id"], otp=codes[0])
    assert passed["factors"] == ["password", "recoveryCode"]
    assert again.account(f"get{mfa}RecoveryCodes")["recoveryCodes"] == codes[1:]
    assert len(again.account(f"update{mfa}RecoveryCodes")["recoveryCodes"]) == 6
    again.account(f"delete{mfa}Authenticator", type="totp")
    assert again.account("get")["email"] == email


def test_by_a_provider_in_the_browser(keyed: Backend, world: World) -> None:
    """The backend learns where to send its user, and opens the session with what the user comes back with."""
    project = world.project(f"oauth-{token_hex(4)}")
    world.provider("mock", project=project, client_id="1", settings={"client_secret": "123456"})
    key = world.key("sessions.write", "users.read", project=project)
    person = keyed.acting(setProject=project, setKey=key)
    there = person.account("createOAuth2Token", provider="mock", success=PAGE, failure=PAGE)
    browser = Browser(world.server, project)
    ended = browser.go(there)
    assert isinstance(ended, str)
    given = told(ended)
    session = person.account("createSession", userId=given["userId"], secret=given["secret"])
    assert (session["provider"], session["providerAccessToken"]) == ("mock", "123456")


def test_identities(keyed: Backend, world: World) -> None:
    person, identity_id = signed_in(keyed, an_email()), wire_id()
    identity = {"identity_id": identity_id, "provider": "google", "provider_uid": token_hex(8)}
    world.decide(person.account("get")["$id"], commands.link_identity, **identity)
    assert [each["$id"] for each in person.account("listIdentities")["identities"]] == [identity_id]
    person.account("deleteIdentity", identityId=identity_id)
    assert person.account("listIdentities")["total"] == 0


def test_what_was_called_is_written_down(calls: Calls) -> None:
    calls.held()
