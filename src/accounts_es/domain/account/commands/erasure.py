"""What keeps a person from being erased, and the erasure."""

from collections.abc import Iterator

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.events import (
    AccountDeleted,
    AccountErased,
    AccountEvent,
    ErasureReason,
    LegalHoldLifted,
    LegalHoldPlaced,
)
from accounts_es.domain.errors import UserErased, UserNotFound, UserUnderLegalHold


def place_hold(account: Account, *, reason: str) -> Iterator[AccountEvent]:
    """Keep the account, deleted or not, from being erased."""
    _ensure_known(account)
    if not account.held:
        yield LegalHoldPlaced(reason=reason)


def lift_hold(account: Account) -> Iterator[AccountEvent]:
    """Let the account be erased again."""
    _ensure_known(account)
    if account.held:
        yield LegalHoldLifted()


def erase(account: Account, *, reason: ErasureReason) -> Iterator[AccountEvent]:
    """Delete the account, unless it is, and destroy its key.

    Raises `UserUnderLegalHold`: except for who was erased already, before an older backup was put in place. Retention
    erases who is deleted: `UserNotFound` for who came back since it looked.
    """
    _ensure_known(account)
    if account.held and reason != "restored":
        raise UserUnderLegalHold
    if account.exists and reason == "retention":
        raise UserNotFound
    if account.exists:
        yield AccountDeleted()
    yield AccountErased(reason=reason)


def _ensure_known(account: Account) -> None:
    if account.erased:
        raise UserErased
    if not (account.exists or account.deleted):
        raise UserNotFound
