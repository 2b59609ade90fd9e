"""The devices that the caller's account can push to."""

from typing import Annotated

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import TargetAdded, TargetChanged, TargetRemoved
from accounts_es.domain.errors import (
    GeneralUnauthorizedScope,
    UserNotFound,
    UserSessionNotFound,
    UserTargetAlreadyExists,
    UserTargetNotFound,
)
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.rules import UNIQUE, Id, Text
from projections import accounts
from projections.accounts import AccountRow


@operation(
    "POST",
    "/account/targets/push",
    id="account.createPushTarget",
    scope="targets.write",
    returns=models.Target,
    status=201,
    emits=(TargetAdded,),
    raises=(UserTargetAlreadyExists, UserSessionNotFound, UserNotFound),
)
async def create_push_target(
    ctx: Context,
    *,
    target_id: Annotated[str, Id(custom=True)],
    identifier: Annotated[str, Text(255)],
    provider_id: Annotated[str | None, Id()] = None,
) -> models.Target:
    """Reach the caller on this device while its session lasts."""
    account = _caller(ctx)
    made = wire_id() if target_id == UNIQUE else target_id
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.add_target,
        target_id=made,
        provider_type="push",
        identifier=identifier,
        provider_id=provider_id,
        session_id=ctx.session.session_id if ctx.session is not None else None,
    )
    return await target_of(ctx, account.stream, made)


@operation(
    "PUT",
    "/account/targets/{targetId}/push",
    id="account.updatePushTarget",
    scope="targets.write",
    returns=models.Target,
    emits=(TargetChanged,),
    raises=(UserTargetAlreadyExists, UserTargetNotFound, UserNotFound),
)
async def update_push_target(
    ctx: Context, *, target_id: Annotated[str, Id()], identifier: Annotated[str, Text(255)]
) -> models.Target:
    """Reach a device by its newest address."""
    stream = _caller(ctx).stream
    await ctx.execute(
        ACCOUNT,
        stream,
        commands.change_target,
        target_id=target_id,
        identifier=identifier,
        provider_type="push",
    )
    return await target_of(ctx, stream, target_id)


@operation(
    "DELETE",
    "/account/targets/{targetId}/push",
    id="account.deletePushTarget",
    scope="targets.write",
    emits=(TargetRemoved,),
    raises=(UserTargetNotFound, UserNotFound),
)
async def delete_push_target(ctx: Context, *, target_id: Annotated[str, Id()]) -> None:
    """Reach a device no more."""
    stream = _caller(ctx).stream
    await ctx.execute(ACCOUNT, stream, commands.remove_target, target_id=target_id, provider_type="push")


def _caller(ctx: Context) -> AccountRow:
    """The caller's account; a key may have the scope and has none. Raises `GeneralUnauthorizedScope`."""
    if ctx.caller.account is None:
        raise GeneralUnauthorizedScope(f'{ctx.caller.describe(ctx.project_id)} missing scopes (["account"])')
    return ctx.caller.account


async def target_of(ctx: Context, stream: str, target_id: str) -> models.Target:
    """One target of an account as it is now. Raises `UserTargetNotFound`."""
    row = await accounts.get_by_stream(ctx.reads, stream)
    for target in models.account(row)["targets"]:
        if target["$id"] == target_id:
            return target
    raise UserTargetNotFound
