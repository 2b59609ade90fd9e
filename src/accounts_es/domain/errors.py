"""Every refusal a caller can meet: the class name is the wire type, the docstring the message.

Types and statuses follow the wire contract (Appwrite 1.9.6, error table); the messages are ours except where
clients compare them.
"""

import re
from typing import ClassVar, Final

_INWARD: Final = frozenset({424, 426})


class Refusal(Exception):  # noqa: N818
    """A request the server understands and does not carry out."""

    status: ClassVar[int] = 400
    wire_type: ClassVar[str]
    wire_status: ClassVar[int] = 400
    """The status clients see: those the contract keeps to itself become 500 (cross-cutting, 5)."""
    message: str

    def __init_subclass__(cls, *, status: int = 400, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.status = status
        cls.wire_status = 500 if status in _INWARD else status
        cls.wire_type = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        super().__init__(self.message)


class GeneralUnknown(Refusal, status=500):
    """Server Error"""


class GeneralArgumentInvalid(Refusal):
    """The request has one or more invalid parameters."""


class GeneralQueryInvalid(Refusal):
    """The query cannot be read or is not allowed here."""


class GeneralCursorNotFound(Refusal):
    """The item the cursor points at does not exist."""


class DatabaseQueryOrderNull(Refusal):
    """A list that goes on from a cursor cannot be ordered by an attribute the cursor's item does not have."""


class GeneralBadRequest(Refusal):
    """The request could not be carried out."""


class GeneralRouteNotFound(Refusal, status=404):
    """There is no such route. Check the path and the method."""


class GeneralUnknownOrigin(Refusal, status=403):
    """This origin is not registered as a platform of the project."""


class GeneralUnauthorizedScope(Refusal, status=401):
    """The caller lacks the scope this route needs."""


class GeneralServiceUnavailable(Refusal, status=503):
    """The server is at its limit. Please try again shortly."""


class GeneralResourceLocked(Refusal, status=409):
    """The resource changed while the request was carried out. Please try again."""


class GeneralIdempotencyKeyReused(Refusal, status=409):
    """This idempotency key belongs to another request, or to one whose answer is not known yet."""


class GeneralInvalidEmail(Refusal):
    """Value must be a valid email address."""


class GeneralInvalidPhone(Refusal):
    """Value must be a valid phone number: a '+' and 7 to 15 digits, beginning with a country calling code."""


class GeneralRateLimitExceeded(Refusal, status=429):
    """Too many requests: the limit of this route is reached. Please try again later."""


class GeneralServiceDisabled(Refusal, status=403):
    """The requested service is disabled for this project."""


class GeneralApiDisabled(Refusal, status=403):
    """The requested API is disabled for this project."""


class GeneralSmtpDisabled(Refusal, status=503):
    """Mail cannot be sent: no SMTP server is configured."""


class GeneralPhoneDisabled(Refusal, status=503):
    """Text messages cannot be sent: no SMS provider is configured."""


class HealthProjectionsBehind(Refusal, status=503):
    """Something that follows the log is behind, or stands still."""


class ProjectNotFound(Refusal, status=404):
    """Project with the requested ID could not be found."""


class ProjectAlreadyExists(Refusal, status=409):
    """A project with this ID exists already."""


class ProjectKeyExpired(Refusal, status=401):
    """The API key has expired."""


class ProjectIdMissing(Refusal, status=403):
    """A request with an API key must name its project in the X-Appwrite-Project header."""


class KeyNotFound(Refusal, status=404):
    """Key with the requested ID could not be found."""


class KeyAlreadyExists(Refusal, status=409):
    """A key with this ID exists already."""


class KeyCreationDenied(Refusal, status=403):
    """A key can only give what it has itself: scopes of its own, and no longer than it is good for."""


class PlatformNotFound(Refusal, status=404):
    """Platform with the requested ID could not be found."""


class PlatformAlreadyExists(Refusal, status=409):
    """A platform with this ID exists already."""


class PlatformMethodUnsupported(Refusal):
    """The platform is of another type: update it by the method of its type."""


class ProjectSmtpConfigInvalid(Refusal):
    """The SMTP settings are not good."""


class UserNotFound(Refusal, status=404):
    """User with the requested ID could not be found."""


class UserErased(Refusal, status=410):
    """The user was erased: nothing is known of them, and nothing can be added."""


class UserUnderLegalHold(Refusal, status=409):
    """The user is under a legal hold and cannot be erased until it is lifted."""


class UserAlreadyExists(Refusal, status=409):
    """A user with the same ID, email, or phone already exists in this project."""


class UserInvalidCredentials(Refusal, status=401):
    """Invalid credentials. Please check the email and password."""


class UserBlocked(Refusal, status=403):
    """The current user has been blocked."""


class UserUnauthorized(Refusal, status=401):
    """The current user is not authorized to perform the requested action."""


class UserSessionAlreadyExists(Refusal, status=401):
    """A session is active already: sign out before creating another."""


class UserSessionNotFound(Refusal, status=404):
    """Session with the requested ID could not be found."""


class UserTargetAlreadyExists(Refusal, status=409):
    """A target with the same ID or identifier already exists."""


class UserTargetNotFound(Refusal, status=404):
    """Target with the requested ID could not be found."""


class UserEmailAlreadyExists(Refusal, status=409):
    """A user with the same email already exists in this project."""


class UserPhoneAlreadyExists(Refusal, status=409):
    """A user with the same phone number already exists in this project."""


class UserEmailNotFound(Refusal):
    """The account has no email address."""


class UserPhoneNotFound(Refusal):
    """The account has no phone number."""


class UserEmailNotVerified(Refusal):
    """The email address of the account is not verified."""


class UserPhoneNotVerified(Refusal):
    """The phone number of the account is not verified."""


class UserEmailAlreadyVerified(Refusal, status=409):
    """The email address of the account is verified already."""


class UserPhoneAlreadyVerified(Refusal, status=409):
    """The phone number of the account is verified already."""


class UserEmailDisposable(Refusal):
    """Email addresses of disposable domains are not allowed in this project."""


class UserEmailFree(Refusal):
    """Email addresses of free providers are not allowed in this project."""


class UserEmailNotCanonical(Refusal):
    """Email addresses must be in their canonical form in this project."""


class UserEmailNotCorporate(Refusal):
    """Only corporate email addresses are allowed in this project."""


class UserCountExceeded(Refusal):
    """The project has reached its limit of users."""


class PasswordRecentlyUsed(Refusal):
    """The password was used before: choose one that is new."""


class PasswordPersonalData(Refusal):
    """The password contains personal data, such as the name, the email address, the phone number or the ID."""


class UserInvalidToken(Refusal, status=401):
    """Invalid token passed in the request."""


class UserJwtInvalid(Refusal, status=401):
    """The JWT is invalid."""


class UserJwtAndCookieSet(Refusal, status=403):
    """A JWT and a session were sent together: send one of them."""


class UserJwtCreationDenied(Refusal, status=403):
    """A JWT cannot be used to create another."""


class UserAuthMethodUnsupported(Refusal, status=501):
    """This way to authenticate is disabled for this project."""


class UserMoreFactorsRequired(Refusal, status=401):
    """More factors are required to complete the sign in process."""


class UserChallengeRequired(Refusal, status=401):
    """A recently passed challenge is required for this."""


class UserAuthenticatorNotFound(Refusal, status=404):
    """The account has no such authenticator."""


class UserAuthenticatorAlreadyVerified(Refusal, status=409):
    """This authenticator is verified already."""


class UserRecoveryCodesNotFound(Refusal, status=404):
    """The account has no recovery codes."""


class UserRecoveryCodesAlreadyExists(Refusal, status=409):
    """The account has recovery codes already: regenerate them to get others."""


class UserIdentityNotFound(Refusal, status=404):
    """Identity with the requested ID could not be found."""


class UserMissingId(Refusal):
    """The provider did not say who this is."""


class UserOauth2ProviderError(Refusal, status=424):
    """The provider returned an error."""


class UserOauth2ProviderFailure(Refusal, status=424):
    """The provider could not be asked, or did not say who this is."""


class ProjectProviderDisabled(Refusal, status=412):
    """This provider is disabled for this project, or not configured."""


class ProjectInvalidSuccessUrl(Refusal):
    """The page to go to after the sign-in is not one of the project's."""


class ProjectInvalidFailureUrl(Refusal):
    """The page to go to after a failed sign-in is not one of the project's."""


class ProjectProviderUnsupported(Refusal):
    """This provider is not supported."""


class MockNumberNotFound(Refusal, status=404):
    """Mock phone with the requested number could not be found."""


class MockNumberAlreadyExists(Refusal, status=409):
    """A mock phone with this number exists already."""


class MockNumberLimitExceeded(Refusal):
    """The project has as many mock phones as it may."""


class WebhookNotFound(Refusal, status=404):
    """Webhook with the requested ID could not be found."""


class WebhookAlreadyExists(Refusal, status=409):
    """A webhook with this ID exists already."""


class WebhookPositionInvalid(Refusal):
    """The log has no such position yet, or nothing happened before that time."""


class TeamNotFound(Refusal, status=404):
    """Team with the requested ID could not be found."""


class TeamAlreadyExists(Refusal, status=409):
    """A team with this ID exists already."""


class TeamInviteNotFound(Refusal, status=404):
    """The requested team invitation could not be found."""


class TeamInvalidSecret(Refusal, status=401):
    """The team invitation secret is invalid. Please request a new invitation and try again."""


class TeamMembershipMismatch(Refusal, status=404):
    """The membership ID does not belong to the team ID."""


class TeamInviteMismatch(Refusal, status=401):
    """The invite does not belong to the current user."""


class MembershipNotFound(Refusal, status=404):
    """Membership with the requested ID could not be found."""


class MembershipAlreadyConfirmed(Refusal, status=409):
    """Membership is already confirmed."""


class ResourceNotFound(Refusal, status=404):
    """Resource with the requested type and ID could not be found."""


class ResourceAlreadyExists(Refusal, status=409):
    """A resource with this type and ID exists already."""


class AccessForbidden(Refusal, status=403):
    """The caller is known, and may not do this."""


class AuditEventNotFound(Refusal, status=404):
    """The project has no event at this position of the log."""


class AuditCheckpointNotFound(Refusal, status=404):
    """The log has not been signed yet. Please try again shortly."""


class RevertTooLarge(Refusal):
    """More than 1,000 events match. Please select fewer, by a shorter time or one person."""
