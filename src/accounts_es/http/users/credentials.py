"""What opens an account, changed by a server: no password is shown, and the log says which key it was."""

from typing import Annotated

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import (
    EmailChanged,
    PasswordChanged,
    PhoneChanged,
    SessionDeleted,
    TargetAdded,
    TargetChanged,
    TargetRemoved,
)
from accounts_es.domain.errors import (
    PasswordPersonalData,
    PasswordRecentlyUsed,
    UserAlreadyExists,
    UserNotFound,
    UserTargetAlreadyExists,
)
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.policies import ADDRESS_REFUSALS, ensure_address, ensure_impersonal, ensure_new, ensure_strong
from accounts_es.http.rules import Email, Id, OrNone, Password, Phone
from projections import accounts


@operation(
    "PATCH",
    "/users/{userId}/email",
    id="users.updateEmail",
    scope="users.write",
    returns=models.User,
    emits=(EmailChanged, TargetAdded, TargetChanged, TargetRemoved),
    raises=(UserNotFound, UserTargetAlreadyExists, *ADDRESS_REFUSALS),
)
async def update_email(
    ctx: Context, *, user_id: Annotated[str, Id()], email: Annotated[str | None, OrNone(Email())]
) -> models.User:
    """Give an account another e-mail address, or with "" none; it is not verified yet."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    if email is not None and email != account.email:
        ensure_address(ctx, email)
    try:
        outcome = await ctx.execute(ACCOUNT, account.stream, commands.change_email, email=email, target_id=wire_id())
    except UserAlreadyExists:
        raise UserTargetAlreadyExists from None
    return models.user(await accounts.get_after(ctx.reads, account, outcome.recorded))


@operation(
    "PATCH",
    "/users/{userId}/phone",
    id="users.updatePhone",
    scope="users.write",
    returns=models.User,
    emits=(PhoneChanged, TargetAdded, TargetChanged, TargetRemoved),
    raises=(UserNotFound, UserTargetAlreadyExists),
)
async def update_phone(
    ctx: Context, *, user_id: Annotated[str, Id()], number: Annotated[str | None, OrNone(Phone())]
) -> models.User:
    """Give an account another phone number, or with "" none; it is not verified yet."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    try:
        outcome = await ctx.execute(ACCOUNT, account.stream, commands.change_phone, phone=number, target_id=wire_id())
    except UserAlreadyExists:
        raise UserTargetAlreadyExists from None
    return models.user(await accounts.get_after(ctx.reads, account, outcome.recorded))


@operation(
    "PATCH",
    "/users/{userId}/password",
    id="users.updatePassword",
    scope="users.write",
    returns=models.User,
    emits=(PasswordChanged, SessionDeleted),
    raises=(UserNotFound, PasswordRecentlyUsed, PasswordPersonalData),
)
async def update_password(
    ctx: Context, *, user_id: Annotated[str, Id()], password: Annotated[str | None, OrNone(Password())]
) -> models.User:
    """Give an account another password, or with "" none. Its sessions end where the project says so."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    policies = ctx.rules.policies
    hashed: str | None = None
    history: tuple[str, ...] = ()
    if password is not None:
        ensure_strong(ctx, password)
        history = await ensure_new(ctx, account.stream, password)
        ensure_impersonal(
            ctx, password, account_id=account.account_id, email=account.email, name=account.name, phone=account.phone
        )
        hashed = await ctx.services.passwords.hash(password)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.change_password,
        password_hash=hashed,
        history=history,
        history_length=policies.password_history.total if hashed is not None else 0,
        end_sessions=policies.session_invalidation.enabled,
    )
    user = models.user(await accounts.get_by_stream(ctx.reads, account.stream))
    return user if hashed is not None else {**user, "password": ""}
