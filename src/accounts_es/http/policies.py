"""The rules of a project for new people and new passwords (contract: account, 1.8)."""

import re
from typing import Final

from accounts_es.adapters.common_passwords import is_common
from accounts_es.adapters.email_domains import email_facts
from accounts_es.domain.account import ACCOUNT
from accounts_es.domain.errors import (
    GeneralArgumentInvalid,
    PasswordPersonalData,
    PasswordRecentlyUsed,
    UserCountExceeded,
    UserEmailDisposable,
    UserEmailFree,
    UserEmailNotCanonical,
    UserEmailNotCorporate,
)
from accounts_es.http.context import Context
from projections import accounts

ADDRESS_REFUSALS: Final = (UserEmailDisposable, UserEmailFree, UserEmailNotCanonical, UserEmailNotCorporate)
"""What `ensure_address` raises."""
BEGINNING_REFUSALS: Final = (UserCountExceeded, *ADDRESS_REFUSALS)
"""What `ensure_may_begin` raises."""

_CLASSES: Final = (
    ("uppercase", re.compile(r"[A-Z]"), "an uppercase letter"),
    ("lowercase", re.compile(r"[a-z]"), "a lowercase letter"),
    ("number", re.compile(r"[0-9]"), "a number"),
    ("symbols", re.compile(r"[^A-Za-z0-9]"), "a symbol"),
)


async def ensure_may_begin(ctx: Context, email: str | None) -> None:
    """Raises `UserCountExceeded` when the project is full, and what `ensure_address` raises.

    The number is read before the account is made: people who sign up at the same moment may exceed it.
    """
    limit = ctx.rules.policies.user_limit.total
    if limit and await accounts.at_least(ctx.reads, ctx.project_id, limit):
        raise UserCountExceeded
    if email is not None:
        ensure_address(ctx, email)


def ensure_address(ctx: Context, email: str) -> None:
    """Raises the refusal of the first kind of address that the project does not take and this one is."""
    policies, facts = ctx.rules.policies, email_facts(email)
    if policies.deny_aliased_email.enabled and not facts.is_canonical:
        raise UserEmailNotCanonical
    if policies.deny_disposable_email.enabled and facts.disposable:
        raise UserEmailDisposable
    if policies.deny_free_email.enabled and facts.free:
        raise UserEmailFree
    if policies.deny_corporate_email.enabled and facts.corporate:
        raise UserEmailNotCorporate


def ensure_strong(ctx: Context, password: str) -> None:
    """Raises `GeneralArgumentInvalid` for a password the project takes for too weak."""
    policies = ctx.rules.policies
    strength = policies.password_strength
    missing = [name for key, pattern, name in _CLASSES if getattr(strength, key) and not pattern.search(password)]
    if len(password.encode()) < strength.min or missing:
        wanted = [f"be between {strength.min} and 256 characters long", *(f"contain {name}" for name in missing)]
        raise GeneralArgumentInvalid(f"Invalid `password` param: Password must {' and '.join(wanted)}.")
    if policies.password_dictionary.enabled and is_common(password):
        raise GeneralArgumentInvalid(
            "Invalid `password` param: Password must be between 8 and 256 characters long, and should not be one of "
            "the commonly used password."
        )


def ensure_impersonal(
    ctx: Context, password: str, *, account_id: str, email: str | None, name: str, phone: str | None = None
) -> None:
    """Raises `PasswordPersonalData` for a password that holds something everybody knows of its owner."""
    if not ctx.rules.policies.password_personal_data.enabled:
        return
    known = [account_id, name, email or "", (email or "").partition("@")[0], phone or "", (phone or "").lstrip("+")]
    lowered = password.lower()
    if any(word and word.lower() in lowered for word in known):
        raise PasswordPersonalData


async def ensure_new(ctx: Context, stream: str, password: str) -> tuple[str, ...]:
    """The hashes of the last passwords, none of which is this one's. Raises `PasswordRecentlyUsed`."""
    length = ctx.rules.policies.password_history.total
    if not length:
        return ()
    last = (await ctx.load(ACCOUNT, stream)).passwords[-length:]
    for stored in last:
        if await ctx.services.passwords.matches(stored, password):
            raise PasswordRecentlyUsed
    return last
