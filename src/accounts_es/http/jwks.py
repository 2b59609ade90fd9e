"""The keys that others check our tokens with."""

from collections.abc import Mapping
from typing import Final

from accounts_es.http.context import Context
from accounts_es.http.models.tokens import Jwks
from accounts_es.http.operation import operation

_KEPT_FOR: Final = 600


@operation("GET", "/.well-known/jwks.json", id="jwks.get", scope="global", returns=Jwks, public_for=_KEPT_FOR)
async def get(ctx: Context) -> Mapping[str, list[Mapping[str, str]]]:
    """The public keys of the project's ES256 tokens (RFC 7517). Verifiers name the project in the query."""
    return {"keys": ctx.services.jwts.public_keys(ctx.project_id)}
