"""The table of operations is complete, described, and the contract's."""

import ast
import importlib
from pathlib import Path

import pytest

import accounts_es.http
from accounts_es.domain.errors import Refusal
from accounts_es.domain.security.events import AuditExported, AuditRead
from accounts_es.http.operation import OPERATION, Operation
from accounts_es.http.table import MODULES, OPERATIONS

FOLDER = Path(accounts_es.http.__file__).parent

CONTRACT = {
    "account.create": "POST /account",
    "account.get": "GET /account",
    "account.delete": "DELETE /account",
    "account.updateName": "PATCH /account/name",
    "account.updatePassword": "PATCH /account/password",
    "account.updateEmail": "PATCH /account/email",
    "account.updatePhone": "PATCH /account/phone",
    "account.updateStatus": "PATCH /account/status",
    "account.getPrefs": "GET /account/prefs",
    "account.updatePrefs": "PATCH /account/prefs",
    "account.listLogs": "GET /account/logs",
    "account.createEmailPasswordSession": "POST /account/sessions/email",
    "account.createAnonymousSession": "POST /account/sessions/anonymous",
    "account.createSession": "POST /account/sessions/token",
    "account.updateMagicURLSession": "PUT /account/sessions/magic-url",
    "account.updatePhoneSession": "PUT /account/sessions/phone",
    "account.listSessions": "GET /account/sessions",
    "account.getSession": "GET /account/sessions/{sessionId}",
    "account.updateSession": "PATCH /account/sessions/{sessionId}",
    "account.deleteSession": "DELETE /account/sessions/{sessionId}",
    "account.deleteSessions": "DELETE /account/sessions",
    "account.createMagicURLToken": "POST /account/tokens/magic-url",
    "account.createEmailToken": "POST /account/tokens/email",
    "account.createPhoneToken": "POST /account/tokens/phone",
    "account.createOAuth2Session": "GET /account/sessions/oauth2/{provider}",
    "account.createOAuth2Token": "GET /account/tokens/oauth2/{provider}",
    "account.createJWT": "POST /account/jwts",
    "account.createRecovery": "POST /account/recovery",
    "account.updateRecovery": "PUT /account/recovery",
    "account.createRecoveryOTP": "POST /account/recovery/otp",
    "account.updateRecoveryOTP": "PUT /account/recovery/otp",
    "account.createEmailVerificationOTP": "POST /account/verifications/email/otp",
    "account.updateEmailVerificationOTP": "PUT /account/verifications/email/otp",
    "account.createIdTokenSession": "POST /account/sessions/id-token",
    "account.createEmailVerification": "POST /account/verifications/email",
    "account.updateEmailVerification": "PUT /account/verifications/email",
    "account.createPhoneVerification": "POST /account/verifications/phone",
    "account.updatePhoneVerification": "PUT /account/verifications/phone",
    "account.updateMFA": "PATCH /account/mfa",
    "account.listMFAFactors": "GET /account/mfa/factors",
    "account.createMFAAuthenticator": "POST /account/mfa/authenticators/{type}",
    "account.updateMFAAuthenticator": "PUT /account/mfa/authenticators/{type}",
    "account.deleteMFAAuthenticator": "DELETE /account/mfa/authenticators/{type}",
    "account.createMFAChallenge": "POST /account/mfa/challenges",
    "account.updateMFAChallenge": "PUT /account/mfa/challenges",
    "account.createMFARecoveryCodes": "POST /account/mfa/recovery-codes",
    "account.getMFARecoveryCodes": "GET /account/mfa/recovery-codes",
    "account.updateMFARecoveryCodes": "PATCH /account/mfa/recovery-codes",
    "account.listIdentities": "GET /account/identities",
    "account.deleteIdentity": "DELETE /account/identities/{identityId}",
    "account.listMemberships": "GET /account/memberships",
    "account.createPushTarget": "POST /account/targets/push",
    "account.updatePushTarget": "PUT /account/targets/{targetId}/push",
    "account.deletePushTarget": "DELETE /account/targets/{targetId}/push",
    "users.create": "POST /users",
    "users.createArgon2User": "POST /users/argon2",
    "users.createBcryptUser": "POST /users/bcrypt",
    "users.createMD5User": "POST /users/md5",
    "users.createPHPassUser": "POST /users/phpass",
    "users.createSHAUser": "POST /users/sha",
    "users.createScryptUser": "POST /users/scrypt",
    "users.createScryptModifiedUser": "POST /users/scrypt-modified",
    "users.list": "GET /users",
    "users.get": "GET /users/{userId}",
    "users.delete": "DELETE /users/{userId}",
    "users.updateEmail": "PATCH /users/{userId}/email",
    "users.updatePhone": "PATCH /users/{userId}/phone",
    "users.updateName": "PATCH /users/{userId}/name",
    "users.updatePassword": "PATCH /users/{userId}/password",
    "users.updateLabels": "PUT /users/{userId}/labels",
    "users.updateStatus": "PATCH /users/{userId}/status",
    "users.updateEmailVerification": "PATCH /users/{userId}/verification",
    "users.updatePhoneVerification": "PATCH /users/{userId}/verification/phone",
    "users.updateImpersonator": "PATCH /users/{userId}/impersonator",
    "users.getPrefs": "GET /users/{userId}/prefs",
    "users.updatePrefs": "PATCH /users/{userId}/prefs",
    "users.listSessions": "GET /users/{userId}/sessions",
    "users.createSession": "POST /users/{userId}/sessions",
    "users.deleteSession": "DELETE /users/{userId}/sessions/{sessionId}",
    "users.deleteSessions": "DELETE /users/{userId}/sessions",
    "users.createToken": "POST /users/{userId}/tokens",
    "users.createJWT": "POST /users/{userId}/jwts",
    "users.listMemberships": "GET /users/{userId}/memberships",
    "users.listLogs": "GET /users/{userId}/logs",
    "users.listTargets": "GET /users/{userId}/targets",
    "users.createTarget": "POST /users/{userId}/targets",
    "users.getTarget": "GET /users/{userId}/targets/{targetId}",
    "users.updateTarget": "PATCH /users/{userId}/targets/{targetId}",
    "users.deleteTarget": "DELETE /users/{userId}/targets/{targetId}",
    "users.listIdentities": "GET /users/identities",
    "users.deleteIdentity": "DELETE /users/identities/{identityId}",
    "users.updateMFA": "PATCH /users/{userId}/mfa",
    "users.listMFAFactors": "GET /users/{userId}/mfa/factors",
    "users.deleteMFAAuthenticator": "DELETE /users/{userId}/mfa/authenticators/{type}",
    "users.getMFARecoveryCodes": "GET /users/{userId}/mfa/recovery-codes",
    "users.createMFARecoveryCodes": "PATCH /users/{userId}/mfa/recovery-codes",
    "users.updateMFARecoveryCodes": "PUT /users/{userId}/mfa/recovery-codes",
    "users.getMFAChallenge": "GET /users/{userId}/mfa/challenges/{challengeId}",
    "teams.create": "POST /teams",
    "teams.list": "GET /teams",
    "teams.get": "GET /teams/{teamId}",
    "teams.updateName": "PUT /teams/{teamId}",
    "teams.delete": "DELETE /teams/{teamId}",
    "teams.getPrefs": "GET /teams/{teamId}/prefs",
    "teams.updatePrefs": "PUT /teams/{teamId}/prefs",
    "teams.listMemberships": "GET /teams/{teamId}/memberships",
    "teams.createMembership": "POST /teams/{teamId}/memberships",
    "teams.getMembership": "GET /teams/{teamId}/memberships/{membershipId}",
    "teams.updateMembership": "PATCH /teams/{teamId}/memberships/{membershipId}",
    "teams.updateMembershipStatus": "PATCH /teams/{teamId}/memberships/{membershipId}/status",
    "teams.deleteMembership": "DELETE /teams/{teamId}/memberships/{membershipId}",
    "teams.listLogs": "GET /teams/{teamId}/logs",
    "project.get": "GET /project",
    "project.updateLabels": "PUT /project/labels",
    "project.updateService": "PATCH /project/services/{serviceId}",
    "project.updateProtocol": "PATCH /project/protocols/{protocolId}",
    "project.updateAuthMethod": "PATCH /project/auth-methods/{methodId}",
    "project.createKey": "POST /project/keys",
    "project.createEphemeralKey": "POST /project/keys/ephemeral",
    "project.listKeys": "GET /project/keys",
    "project.getKey": "GET /project/keys/{keyId}",
    "project.updateKey": "PUT /project/keys/{keyId}",
    "project.deleteKey": "DELETE /project/keys/{keyId}",
    "project.createWebPlatform": "POST /project/platforms/web",
    "project.createApplePlatform": "POST /project/platforms/apple",
    "project.createAndroidPlatform": "POST /project/platforms/android",
    "project.createWindowsPlatform": "POST /project/platforms/windows",
    "project.createLinuxPlatform": "POST /project/platforms/linux",
    "project.updateWebPlatform": "PUT /project/platforms/web/{platformId}",
    "project.updateApplePlatform": "PUT /project/platforms/apple/{platformId}",
    "project.updateAndroidPlatform": "PUT /project/platforms/android/{platformId}",
    "project.updateWindowsPlatform": "PUT /project/platforms/windows/{platformId}",
    "project.updateLinuxPlatform": "PUT /project/platforms/linux/{platformId}",
    "project.listPlatforms": "GET /project/platforms",
    "project.getPlatform": "GET /project/platforms/{platformId}",
    "project.deletePlatform": "DELETE /project/platforms/{platformId}",
    "project.listPolicies": "GET /project/policies",
    "project.getPolicy": "GET /project/policies/{policyId}",
    "project.updateDenyAliasedEmailPolicy": "PATCH /project/policies/deny-aliased-email",
    "project.updateDenyCorporateEmailPolicy": "PATCH /project/policies/deny-corporate-email",
    "project.updateDenyDisposableEmailPolicy": "PATCH /project/policies/deny-disposable-email",
    "project.updateDenyFreeEmailPolicy": "PATCH /project/policies/deny-free-email",
    "project.updateMembershipPrivacyPolicy": "PATCH /project/policies/membership-privacy",
    "project.updateMFAFactorsPolicy": "PATCH /project/policies/mfa-factors",
    "project.updatePasswordDictionaryPolicy": "PATCH /project/policies/password-dictionary",
    "project.updatePasswordHistoryPolicy": "PATCH /project/policies/password-history",
    "project.updatePasswordPersonalDataPolicy": "PATCH /project/policies/password-personal-data",
    "project.updatePasswordStrengthPolicy": "PATCH /project/policies/password-strength",
    "project.updateSessionAlertPolicy": "PATCH /project/policies/session-alert",
    "project.updateSessionDurationPolicy": "PATCH /project/policies/session-duration",
    "project.updateSessionInvalidationPolicy": "PATCH /project/policies/session-invalidation",
    "project.updateSessionLimitPolicy": "PATCH /project/policies/session-limit",
    "project.updateUserLimitPolicy": "PATCH /project/policies/user-limit",
    "project.listOAuth2Providers": "GET /project/oauth2",
    "project.getOAuth2Provider": "GET /project/oauth2/{providerId}",
    "project.updateOAuth2Provider": "PATCH /project/oauth2/{providerId}",
    "project.updateSMTP": "PATCH /project/smtp",
    "project.createSMTPTest": "POST /project/smtp/tests",
    "project.listEmailTemplates": "GET /project/templates/email",
    "project.getEmailTemplate": "GET /project/templates/email/{templateId}",
    "project.updateEmailTemplate": "PATCH /project/templates/email",
    "activities.listEvents": "GET /activities/events",
    "activities.getEvent": "GET /activities/events/{eventId}",
    "project.createMockPhone": "POST /project/mock-phones",
    "project.listMockPhones": "GET /project/mock-phones",
    "project.getMockPhone": "GET /project/mock-phones/{number}",
    "project.updateMockPhone": "PUT /project/mock-phones/{number}",
    "project.deleteMockPhone": "DELETE /project/mock-phones/{number}",
    "webhooks.list": "GET /webhooks",
    "webhooks.create": "POST /webhooks",
    "webhooks.get": "GET /webhooks/{webhookId}",
    "webhooks.update": "PUT /webhooks/{webhookId}",
    "webhooks.delete": "DELETE /webhooks/{webhookId}",
    "webhooks.updateSecret": "PATCH /webhooks/{webhookId}/secret",
}
"""What the official SDKs call: the method's name, the HTTP method and the path."""

OURS = {
    "users.getHistoryBlame",
    "users.getHistoryDiff",
    "users.listHistory",
    "webhooks.rewind",
    "project.getRetention",
    "project.updateRetention",
    "users.createErasure",
    "users.export",
    "users.getHold",
    "users.placeHold",
    "users.liftHold",
}
"""What no SDK calls although it has the service."""

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)


def test_the_table_lists_every_module_that_declares_operations() -> None:
    declaring = {
        ".".join(path.relative_to(FOLDER).with_suffix("").parts)
        for path in FOLDER.rglob("*.py")
        if any(
            isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "operation"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.AsyncFunctionDef)
            for decorator in node.decorator_list
        )
    }
    assert {module.__name__.removeprefix("accounts_es.http.") for module in MODULES} == declaring
    assert len(MODULES) == len(declaring)


def test_the_table_holds_every_operation_once() -> None:
    declared = [
        getattr(each, OPERATION)
        for module in MODULES
        for each in vars(importlib.import_module(module.__name__)).values()
        if hasattr(each, OPERATION)
    ]
    assert declared == list(OPERATIONS)
    assert len({each.id for each in OPERATIONS}) == len(OPERATIONS)


@every_operation
def test_the_path_is_the_one_the_sdks_call(operation: Operation) -> None:
    if (
        operation.group in {"account", "users", "teams", "project", "webhooks", "activities"}
        and operation.id not in OURS
    ):
        assert CONTRACT[operation.id] == f"{operation.method} {operation.paths[0]}"


@every_operation
def test_an_operation_says_what_it_does(operation: Operation) -> None:
    assert operation.summary.endswith(".")
    assert operation.handler.__doc__


@every_operation
def test_an_operation_declares_only_what_is_its_own(operation: Operation) -> None:
    assert all(issubclass(refusal, Refusal) for refusal in operation.raises)
    assert len(set(operation.emits)) == len(operation.emits)
    assert (operation.status == 204) == (operation.returns is None)
    if operation.method == "GET":
        # A browser that comes back from a provider can only GET; its state makes it the answer to what was begun here.
        # Reading of what happened is itself recorded, by servers alone.
        assert operation.for_browsers or set(operation.emits) <= {AuditRead, AuditExported}


@every_operation
def test_T39_every_operation_that_changes_something_names_an_event(operation: Operation) -> None:
    if operation.method != "GET":
        assert bool(operation.emits) != bool(operation.silent)
