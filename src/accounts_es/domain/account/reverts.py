"""How the facts of an account are undone."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any, Final

from pydantic_core import from_json, to_json

from accounts_es.domain.account import events
from accounts_es.domain.account.aggregate import ACCOUNT, Account, Identity, Target
from accounts_es.domain.account.events import AccountEvent
from accounts_es.domain.reverts import WHOLE, Irreversible, Kept, Reverts

_WRITE: Final = "users.write"


def _existence(_now: Account, then: Account, _of: str) -> Iterator[AccountEvent]:
    if then.exists:
        yield from _begin_again(then)
    else:
        yield events.AccountDeleted()


def _begin_again(account: Account) -> Iterator[AccountEvent]:
    """The account as it was, from the facts that make one; its sessions and one-time secrets stay ended."""
    yield events.SignedUp(account_id=account.account_id, email=account.email, phone=account.phone, name=account.name)
    for password_hash in account.passwords:
        yield events.PasswordChanged(password_hash=password_hash)
    if account.password_chosen and account.password_hash is None:
        yield events.PasswordChanged(password_hash=None)
    for target in account.targets:
        if target.session_id is None:
            yield events.TargetAdded(**asdict(target))
    if account.email_verified:
        yield events.VerifiedEmail()
    if account.phone_verified:
        yield events.VerifiedPhone()
    for label in account.labels:
        yield events.LabelAdded(label=label)
    if account.prefs:
        yield events.PrefsUpdated(prefs=account.prefs)
    for identity in account.identities.values():
        yield events.IdentityLinked(**asdict(identity))
    if account.authenticator is not None:
        yield events.AuthenticatorAdded(secret=account.authenticator.secret)
        if account.authenticator.verified:
            yield events.AuthenticatorVerified(step=account.authenticator.used_step)
    if account.recovery_codes:
        yield events.RecoveryCodesGenerated(codes=account.recovery_codes)
        for number in sorted(account.recovery_codes_used):
            yield events.RecoveryCodeUsed(number=number)
    if account.mfa:
        yield events.MfaSwitchedOn()
    if account.impersonator:
        yield events.ImpersonatorAppointed()
    if not account.active:
        yield events.AccountBlocked()


def _name(_now: Account, then: Account, _of: str) -> Iterator[AccountEvent]:
    yield events.NameChanged(name=then.name)


def _prefs(_now: Account, then: Account, _of: str) -> Iterator[AccountEvent]:
    yield events.PrefsUpdated(prefs=then.prefs)


def _email(now: Account, then: Account, _of: str) -> Iterator[AccountEvent]:
    """The address, and whether that very one was verified."""
    verified = now.email_verified
    if now.email != then.email:
        yield events.EmailChanged(email=then.email)
        verified = False
    if verified != then.email_verified:
        yield events.VerifiedEmail() if then.email_verified else events.EmailVerificationRevoked()


def _phone(now: Account, then: Account, _of: str) -> Iterator[AccountEvent]:
    """The number, and whether that very one was verified."""
    verified = now.phone_verified
    if now.phone != then.phone:
        yield events.PhoneChanged(phone=then.phone)
        verified = False
    if verified != then.phone_verified:
        yield events.VerifiedPhone() if then.phone_verified else events.PhoneVerificationRevoked()


def _label(_now: Account, then: Account, of: str) -> Iterator[AccountEvent]:
    yield events.LabelAdded(label=of) if of in then.labels else events.LabelRemoved(label=of)


def _switch(
    holds: Callable[[Account], bool], on: Callable[[], AccountEvent], off: Callable[[], AccountEvent]
) -> Kept[Account, AccountEvent]:
    def restore(_now: Account, then: Account, _of: str) -> Iterator[AccountEvent]:
        yield on() if holds(then) else off()

    return Kept(_WRITE, lambda account, _of: holds(account), restore)


def _target_of(account: Account, target_id: str) -> Target | None:
    return next((each for each in account.targets if each.target_id == target_id), None)


def _target(now: Account, then: Account, of: str) -> Iterator[AccountEvent]:
    known, wanted = _target_of(now, of), _target_of(then, of)
    if wanted is None:
        yield events.TargetRemoved(target_id=of)
        return
    if wanted.session_id is not None and wanted.session_id not in now.sessions:
        raise Irreversible("the session of the device has ended")
    if any(each.identifier == wanted.identifier for each in now.targets if each.target_id != of):
        raise Irreversible("another target of the account has this address by now")
    if known is None:
        yield events.TargetAdded(**asdict(wanted))
    else:
        yield events.TargetChanged(
            target_id=of, identifier=wanted.identifier, name=wanted.name, provider_id=wanted.provider_id
        )


def _identity_of(account: Account, identity_id: str) -> Identity | None:
    """Without the provider's tokens: what they open is the provider's to say."""
    known = account.identities.get(identity_id)
    if known is None:
        return None
    return replace(known, access_token="", refresh_token="", access_token_expires_at=None)


def _identity(now: Account, then: Account, of: str) -> Iterator[AccountEvent]:
    known, wanted = now.identities.get(of), then.identities.get(of)
    if wanted is None:
        yield events.IdentityRemoved(identity_id=of)
    elif known is None:
        raise Irreversible("a way in that was closed stays closed: whoever owns the identity links it again")
    else:
        as_it_was: dict[str, Any] = {
            "provider_email": wanted.provider_email,
            "provider_email_verified": wanted.provider_email_verified,
        }
        yield events.IdentityLinked(**(asdict(known) | as_it_was))


def _shown_identity(identity: Identity) -> dict[str, Any]:
    return {
        "provider": identity.provider,
        "providerUid": identity.provider_uid,
        "providerEmail": identity.provider_email,
    }


_OPENS: Final = "a password is a secret, and secrets do not come back: set another one"
_SESSION: Final = "a session that ended stays ended, and signing in is undone by ending the session"
_SENT: Final = "a secret that was sent or spent stays sent or spent"
_FACTOR: Final = "a second factor is a secret, and secrets do not come back: remove it, or set up another one"
_HELD: Final = "a legal hold is placed and lifted by hand"
_SHOWN: Final = "what was shown was shown"

_FIELDS: Final[dict[str, Kept[Account, AccountEvent]]] = {
    WHOLE: Kept(_WRITE, lambda account, _: account.exists, _existence),
    "name": Kept(_WRITE, lambda account, _: account.name, _name),
    "prefs": Kept(_WRITE, lambda account, _: to_json(account.prefs), _prefs, from_json),
    "email": Kept(
        _WRITE,
        lambda account, _: (account.email, account.email_verified),
        _email,
        lambda value: {"email": value[0], "emailVerification": value[1]},
    ),
    "phone": Kept(
        _WRITE,
        lambda account, _: (account.phone, account.phone_verified),
        _phone,
        lambda value: {"phone": value[0], "phoneVerification": value[1]},
    ),
    "label": Kept(_WRITE, lambda account, label: label in account.labels, _label),
    "status": _switch(lambda account: account.active, events.AccountUnblocked, events.AccountBlocked),
    "mfa": _switch(lambda account: account.mfa, events.MfaSwitchedOn, events.MfaSwitchedOff),
    "impersonator": _switch(
        lambda account: account.impersonator, events.ImpersonatorAppointed, events.ImpersonatorDismissed
    ),
    "target": Kept(_WRITE, _target_of, _target),
    "identity": Kept(_WRITE, _identity_of, _identity, _shown_identity),
}


ACCOUNT_REVERTS: Final[Reverts[Account, AccountEvent]] = Reverts(
    decider=ACCOUNT,
    fields=_FIELDS,
    sets={
        events.SignedUp: (WHOLE, ""),
        events.AccountDeleted: (WHOLE, ""),
        events.NameChanged: ("name", ""),
        events.PrefsUpdated: ("prefs", ""),
        events.EmailChanged: ("email", ""),
        events.VerifiedEmail: ("email", ""),
        events.EmailVerificationRevoked: ("email", ""),
        events.PhoneChanged: ("phone", ""),
        events.VerifiedPhone: ("phone", ""),
        events.PhoneVerificationRevoked: ("phone", ""),
        events.LabelAdded: ("label", "label"),
        events.LabelRemoved: ("label", "label"),
        events.AccountBlocked: ("status", ""),
        events.AccountUnblocked: ("status", ""),
        events.MfaSwitchedOn: ("mfa", ""),
        events.MfaSwitchedOff: ("mfa", ""),
        events.ImpersonatorAppointed: ("impersonator", ""),
        events.ImpersonatorDismissed: ("impersonator", ""),
        events.TargetAdded: ("target", "target_id"),
        events.TargetChanged: ("target", "target_id"),
        events.TargetRemoved: ("target", "target_id"),
        events.IdentityLinked: ("identity", "identity_id"),
        events.IdentityRemoved: ("identity", "identity_id"),
    },
    never={
        events.PasswordChanged: _OPENS,
        events.PasswordRehashed: _OPENS,
        events.PasswordRevoked: _OPENS,
        events.SessionCreated: _SESSION,
        events.SessionExtended: _SESSION,
        events.SessionTokensRenewed: _SESSION,
        events.SessionDeleted: _SESSION,
        events.SessionFactorAdded: _SHOWN,
        events.TokenIssued: _SENT,
        events.TokenRedeemed: _SENT,
        events.AuthenticatorAdded: _FACTOR,
        events.AuthenticatorVerified: _FACTOR,
        events.AuthenticatorUsed: _SHOWN,
        events.AuthenticatorRemoved: _FACTOR,
        events.RecoveryCodesGenerated: _FACTOR,
        events.RecoveryCodeUsed: _SHOWN,
        events.ChallengeCreated: _SENT,
        events.ChallengePassed: _SHOWN,
        events.LegalHoldPlaced: _HELD,
        events.LegalHoldLifted: _HELD,
        events.AccountErased: "who is erased is gone for good",
        events.Accessed: "a trace of use changes nothing",
    },
    traces=frozenset({events.Accessed}),
    besides=(
        events.PasswordChanged,
        events.AuthenticatorAdded,
        events.AuthenticatorVerified,
        events.RecoveryCodesGenerated,
        events.RecoveryCodeUsed,
    ),
)
