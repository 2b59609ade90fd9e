"""How people sign in with OAuth2 providers. What is secret can be written, and is never answered."""

from typing import Annotated, Any, Final

from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.events import ProviderConfigured
from accounts_es.eventstore.listing import Asked
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.models.providers import FIELDS, SHAPES, ProviderList, changes, provider
from accounts_es.http.operation import operation
from accounts_es.http.project.keys import ALL_OF_THEM
from accounts_es.http.rules import Choice, Flag

PROVIDER: Final = Choice(tuple(SHAPES))


@operation(
    "GET", "/project/oauth2", id="project.listOAuth2Providers", scope="project.oauth2.read", returns=ProviderList
)
async def list_oauth2_providers(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries()] = ALL_OF_THEM,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> ProviderList:
    """All providers, configured or not, without their secrets."""
    known = await ctx.load(PROJECT, ctx.required_project.stream)
    part = tuple(SHAPES)[queries.offset : queries.offset + queries.limit]
    return {"total": len(SHAPES) if total else 0, "providers": [provider(known, name) for name in part]}


@operation(
    "GET",
    "/project/oauth2/{providerId}",
    id="project.getOAuth2Provider",
    scope="project.oauth2.read",
    returns=dict[str, Any],
)
async def get_oauth2_provider(ctx: Context, *, provider_id: Annotated[str, PROVIDER]) -> dict[str, Any]:
    """One provider, without its secret."""
    return provider(await ctx.load(PROJECT, ctx.required_project.stream), provider_id)


@operation(
    "PATCH",
    "/project/oauth2/{providerId}",
    id="project.updateOAuth2Provider",
    scope="project.oauth2.write",
    returns=dict[str, Any],
    emits=(ProviderConfigured,),
    optional=FIELDS,
)
async def update_oauth2_provider(
    ctx: Context,
    *,
    provider_id: Annotated[str, PROVIDER],
    enabled: Annotated[bool | None, Flag()] = None,
    **given: Any,
) -> dict[str, Any]:
    """Change a provider: of all fields those count that are its own; what is not sent stays.

    Secrets stay too, while the server that is shown them is the same.
    """
    outcome = await ctx.execute(
        PROJECT,
        ctx.required_project.stream,
        commands.adjust_provider,
        provider=provider_id,
        enabled=enabled,
        **changes(provider_id, given),
    )
    return provider(outcome.state, provider_id)
