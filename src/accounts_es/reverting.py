"""Undoing what happened: which events, what that comes to, and doing it in one append (docs/decisions/0012)."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from accounts_es.application import NOTHING_BESIDES, Application, Besides, Step
from accounts_es.domain.catalog import REVERTS
from accounts_es.domain.errors import GeneralResourceLocked, RevertTooLarge
from accounts_es.domain.event import Event, Metadata, Recorded
from accounts_es.domain.project import Grant
from accounts_es.domain.project.reverts import within
from accounts_es.domain.reverts import Field, Item, Plan, plan
from accounts_es.eventstore.audit import Wanted, condition_of

MOST: Final = 1000
"""Events that are undone at once."""
_ATTEMPTS: Final = 5

_TRACES: Final = [event.topic for each in REVERTS.values() for event in each.traces]
_TAKEN: Final = "somebody else has it by now"


@dataclass(frozen=True, slots=True)
class Undoing:
    """What undoing the selected events comes to, as things stand."""

    plans: tuple[Plan, ...] = ()

    @property
    def items(self) -> list[Item]:
        """What becomes of each selected event, in the order of the log."""
        return sorted((item for each in self.plans for item in each.items), key=lambda item: item.position)

    @property
    def scopes(self) -> frozenset[str]:
        """What a caller needs for these changes."""
        return frozenset[str]().union(*(each.scopes for each in self.plans))


async def selected(application: Application, wanted: Wanted) -> dict[str, set[int]]:
    """The positions of the events that meet all that is given, by their streams. Raises `RevertTooLarge`.

    Records of refusals and reads, and traces of use, are left out: they change nothing.
    """
    where, params = condition_of(wanted)
    statement = f"""SELECT notification_id, originator_id FROM log.accounts_events
        WHERE {where} AND NOT starts_with(originator_id, 'security-') AND topic <> ALL(%s)
        ORDER BY notification_id LIMIT {MOST + 1}"""
    rows = await application.log.reads.scan(statement, (*params, _TRACES))
    if len(rows) > MOST:
        raise RevertTooLarge
    found: dict[str, set[int]] = {}
    for position, stream in rows:
        found.setdefault(str(stream), set()).add(int(position))
    return found


async def preview(
    application: Application, project: str, chosen: Mapping[str, Set[int]], grant: Grant | None = None
) -> Undoing:
    """What undoing the chosen events would change, what it cannot, and what is in the way."""
    plans: list[Plan] = []
    for stream, positions in chosen.items():
        history = await application.log.load(stream)
        plans.append(await _plan(application, project, history, positions, grant))
    return Undoing(tuple(plans))


async def revert(
    application: Application,
    meta: Metadata,
    chosen: Mapping[str, Set[int]],
    *,
    grant: Grant | None = None,
    allow: Callable[[Undoing], None] = lambda _: None,
    besides: Besides = NOTHING_BESIDES,
) -> Undoing:
    """Undo the chosen events, all that can be or nothing; ``allow`` refuses what the caller may not.

    What changes meanwhile is looked at again. Raises as `Application.execute_together`.
    """
    for _ in range(_ATTEMPTS):
        undoing = await preview(application, meta.project, chosen, grant)
        allow(undoing)
        steps = [_step(each) for each in undoing.plans if each.compensations]
        if not steps:
            return undoing
        try:
            await application.execute_together(meta, besides, *steps)
        except GeneralResourceLocked:
            continue
        return undoing
    raise GeneralResourceLocked


def _step(planned: Plan) -> Step[Any, Any]:
    events = tuple(event for each in planned.compensations for event in each.events)
    causes = tuple(str(each.cause) for each in planned.compensations for _ in each.events)

    def decide(state: object) -> Sequence[Event]:
        if state != planned.state:
            raise GeneralResourceLocked
        return events

    return Step(REVERTS[planned.stream.partition("-")[0]].decider, planned.stream, decide, causes)


async def _plan(
    application: Application, project: str, history: Sequence[Recorded[Any]], positions: Set[int], grant: Grant | None
) -> Plan:
    reverts = REVERTS[history[0].stream.partition("-")[0]]
    refused: dict[Field, str] = {}
    while True:
        planned = plan(reverts, history, positions, refused=refused, permitted=within(grant))
        taken = await _taken(application, project, planned)
        if not taken:
            return planned
        refused |= dict.fromkeys(taken, _TAKEN)


async def _taken(application: Application, project: str, planned: Plan) -> list[Field]:
    """The fields that want a value which another stream holds."""
    wanted = {
        (claim.kind, application.log.keys.digest(project, claim.kind, claim.value)): each.field
        for each in planned.compensations
        for claim in each.takes
    }
    if not wanted:
        return []
    kinds, digests = zip(*wanted, strict=True)
    rows = await application.log.reads.fetch(
        """SELECT kind, digest FROM log.claims JOIN unnest(%s::text[], %s::bytea[]) AS w (k, d)
           ON kind = k AND digest = d WHERE project_id = %s AND stream <> %s""",
        (list(kinds), list(digests), project, planned.stream),
    )
    return [wanted[str(kind), bytes(digest)] for kind, digest in rows]
