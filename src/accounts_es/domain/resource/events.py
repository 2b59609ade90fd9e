"""The facts of a protected resource. Storage format: read `accounts_es.domain.event` before you change a line."""

from typing import TypeAlias

from accounts_es.domain.event import Event, Personal


class ResourceProtected(Event, topic="resource.protected"):
    """An application put something of its own under protection. Ids and roles may name people, so they are sealed."""

    resource_type: str
    resource_id: Personal[str]
    permissions: Personal[tuple[str, ...]]


class PermissionsReplaced(Event, topic="resource.permissions_replaced"):
    """Exactly these permissions hold now."""

    permissions: Personal[tuple[str, ...]]


class ResourceReleased(Event, topic="resource.released"):
    """It is not protected any more, and nobody may do anything with it here."""


ResourceEvent: TypeAlias = ResourceProtected | PermissionsReplaced | ResourceReleased
