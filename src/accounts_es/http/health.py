"""Whether the server is well, and what it can do."""

import asyncio
import time
from typing import Any

from accounts_es.domain.errors import HealthProjectionsBehind
from accounts_es.eventstore.standing import QUERIES, Standing, standing
from accounts_es.http import models, openapi
from accounts_es.http.context import Context, Services
from accounts_es.http.operation import operation
from accounts_es.settings import SERVER_VERSION


@operation("GET", "/health", id="health.get", returns=models.HealthStatus)
async def get(ctx: Context) -> models.HealthStatus:
    """Whether the server and its database answer."""
    begun = time.perf_counter()
    await ctx.reads.fetch("SELECT 1")
    return {"name": "http", "ping": round((time.perf_counter() - begun) * 1000), "status": "pass"}


@operation("GET", "/health/version", id="health.getVersion", returns=models.HealthVersion)
async def get_version(ctx: Context) -> models.HealthVersion:  # noqa: ARG001 - every operation takes it
    """The level of the wire contract."""
    return {"version": SERVER_VERSION}


@operation("GET", "/openapi.json", id="health.getOpenApi", returns=dict[str, Any])
async def get_open_api(ctx: Context) -> dict[str, Any]:
    """This description of the API, as OpenAPI 3.1."""
    return openapi.document(ctx.services.operations)


@operation(
    "GET",
    "/health/projections",
    id="health.getProjections",
    scope="projections.read",
    returns=models.HealthProjections,
    raises=(HealthProjectionsBehind,),
)
async def get_projections(ctx: Context) -> models.HealthProjections:
    """How far everything is that follows the log; 503 when something is behind or stands still."""
    found = await standings(ctx.services)
    if red := [each for each in found if not each.passes]:
        raise HealthProjectionsBehind("; ".join(map(_trouble, red)))
    return {"total": len(found), "projections": [models.projection(each) for each in found]}


async def standings(services: Services) -> list[Standing]:
    """All followers of the log."""
    answers = await asyncio.gather(*(services.reads.fetch(query) for query in QUERIES))
    return standing(answers, services.settings.checkpoint_seconds)


def _trouble(each: Standing) -> str:
    if each.parked:
        return f"{each.name}: {len(each.parked)} streams stand still"
    return f"{each.name} is {each.lag_seconds:.0f} s behind" if each.lag_seconds else f"{each.name}: {each.note}"
