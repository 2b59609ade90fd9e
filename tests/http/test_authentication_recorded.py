"""Every way to authenticate is recorded, whether it succeeds or fails (T49: ASVS V16.2.1, V16.3.1)."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from accounts_es.domain.account import events
from accounts_es.http.operation import Operation
from accounts_es.http.table import OPERATIONS
from tests.http.calls import ready
from tests.support.running import World

PROVES: Final = {
    events.SessionCreated,
    events.SessionFactorAdded,
    events.ChallengePassed,
    events.AuthenticatorVerified,
    events.VerifiedEmail,
    events.VerifiedPhone,
    events.PasswordChanged,
}
"""What is recorded when somebody has shown who they are, or gets what they show it with."""

AUTHENTICATING: Final = [
    each for each in OPERATIONS if PROVES & set(each.emits) and not each.for_servers and each.group != "reverts"
]
"""Of what is undone nobody shows anything: it is given back."""

WRONG: Final[dict[str, dict[str, Any]]] = {
    "account.createEmailPasswordSession": {"password": "a wrong password"},
    "account.createSession": {"secret": "wrong"},
    "account.updateMagicURLSession": {"secret": "wrong"},
    "account.updatePhoneSession": {"secret": "wrong"},
    "account.createIdTokenSession": {"nonce": "another"},
    "oauth2.redirect": {"code": "", "error": "access_denied"},
    "account.updateEmail": {"password": "a wrong password"},
    "account.updatePhone": {"password": "a wrong password"},
    "account.updatePassword": {"oldPassword": "a wrong password"},
    "account.updateRecovery": {"secret": "wrong"},
    "account.updateRecoveryOTP": {"secret": "000000"},
    "account.updateEmailVerification": {"secret": "wrong"},
    "account.updateEmailVerificationOTP": {"secret": "000000"},
    "account.updatePhoneVerification": {"secret": "000000"},
    "account.updateMFAAuthenticator": {"otp": "000000"},
    "account.updateMFAChallenge": {"otp": "000000"},
    "teams.updateMembershipStatus": {"secret": "wrong"},
}
"""What makes each of them fail."""
NOTHING_TO_SHOW: Final = {"account.createAnonymousSession", "account.updateMFA"}
"""Nobody has to show anything: they open a session for nobody yet, and say how many factors are wanted."""

FROM: Final = {"x-forwarded-for": "193.0.6.139", "user-agent": "Mozilla/5.0 (Somebody)", "x-request-id": "trace-49"}


@pytest.mark.parametrize("operation", AUTHENTICATING, ids=lambda each: each.id)
def test_T49_success_is_recorded(world: World, operation: Operation) -> None:
    call = ready(world, operation)
    call.client.headers.update(FROM)
    recorded = world.log.recorded(call.send())
    assert recorded
    for each in recorded:
        meta = each.meta
        assert (meta.project, meta.operation, meta.correlation_id) == ("default", operation.id, "trace-49")
        assert (meta.ip, meta.user_agent) == ("193.0.6.139", "Mozilla/5.0 (Somebody)")
        assert abs(meta.at - datetime.now(UTC)) < timedelta(minutes=1)
        fields = each.event.model_dump()
        if isinstance(each.event, events.SessionCreated):
            assert fields["provider"]
            assert fields["factors"] or operation.id == "account.createAnonymousSession"


@pytest.mark.parametrize(
    "operation", [each for each in AUTHENTICATING if each.id not in NOTHING_TO_SHOW], ids=lambda each: each.id
)
def test_T49_failure_is_recorded(world: World, operation: Operation) -> None:
    call = ready(world, operation)
    call.client.headers.update(FROM)
    call.fields |= WRONG[operation.id]
    answer = call.send()
    assert answer.status_code >= 300
    (recorded,) = world.log.recorded(answer)
    meta, fields = recorded.meta, recorded.event.model_dump()
    assert recorded.event.topic in {"security.sign_in_refused", "security.access_denied"}
    assert recorded.stream.startswith("security-default-")
    assert fields["reason"]
    assert fields.get("method") or fields.get("operation") == operation.id
    assert (meta.project, meta.operation, meta.correlation_id) == ("default", operation.id, "trace-49")
    assert (meta.ip, meta.user_agent) == ("193.0.6.139", "Mozilla/5.0 (Somebody)")
    assert abs(meta.at - datetime.now(UTC)) < timedelta(minutes=1)
