"""The facts of an account. Storage format: read `accounts_es.domain.event` before you change a line."""

from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from accounts_es.domain.event import Event, JSONObject, Personal

TokenPurpose: TypeAlias = Literal[
    "magic-url",
    "email-otp",
    "phone",
    "custom",
    "oauth2",
    "recovery",
    "recovery-otp",
    "verification",
    "verification-otp",
]
"""What a one-time secret is for. ``phone`` signs in and verifies alike (contract: account, 1.7)."""

Factor: TypeAlias = Literal["totp", "email", "phone", "recoveryCode", "custom"]
"""What a second factor can be."""


ErasureReason: TypeAlias = Literal["request", "retention", "restored"]
"""Why somebody is erased: it was asked for, it was time, or a backup brought back who had been erased before."""


class SignedUp(Event, topic="account.signed_up"):
    """An account came to be: by its owner, anonymously, or by a server."""

    account_id: Personal[str]
    email: Personal[str | None] = None
    phone: Personal[str | None] = None
    name: Personal[str] = ""
    password_hash: Personal[str | None] = None


class EmailChanged(Event, topic="account.email_changed"):
    """The account has another e-mail address, or none; it is not verified yet."""

    email: Personal[str | None]


class PhoneChanged(Event, topic="account.phone_changed"):
    """The account has another phone number, or none; it is not verified yet."""

    phone: Personal[str | None]


class PasswordChanged(Event, topic="account.password_changed"):
    """The account opens with another password, or with none any more."""

    password_hash: Personal[str | None]


class PasswordRevoked(Event, topic="account.password_revoked"):
    """The password somebody chose before the address was proved opens nothing; the owner chooses one without it."""


class PasswordRehashed(Event, topic="account.password_rehashed"):
    """The same password under a stronger hash, after a sign-in that showed it."""

    password_hash: Personal[str | None]


class AccountBlocked(Event, topic="account.blocked"):
    """The account may do nothing until it is unblocked; its sessions stay."""


class AccountUnblocked(Event, topic="account.unblocked"):
    """The account may act again."""


class TargetAdded(Event, topic="account.target_added", version=2):
    """The account can be reached at an address. ``provider_type`` is email, sms or push.

    A push target belongs to the session of its device and ends with it.
    """

    upcasters = {1: lambda fields: {**fields, "name": "", "provider_id": None, "session_id": None}}  # noqa: RUF012

    target_id: str
    provider_type: str
    identifier: Personal[str]
    name: Personal[str] = ""
    provider_id: str | None = None
    session_id: str | None = None


class TargetChanged(Event, topic="account.target_changed"):
    """A target has another address, name or provider; all three as they are now."""

    target_id: str
    identifier: Personal[str]
    name: Personal[str] = ""
    provider_id: str | None = None


class TargetRemoved(Event, topic="account.target_removed"):
    """The account is not reached at this target any more."""

    target_id: str


class SessionCreated(Event, topic="account.session_created", version=2):
    """Somebody signed in. ``secret_hash`` is the SHA-256 (hex) of the secret only the client holds.

    The provider's tokens are those of the identity the session came from, if it came from one.
    """

    upcasters = {  # noqa: RUF012
        1: lambda fields: {
            **fields,
            "provider_access_token": "",
            "provider_refresh_token": "",
            "provider_access_token_expires_at": None,
        }
    }

    session_id: str
    secret_hash: str
    provider: str
    provider_uid: Personal[str] = ""
    factors: tuple[str, ...]
    expires_at: datetime
    provider_access_token: Personal[str] = ""
    provider_refresh_token: Personal[str] = ""
    provider_access_token_expires_at: datetime | None = None


class SessionExtended(Event, topic="account.session_extended"):
    """A session is good for longer."""

    session_id: str
    expires_at: datetime


class SessionTokensRenewed(Event, topic="account.session_tokens_renewed"):
    """The provider a session came from gave newer tokens for it."""

    session_id: str
    access_token: Personal[str]
    refresh_token: Personal[str] = ""
    access_token_expires_at: datetime | None = None


class SessionDeleted(Event, topic="account.session_deleted"):
    """A session ended before its time: signed out, revoked, or pushed out by newer ones."""

    session_id: str
    reason: str


class NameChanged(Event, topic="account.name_changed"):
    """The account is called something else."""

    name: Personal[str]


class PrefsUpdated(Event, topic="account.prefs_updated"):
    """The preferences were replaced as a whole."""

    prefs: Personal[JSONObject]


class LabelAdded(Event, topic="account.label_added"):
    """A server gave the account a label, at the end of its list."""

    label: str


class LabelRemoved(Event, topic="account.label_removed"):
    """A server took a label away."""

    label: str


class VerifiedEmail(Event, topic="account.verified_email"):
    """The e-mail address is known to belong to the account."""


class VerifiedPhone(Event, topic="account.verified_phone"):
    """The phone number is known to belong to the account."""


class PhoneVerificationRevoked(Event, topic="account.phone_verification_revoked"):
    """The phone number no longer counts as verified."""


class TokenIssued(Event, topic="account.token_issued"):
    """A one-time secret was made for the account. ``secret_hash`` is a keyed digest: the secret itself may be short."""

    token_id: str
    purpose: TokenPurpose
    secret_hash: str
    expires_at: datetime


class TokenRedeemed(Event, topic="account.token_redeemed"):
    """A one-time secret was shown, and is good for nothing any more."""

    token_id: str


class MfaSwitchedOn(Event, topic="account.mfa_switched_on"):
    """Sessions need a second factor from now on, if the account has one."""


class MfaSwitchedOff(Event, topic="account.mfa_switched_off"):
    """One factor is enough again."""


class AuthenticatorAdded(Event, topic="account.authenticator_added"):
    """The seed of time-based codes (RFC 6238) was made, base32; it counts once a code has shown that it arrived."""

    secret: Personal[str]


class AuthenticatorVerified(Event, topic="account.authenticator_verified"):
    """A code of the authenticator was shown. ``step`` is its number since the epoch, in steps of 30 seconds."""

    step: int


class AuthenticatorRemoved(Event, topic="account.authenticator_removed"):
    """The authenticator counts no more."""


class AuthenticatorUsed(Event, topic="account.authenticator_used"):
    """A code was shown: it and all before it are spent (RFC 6238, 5.2)."""

    step: int


class RecoveryCodesGenerated(Event, topic="account.recovery_codes_generated"):
    """The account has these recovery codes and no others."""

    codes: Personal[tuple[str, ...]]


class RecoveryCodeUsed(Event, topic="account.recovery_code_used"):
    """One of the recovery codes, by its place in the list as generated, is spent."""

    number: int


class ChallengeCreated(Event, topic="account.challenge_created"):
    """A second factor is asked for. ``code_hash`` is the keyed digest of the code sent, empty when none is."""

    challenge_id: str
    factor: Factor
    code_hash: str = ""
    code: Personal[str] = ""
    expires_at: datetime


class ChallengePassed(Event, topic="account.challenge_passed"):
    """The factor was shown: the session has it now."""

    challenge_id: str
    session_id: str
    factor: Factor


class SessionFactorAdded(Event, topic="account.session_factor_added"):
    """A session has a factor that was shown elsewhere."""

    session_id: str
    factor: Factor


class IdentityLinked(Event, topic="account.identity_linked", version=2):
    """Whoever signs in at this provider with this id is this account. Linked again: the provider's newest tokens.

    ``provider_email_verified``: the provider says that the address is theirs.
    """

    upcasters = {1: lambda fields: {**fields, "provider_email_verified": False}}  # noqa: RUF012

    identity_id: str
    provider: str
    provider_uid: Personal[str]
    provider_email: Personal[str] = ""
    provider_email_verified: bool = False
    access_token: Personal[str] = ""
    refresh_token: Personal[str] = ""
    access_token_expires_at: datetime | None = None


class IdentityRemoved(Event, topic="account.identity_removed"):
    """The provider's id no longer opens this account."""

    identity_id: str


class ImpersonatorAppointed(Event, topic="account.impersonator_appointed"):
    """The account may act as others."""


class ImpersonatorDismissed(Event, topic="account.impersonator_dismissed"):
    """The account may act as itself only."""


class EmailVerificationRevoked(Event, topic="account.email_verification_revoked"):
    """The e-mail address no longer counts as verified."""


class Accessed(Event, topic="account.accessed"):
    """The account was used; recorded at most once in 24 hours."""


class AccountDeleted(Event, topic="account.deleted"):
    """The account is gone, with its sessions, targets and claims."""


class LegalHoldPlaced(Event, topic="account.legal_hold_placed"):
    """Somebody must be able to show what is known of the account: nothing erases it until the hold is lifted."""

    reason: Personal[str] = ""


class LegalHoldLifted(Event, topic="account.legal_hold_lifted"):
    """The account may be erased again."""


class AccountErased(Event, topic="account.erased"):
    """The key of the account is destroyed with this event: what was sealed under it is gone, and nothing follows.

    ``reason`` is one of ours: who asked is in the metadata.
    """

    destroys: ClassVar[bool] = True
    erases: ClassVar[bool] = True

    reason: ErasureReason


AccountEvent: TypeAlias = (
    SignedUp
    | EmailChanged
    | PhoneChanged
    | PasswordChanged
    | PasswordRevoked
    | PasswordRehashed
    | AccountBlocked
    | AccountUnblocked
    | TargetAdded
    | TargetChanged
    | TargetRemoved
    | SessionCreated
    | SessionExtended
    | SessionTokensRenewed
    | SessionDeleted
    | NameChanged
    | PrefsUpdated
    | LabelAdded
    | LabelRemoved
    | VerifiedEmail
    | VerifiedPhone
    | PhoneVerificationRevoked
    | TokenIssued
    | TokenRedeemed
    | MfaSwitchedOn
    | MfaSwitchedOff
    | AuthenticatorAdded
    | AuthenticatorVerified
    | AuthenticatorRemoved
    | AuthenticatorUsed
    | RecoveryCodesGenerated
    | RecoveryCodeUsed
    | ChallengeCreated
    | ChallengePassed
    | SessionFactorAdded
    | IdentityLinked
    | IdentityRemoved
    | ImpersonatorAppointed
    | ImpersonatorDismissed
    | EmailVerificationRevoked
    | Accessed
    | AccountDeleted
    | LegalHoldPlaced
    | LegalHoldLifted
    | AccountErased
)
