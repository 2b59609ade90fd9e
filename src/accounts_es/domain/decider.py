"""An aggregate as three functions: the empty state, the fold, and the unique values a state holds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from accounts_es.domain.errors import Refusal
from accounts_es.domain.event import Event, Recorded

S = TypeVar("S")
E = TypeVar("E", bound=Event)


class Claim(NamedTuple):
    """A value only one stream of a project may hold. ``kind`` is ``<aggregate>.<field>``."""

    kind: str
    value: str


def no_claims(_state: object) -> frozenset[Claim]:
    """For aggregates that hold nothing unique."""
    return frozenset()


@dataclass(frozen=True, slots=True)
class Decider(Generic[S, E]):
    """What the application needs to know of an aggregate.

    ``evolve`` is total and never refuses. ``claims`` is a function of the state alone: what a decision takes and
    frees is the difference before and after. ``taken`` says which refusal a taken claim becomes.
    """

    category: str
    initial: S
    evolve: Callable[[S, E, datetime], S]
    claims: Callable[[S], frozenset[Claim]] = no_claims
    holding: Callable[[S], object] | None = None
    """The part of a state that all its claims are made of: where it stayed equal, nobody has to compare them."""
    taken: Mapping[str, type[Refusal]] = field(default_factory=dict[str, type[Refusal]])

    def claimed(self, before: S, after: S) -> tuple[frozenset[Claim], frozenset[Claim]]:
        """What is taken between two states, and what is freed."""
        if before is after or (self.holding is not None and self.holding(before) == self.holding(after)):
            return frozenset(), frozenset()
        held, holds = self.claims(before), self.claims(after)
        return holds - held, held - holds

    def fold(self, recorded: Iterable[Recorded[E]], state: S | None = None) -> S:
        """The state after these events, starting from ``state`` or from the empty one."""
        folded = self.initial if state is None else state
        for each in recorded:
            folded = self.evolve(folded, each.event, each.meta.at)
        return folded
