"""What a server decides about an account."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_exists
from accounts_es.domain.account.events import (
    AccountBlocked,
    AccountDeleted,
    AccountEvent,
    AccountUnblocked,
    EmailVerificationRevoked,
    ImpersonatorAppointed,
    ImpersonatorDismissed,
    LabelAdded,
    LabelRemoved,
    PhoneVerificationRevoked,
    VerifiedEmail,
    VerifiedPhone,
)


def replace_labels(account: Account, *, labels: Sequence[str]) -> Iterator[AccountEvent]:
    """Give the account exactly these labels, in this order, repeated ones once."""
    ensure_exists(account)
    wanted = tuple(dict.fromkeys(labels))
    kept = [have for have in account.labels if have in wanted]
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(kept, wanted, strict=False)))
    # Additions go to the end of the list, so whatever stands behind the first difference is taken off first.
    for label in account.labels:
        if label not in wanted[:same]:
            yield LabelRemoved(label=label)
    for label in wanted[same:]:
        yield LabelAdded(label=label)


def set_email_verification(account: Account, *, verified: bool) -> Iterator[AccountEvent]:
    """Say whether the e-mail address counts as verified."""
    ensure_exists(account)
    if verified and not account.email_verified:
        yield VerifiedEmail()
    if not verified and account.email_verified:
        yield EmailVerificationRevoked()


def set_phone_verification(account: Account, *, verified: bool) -> Iterator[AccountEvent]:
    """Say whether the phone number counts as verified."""
    ensure_exists(account)
    if verified and not account.phone_verified:
        yield VerifiedPhone()
    if not verified and account.phone_verified:
        yield PhoneVerificationRevoked()


def set_active(account: Account, *, active: bool) -> Iterator[AccountEvent]:
    """Block or unblock the account; its sessions stay."""
    ensure_exists(account)
    if active and not account.active:
        yield AccountUnblocked()
    if not active and account.active:
        yield AccountBlocked()


def set_impersonator(account: Account, *, impersonator: bool) -> Iterator[AccountEvent]:
    """Say whether the account may act as others."""
    ensure_exists(account)
    if impersonator and not account.impersonator:
        yield ImpersonatorAppointed()
    if not impersonator and account.impersonator:
        yield ImpersonatorDismissed()


def delete_account(account: Account) -> Iterator[AccountEvent]:
    """End the account; its id, e-mail and phone are free again."""
    ensure_exists(account)
    yield AccountDeleted()
