"""Every event there is, by topic, and every aggregate: explicit, so that nothing depends on what is imported."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from accounts_es.domain.account import ACCOUNT
from accounts_es.domain.account.events import AccountEvent
from accounts_es.domain.account.reverts import ACCOUNT_REVERTS
from accounts_es.domain.decider import Decider
from accounts_es.domain.event import Event
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project.events import ProjectEvent
from accounts_es.domain.project.reverts import PROJECT_REVERTS
from accounts_es.domain.resource import RESOURCE
from accounts_es.domain.resource.events import ResourceEvent
from accounts_es.domain.resource.reverts import RESOURCE_REVERTS
from accounts_es.domain.reverts import Reverts
from accounts_es.domain.security.events import SecurityEvent
from accounts_es.domain.team import TEAM
from accounts_es.domain.team.events import TeamEvent
from accounts_es.domain.team.reverts import TEAM_REVERTS

EVENTS: Final[tuple[type[Event], ...]] = tuple(
    event
    for union in (AccountEvent, TeamEvent, ProjectEvent, ResourceEvent, SecurityEvent)
    for event in get_args(union)
)

BY_TOPIC: Final[Mapping[str, type[Event]]] = {event.topic: event for event in EVENTS}

DECIDERS: Final[Mapping[str, Decider[Any, Any]]] = {each.category: each for each in (ACCOUNT, PROJECT, TEAM, RESOURCE)}
"""By the first word of their streams. Security streams are lists of events without a state."""

REVERTS: Final[Mapping[str, Reverts[Any, Any]]] = {
    each.decider.category: each for each in (ACCOUNT_REVERTS, PROJECT_REVERTS, TEAM_REVERTS, RESOURCE_REVERTS)
}
"""How their events are undone, by the same words. What security streams say changes nothing."""
