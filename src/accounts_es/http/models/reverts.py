"""What the API answers about undoing."""

from typing import Any, Final, cast

from typing_extensions import TypedDict

from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.event import personal_fields
from accounts_es.domain.reverts import Item, Plan
from accounts_es.eventstore.audit_record import REDACTED
from accounts_es.reverting import Undoing

Revert = TypedDict(
    "Revert",
    {
        "position": int,
        "event": str,
        "topic": str,
        "resourceType": str,
        "resourceId": str,
        "stream": str,
        "field": str,
        "from": Any,
        "to": Any,
        "outcome": str,
        "reason": str,
    },
)
"""What becomes of one selected event: its field goes ``from`` what it is ``to`` what it was; or why not."""


class RevertList(TypedDict):
    """What becomes of the selected events. ``scopes`` are those the changes need; ``requestId`` undoes them again."""

    total: int
    reverted: int
    dryRun: bool
    requestId: str
    scopes: list[str]
    reverts: list[Revert]


_VALUES: Final = frozenset({"resourceId", "from", "to"})
_SUBJECTS: Final = {"account": "user", "team": "team", "project": "project", "resource": "resource"}


def revert_list(undoing: Undoing, *, dry_run: bool, request_id: str, personal: bool = True) -> RevertList:
    """All of it, in the order of the log; ids and values are marked unless what is ``personal`` may be seen."""
    plans = {each.stream: each for each in undoing.plans}
    shown = [_revert(item, plans[item.stream]) for item in undoing.items]
    if not personal:
        shown = [_redacted(each) for each in shown]
    return {
        "total": len(shown),
        "reverted": sum(each["outcome"] == "reverted" for each in shown),
        "dryRun": dry_run,
        "requestId": request_id,
        "scopes": sorted(undoing.scopes),
        "reverts": shown,
    }


def _redacted(revert: Revert) -> Revert:
    """What a project is set to is nobody's own, unless it is sealed."""
    if revert["resourceType"] == "project" and not personal_fields(BY_TOPIC[revert["topic"]]):
        return revert
    marked = {
        name: value if value is None or isinstance(value, bool) else REDACTED
        for name, value in revert.items()
        if name in _VALUES
    }
    return cast("Revert", {**revert, **marked})


def _revert(item: Item, plan: Plan) -> Revert:
    category = item.stream.partition("-")[0]
    return {
        "position": item.position,
        "event": item.event,
        "topic": item.topic,
        "resourceType": _SUBJECTS[category],
        "resourceId": getattr(plan.known, f"{category}_id"),
        "stream": item.stream,
        "field": str(item.field) if item.field is not None else "",
        "from": item.before,
        "to": item.after,
        "outcome": item.outcome,
        "reason": item.reason,
    }
