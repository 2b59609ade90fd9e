"""The facts of security streams. Storage format: read `accounts_es.domain.event` before you change a line."""

from typing import ClassVar, TypeAlias

from accounts_es.domain.event import Event, Personal


class SignInRefused(Event, topic="security.sign_in_refused"):
    """Somebody could not sign in. ``account`` is the stream aimed at, empty when there is none."""

    whose: ClassVar[str] = "account"

    method: str
    reason: str
    identifier: Personal[str] = ""
    account: str = ""


class AccessDenied(Event, topic="security.access_denied"):
    """A caller with credentials asked for something it may not have."""

    operation: str
    reason: str


class RefusalsCounted(Event, topic="security.refusals_counted"):
    """How many more refusals of one kind there were within a minute, past those recorded one by one."""

    kind: str
    count: int


class AuditRead(Event, topic="security.audit_read"):
    """Somebody looked at what happened. Which values were asked for is not kept: equal ones have the same ``question``,
    a keyed digest.

    ``about`` is the stream whose history it was, where it was that of one.
    """

    attributes: tuple[str, ...] = ()
    question: str = ""
    count: int
    about: str = ""


class AuditExported(Event, topic="security.audit_exported"):
    """Somebody began to take the events between two positions away."""

    format: str
    attributes: tuple[str, ...] = ()
    question: str = ""
    after: int
    until: int


class AuditReadsCounted(Event, topic="security.audit_reads_counted"):
    """How many more reads of the audit there were within a minute, past those recorded one by one."""

    count: int


SecurityEvent: TypeAlias = (
    SignInRefused | AccessDenied | RefusalsCounted | AuditRead | AuditExported | AuditReadsCounted
)
