"""What servers change about an account."""

from typing import Annotated

from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import (
    AccountBlocked,
    AccountUnblocked,
    EmailVerificationRevoked,
    ImpersonatorAppointed,
    ImpersonatorDismissed,
    LabelAdded,
    LabelRemoved,
    NameChanged,
    PhoneVerificationRevoked,
    PrefsUpdated,
    VerifiedEmail,
    VerifiedPhone,
)
from accounts_es.domain.errors import UserNotFound
from accounts_es.domain.event import JSONObject
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.rules import Flag, Id, Label, Prefs, Text, Texts
from projections import accounts


@operation(
    "PATCH",
    "/users/{userId}/name",
    id="users.updateName",
    scope="users.write",
    returns=models.User,
    emits=(NameChanged,),
    raises=(UserNotFound,),
)
async def update_name(
    ctx: Context, *, user_id: Annotated[str, Id()], name: Annotated[str, Text(128, shortest=0)]
) -> models.User:
    """Call an account something else, or nothing at all."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    outcome = await ctx.execute(ACCOUNT, account.stream, commands.change_name, name=name)
    return models.user(await accounts.get_after(ctx.reads, account, outcome.recorded))


@operation(
    "PUT",
    "/users/{userId}/labels",
    id="users.updateLabels",
    scope="users.write",
    returns=models.User,
    emits=(LabelAdded, LabelRemoved),
    raises=(UserNotFound,),
)
async def update_labels(
    ctx: Context, *, user_id: Annotated[str, Id()], labels: Annotated[list[str], Texts(Label(), 1000)]
) -> models.User:
    """Replace an account's labels."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    outcome = await ctx.execute(ACCOUNT, account.stream, commands.replace_labels, labels=labels)
    return models.user(await accounts.get_after(ctx.reads, account, outcome.recorded))


@operation(
    "PATCH",
    "/users/{userId}/verification",
    id="users.updateEmailVerification",
    scope="users.write",
    returns=models.User,
    emits=(VerifiedEmail, EmailVerificationRevoked),
    raises=(UserNotFound,),
)
async def update_email_verification(
    ctx: Context, *, user_id: Annotated[str, Id()], email_verification: Annotated[bool, Flag()]
) -> models.User:
    """Say whether an account's e-mail address counts as verified."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    outcome = await ctx.execute(ACCOUNT, account.stream, commands.set_email_verification, verified=email_verification)
    return models.user(await accounts.get_after(ctx.reads, account, outcome.recorded))


@operation(
    "PATCH",
    "/users/{userId}/verification/phone",
    id="users.updatePhoneVerification",
    scope="users.write",
    returns=models.User,
    emits=(VerifiedPhone, PhoneVerificationRevoked),
    raises=(UserNotFound,),
)
async def update_phone_verification(
    ctx: Context, *, user_id: Annotated[str, Id()], phone_verification: Annotated[bool, Flag()]
) -> models.User:
    """Say whether an account's phone number counts as verified."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    outcome = await ctx.execute(ACCOUNT, account.stream, commands.set_phone_verification, verified=phone_verification)
    return models.user(await accounts.get_after(ctx.reads, account, outcome.recorded))


@operation(
    "PATCH",
    "/users/{userId}/status",
    id="users.updateStatus",
    scope="users.write",
    returns=models.User,
    emits=(AccountBlocked, AccountUnblocked),
    raises=(UserNotFound,),
)
async def update_status(
    ctx: Context, *, user_id: Annotated[str, Id()], status: Annotated[bool, Flag(loose=True)]
) -> models.User:
    """Block an account, or let it act again. Its sessions stay, and answer 403 while it is blocked."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    outcome = await ctx.execute(ACCOUNT, account.stream, commands.set_active, active=status)
    return models.user(await accounts.get_after(ctx.reads, account, outcome.recorded))


@operation(
    "PATCH",
    "/users/{userId}/impersonator",
    id="users.updateImpersonator",
    scope="users.write",
    returns=models.User,
    emits=(ImpersonatorAppointed, ImpersonatorDismissed),
    raises=(UserNotFound,),
)
async def update_impersonator(
    ctx: Context, *, user_id: Annotated[str, Id()], impersonator: Annotated[bool, Flag(loose=True)]
) -> models.User:
    """Say whether an account may look at the project as its other people see it."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    outcome = await ctx.execute(ACCOUNT, account.stream, commands.set_impersonator, impersonator=impersonator)
    return models.user(await accounts.get_after(ctx.reads, account, outcome.recorded))


@operation(
    "GET",
    "/users/{userId}/prefs",
    id="users.getPrefs",
    scope="users.read",
    returns=models.Preferences,
    raises=(UserNotFound,),
)
async def get_prefs(ctx: Context, *, user_id: Annotated[str, Id()]) -> JSONObject:
    """An account's preferences."""
    return models.prefs(await accounts.get(ctx.reads, ctx.project_id, user_id))


@operation(
    "PATCH",
    "/users/{userId}/prefs",
    id="users.updatePrefs",
    scope="users.write",
    returns=models.Preferences,
    emits=(PrefsUpdated,),
    raises=(UserNotFound,),
)
async def update_prefs(
    ctx: Context, *, user_id: Annotated[str, Id()], prefs: Annotated[JSONObject, Prefs()]
) -> JSONObject:
    """Replace an account's preferences as a whole."""
    account = await accounts.get(ctx.reads, ctx.project_id, user_id)
    outcome = await ctx.execute(ACCOUNT, account.stream, commands.update_prefs, prefs=prefs)
    return models.prefs(await accounts.get_after(ctx.reads, account, outcome.recorded))
