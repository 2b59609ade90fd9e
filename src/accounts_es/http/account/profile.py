"""What people change about their own account."""

from typing import Annotated

from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import NameChanged, PrefsUpdated
from accounts_es.domain.errors import UserNotFound
from accounts_es.domain.event import JSONObject
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.rules import Prefs, Text
from projections import accounts


@operation(
    "PATCH",
    "/account/name",
    id="account.updateName",
    scope="account",
    returns=models.Account,
    emits=(NameChanged,),
    raises=(UserNotFound,),
)
async def update_name(ctx: Context, *, name: Annotated[str, Text(128)]) -> models.Account:
    """Call the caller's account something else."""
    outcome = await ctx.execute(ACCOUNT, ctx.account.stream, commands.change_name, name=name)
    return models.account(await accounts.get_after(ctx.reads, ctx.account, outcome.recorded))


@operation("GET", "/account/prefs", id="account.getPrefs", scope="account", returns=models.Preferences)
async def get_prefs(ctx: Context) -> JSONObject:
    """The preferences of the caller's account."""
    return models.prefs(ctx.account)


@operation(
    "PATCH",
    "/account/prefs",
    id="account.updatePrefs",
    scope="account",
    returns=models.Account,
    emits=(PrefsUpdated,),
    raises=(UserNotFound,),
)
async def update_prefs(ctx: Context, *, prefs: Annotated[JSONObject, Prefs()]) -> models.Account:
    """Replace the preferences of the caller's account as a whole."""
    outcome = await ctx.execute(ACCOUNT, ctx.account.stream, commands.update_prefs, prefs=prefs)
    return models.account(await accounts.get_after(ctx.reads, ctx.account, outcome.recorded))
