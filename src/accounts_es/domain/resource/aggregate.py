"""The state of a protected resource and how each fact changes it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from accounts_es.domain.decider import Claim, Decider
from accounts_es.domain.errors import ResourceAlreadyExists
from accounts_es.domain.resource.events import (
    PermissionsReplaced,
    ResourceEvent,
    ResourceProtected,
    ResourceReleased,
)


@dataclass(frozen=True, slots=True)
class Resource:
    """What is true of a resource after its events. ``exists`` is false before it begins and after its release."""

    exists: bool = False
    resource_type: str = ""
    resource_id: str = ""
    permissions: tuple[str, ...] = ()


def evolve(resource: Resource, event: ResourceEvent, _at: datetime) -> Resource:
    """The resource after one more fact."""
    match event:
        case ResourceProtected():
            return Resource(True, event.resource_type, event.resource_id, event.permissions)
        case PermissionsReplaced():
            return replace(resource, permissions=event.permissions)
        case ResourceReleased():
            return Resource()
        case _:
            assert_never(event)


def claims(resource: Resource) -> frozenset[Claim]:
    """One resource of a type has an id."""
    if not resource.exists or not resource.resource_id:
        return frozenset()
    return frozenset({Claim("resource.id", f"{resource.resource_type}/{resource.resource_id}")})


RESOURCE: Decider[Resource, ResourceEvent] = Decider(
    category="resource",
    initial=Resource(),
    evolve=evolve,
    claims=claims,
    taken={"resource.id": ResourceAlreadyExists},
)
