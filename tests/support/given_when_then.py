"""The words decisions are tested in: given these facts, when this command, then these facts (or none, or a refusal).

    account.given(signed_up, PrefsUpdated(prefs=p)).when(commands.update_prefs, prefs=p).then_nothing()

No store and no clock. The nth fact of a story happens n seconds after noon.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Concatenate, Generic, ParamSpec, TypeVar

import pytest

from accounts_es.domain.account import ACCOUNT, Account
from accounts_es.domain.account.events import AccountEvent
from accounts_es.domain.decider import Decider
from accounts_es.domain.errors import Refusal
from accounts_es.domain.event import Event, Recorded
from accounts_es.domain.project import PROJECT, Project
from accounts_es.domain.project.events import ProjectEvent
from accounts_es.domain.resource import RESOURCE, Resource
from accounts_es.domain.resource.events import ResourceEvent
from accounts_es.domain.team import TEAM, Team
from accounts_es.domain.team.events import TeamEvent
from tests.support.metadata import NOON, metadata

S = TypeVar("S")
E = TypeVar("E", bound=Event)
P = ParamSpec("P")


@dataclass(frozen=True)
class Story(Generic[S, E]):
    """What has happened to one aggregate so far."""

    decider: Decider[S, E]
    facts: tuple[E, ...] = ()

    def given(self, *facts: E) -> "Story[S, E]":
        """These facts, after those already given."""
        return Story(self.decider, (*self.facts, *facts))

    @property
    def state(self) -> S:
        """The state after these facts."""
        stream = f"{self.decider.category}-1"
        return self.decider.fold(
            Recorded(stream, nth, fact, metadata(at=NOON + timedelta(seconds=nth)))
            for nth, fact in enumerate(self.facts, start=1)
        )

    def when(
        self, command: Callable[Concatenate[S, P], Iterator[E]], *args: P.args, **kwargs: P.kwargs
    ) -> "Decision[S, E]":
        """Decide. Nothing is computed before a ``then`` asks for it."""
        return Decision(self, lambda state: tuple(command(state, *args, **kwargs)))


@dataclass(frozen=True)
class Decision(Generic[S, E]):
    """A command about to be carried out on a story."""

    story: Story[S, E]
    decide: Callable[[S], tuple[E, ...]]

    def then(self, *expected: E) -> Story[S, E]:
        """Exactly these facts, in this order; returns the story that goes on with them."""
        before = self.story.state
        decided = self.decide(before)
        assert decided == expected
        assert self.decide(before) == decided, "a decision is a function of its state and arguments"
        return self.story.given(*decided)

    def then_nothing(self) -> None:
        """No fact: what was asked for holds already."""
        self.then()

    def then_refused(self, refusal: type[Refusal]) -> None:
        """This very refusal."""
        with pytest.raises(Refusal) as refused:
            self.decide(self.story.state)
        assert type(refused.value) is refusal


account: Story[Account, AccountEvent] = Story(ACCOUNT)
project: Story[Project, ProjectEvent] = Story(PROJECT)
resource: Story[Resource, ResourceEvent] = Story(RESOURCE)
team: Story[Team, TeamEvent] = Story(TEAM)
