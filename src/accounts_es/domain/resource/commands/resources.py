"""Who may do what with a resource."""

from collections.abc import Iterator, Sequence

from accounts_es.domain.errors import ResourceAlreadyExists, ResourceNotFound
from accounts_es.domain.resource.aggregate import Resource
from accounts_es.domain.resource.events import (
    PermissionsReplaced,
    ResourceEvent,
    ResourceProtected,
    ResourceReleased,
)


def protect(
    resource: Resource, *, resource_type: str, resource_id: str, permissions: Sequence[str]
) -> Iterator[ResourceEvent]:
    """Put a resource under protection. Raises `ResourceAlreadyExists`."""
    if resource.exists:
        raise ResourceAlreadyExists
    yield ResourceProtected(resource_type=resource_type, resource_id=resource_id, permissions=tuple(permissions))


def replace_permissions(resource: Resource, *, permissions: Sequence[str]) -> Iterator[ResourceEvent]:
    """Let exactly these hold. Raises `ResourceNotFound`."""
    if not resource.exists:
        raise ResourceNotFound
    if tuple(permissions) != resource.permissions:
        yield PermissionsReplaced(permissions=tuple(permissions))


def release(resource: Resource) -> Iterator[ResourceEvent]:
    """Protect it no more. Raises `ResourceNotFound`."""
    if not resource.exists:
        raise ResourceNotFound
    yield ResourceReleased()
