"""The rules a project has for its accounts. A changed one holds for the next request."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from accounts_es.domain.errors import GeneralArgumentInvalid
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project import Project as KnownProject
from accounts_es.domain.project.events import PolicyChanged
from accounts_es.eventstore.listing import Asked
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.models.projects import (
    POLICY_NAMES,
    PRIVACY_FIELDS,
    PolicyList,
    Project,
    policy,
    project,
)
from accounts_es.http.operation import operation
from accounts_es.http.project.keys import ALL_OF_THEM
from accounts_es.http.rules import Choice, Flag, Number

READ: Final = ("project.policies.read", "policies.read")
WRITE: Final = ("project.policies.write", "policies.write")
"""The second is what keys of older servers call it."""

Handler = Callable[..., Awaitable[Project]]


@operation("GET", "/project/policies", id="project.listPolicies", scope=READ, returns=PolicyList)
async def list_policies(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries()] = ALL_OF_THEM,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> PolicyList:
    """All policies, with their settings."""
    part = tuple(POLICY_NAMES)[queries.offset : queries.offset + queries.limit]
    policies = ctx.rules.policies
    return {"total": len(POLICY_NAMES) if total else 0, "policies": [policy(policies, name) for name in part]}


@operation("GET", "/project/policies/{policyId}", id="project.getPolicy", scope=READ, returns=dict[str, Any])
async def get_policy(
    ctx: Context, *, policy_id: Annotated[str, Choice(tuple(POLICY_NAMES.values()))]
) -> dict[str, Any]:
    """One policy, with its settings."""
    return policy(ctx.rules.policies, policy_id.replace("-", "_"))


async def _change(ctx: Context, name: str, settings: JSONObject) -> KnownProject:
    stream = ctx.required_project.stream
    return (await ctx.execute(PROJECT, stream, commands.change_policy, policy=name, settings=settings)).state


def _switch(name: str, method: str) -> Handler:
    @operation(
        "PATCH",
        f"/project/policies/{POLICY_NAMES[name]}",
        id=f"project.update{method}Policy",
        scope=WRITE,
        returns=Project,
        emits=(PolicyChanged,),
    )
    async def update(ctx: Context, *, enabled: Annotated[bool, Flag()]) -> Project:
        """Switch this policy on or off."""
        return project(await _change(ctx, name, {"enabled": enabled}))

    return update


update_session_alert_policy = _switch("session_alert", "SessionAlert")
update_session_invalidation_policy = _switch("session_invalidation", "SessionInvalidation")
update_password_dictionary_policy = _switch("password_dictionary", "PasswordDictionary")
update_password_personal_data_policy = _switch("password_personal_data", "PasswordPersonalData")
update_deny_aliased_email_policy = _switch("deny_aliased_email", "DenyAliasedEmail")
update_deny_disposable_email_policy = _switch("deny_disposable_email", "DenyDisposableEmail")
update_deny_free_email_policy = _switch("deny_free_email", "DenyFreeEmail")
update_deny_corporate_email_policy = _switch("deny_corporate_email", "DenyCorporateEmail")


def _limit(name: str, method: str, rule: Number) -> Handler:
    @operation(
        "PATCH",
        f"/project/policies/{POLICY_NAMES[name]}",
        id=f"project.update{method}Policy",
        scope=WRITE,
        returns=Project,
        emits=(PolicyChanged,),
        optional={"total": rule},
    )
    async def update(ctx: Context, **given: int) -> Project:
        """Set this limit; null takes it off."""
        if "total" not in ctx.request.fields():
            raise GeneralArgumentInvalid('Param "total" is not optional.')
        return project(await _change(ctx, name, {"total": given.get("total", 0)}))

    return update


update_user_limit_policy = _limit("user_limit", "UserLimit", Number(0, 10_000))
update_password_history_policy = _limit("password_history", "PasswordHistory", Number(1, 20))


@operation(
    "PATCH",
    "/project/policies/session-limit",
    id="project.updateSessionLimitPolicy",
    scope=WRITE,
    returns=Project,
    emits=(PolicyChanged,),
)
async def update_session_limit_policy(ctx: Context, *, total: Annotated[int, Number(1, 100)]) -> Project:
    """How many sessions an account keeps: the oldest end when there are more."""
    return project(await _change(ctx, "session_limit", {"total": total}))


@operation(
    "PATCH",
    "/project/policies/session-duration",
    id="project.updateSessionDurationPolicy",
    scope=WRITE,
    returns=Project,
    emits=(PolicyChanged,),
)
async def update_session_duration_policy(ctx: Context, *, duration: Annotated[int, Number(60, 31_536_000)]) -> Project:
    """How long a session lasts that begins from now on, in seconds."""
    return project(await _change(ctx, "session_duration", {"duration": duration}))


@operation(
    "PATCH",
    "/project/policies/password-strength",
    id="project.updatePasswordStrengthPolicy",
    scope=WRITE,
    returns=dict[str, Any],
    emits=(PolicyChanged,),
    optional={
        "min": Number(8, 256),
        **{name: Flag() for name in ("uppercase", "lowercase", "number", "symbols")},
    },
)
async def update_password_strength_policy(ctx: Context, **given: bool | int) -> dict[str, Any]:
    """What a new password must have; what is not sent stays as it is."""
    state = await _change(ctx, "password_strength", {**given})
    return policy(state.policies, "password_strength")


@operation(
    "PATCH",
    "/project/policies/membership-privacy",
    id="project.updateMembershipPrivacyPolicy",
    scope=WRITE,
    returns=Project,
    emits=(PolicyChanged,),
    optional={name: Flag() for name in PRIVACY_FIELDS},
)
async def update_membership_privacy_policy(ctx: Context, **given: bool) -> Project:
    """What members of a team see of each other; what is not sent stays as it is."""
    settings: JSONObject = {PRIVACY_FIELDS[name]: shown for name, shown in given.items()}
    return project(await _change(ctx, "membership_privacy", settings))


@operation(
    "PATCH",
    "/project/policies/mfa-factors",
    id="project.updateMFAFactorsPolicy",
    scope=WRITE,
    returns=Project,
    emits=(PolicyChanged,),
    optional={name: Flag() for name in ("totp", "email", "phone", "custom")},
)
async def update_mfa_factors_policy(ctx: Context, **given: bool) -> Project:
    """Which second factors can be asked for; what is not sent stays as it is."""
    return project(await _change(ctx, "mfa_factors", {**given}))
