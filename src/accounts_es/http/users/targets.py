"""Where an account can be reached, for servers."""

from typing import Annotated, Final

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import TargetAdded, TargetChanged, TargetRemoved
from accounts_es.domain.errors import (
    DatabaseQueryOrderNull,
    GeneralCursorNotFound,
    GeneralInvalidEmail,
    GeneralInvalidPhone,
    GeneralQueryInvalid,
    UserNotFound,
    UserTargetAlreadyExists,
    UserTargetNotFound,
)
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.account.targets import target_of
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries, attributes
from accounts_es.http.operation import operation
from accounts_es.http.rules import UNIQUE, Choice, Email, Flag, Id, Invalid, Phone, Text
from projections import accounts

TYPES: Final = Choice(("email", "sms", "push"))


@operation(
    "POST",
    "/users/{userId}/targets",
    id="users.createTarget",
    scope="users.write",
    returns=models.Target,
    status=201,
    emits=(TargetAdded,),
    raises=(GeneralInvalidEmail, GeneralInvalidPhone, UserNotFound, UserTargetAlreadyExists),
)
async def create_target(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    target_id: Annotated[str, Id(custom=True)],
    provider_type: Annotated[str, TYPES],
    identifier: Annotated[str, Text(255)],
    provider_id: Annotated[str | None, Id()] = None,
    name: Annotated[str, Text(128)] = "",
) -> models.Target:
    """Reach an account somewhere else, too: at an e-mail address, a phone number or a device."""
    address = _address(provider_type, identifier)
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    made = wire_id() if target_id == UNIQUE else target_id
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.add_target,
        target_id=made,
        provider_type=provider_type,
        identifier=address,
        name=name,
        provider_id=provider_id,
    )
    return await target_of(ctx, account.stream, made)


ATTRIBUTES: Final = attributes(
    accounts.TARGETS,
    userId="account_id",
    providerId="provider_id",
    providerType="provider_type",
    identifier="identifier",
)


@operation(
    "GET",
    "/users/{userId}/targets",
    id="users.listTargets",
    scope="users.read",
    returns=models.TargetList,
    raises=(UserNotFound, GeneralCursorNotFound, GeneralQueryInvalid, DatabaseQueryOrderNull),
)
async def list_targets(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = FIRST_PAGE,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.TargetList:
    """A page of an account's targets, oldest first unless asked otherwise, and how many match."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    rows, matching = await accounts.list_targets(ctx.reads, account.stream, asked=queries, with_total=total)
    return {"total": matching, "targets": [models.target(account.account_id, row) for row in rows]}


@operation(
    "GET",
    "/users/{userId}/targets/{targetId}",
    id="users.getTarget",
    scope="users.read",
    returns=models.Target,
    raises=(UserNotFound, UserTargetNotFound),
)
async def get_target(ctx: Context, *, user_id: Annotated[str, Id()], target_id: Annotated[str, Id()]) -> models.Target:
    """One target of an account."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    return await target_of(ctx, account.stream, target_id)


@operation(
    "PATCH",
    "/users/{userId}/targets/{targetId}",
    id="users.updateTarget",
    scope="users.write",
    returns=models.Target,
    emits=(TargetChanged,),
    raises=(GeneralInvalidEmail, GeneralInvalidPhone, UserNotFound, UserTargetNotFound, UserTargetAlreadyExists),
)
async def update_target(
    ctx: Context,
    *,
    user_id: Annotated[str, Id()],
    target_id: Annotated[str, Id()],
    identifier: Annotated[str | None, Text(255)] = None,
    provider_id: Annotated[str | None, Id()] = None,
    name: Annotated[str | None, Text(128)] = None,
) -> models.Target:
    """Change what is sent of a target."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    target = await target_of(ctx, account.stream, target_id)
    await ctx.execute(
        ACCOUNT,
        account.stream,
        commands.change_target,
        target_id=target_id,
        identifier=_address(target["providerType"], identifier) if identifier is not None else None,
        name=name,
        provider_id=provider_id,
    )
    return await target_of(ctx, account.stream, target_id)


@operation(
    "DELETE",
    "/users/{userId}/targets/{targetId}",
    id="users.deleteTarget",
    scope="users.write",
    emits=(TargetRemoved,),
    raises=(UserNotFound, UserTargetNotFound),
)
async def delete_target(ctx: Context, *, user_id: Annotated[str, Id()], target_id: Annotated[str, Id()]) -> None:
    """Reach an account there no more."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    await ctx.execute(ACCOUNT, account.stream, commands.remove_target, target_id=target_id)


def _address(provider_type: str, identifier: str) -> str:
    """The address as it is kept. Raises `GeneralInvalidEmail` and `GeneralInvalidPhone`."""
    try:
        match provider_type:
            case "email":
                return Email().parse(identifier)
            case "sms":
                return Phone().parse(identifier)
            case _:
                return identifier
    except Invalid:
        raise (GeneralInvalidEmail if provider_type == "email" else GeneralInvalidPhone) from None
