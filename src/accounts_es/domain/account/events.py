"""The facts of an account. Storage format: read `accounts_es.domain.event` before you change a line."""

from datetime import datetime
from typing import TypeAlias

from accounts_es.domain.event import Event, JSONObject, Personal


class SignedUp(Event, topic="account.signed_up"):
    """An account came to be: by its owner, anonymously, or by a server."""

    account_id: Personal[str]
    email: Personal[str | None] = None
    phone: Personal[str | None] = None
    name: Personal[str] = ""
    password_hash: Personal[str | None] = None


class TargetAdded(Event, topic="account.target_added"):
    """The account can be reached at an address. ``provider_type`` is email, sms or push."""

    target_id: str
    provider_type: str
    identifier: Personal[str]


class SessionCreated(Event, topic="account.session_created"):
    """Somebody signed in. ``secret_hash`` is the SHA-256 (hex) of the secret only the client holds."""

    session_id: str
    secret_hash: str
    provider: str
    provider_uid: Personal[str] = ""
    factors: tuple[str, ...]
    expires_at: datetime


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


class EmailVerificationRevoked(Event, topic="account.email_verification_revoked"):
    """The e-mail address no longer counts as verified."""


class Accessed(Event, topic="account.accessed"):
    """The account was used; recorded at most once in 24 hours."""


class AccountDeleted(Event, topic="account.deleted"):
    """The account is gone, with its sessions, targets and claims."""


AccountEvent: TypeAlias = (
    SignedUp
    | TargetAdded
    | SessionCreated
    | SessionDeleted
    | NameChanged
    | PrefsUpdated
    | LabelAdded
    | LabelRemoved
    | VerifiedEmail
    | EmailVerificationRevoked
    | Accessed
    | AccountDeleted
)
