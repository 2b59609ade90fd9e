"""Permissions as Appwrite writes them: ``read("team:crew/owner")`` (contract: users-teams, 3.1 and 3.4)."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from accounts_es.domain.values import is_id

MOST_PERMISSIONS: Final = 100
LONGEST_ROLE: Final = 81
ACTIONS: Final = ("create", "read", "update", "delete")
"""What can be allowed; ``write`` stands for all but ``read``."""
WRITE: Final = "write"

_PERMISSION: Final = re.compile(r'(?P<action>[a-z]+)\("(?P<role>[^"()]+)"\)\Z')
_LABEL: Final = re.compile(r"[A-Za-z0-9]{1,36}\Z")
_STATES: Final = frozenset({"verified", "unverified"})


class MalformedPermission(Exception):  # noqa: N818
    """The text is no permission; the message says what is wrong with it."""


class Permission(NamedTuple):
    """Somebody with this role may do this."""

    action: str
    role: str

    def __str__(self) -> str:
        return f'{self.action}("{self.role}")'


def parse(text: str, actions: Sequence[str] = ACTIONS) -> Permission:
    """The permission of a text. Raises `MalformedPermission`."""
    if text == "*" or "role:" in text:
        raise MalformedPermission('permissions are written like read("any")')
    match = _PERMISSION.match(text)
    if match is None:
        raise MalformedPermission('it must look like read("any")')
    if match["action"] not in {*actions, WRITE}:
        raise MalformedPermission(f"it may allow {', '.join((*actions, WRITE))}")
    return Permission(match["action"], role(match["role"]))


def role(text: str) -> str:
    """The role as written. Raises `MalformedPermission` for one that nobody can have."""
    named, slash, dimension = text.partition("/")
    name, colon, identifier = named.partition(":")
    if slash and (not dimension or "/" in dimension):
        raise MalformedPermission(f"the role {name} has no such dimension")
    match name:
        case "any" | "guests":
            good = not colon and not slash
        case "users":
            good = not colon and (not slash or dimension in _STATES)
        case "user":
            good = is_id(identifier) and (not slash or dimension in _STATES)
        case "team":
            good = is_id(identifier) and len(dimension) <= LONGEST_ROLE
        case "member":
            good = is_id(identifier) and not slash
        case "label":
            good = _LABEL.match(identifier) is not None and not slash
        case _:
            raise MalformedPermission("its role must be any, guests, users, user, team, member or label")
    if not good:
        raise MalformedPermission(f"the role {name} is not written like this")
    return text


def aggregated(permissions: Iterable[Permission], actions: Sequence[str] = ACTIONS) -> tuple[Permission, ...]:
    """Each action by itself: ``write`` becomes create, update and delete; repeated ones once, in their order."""
    single = (
        Permission(action, each.role)
        for each in permissions
        for action in ([one for one in actions if one != "read"] if each.action == WRITE else [each.action])
    )
    return tuple(dict.fromkeys(single))
