"""Which names of events can be subscribed to (contract: cross-cutting, 11): those of users and teams."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

Actions = Mapping[str, frozenset[str]]
"""What may happen, and to which of its details."""

_ID: Final = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9._-]{0,35}")
_NONE: Final[frozenset[str]] = frozenset()
_UPDATES: Final = frozenset(
    {
        "email",
        "impersonator",
        "labels",
        "mfa",
        "name",
        "password",
        "phone",
        "prefs",
        "status",
        "verification",
    }
)


def _plainly(*actions: str) -> Actions:
    return dict.fromkeys(actions, _NONE)


_OF: Final[Mapping[str, Actions]] = {
    "users": {"create": _NONE, "update": _UPDATES, "delete": _NONE},
    "teams": {"create": _NONE, "update": frozenset({"prefs"}), "delete": _NONE},
}
_PARTS: Final[Mapping[str, Mapping[str, Actions]]] = {
    "users": {
        "challenges": _plainly("create"),
        "identities": _plainly("delete"),
        "recovery": _plainly("create", "update"),
        "sessions": _plainly("create", "update", "delete"),
        "targets": _plainly("create", "update", "delete"),
        "tokens": _plainly("create"),
        "verification": _plainly("create", "update"),
    },
    "teams": {"memberships": {"create": _NONE, "update": frozenset({"status"}), "delete": _NONE}},
}


def is_subscription(name: str) -> bool:
    """Whether events may go by this name: ``users.*``, ``teams.*.memberships.*.update.status``.

    Ids with dots in them cannot be told from further segments: ``*`` stands for them.
    """
    kind, *rest = name.split(".")
    if kind not in _OF or not rest or not _ID.fullmatch(rest[0]):
        return False
    if rest[1:2] and rest[1] in _PARTS[kind]:
        return bool(rest[2:]) and bool(_ID.fullmatch(rest[2])) and _acts(_PARTS[kind][rest[1]], rest[3:])
    return _acts(_OF[kind], rest[1:])


def _acts(actions: Actions, said: Sequence[str]) -> bool:
    match said:
        case []:
            return True
        case [action]:
            return action in actions
        case [action, detail]:
            return detail in actions.get(action, _NONE)
        case _:
            return False
