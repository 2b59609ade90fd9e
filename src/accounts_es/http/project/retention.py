"""How long a project keeps what it no longer needs. A change is an event, and so is what goes."""

from typing import Final

from typing_extensions import TypedDict

from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.events import PolicyChanged
from accounts_es.domain.project.policies import Retention as Kept
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.project.policies import READ, WRITE
from accounts_es.http.rules import Number

MOST_DAYS: Final = 36_500
DAYS: Final = Number(0, MOST_DAYS)
_FIELDS: Final = {"deletedAccounts": "deleted_accounts", "refusals": "refusals", "origins": "origins"}


class Retention(TypedDict):
    """Days; 0: for ever."""

    deletedAccounts: int
    refusals: int
    origins: int


@operation("GET", "/project/retention", id="project.getRetention", scope=READ, returns=Retention)
async def get_retention(ctx: Context) -> Retention:
    """After how many days deleted accounts are erased, and details of refusals and origins of events are forgotten."""
    return _shown(ctx.rules.policies.retention)


@operation(
    "PATCH",
    "/project/retention",
    id="project.updateRetention",
    scope=WRITE,
    returns=Retention,
    emits=(PolicyChanged,),
    optional=dict.fromkeys(_FIELDS, DAYS),
)
async def update_retention(ctx: Context, **given: int) -> Retention:
    """Change how long things are kept, in days (0: for ever); what is not sent stays as it is."""
    settings: JSONObject = {_FIELDS[name]: days for name, days in given.items()}
    stream = ctx.required_project.stream
    state = (await ctx.execute(PROJECT, stream, commands.change_policy, policy="retention", settings=settings)).state
    return _shown(state.policies.retention)


def _shown(kept: Kept) -> Retention:
    return {"deletedAccounts": kept.deleted_accounts, "refusals": kept.refusals, "origins": kept.origins}
