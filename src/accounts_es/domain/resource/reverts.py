"""How the facts of a protected resource are undone."""

from collections.abc import Iterator
from typing import Final

from accounts_es.domain.resource import events
from accounts_es.domain.resource.aggregate import RESOURCE, Resource
from accounts_es.domain.resource.events import ResourceEvent
from accounts_es.domain.reverts import WHOLE, Kept, Reverts

_WRITE: Final = "resources.write"


def _existence(_now: Resource, then: Resource, _of: str) -> Iterator[ResourceEvent]:
    if then.exists:
        yield events.ResourceProtected(
            resource_type=then.resource_type, resource_id=then.resource_id, permissions=then.permissions
        )
    else:
        yield events.ResourceReleased()


def _permissions(_now: Resource, then: Resource, _of: str) -> Iterator[ResourceEvent]:
    yield events.PermissionsReplaced(permissions=then.permissions)


RESOURCE_REVERTS: Final[Reverts[Resource, ResourceEvent]] = Reverts(
    decider=RESOURCE,
    fields={
        WHOLE: Kept(_WRITE, lambda resource, _: resource.exists, _existence),
        "permissions": Kept(_WRITE, lambda resource, _: resource.permissions, _permissions, list),
    },
    sets={
        events.ResourceProtected: (WHOLE, ""),
        events.ResourceReleased: (WHOLE, ""),
        events.PermissionsReplaced: ("permissions", ""),
    },
    never={},
)
