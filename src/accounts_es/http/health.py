"""Whether the server is well, and what it can do."""

import time
from typing import Any

from accounts_es.http import models, openapi
from accounts_es.http.context import Context
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
