"""What becomes of an account whose address is proved for the first time (docs/decisions/0015)."""

from collections.abc import Iterator

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.credentials import move_target
from accounts_es.domain.account.commands.mfa import verified_factors
from accounts_es.domain.account.events import (
    AccountEvent,
    AuthenticatorRemoved,
    IdentityRemoved,
    MfaSwitchedOff,
    PasswordRevoked,
    PhoneChanged,
    RecoveryCodesGenerated,
    SessionDeleted,
    VerifiedEmail,
)


def prove_email(account: Account, *, evict: bool, end_sessions: bool = True) -> Iterator[AccountEvent]:
    """Verify the address of somebody who is let in by a mail; ``evict`` ends all other ways in, if it was not verified.

    Until then anybody could have made the account in the name of the address, and waited for its owner to come.
    """
    if evict and is_taken_over(account):
        yield from _evict(account, end_sessions=end_sessions)
    if not account.email_verified:
        yield VerifiedEmail()


def is_taken_over(account: Account) -> bool:
    """Whether who is let in by a mail cannot know who made the account.

    Where a second factor is asked for, whoever merely reads the mail is not let in.
    """
    return not account.email_verified and not (account.mfa and verified_factors(account))


def _evict(account: Account, *, end_sessions: bool) -> Iterator[AccountEvent]:
    if account.password_hash is not None:
        yield PasswordRevoked()
    for session_id in account.sessions if end_sessions else ():
        yield SessionDeleted(session_id=session_id, reason="address_proved")
    for identity in account.identities.values():
        if not (identity.provider_email == account.email and identity.provider_email_verified):
            yield IdentityRemoved(identity_id=identity.identity_id)
    if account.phone:
        yield PhoneChanged(phone=None)
        yield from move_target(account, "sms", account.phone, None, "")
    if account.mfa:
        yield MfaSwitchedOff()
    if account.authenticator is not None:
        yield AuthenticatorRemoved()
    if account.recovery_codes:
        yield RecoveryCodesGenerated(codes=())
