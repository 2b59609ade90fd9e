"""For proxies that ask before they pass a request on: nginx ``auth_request``, Traefik, Caddy."""

from typing import Annotated

from accounts_es.domain.errors import AccessForbidden, GeneralArgumentInvalid, UserUnauthorized
from accounts_es.domain.permissions import MalformedPermission, role
from accounts_es.http.access.decisions import Question, decide
from accounts_es.http.access.resources import RESOURCE_ACTIONS
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.roles import roles_of
from accounts_es.http.rules import Choice, Id, Text


@operation(
    "GET",
    "/access/forward",
    id="access.forward",
    scope="access.read",
    raises=(UserUnauthorized, AccessForbidden),
)
async def forward(
    ctx: Context,
    *,
    resource_type: Annotated[str | None, Id()] = None,
    resource_id: Annotated[str | None, Id()] = None,
    action: Annotated[str, Choice(RESOURCE_ACTIONS)] = "read",
    role: Annotated[str | None, Text(130)] = None,
) -> None:
    """204 when the caller may; 401 when they could by signing in, 403 when not even then.

    ``resourceType`` and ``resourceId`` name what is asked for, or ``role`` what the caller must be; with neither,
    anybody who is signed in may. The answer says who it is: ``X-Auth-User-Id``, ``X-Auth-Roles``.
    """
    account = ctx.caller.account
    if (resource_type is None) != (resource_id is None):
        raise GeneralArgumentInvalid("resourceType and resourceId belong together")
    roles = await roles_of(ctx)
    allowed = account is not None
    if role is not None:
        allowed = _known(role) in roles
    if resource_type is not None and resource_id is not None:
        account_id = account.account_id if account is not None else None
        question = Question(account_id, action, resource_type, resource_id)
        allowed = (allowed or role is None) and (await decide(ctx, question))["decision"]
    if not allowed:
        if account is None:
            raise UserUnauthorized
        raise AccessForbidden
    if account is not None:
        ctx.headers.append((b"x-auth-user-id", account.account_id.encode()))
    ctx.headers.append((b"x-auth-roles", ",".join(roles).encode()))


def _known(text: str) -> str:
    try:
        return role(text)
    except MalformedPermission as wrong:
        raise GeneralArgumentInvalid(f"Invalid `role` param: {wrong}") from None
