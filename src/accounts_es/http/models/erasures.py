"""Erasures and legal holds on the wire."""

from typing_extensions import TypedDict

from accounts_es.eventstore.certificates import facts
from accounts_es.http.models.dates import date
from projections.people import PersonRow


class Erasure(TypedDict):
    """A person who is erased, and the signed certificate that says so."""

    subject: str
    erasedAt: str
    keyFingerprint: str
    events: int
    positions: str
    checkpoint: str
    certificate: str


class Hold(TypedDict):
    """Whether a legal hold keeps a person from being erased, and since when."""

    userId: str
    held: bool
    since: str | None
    deletedAt: str | None


def erasure(certificate: str, origin: str, public: bytes) -> Erasure:
    """What a certificate says, and itself."""
    said = facts(certificate, origin, public)
    return {
        "subject": said["subject"],
        "erasedAt": said["erased"],
        "keyFingerprint": said["key"],
        "events": int(said["events"]),
        "positions": said["positions"],
        "checkpoint": said["checkpoint"],
        "certificate": certificate,
    }


def hold(row: PersonRow) -> Hold:
    """The hold on somebody."""
    return {
        "userId": row.account_id,
        "held": row.held_since is not None,
        "since": date(row.held_since) if row.held_since is not None else None,
        "deletedAt": date(row.deleted_at) if row.deleted_at is not None else None,
    }
