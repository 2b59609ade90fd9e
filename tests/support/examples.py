"""One example of every event there is. `tests/unit/test_examples.py` holds them against the catalogue.

Values stand for themselves, so that one found in the wrong place tells where it came from.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from accounts_es.domain.account import events as account
from accounts_es.domain.event import Event
from accounts_es.domain.project import events as project
from accounts_es.domain.resource import events as resource
from accounts_es.domain.security import events as security
from accounts_es.domain.team import events as team
from tests.support.metadata import NOON

YEAR: Final = timedelta(days=365)
HASH: Final = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$9mK1kQvVw0ZyqQy0Yh1s8hZ1cYJ3n1m3yQbq5Zr0k3A"
DIGEST: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# Account --------------------------------------------------------------------------------------------------------------

signed_up = account.SignedUp(
    account_id="walter", email="walter@example.org", phone="+4930901820", name="Walter O'Brien", password_hash=HASH
)
target_added = account.TargetAdded(
    target_id="tablet",
    provider_type="push",
    identifier="device-token-of-walter",
    name="Walter's tablet",
    provider_id="provider",
    session_id="laptop",
)
target_changed = account.TargetChanged(
    target_id="mail", identifier="w.obrien@example.org", name="Work", provider_id="provider"
)
target_removed = account.TargetRemoved(target_id="mail")
email_changed = account.EmailChanged(email="walter2@example.org")
phone_changed = account.PhoneChanged(phone="+4930901821")
password_changed = account.PasswordChanged(password_hash=HASH)
password_revoked = account.PasswordRevoked()
password_rehashed = account.PasswordRehashed(password_hash=HASH)
account_blocked = account.AccountBlocked()
account_unblocked = account.AccountUnblocked()
session_created = account.SessionCreated(
    session_id="laptop",
    secret_hash=DIGEST,
    provider="email",
    provider_uid="walter@example.org",
    factors=("password",),
    expires_at=NOON + YEAR,
    provider_access_token="their-access-token",
    provider_refresh_token="their-refresh-token",
    provider_access_token_expires_at=NOON + timedelta(hours=1),
)
session_extended = account.SessionExtended(session_id="laptop", expires_at=NOON + 2 * YEAR)
session_deleted = account.SessionDeleted(session_id="laptop", reason="signed_out")
name_changed = account.NameChanged(name="Wálter 🜚")
prefs_updated = account.PrefsUpdated(prefs={"theme": "dark", "size": 1.5, "tags": ["a", None, True], "deep": {"x": 1}})
label_added = account.LabelAdded(label="vip")
label_removed = account.LabelRemoved(label="vip")
verified_email = account.VerifiedEmail()
email_verification_revoked = account.EmailVerificationRevoked()
verified_phone = account.VerifiedPhone()
phone_verification_revoked = account.PhoneVerificationRevoked()
token_issued = account.TokenIssued(
    token_id="link", purpose="magic-url", secret_hash=DIGEST, expires_at=NOON + timedelta(hours=1)
)
token_redeemed = account.TokenRedeemed(token_id="link")
mfa_switched_on = account.MfaSwitchedOn()
mfa_switched_off = account.MfaSwitchedOff()
authenticator_added = account.AuthenticatorAdded(secret="JBSWY3DPEHPK3PXP")
authenticator_verified = account.AuthenticatorVerified(step=53_000_000)
authenticator_used = account.AuthenticatorUsed(step=53_000_001)
authenticator_removed = account.AuthenticatorRemoved()
recovery_codes_generated = account.RecoveryCodesGenerated(codes=("a1b2c3d4e5", "f6a7b8c9d0"))
recovery_code_used = account.RecoveryCodeUsed(number=1)
challenge_created = account.ChallengeCreated(
    challenge_id="challenge", factor="custom", code_hash=DIGEST, code="123456", expires_at=NOON + timedelta(hours=1)
)
challenge_passed = account.ChallengePassed(challenge_id="challenge", session_id="laptop", factor="custom")
session_factor_added = account.SessionFactorAdded(session_id="laptop", factor="totp")
session_tokens_renewed = account.SessionTokensRenewed(
    session_id="laptop",
    access_token="their-newer-token",
    refresh_token="their-newer-refresh-token",
    access_token_expires_at=NOON + timedelta(hours=1),
)
identity_linked = account.IdentityLinked(
    identity_id="identity",
    provider="google",
    provider_uid="1234567890",
    provider_email="walter@example.net",
    provider_email_verified=True,
    access_token="their-access-token",
    refresh_token="their-refresh-token",
    access_token_expires_at=NOON + timedelta(hours=1),
)
identity_removed = account.IdentityRemoved(identity_id="identity")
impersonator_appointed = account.ImpersonatorAppointed()
impersonator_dismissed = account.ImpersonatorDismissed()
accessed = account.Accessed()
account_deleted = account.AccountDeleted()
legal_hold_placed = account.LegalHoldPlaced(reason="Walter v. Kotzebue, 4 O 17/26")
legal_hold_lifted = account.LegalHoldLifted()
account_erased = account.AccountErased(reason="request")

# Team -----------------------------------------------------------------------------------------------------------------

team_created = team.TeamCreated(team_id="crew", name="The Crew")
team_renamed = team.TeamRenamed(name="The Other Crew")
team_prefs_updated = team.PrefsUpdated(prefs={"theme": "dark", "size": 1.5, "tags": ["a", None, True]})
member_invited = team.MemberInvited(
    membership_id="membership", account="account-2", roles=("player", "coach"), secret_hash=DIGEST
)
invitation_renewed = team.InvitationRenewed(membership_id="membership", secret_hash=DIGEST[::-1])
member_joined = team.MemberJoined(membership_id="membership")
member_added = team.MemberAdded(membership_id="founder", account="account-1", roles=("owner",))
member_roles_changed = team.MemberRolesChanged(membership_id="membership", roles=("owner", "coach"))
member_left = team.MemberLeft(membership_id="membership")
member_removed = team.MemberRemoved(membership_id="membership")
team_deleted = team.TeamDeleted()

# Project --------------------------------------------------------------------------------------------------------------

project_created = project.ProjectCreated(project_id="default", name="Default")
api_key_created = project.ApiKeyCreated(
    key_id="backend", name="Backend", scopes=("users.read", "users.write"), secret_hash=DIGEST, expires_at=NOON + YEAR
)
project_renamed = project.ProjectRenamed(name="The Shop")
labels_replaced = project.LabelsReplaced(labels=("shop", "europe"))
api_key_updated = project.ApiKeyUpdated(
    key_id="backend", name="Reader", scopes=("users.read",), expires_at=NOON + 2 * YEAR
)
api_key_used = project.ApiKeyUsed(key_id="backend", sdk="Node.js")
api_key_deleted = project.ApiKeyDeleted(key_id="backend")
platform_added = project.PlatformAdded(platform_id="web", kind="web", name="The website", identifier="*.example.org")
platform_changed = project.PlatformChanged(platform_id="web", name="Our website", identifier="example.org")
platform_removed = project.PlatformRemoved(platform_id="web")
details_forgotten = project.DetailsForgotten(kind="origins", before="2026-01-31")
policy_changed = project.PolicyChanged(policy="session_limit", settings={"total": 5})
service_switched = project.ServiceSwitched(service="teams", enabled=False)
protocol_switched = project.ProtocolSwitched(protocol="websocket", enabled=False)
auth_method_switched = project.AuthMethodSwitched(method="anonymous", enabled=False)
mock_phone_added = project.MockPhoneAdded(number="+4930901822", otp="123456")
mock_phone_changed = project.MockPhoneChanged(number="+4930901822", otp="654321")
mock_phone_removed = project.MockPhoneRemoved(number="+4930901822")
provider_configured = project.ProviderConfigured(
    provider="google",
    enabled=True,
    client_id="client",
    native_enabled=True,
    native_client_ids=("app",),
    settings={"client_secret": "their-secret"},
)

smtp_configured = project.SmtpConfigured(
    enabled=True,
    host="smtp.example.org",
    port=465,
    security="ssl",
    username="mailer",
    password="their-smtp-password",
    sender_name="The Shop",
    sender_email="shop@example.org",
    reply_to_name="The Desk",
    reply_to_email="desk@example.org",
)
smtp_tested = project.SmtpTested(recipients=2)
email_template_changed = project.EmailTemplateChanged(
    template="recovery",
    locale="de",
    subject="Passwort vergessen?",
    message="<p>{{user}}: {{redirect}}</p>",
    sender_name="Der Laden",
    sender_email="laden@example.org",
    reply_to_name="Die Theke",
    reply_to_email="theke@example.org",
)
webhook_added = project.WebhookAdded(
    webhook_id="crm",
    name="The CRM",
    url="https://crm.example.org/hook?token=their-token",
    events=("users.*", "teams.*.memberships.*.create"),
    secret="their-webhook-secret",
    position=41,
    enabled=True,
    tls=True,
    auth_username="accounts",
    auth_password="their-webhook-password",
    format="appwrite",
)
webhook_changed = project.WebhookChanged(
    webhook_id="crm",
    name="The new CRM",
    url="https://crm.example.com/hook",
    events=("users.*.create",),
    enabled=False,
    tls=False,
    auth_username="accounts",
    auth_password="their-other-password",
    format="cloudevents-structured",
)
webhook_secret_rotated = project.WebhookSecretRotated(webhook_id="crm", secret="their-next-webhook-secret")
webhook_rewound = project.WebhookRewound(webhook_id="crm", position=7)
webhook_disabled = project.WebhookDisabled(webhook_id="crm", attempts=10)
webhook_removed = project.WebhookRemoved(webhook_id="crm")

# Resource -------------------------------------------------------------------------------------------------------------

resource_protected = resource.ResourceProtected(
    resource_type="notes", resource_id="note-of-walter", permissions=('read("users/verified")', 'update("user:walter")')
)
permissions_replaced = resource.PermissionsReplaced(permissions=('read("team:crew/owner")',))
resource_released = resource.ResourceReleased()

# Security -------------------------------------------------------------------------------------------------------------

sign_in_refused = security.SignInRefused(
    method="email", reason="user_invalid_credentials", identifier="walter@example.org", account="account-1"
)
access_denied = security.AccessDenied(operation="users.list", reason="general_unauthorized_scope")
refusals_counted = security.RefusalsCounted(kind="sign_in", count=1000)
audit_read = security.AuditRead(attributes=("userId", "time"), question="5f2a", count=25, about="account-1")
audit_exported = security.AuditExported(format="csv", attributes=("event",), question="77ab", after=1000, until=4000)
audit_reads_counted = security.AuditReadsCounted(count=40)

EXAMPLES: Final[tuple[Event, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Event))

EXAMPLE_OF: Final[Mapping[type[Event], Event]] = {type(example): example for example in EXAMPLES}
