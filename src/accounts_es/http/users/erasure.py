"""Erase people, and keep them from being erased. Both reach those who are deleted as well."""

from typing import Annotated

from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import AccountDeleted, AccountErased, LegalHoldLifted, LegalHoldPlaced
from accounts_es.domain.errors import UserErased, UserNotFound, UserUnderLegalHold
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.rules import Id, Text
from projections import people


@operation(
    "POST",
    "/users/{userId}/erasure",
    id="users.createErasure",
    scope="users.erase",
    returns=models.Erasure,
    status=201,
    emits=(AccountDeleted, AccountErased),
    raises=(UserNotFound, UserUnderLegalHold),
)
async def create_erasure(ctx: Context, *, user_id: Annotated[str, Id()]) -> models.Erasure:
    """Erase a person for good: their key is destroyed, and the answer is the signed certificate of that."""
    person = await people.get(ctx.reads, ctx.project_id, user_id)
    certificate = await ctx.services.erasures.erase(ctx.meta(), person.stream, "request")
    ((origin,),) = await ctx.reads.fetch("SELECT origin FROM log.ledger")
    return models.erasure(certificate, origin, ctx.services.ledger_key)


@operation(
    "GET",
    "/users/{userId}/hold",
    id="users.getHold",
    scope="users.erase",
    returns=models.Hold,
    raises=(UserNotFound,),
)
async def get_hold(ctx: Context, *, user_id: Annotated[str, Id()]) -> models.Hold:
    """Whether a legal hold keeps a person from being erased."""
    return models.hold(await people.get(ctx.reads, ctx.project_id, user_id))


@operation(
    "PUT",
    "/users/{userId}/hold",
    id="users.placeHold",
    scope="users.erase",
    returns=models.Hold,
    emits=(LegalHoldPlaced,),
    raises=(UserNotFound, UserErased),
)
async def place_hold(
    ctx: Context, *, user_id: Annotated[str, Id()], reason: Annotated[str, Text(1024)] = ""
) -> models.Hold:
    """Keep a person from being erased, by request or by retention, until the hold is lifted."""
    person = await people.get(ctx.reads, ctx.project_id, user_id)
    await ctx.execute(ACCOUNT, person.stream, commands.place_hold, reason=reason)
    return models.hold(await people.get(ctx.reads, ctx.project_id, user_id))


@operation(
    "DELETE",
    "/users/{userId}/hold",
    id="users.liftHold",
    scope="users.erase",
    emits=(LegalHoldLifted,),
    raises=(UserNotFound, UserErased),
)
async def lift_hold(ctx: Context, *, user_id: Annotated[str, Id()]) -> None:
    """Let a person be erased again."""
    person = await people.get(ctx.reads, ctx.project_id, user_id)
    await ctx.execute(ACCOUNT, person.stream, commands.lift_hold)
