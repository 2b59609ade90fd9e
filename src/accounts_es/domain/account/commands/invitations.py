"""What an accepted invitation means for the account that was invited."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_active
from accounts_es.domain.account.commands.proof import is_taken_over, prove_email
from accounts_es.domain.account.commands.sessions import create_session
from accounts_es.domain.account.events import AccountEvent, VerifiedPhone
from accounts_es.domain.errors import TeamInvalidSecret
from accounts_es.domain.values import MAX_SESSIONS


def follow_invitation(
    account: Account,
    *,
    way: Literal["email", "phone"],
    address: str,
    session_id: str | None = None,
    secret_hash: str = "",
    expires_at: datetime | None = None,
    limit: int = MAX_SESSIONS,
    evict: bool = True,
) -> Iterator[AccountEvent]:
    """Verify the address the invitation was sent to, and open a session unless there is one.

    ``evict`` as in `prove_email`, unless there is one.

    Raises `TeamInvalidSecret` when the account has another address by now, and `UserBlocked`.
    """
    ensure_active(account)
    if address != (account.email if way == "email" else account.phone):
        raise TeamInvalidSecret
    evict = evict and session_id is not None
    if way == "email":
        yield from prove_email(account, evict=evict)
    if way == "phone" and not account.phone_verified:
        yield VerifiedPhone()
    if session_id is not None and expires_at is not None:
        alone = way == "email" and evict and is_taken_over(account)
        yield from create_session(
            account._replace(sessions={}) if alone else account,
            session_id=session_id,
            secret_hash=secret_hash,
            provider=way,
            provider_uid=address,
            factors=(way,),
            expires_at=expires_at,
            limit=limit,
        )
