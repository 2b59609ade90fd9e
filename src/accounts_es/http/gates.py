"""Who may come in: the checks between the caller and the parameters, in the contract's order (cross-cutting, 4)."""

from typing import Final

from pydantic_core import to_json

from accounts_es.domain.account.commands.mfa import FRESH
from accounts_es.domain.errors import (
    GeneralApiDisabled,
    GeneralServiceDisabled,
    GeneralUnauthorizedScope,
    UserAuthMethodUnsupported,
    UserBlocked,
    UserChallengeRequired,
    UserMoreFactorsRequired,
    UserSessionAlreadyExists,
)
from accounts_es.domain.project import AuthMethod
from accounts_es.http.context import Context
from projections.accounts import AccountRow
from projections.sessions import SessionKey

FACTORS_NEEDED: Final = 2

METHOD_NAMES: Final[dict[AuthMethod, str]] = {
    "email-password": "Email / Password",
    "magic-url": "Magic URL",
    "email-otp": "Email OTP",
    "anonymous": "Anonymous",
    "invites": "Invites",
    "jwt": "JWT",
    "phone": "Phone",
}
"""What the contract calls them in its refusal (account, 1.4)."""


_SERVICES: Final = {"oauth2": "account"}
"""Groups that belong to a service of another name: ``oauth2`` is where browsers come back from providers."""


def enter(ctx: Context) -> None:
    """Before the request is counted. Raises the first refusal that applies: service off, scope, block, owed factor."""
    operation, caller = ctx.operation, ctx.caller
    if caller.kind != "key":
        ensure_on(ctx)
    has_scope = not caller.scopes.isdisjoint(operation.scopes) and (caller.kind == "key" or not operation.for_servers)
    looks_around = operation.for_impersonators and caller.account is not None and caller.account.impersonator
    if not has_scope and not looks_around:
        wanted = to_json(list(operation.scopes)).decode()
        raise GeneralUnauthorizedScope(f"{caller.describe(ctx.project_id)} missing scopes ({wanted})")
    ensure_fit(ctx)


def ensure_on(ctx: Context) -> None:
    """Raises `GeneralServiceDisabled` and `GeneralApiDisabled`. What anybody may keep a copy of is always there."""
    rules, operation = ctx.rules, ctx.operation
    if not (rules.services_off or rules.protocols_off) or operation.public_for:
        return
    if _SERVICES.get(operation.group, operation.group) in rules.services_off:
        raise GeneralServiceDisabled
    if "rest" in rules.protocols_off:
        raise GeneralApiDisabled


def ensure_fit(ctx: Context) -> None:
    """Raises `UserBlocked` and `UserMoreFactorsRequired`."""
    account = ctx.caller.account
    if account is not None:
        if not account.active:
            raise UserBlocked
        if account.mfa and not ctx.operation.mfa_pending and owes_factor(ctx):
            raise UserMoreFactorsRequired


def proceed(ctx: Context) -> None:
    """Once it is counted. Raises the first refusal that applies: open session, method off, stale factor."""
    operation, caller = ctx.operation, ctx.caller
    if operation.opens_session and (caller.account is not None or ctx.signed_in):
        raise UserSessionAlreadyExists
    if operation.auth_method is not None and operation.auth_method in ctx.rules.methods_off and caller.kind != "key":
        name = METHOD_NAMES[operation.auth_method]
        raise UserAuthMethodUnsupported(f"{name} authentication is disabled for this project")
    if operation.fresh_factor:
        shown = caller.session.factor_shown_at if caller.session is not None else None
        if shown is None or ctx.at - shown > FRESH:
            raise UserChallengeRequired


def owes_factor(ctx: Context) -> bool:
    """Whether the caller's session lacks the second factor its account asks for. A JWT has no session to lack one."""
    account, session = ctx.caller.account, ctx.caller.session
    return account is not None and session is not None and lacks_factor(account, session)


def lacks_factor(account: AccountRow, session: SessionKey) -> bool:
    """Whether a session lacks the second factor its account asks for."""
    return account.mfa and account.has_second_factor and len(session.factors) < FACTORS_NEEDED
