"""What opens the caller's account: e-mail, phone and password; and shutting it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import (
    AccountBlocked,
    AccountEvent,
    EmailChanged,
    PasswordChanged,
    PhoneChanged,
    SessionDeleted,
    TargetAdded,
    TargetChanged,
)
from accounts_es.domain.errors import (
    PasswordPersonalData,
    PasswordRecentlyUsed,
    UserAlreadyExists,
    UserInvalidCredentials,
    UserNotFound,
    UserPhoneAlreadyExists,
    UserTargetAlreadyExists,
)
from accounts_es.http import models, notices
from accounts_es.http.context import Context
from accounts_es.http.operation import Limit, guesses, operation
from accounts_es.http.policies import (
    ADDRESS_REFUSALS,
    ensure_address,
    ensure_impersonal,
    ensure_new,
    ensure_strong,
)
from accounts_es.http.rules import Email, OldPassword, Password, Phone
from accounts_es.messages import MailTemplate
from projections import accounts


@operation(
    "PATCH",
    "/account/email",
    id="account.updateEmail",
    scope="account",
    returns=models.Account,
    emits=(EmailChanged, PasswordChanged, TargetAdded, TargetChanged),
    raises=(UserInvalidCredentials, UserTargetAlreadyExists, UserNotFound, *ADDRESS_REFUSALS),
    limits=guesses("user")[1:],
)
async def update_email(
    ctx: Context, *, email: Annotated[str, Email()], password: Annotated[str, Password()]
) -> models.Account:
    """Give the caller's account another address; without a password yet, the one sent becomes it."""
    ensure_address(ctx, email)
    notice: MailTemplate | None = "email-changed" if email != ctx.account.email else None
    try:
        return await _change(ctx, partial(commands.change_email, email=email), password, notice)
    except UserAlreadyExists:
        raise UserTargetAlreadyExists from None


@operation(
    "PATCH",
    "/account/phone",
    id="account.updatePhone",
    scope="account",
    returns=models.Account,
    emits=(PhoneChanged, PasswordChanged, TargetAdded, TargetChanged),
    raises=(UserInvalidCredentials, UserPhoneAlreadyExists, UserTargetAlreadyExists, UserNotFound),
    limits=guesses("user")[1:],
)
async def update_phone(
    ctx: Context, *, phone: Annotated[str, Phone()], password: Annotated[str, Password()]
) -> models.Account:
    """Give the caller's account another number; without a password yet, the one sent becomes it."""
    notice: MailTemplate | None = "phone-changed" if phone != ctx.account.phone else None
    try:
        return await _change(ctx, partial(commands.change_phone, phone=phone), password, notice)
    except UserAlreadyExists:
        raise UserPhoneAlreadyExists from None


async def _change(
    ctx: Context, command: Callable[..., Iterator[AccountEvent]], password: str, notice: MailTemplate | None
) -> models.Account:
    """Change an address once the password was shown. Raises `UserInvalidCredentials`."""
    account = ctx.account
    checked, new = await _shown(ctx, password)
    if notice is not None:
        notices.warn(ctx, notice, account)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        command,
        target_id=wire_id(),
        checked_password_hash=checked,
        new_password_hash=new,
        by_owner=True,
    )
    return models.account(await accounts.get_by_stream(ctx.reads, account.stream))


@operation(
    "PATCH",
    "/account/password",
    id="account.updatePassword",
    scope="account",
    returns=models.Account,
    emits=(PasswordChanged, SessionDeleted),
    raises=(UserInvalidCredentials, PasswordRecentlyUsed, PasswordPersonalData, UserNotFound),
    limits=(Limit(10, 3600, "url", "ip"), *guesses("user")[1:]),
)
async def update_password(
    ctx: Context, *, password: Annotated[str, Password()], old_password: Annotated[str, OldPassword()] = ""
) -> models.Account:
    """Choose another password; whoever ever chose one shows it. Other sessions end where the project wants it."""
    account, policies = ctx.account, ctx.rules.policies
    ensure_strong(ctx, password)
    if account.password_updated_at is not None and not await _matches(ctx, old_password):
        raise UserInvalidCredentials
    history = await ensure_new(ctx, account.stream, password)
    ensure_impersonal(
        ctx, password, account_id=account.account_id, email=account.email, name=account.name, phone=account.phone
    )
    hashed = await ctx.services.passwords.hash(password)
    notices.warn(ctx, "password-changed", account)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.change_password,
        password_hash=hashed,
        history=history,
        history_length=policies.password_history.total,
        checked_password_hash=account.password_hash,
        by_owner=True,
        keep_session=ctx.session.session_id if ctx.session is not None else None,
        end_sessions=policies.session_invalidation.enabled and ctx.session is not None,
    )
    return models.account(await accounts.get_by_stream(ctx.reads, account.stream))


@operation(
    "PATCH",
    "/account/status",
    id="account.updateStatus",
    scope="account",
    returns=models.Account,
    emits=(AccountBlocked,),
    raises=(UserNotFound,),
)
async def update_status(ctx: Context) -> models.Account:
    """Shut the caller's own account; only a server opens it again."""
    outcome = await ctx.execute(ACCOUNT, ctx.account.stream, commands.set_active, active=False)
    ctx.close_session()
    return models.account(await accounts.get_after(ctx.reads, ctx.account, outcome.recorded))


async def _shown(ctx: Context, password: str) -> tuple[str | None, str | None]:
    """The hash the password was checked against, or the hash it gets because there is none.

    Raises `UserInvalidCredentials`.
    """
    if ctx.account.password_hash is None:
        return None, await ctx.services.passwords.hash(password)
    if not await _matches(ctx, password):
        raise UserInvalidCredentials
    return ctx.account.password_hash, None


async def _matches(ctx: Context, password: str) -> bool:
    """Whether it is the caller's password; a refusal is recorded."""
    account = ctx.account
    if await ctx.services.passwords.matches(account.password_hash, password):
        return True
    await ctx.refuse_sign_in("password", "invalid_credentials", account.email or account.account_id, account)
    return False
