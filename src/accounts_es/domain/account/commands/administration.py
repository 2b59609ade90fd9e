"""What a server decides about an account."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_exists
from accounts_es.domain.account.events import (
    AccountDeleted,
    AccountEvent,
    EmailVerificationRevoked,
    LabelAdded,
    LabelRemoved,
    VerifiedEmail,
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


def delete_account(account: Account) -> Iterator[AccountEvent]:
    """End the account; its id, e-mail and phone are free again."""
    ensure_exists(account)
    yield AccountDeleted()
