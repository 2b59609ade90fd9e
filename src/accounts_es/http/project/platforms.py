"""The pages and apps that may call the project."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.errors import (
    PlatformAlreadyExists,
    PlatformMethodUnsupported,
    PlatformNotFound,
)
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.events import PlatformAdded, PlatformChanged, PlatformKind, PlatformRemoved
from accounts_es.eventstore.listing import Asked
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.models.projects import PLATFORM_FIELDS, PlatformList, platform
from accounts_es.http.operation import operation
from accounts_es.http.project.keys import ALL_OF_THEM
from accounts_es.http.rules import UNIQUE, Flag, Hostname, Id, Rule, Text

Handler = Callable[..., Awaitable[dict[str, Any]]]


def _identifier(kind: PlatformKind) -> dict[str, Rule]:
    return {PLATFORM_FIELDS[kind]: Hostname() if kind == "web" else Text(256)}


def _creates(kind: PlatformKind) -> Handler:
    @operation(
        "POST",
        f"/project/platforms/{kind}",
        id=f"project.create{kind.capitalize()}Platform",
        scope="platforms.write",
        returns=dict[str, Any],
        status=201,
        emits=(PlatformAdded,),
        raises=(PlatformAlreadyExists,),
        fields=_identifier(kind),
    )
    async def create(
        ctx: Context,
        *,
        platform_id: Annotated[str, Id(custom=True)],
        name: Annotated[str, Text(128)],
        **given: str,
    ) -> dict[str, Any]:
        """Let the pages of a host, or an app, call the project."""
        platform_id = wire_id() if platform_id == UNIQUE else platform_id
        outcome = await ctx.execute(
            PROJECT,
            ctx.required_project.stream,
            commands.add_platform,
            platform_id=platform_id,
            kind=kind,
            name=name,
            identifier=given[PLATFORM_FIELDS[kind]],
        )
        return platform(outcome.state.platforms[platform_id])

    return create


def _updates(kind: PlatformKind) -> Handler:
    @operation(
        "PUT",
        f"/project/platforms/{kind}/{{platformId}}",
        id=f"project.update{kind.capitalize()}Platform",
        scope="platforms.write",
        returns=dict[str, Any],
        emits=(PlatformChanged,),
        raises=(PlatformNotFound, PlatformMethodUnsupported),
        fields=_identifier(kind),
    )
    async def update(
        ctx: Context, *, platform_id: Annotated[str, Id()], name: Annotated[str, Text(128)], **given: str
    ) -> dict[str, Any]:
        """Change a platform of this type."""
        outcome = await ctx.execute(
            PROJECT,
            ctx.required_project.stream,
            commands.change_platform,
            platform_id=platform_id,
            kind=kind,
            name=name,
            identifier=given[PLATFORM_FIELDS[kind]],
        )
        return platform(outcome.state.platforms[platform_id])

    return update


create_web_platform, update_web_platform = _creates("web"), _updates("web")
create_apple_platform, update_apple_platform = _creates("apple"), _updates("apple")
create_android_platform, update_android_platform = _creates("android"), _updates("android")
create_windows_platform, update_windows_platform = _creates("windows"), _updates("windows")
create_linux_platform, update_linux_platform = _creates("linux"), _updates("linux")


@operation(
    "GET",
    "/project/platforms",
    id="project.listPlatforms",
    scope="platforms.read",
    returns=PlatformList,
)
async def list_platforms(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries()] = ALL_OF_THEM,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> PlatformList:
    """The platforms, oldest first."""
    known = list((await ctx.load(PROJECT, ctx.required_project.stream)).platforms.values())
    part = known[queries.offset : queries.offset + queries.limit]
    return {"total": len(known) if total else 0, "platforms": [platform(each) for each in part]}


@operation(
    "GET",
    "/project/platforms/{platformId}",
    id="project.getPlatform",
    scope="platforms.read",
    returns=dict[str, Any],
    raises=(PlatformNotFound,),
)
async def get_platform(ctx: Context, *, platform_id: Annotated[str, Id()]) -> dict[str, Any]:
    """One platform."""
    known = (await ctx.load(PROJECT, ctx.required_project.stream)).platforms.get(platform_id)
    if known is None:
        raise PlatformNotFound
    return platform(known)


@operation(
    "DELETE",
    "/project/platforms/{platformId}",
    id="project.deletePlatform",
    scope="platforms.write",
    emits=(PlatformRemoved,),
    raises=(PlatformNotFound,),
)
async def delete_platform(ctx: Context, *, platform_id: Annotated[str, Id()]) -> None:
    """Let a platform call the project no more, from its next request on."""
    await ctx.execute(PROJECT, ctx.required_project.stream, commands.remove_platform, platform_id=platform_id)
