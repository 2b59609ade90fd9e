"""What a protected resource decides."""

import pytest

from accounts_es.domain.errors import ResourceAlreadyExists, ResourceNotFound
from accounts_es.domain.resource import commands
from accounts_es.domain.resource.events import PermissionsReplaced, ResourceProtected, ResourceReleased
from tests.support.examples import resource_protected
from tests.support.given_when_then import resource

READ = ('read("any")',)


def test_a_resource_is_protected_once() -> None:
    story = resource.when(commands.protect, resource_type="notes", resource_id="n", permissions=READ).then(
        ResourceProtected(resource_type="notes", resource_id="n", permissions=READ)
    )
    story.when(commands.protect, resource_type="notes", resource_id="n", permissions=()).then_refused(
        ResourceAlreadyExists
    )


def test_permissions_are_replaced_as_a_whole() -> None:
    story = resource.given(resource_protected)
    replaced = story.when(commands.replace_permissions, permissions=READ).then(PermissionsReplaced(permissions=READ))
    replaced.when(commands.replace_permissions, permissions=READ).then_nothing()


def test_what_is_released_can_be_protected_again() -> None:
    released = resource.given(resource_protected).when(commands.release).then(ResourceReleased())
    assert released.state == resource.state
    released.when(commands.protect, resource_type="notes", resource_id="n", permissions=READ).then(
        ResourceProtected(resource_type="notes", resource_id="n", permissions=READ)
    )


@pytest.mark.parametrize(
    ("command", "arguments"), [(commands.replace_permissions, {"permissions": READ}), (commands.release, {})]
)
def test_nothing_is_decided_about_what_is_not_protected(command, arguments) -> None:
    resource.when(command, **arguments).then_refused(ResourceNotFound)
