"""What opens an account: its addresses and its password."""

from collections.abc import Iterator, Sequence

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_checked, ensure_exists
from accounts_es.domain.account.events import (
    AccountEvent,
    EmailChanged,
    PasswordChanged,
    PasswordRehashed,
    PhoneChanged,
    SessionDeleted,
    TargetAdded,
    TargetChanged,
    TargetRemoved,
)
from accounts_es.domain.errors import PasswordRecentlyUsed, UserInvalidCredentials


def change_email(
    account: Account,
    *,
    email: str | None,
    target_id: str,
    checked_password_hash: str | None = None,
    new_password_hash: str | None = None,
    by_owner: bool = False,
) -> Iterator[AccountEvent]:
    """Give the account another e-mail address, or none, and its target with it.

    An owner shows the password; where there is none yet, the one given becomes it (contract: account, 2.1 and 4).
    """
    ensure_exists(account)
    yield from _owner_shows_password(account, checked_password_hash, new_password_hash, by_owner=by_owner)
    if email != account.email:
        yield EmailChanged(email=email)
        yield from move_target(account, "email", account.email, email, target_id)


def change_phone(
    account: Account,
    *,
    phone: str | None,
    target_id: str,
    checked_password_hash: str | None = None,
    new_password_hash: str | None = None,
    by_owner: bool = False,
) -> Iterator[AccountEvent]:
    """Give the account another phone number, or none, and its target with it; the password as in `change_email`."""
    ensure_exists(account)
    yield from _owner_shows_password(account, checked_password_hash, new_password_hash, by_owner=by_owner)
    if phone != account.phone:
        yield PhoneChanged(phone=phone)
        yield from move_target(account, "sms", account.phone, phone, target_id)


def change_password(
    account: Account,
    *,
    password_hash: str | None,
    history: Sequence[str] = (),
    history_length: int = 0,
    checked_password_hash: str | None = None,
    by_owner: bool = False,
    keep_session: str | None = None,
    end_sessions: bool = False,
) -> Iterator[AccountEvent]:
    """Open the account with another password from now on.

    ``history`` are the hashes the new password was checked against and does not match: if the account has others by
    now (of its last ``history_length``), the check is void and `PasswordRecentlyUsed` is raised. An owner who ever
    chose a password shows it; ``end_sessions`` ends all sessions but ``keep_session``.
    """
    ensure_exists(account)
    if by_owner and account.password_chosen:
        ensure_checked(account, checked_password_hash)
        if account.password_hash is None:
            raise UserInvalidCredentials
    yield from new_password(account, password_hash=password_hash, history=history, history_length=history_length)
    if end_sessions:
        yield from end_other_sessions(account, keep_session)


def new_password(
    account: Account, *, password_hash: str | None, history: Sequence[str], history_length: int
) -> Iterator[AccountEvent]:
    """The password itself. Raises `PasswordRecentlyUsed` when the history is not the one that was checked."""
    remembered = account.passwords[-history_length:] if history_length else ()
    if not set(remembered) <= set(history):
        raise PasswordRecentlyUsed
    yield PasswordChanged(password_hash=password_hash)


def end_other_sessions(account: Account, keep_session: str | None) -> Iterator[AccountEvent]:
    """End the sessions that came from the old password."""
    for session_id in account.sessions:
        if session_id != keep_session:
            yield SessionDeleted(session_id=session_id, reason="password_changed")


def rehash_password(account: Account, *, password_hash: str, checked_password_hash: str) -> Iterator[AccountEvent]:
    """Keep the password under a stronger hash (ASVS V11.4.2). No event if the password changed meanwhile."""
    ensure_exists(account)
    if account.password_hash == checked_password_hash:
        yield PasswordRehashed(password_hash=password_hash)


def _owner_shows_password(
    account: Account, checked: str | None, new_hash: str | None, *, by_owner: bool
) -> Iterator[AccountEvent]:
    if not by_owner:
        return
    if account.password_hash is not None:
        ensure_checked(account, checked)
    elif new_hash is not None:
        yield PasswordChanged(password_hash=new_hash)


def move_target(
    account: Account, provider_type: str, before: str | None, after: str | None, target_id: str
) -> Iterator[AccountEvent]:
    """Let the target of an address follow it."""
    mine = [each for each in account.targets if each.provider_type == provider_type and each.identifier == before]
    if after is None:
        for target in mine:
            yield TargetRemoved(target_id=target.target_id)
    elif mine:
        target = mine[0]
        yield TargetChanged(
            target_id=target.target_id, identifier=after, name=target.name, provider_id=target.provider_id
        )
    elif not any(each.identifier == after for each in account.targets):
        yield TargetAdded(target_id=target_id, provider_type=provider_type, identifier=after)
