"""Put resources under protection, look at them, release them."""

from collections.abc import Sequence
from typing import Annotated, Final

from accounts_es.adapters.ids import stream_id
from accounts_es.domain.errors import (
    GeneralCursorNotFound,
    GeneralQueryInvalid,
    Refusal,
    ResourceAlreadyExists,
    ResourceNotFound,
    UserUnauthorized,
)
from accounts_es.domain.permissions import Permission, parse
from accounts_es.domain.resource import RESOURCE, commands
from accounts_es.domain.resource.events import PermissionsReplaced, ResourceProtected, ResourceReleased
from accounts_es.eventstore.listing import FIRST_PAGE, Asked
from accounts_es.http import models
from accounts_es.http.access.rules import Permissions
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries, attributes
from accounts_es.http.operation import operation
from accounts_es.http.roles import roles_of
from accounts_es.http.rules import Flag, Id
from projections import resources
from projections.resources import ResourceRow

RESOURCE_ACTIONS: Final = ("read", "update", "delete")
"""What can be allowed on a resource (contract: users-teams, 3.4, as for documents)."""
ATTRIBUTES: Final = attributes(resources.ALL)


@operation(
    "PUT",
    "/resources/{resourceType}/{resourceId}",
    id="access.protect",
    scope="resources.write",
    returns=models.Resource,
    emits=(ResourceProtected, PermissionsReplaced),
    raises=(ResourceNotFound, UserUnauthorized),
)
async def protect(
    ctx: Context,
    *,
    resource_type: Annotated[str, Id()],
    resource_id: Annotated[str, Id()],
    permissions: Annotated[list[Permission], Permissions(RESOURCE_ACTIONS)],
) -> models.Resource:
    """Say who may do what with a resource, all of it.

    A server may put anything under protection. A person may change what they may ``update``, and grant only roles of
    their own (contract: users-teams, 3.4).
    """
    written = [str(each) for each in permissions]
    row = await resources.find(ctx.reads, ctx.project_id, resource_type, resource_id)
    if ctx.caller.kind != "key":
        roles = await roles_of(ctx)
        if row is None or not allows(row, "update", roles):
            raise _refusal(row, roles)
        foreign = [each.role for each in permissions if each.role not in roles]
        if foreign:
            raise UserUnauthorized(f"Permissions must be one of: ({', '.join(roles)})")
    if row is None:
        try:
            outcome = await ctx.execute(
                RESOURCE,
                stream_id("resource"),
                commands.protect,
                resource_type=resource_type,
                resource_id=resource_id,
                permissions=written,
            )
        except ResourceAlreadyExists:
            # Another server was first with the very same.
            row = await resources.get(ctx.reads, ctx.project_id, resource_type, resource_id)
        else:
            return models.resource(await resources.get_by_stream(ctx.reads, outcome.stream))
    await ctx.execute(RESOURCE, row.stream, commands.replace_permissions, permissions=written)
    return models.resource(await resources.get_by_stream(ctx.reads, row.stream))


@operation(
    "GET",
    "/resources/{resourceType}/{resourceId}",
    id="access.getResource",
    scope="resources.read",
    returns=models.Resource,
    raises=(ResourceNotFound,),
)
async def get_resource(
    ctx: Context, *, resource_type: Annotated[str, Id()], resource_id: Annotated[str, Id()]
) -> models.Resource:
    """A resource. What the caller may not read does not exist for the caller."""
    row = await resources.get(ctx.reads, ctx.project_id, resource_type, resource_id)
    if ctx.caller.kind != "key" and not allows(row, "read", await roles_of(ctx)):
        raise ResourceNotFound
    return models.resource(row)


@operation(
    "GET",
    "/resources/{resourceType}",
    id="access.listResources",
    scope="resources.read",
    returns=models.ResourceList,
    raises=(GeneralCursorNotFound, GeneralQueryInvalid),
)
async def list_resources(
    ctx: Context,
    *,
    resource_type: Annotated[str, Id()],
    queries: Annotated[Asked, Queries(ATTRIBUTES)] = FIRST_PAGE,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> models.ResourceList:
    """The resources of a type that the caller may read, in the order they came under protection."""
    roles = None if ctx.caller.kind == "key" else await roles_of(ctx)
    rows, matching = await resources.list_resources(
        ctx.reads, ctx.project_id, resource_type, asked=queries, roles=roles, with_total=total
    )
    return {"total": matching, "resources": [models.resource(row) for row in rows]}


@operation(
    "DELETE",
    "/resources/{resourceType}/{resourceId}",
    id="access.release",
    scope="resources.write",
    emits=(ResourceReleased,),
    raises=(ResourceNotFound, UserUnauthorized),
)
async def release(ctx: Context, *, resource_type: Annotated[str, Id()], resource_id: Annotated[str, Id()]) -> None:
    """Protect a resource no more."""
    row = await resources.get(ctx.reads, ctx.project_id, resource_type, resource_id)
    if ctx.caller.kind != "key":
        roles = await roles_of(ctx)
        if not allows(row, "delete", roles):
            raise _refusal(row, roles)
    await ctx.execute(RESOURCE, row.stream, commands.release)


def allows(row: ResourceRow, action: str, roles: Sequence[str]) -> bool:
    """Whether one of the roles may do it."""
    return any(each.action == action and each.role in roles for each in map(parse, row.permissions))


def _refusal(row: ResourceRow | None, roles: Sequence[str]) -> Refusal:
    """What the roles may not even read does not exist for them."""
    return ResourceNotFound() if row is not None and not allows(row, "read", roles) else UserUnauthorized()
