"""Undoing what happened: which events, what that comes to, and doing it in one append (docs/decisions/0012)."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from accounts_es.application import NOTHING_BESIDES, Application, Besides, Step
from accounts_es.domain.catalog import REVERTS
from accounts_es.domain.decider import Claim
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
    plans: dict[str, Plan] = {}
    refused: dict[str, dict[Field, str]] = {}
    anew: Collection[str] = chosen
    while anew:
        for stream in anew:
            history: Sequence[Recorded[Any]] = await application.log.load(stream)
            reverts = REVERTS[stream.partition("-")[0]]
            plans[stream] = plan(reverts, history, chosen[stream], refused=refused.get(stream), permitted=within(grant))
        # Whoever does not get a value back does not give up the one it has: the others are looked at again.
        anew = await _taken(application, project, plans)
        for stream, fields in anew.items():
            refused.setdefault(stream, {}).update(dict.fromkeys(fields, _TAKEN))
    return Undoing(tuple(plans.values()))


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


async def _taken(application: Application, project: str, plans: Mapping[str, Plan]) -> dict[str, list[Field]]:
    """The fields, by their streams, that want a value which another stream keeps, or gets back before them."""
    found: dict[str, list[Field]] = {}
    wanted: dict[tuple[str, bytes], tuple[Claim, str, Field]] = {}
    wishes = [(made, claim, each) for each in plans.values() for made in each.compensations for claim in made.takes]
    for made, claim, each in sorted(wishes, key=lambda wish: wish[0].cause):
        key = (claim.kind, application.log.keys.digest(project, claim.kind, claim.value))
        _, first, _ = wanted.setdefault(key, (claim, each.stream, made.field))
        if first != each.stream:
            found.setdefault(each.stream, []).append(made.field)
    if not wanted:
        return found
    kinds, digests = zip(*wanted, strict=True)
    rows = await application.log.reads.fetch(
        """SELECT kind, digest, stream FROM log.claims JOIN unnest(%s::text[], %s::bytea[]) AS w (k, d)
           ON kind = k AND digest = d WHERE project_id = %s""",
        (list(kinds), list(digests), project),
    )
    for kind, digest, holder in rows:
        claim, stream, field = wanted[str(kind), bytes(digest)]
        if holder != stream and (holder not in plans or claim not in plans[holder].frees):
            found.setdefault(stream, []).append(field)
    return found
