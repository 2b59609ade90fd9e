"""Decisions for others, after OpenID AuthZEN Authorization API 1.0."""

from typing import Annotated, Any, Final

from accounts_es.domain.errors import GeneralArgumentInvalid, UserUnauthorized
from accounts_es.http import models
from accounts_es.http.access.decisions import Question, decide
from accounts_es.http.access.resources import RESOURCE_ACTIONS
from accounts_es.http.access.rules import Entities, Entity
from accounts_es.http.context import Context
from accounts_es.http.operation import operation

SUBJECT: Final = Entity("type", "id")
ACTION: Final = Entity("name")
RESOURCE: Final = Entity("type", "id")
ANYTHING: Final = Entity()
MOST_EVALUATIONS: Final = 100
_SILENT: Final = "a decision changes nothing; what is denied is recorded as every denied access"


@operation(
    "POST",
    "/access/v1/evaluation",
    id="access.evaluate",
    scope="access.read",
    returns=models.Decision,
    status=200,
    silent=_SILENT,
    raises=(UserUnauthorized,),
)
async def evaluate(
    ctx: Context,
    *,
    subject: Annotated[dict[str, Any] | None, SUBJECT] = None,
    action: Annotated[dict[str, Any], ACTION],
    resource: Annotated[dict[str, Any], RESOURCE],
    context: Annotated[dict[str, Any] | None, ANYTHING] = None,  # noqa: ARG001 - of the standard; decides nothing here
) -> models.Decision:
    """May the subject do this? A server asks about anybody, a person about themselves (also by leaving it out)."""
    return await _decided(ctx, subject, action, resource)


@operation(
    "POST",
    "/access/v1/evaluations",
    id="access.evaluateAll",
    scope="access.read",
    returns=models.Decisions,
    status=200,
    silent=_SILENT,
    raises=(UserUnauthorized,),
)
async def evaluate_all(
    ctx: Context,
    *,
    subject: Annotated[dict[str, Any] | None, SUBJECT] = None,
    action: Annotated[dict[str, Any] | None, ACTION] = None,
    resource: Annotated[dict[str, Any] | None, RESOURCE] = None,
    context: Annotated[dict[str, Any] | None, ANYTHING] = None,  # noqa: ARG001 - of the standard; decides nothing here
    evaluations: Annotated[list[dict[str, Any]] | None, Entities(MOST_EVALUATIONS)] = None,
    options: Annotated[dict[str, Any] | None, ANYTHING] = None,
) -> models.Decisions:
    """Several questions at once; what one of them leaves out is taken from around them (AuthZEN, 7)."""
    if not evaluations:
        one = await _decided(ctx, subject, action, resource)
        return {"decision": one["decision"], "context": one["context"]}
    semantic = (options or {}).get("evaluations_semantic", "execute_all")
    if semantic not in {"execute_all", "deny_on_first_deny", "permit_on_first_permit"}:
        raise GeneralArgumentInvalid("Invalid `options` param: there is no such evaluations_semantic")
    decided: list[models.Decision] = []
    for each in evaluations:
        one = await _decided(
            ctx,
            each.get("subject", subject),
            each.get("action", action),
            each.get("resource", resource),
        )
        decided.append(one)
        if semantic == ("permit_on_first_permit" if one["decision"] else "deny_on_first_deny"):
            break
    return {"evaluations": decided}


async def _decided(ctx: Context, subject: Any, action: Any, resource: Any) -> models.Decision:
    question = Question(
        _account_id(ctx, subject),
        _checked("action", ACTION, action)["name"],
        *(_checked("resource", RESOURCE, resource)[name] for name in ("type", "id")),
    )
    if question.action not in RESOURCE_ACTIONS:
        raise GeneralArgumentInvalid(f"Invalid `action` param: its name must be one of {', '.join(RESOURCE_ACTIONS)}")
    decision = await decide(ctx, question)
    if not decision["decision"] and ctx.moment is None:
        await ctx.deny("permission_missing")
    return decision


def _account_id(ctx: Context, subject: Any) -> str | None:
    """Whom it is about. Raises `UserUnauthorized` when somebody asks about others."""
    own = ctx.caller.account.account_id if ctx.caller.account is not None else None
    if subject is None:
        return own
    entity = _checked("subject", SUBJECT, subject)
    if entity["type"] == "guest":
        return None
    if entity["type"] != "user":
        raise GeneralArgumentInvalid("Invalid `subject` param: its type must be user or guest")
    if ctx.caller.kind != "key" and entity["id"] != own:
        raise UserUnauthorized
    return str(entity["id"])


def _checked(name: str, rule: Entity, value: Any) -> dict[str, Any]:
    if value is None:
        raise GeneralArgumentInvalid(f'Param "{name}" is not optional.')
    return rule.checked(name, value)
