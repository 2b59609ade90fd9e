"""Second factors: authenticators, recovery codes, challenges (contract: account, 2.12)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_exists, session_of
from accounts_es.domain.account.events import (
    AccountEvent,
    AuthenticatorAdded,
    AuthenticatorRemoved,
    AuthenticatorUsed,
    AuthenticatorVerified,
    ChallengeCreated,
    ChallengePassed,
    Factor,
    MfaSwitchedOff,
    MfaSwitchedOn,
    RecoveryCodesGenerated,
    RecoveryCodeUsed,
    SessionFactorAdded,
)
from accounts_es.domain.errors import (
    UserAuthenticatorAlreadyVerified,
    UserAuthenticatorNotFound,
    UserChallengeRequired,
    UserEmailNotFound,
    UserEmailNotVerified,
    UserInvalidToken,
    UserPhoneNotFound,
    UserPhoneNotVerified,
    UserRecoveryCodesAlreadyExists,
    UserRecoveryCodesNotFound,
)

FRESH: Final = timedelta(minutes=30)
"""Contract 1.4: how long a shown factor counts as recent."""


def verified_factors(account: Account) -> tuple[Factor, ...]:
    """The factors a session could be asked for."""
    factors: Mapping[Factor, bool] = {
        "totp": account.authenticator is not None and account.authenticator.verified,
        "email": bool(account.email) and account.email_verified,
        "phone": bool(account.phone) and account.phone_verified,
    }
    return tuple(factor for factor, there in factors.items() if there)


def ensure_fresh(account: Account, session_id: str | None, now: datetime) -> None:
    """Raises `UserChallengeRequired` unless the session showed a second factor recently."""
    session = account.sessions.get(session_id) if session_id is not None else None
    shown = session.factor_shown_at if session is not None else None
    if shown is None or now - shown > FRESH:
        raise UserChallengeRequired


def switch_mfa(account: Account, *, on: bool, session_id: str | None = None) -> Iterator[AccountEvent]:
    """Ask for two factors or for one. The session that switches it on keeps what is verified, and so stays in."""
    ensure_exists(account)
    if on and not account.mfa:
        yield MfaSwitchedOn()
        session = account.sessions.get(session_id) if session_id is not None else None
        if session is not None:
            for factor in verified_factors(account):
                if factor not in session.factors:
                    yield SessionFactorAdded(session_id=session.session_id, factor=factor)
    if not on and account.mfa:
        yield MfaSwitchedOff()


def add_authenticator(account: Account, *, secret: str) -> Iterator[AccountEvent]:
    """Begin with an authenticator, in place of one that was never verified."""
    ensure_exists(account)
    if account.authenticator is not None and account.authenticator.verified:
        raise UserAuthenticatorAlreadyVerified
    yield AuthenticatorAdded(secret=secret)


def verify_authenticator(account: Account, *, steps: Sequence[int], session_id: str) -> Iterator[AccountEvent]:
    """Show the first code. ``steps`` are the time steps whose code it is, of those that count now."""
    ensure_exists(account)
    if account.authenticator is None:
        raise UserAuthenticatorNotFound
    if account.authenticator.verified:
        raise UserAuthenticatorAlreadyVerified
    yield AuthenticatorVerified(step=_unspent(account, steps))
    session = session_of(account, session_id)
    if "totp" not in session.factors:
        yield SessionFactorAdded(session_id=session_id, factor="totp")


def remove_authenticator(
    account: Account, *, now: datetime, session_id: str | None = None, by_owner: bool = True
) -> Iterator[AccountEvent]:
    """Do without the authenticator; an owner shows a second factor first (ASVS V6.4.3)."""
    ensure_exists(account)
    if by_owner:
        ensure_fresh(account, session_id, now)
    if account.authenticator is None:
        raise UserAuthenticatorNotFound
    yield AuthenticatorRemoved()


def generate_recovery_codes(account: Account, *, codes: Sequence[str]) -> Iterator[AccountEvent]:
    """Make the first recovery codes, or others when all are spent."""
    ensure_exists(account)
    if account.recovery_codes_left:
        raise UserRecoveryCodesAlreadyExists
    yield RecoveryCodesGenerated(codes=tuple(codes))


def regenerate_recovery_codes(
    account: Account, *, codes: Sequence[str], now: datetime, session_id: str | None = None, by_owner: bool = True
) -> Iterator[AccountEvent]:
    """Make other recovery codes; the old ones are good for nothing any more."""
    ensure_exists(account)
    if by_owner:
        ensure_fresh(account, session_id, now)
    if not account.recovery_codes_left:
        raise UserRecoveryCodesNotFound
    yield RecoveryCodesGenerated(codes=tuple(codes))


def create_challenge(
    account: Account,
    *,
    challenge_id: str,
    factor: Factor,
    expires_at: datetime,
    code_hash: str = "",
    code: str = "",
    sent_to: str | None = None,
) -> Iterator[AccountEvent]:
    """Ask for a second factor. ``code`` is only kept (sealed) where a server delivers it: for the factor custom.

    A code sent to an address that is another by now counts as sent to none.
    """
    ensure_exists(account)
    if factor == "email":
        if not account.email or sent_to not in {None, account.email}:
            raise UserEmailNotFound
        if not account.email_verified:
            raise UserEmailNotVerified
    if factor == "phone":
        if not account.phone or sent_to not in {None, account.phone}:
            raise UserPhoneNotFound
        if not account.phone_verified:
            raise UserPhoneNotVerified
    yield ChallengeCreated(
        challenge_id=challenge_id, factor=factor, code_hash=code_hash, code=code, expires_at=expires_at
    )


def pass_challenge(
    account: Account,
    *,
    challenge_id: str,
    session_id: str,
    now: datetime,
    code_hash: str = "",
    steps: Sequence[int] = (),
    recovery_code: str = "",
) -> Iterator[AccountEvent]:
    """Show a second factor. A wrong answer leaves the challenge open; a right one is spent with it.

    ``code_hash`` answers what was sent, ``steps`` (the time steps whose code was shown) the authenticator,
    ``recovery_code`` itself. Raises `UserInvalidToken`.
    """
    ensure_exists(account)
    challenge = account.challenges.get(challenge_id)
    if challenge is None or challenge.expires_at <= now:
        raise UserInvalidToken
    match challenge.factor:
        case "totp":
            if account.authenticator is None or not account.authenticator.verified:
                raise UserInvalidToken
            yield AuthenticatorUsed(step=_unspent(account, steps))
        case "recoveryCode":
            unspent = [
                nth
                for nth, code in enumerate(account.recovery_codes)
                if code == recovery_code and nth not in account.recovery_codes_used
            ]
            if not unspent:
                raise UserInvalidToken
            yield RecoveryCodeUsed(number=unspent[0])
        case _:
            if not challenge.code_hash or challenge.code_hash != code_hash:
                raise UserInvalidToken
    session_of(account, session_id)
    yield ChallengePassed(challenge_id=challenge_id, session_id=session_id, factor=challenge.factor)


def _unspent(account: Account, steps: Sequence[int]) -> int:
    used = account.authenticator.used_step if account.authenticator is not None else 0
    later = [step for step in steps if step > used]
    if not later:
        raise UserInvalidToken
    return max(later)
