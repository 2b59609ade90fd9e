"""Every method of Users that the official server SDKs have and this server answers: a backend looks after people."""

import re
from secrets import token_hex
from typing import Any

import pyotp
import pytest
from appwrite.query import Query

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import commands
from tests.http.test_users_imported import HASHED
from tests.http.test_users_imported import PASSWORD as IMPORTED
from tests.support.backends import Backend
from tests.support.calls import Calls
from tests.support.running import PASSWORD, World, a_phone, an_email
from tests.support.script import refused


class User:
    """Somebody, and the methods that are about them."""

    def __init__(self, keyed: Backend, **more: Any) -> None:
        self._keyed = keyed
        self.id = wire_id()
        self.email = an_email()
        self.made = keyed.call("Users", "create", userId=self.id, email=self.email, password=PASSWORD, **more)

    def __call__(self, method: str, **params: Any) -> Any:
        return self._keyed.call("Users", method, userId=self.id, **params)


@pytest.fixture
def user(keyed: Backend) -> User:
    """Somebody new."""
    return User(keyed, name="Jane Roe")


def test_people_are_listed_changed_and_deleted(keyed: Backend, user: User) -> None:
    assert (user.made["name"], user("get")["email"]) == ("Jane Roe", user.email)
    assert user("updateName", name="Jane Doe")["name"] == "Jane Doe"
    assert user("updateLabels", labels=["vip"])["labels"] == ["vip"]
    assert user("updatePrefs", prefs={"a": 1}) == user("getPrefs") == {"a": 1}
    assert [each["$id"] for each in keyed.call("Users", "list", search=user.email.partition("@")[0])["users"]] == [
        user.id
    ]
    assert user("updateStatus", status=False)["status"] is False
    assert user("updateImpersonator", impersonator=True)["impersonator"] is True
    user("delete")
    with refused("user_not_found"):
        user("get")


def test_credentials(user: User) -> None:
    phone, email = a_phone(), an_email()
    assert user("updateEmail", email=email)["email"] == email
    assert user("updatePhone", number=phone)["phone"] == phone
    assert user("updateEmailVerification", emailVerification=True)["emailVerification"] is True
    assert user("updatePhoneVerification", phoneVerification=True)["phoneVerification"] is True
    assert user("updatePassword", password="another horse")["passwordUpdate"]


@pytest.mark.parametrize("kind", HASHED)
def test_people_brought_along_sign_in_with_their_passwords(keyed: Backend, kind: str) -> None:
    names = {"phpass": "PHPass", "md5": "MD5", "sha": "SHA", "scrypt-modified": "ScryptModified"}
    fields, email = HASHED[kind][0], an_email()
    keyed.call("Users", f"create{names.get(kind, kind.title())}User", userId=wire_id(), email=email, **fields)
    assert keyed.account("createEmailPasswordSession", email=email, password=IMPORTED)["provider"] == "email"


def test_sessions_tokens_and_jwts(keyed: Backend, user: User) -> None:
    session = user("createSession")
    assert keyed.acting(setSession=session["secret"]).account("get")["$id"] == user.id
    jwt = user("createJWT", sessionId=session["$id"], duration=60)["jwt"]
    assert keyed.acting(setJWT=jwt).account("get")["$id"] == user.id
    token = user("createToken", length=8, expire=60)
    keyed.account("createSession", userId=user.id, secret=token["secret"])
    assert user("listSessions")["total"] == 2
    user("deleteSession", sessionId=session["$id"])
    user("deleteSessions")
    assert user("listSessions") == {"total": 0, "sessions": []}


def test_targets(user: User) -> None:
    made = user("createTarget", targetId="unique()", providerType="push", identifier=token_hex(8), name="Phone")
    changed = user("updateTarget", targetId=made["$id"], identifier=token_hex(8))
    assert user("getTarget", targetId=made["$id"])["identifier"] == changed["identifier"]
    assert [each["providerType"] for each in user("get")["targets"]] == ["email", "push"]
    assert [each["$id"] for each in user("listTargets")["targets"]][-1] == made["$id"]
    user("deleteTarget", targetId=made["$id"])
    assert [each["providerType"] for each in user("get")["targets"]] == ["email"]


def test_identities(keyed: Backend, world: World, user: User) -> None:
    identity_id = wire_id()
    identity = {"identity_id": identity_id, "provider": "google", "provider_uid": token_hex(8)}
    world.decide(user.id, commands.link_identity, **identity)
    theirs = [Query.equal("userId", user.id)]
    listed = keyed.call("Users", "listIdentities", queries=theirs)
    assert [(each["$id"], each["userId"]) for each in listed["identities"]] == [(identity_id, user.id)]
    keyed.call("Users", "deleteIdentity", identityId=identity_id)
    assert keyed.call("Users", "listIdentities", queries=theirs)["total"] == 0


@pytest.mark.parametrize("mfa", ["MFA", "Mfa"])
def test_second_factors(keyed: Backend, user: User, mfa: str) -> None:
    person = keyed.acting(setSession=user("createSession")["secret"])
    seed = person.account("createMFAAuthenticator", type="totp")["secret"]
    person.account("updateMFAAuthenticator", type="totp", otp=pyotp.TOTP(seed).now())
    assert user(f"update{mfa}", mfa=True)["mfa"] is True
    assert user(f"list{mfa}Factors")["totp"] is True
    codes = user(f"create{mfa}RecoveryCodes")["recoveryCodes"]
    assert user(f"get{mfa}RecoveryCodes")["recoveryCodes"] == codes
    assert user(f"update{mfa}RecoveryCodes")["recoveryCodes"] != codes
    user(f"delete{mfa}Authenticator", type="totp")
    assert user(f"list{mfa}Factors")["totp"] is False


def test_what_happened_is_listed(keyed: Backend, user: User) -> None:
    assert user("listMemberships") == {"total": 0, "memberships": []}
    if keyed.has("listLogs", "Users"):
        assert [each["event"] for each in user("listLogs")["logs"]] == ["user.create"]


def test_a_custom_factor_is_delivered_by_the_backend(world: World, keyed: Backend, user: User) -> None:
    if not keyed.has("getMFAChallenge", "Users"):
        pytest.skip("this SDK does not have it")
    person = keyed.acting(setSession=user("createSession")["secret"])
    world.policy("mfa_factors", custom=True)
    try:
        challenge = person.account("createMFAChallenge", factor="custom")
        code = user("getMFAChallenge", challengeId=challenge["$id"])["code"]
        assert re.fullmatch("[0-9]{6}", code)
        passed = person.account("updateMFAChallenge", challengeId=challenge["$id"], otp=code)
        assert passed["factors"] == ["server", "custom"]
    finally:
        world.policy("mfa_factors", custom=False)


def test_what_was_called_is_written_down(calls: Calls) -> None:
    calls.held()
