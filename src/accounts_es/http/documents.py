"""Users as documents, and how one document becomes another (RFC 6902, named by JSON pointers)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic_core import to_json

from accounts_es.http import models
from accounts_es.http.models.tokens import identity
from projections import accounts, identities, sessions

Document = Mapping[str, Any]
NOBODY: Final[Document] = {}
SECRETS: Final = frozenset(
    {
        "password",
        "hash",
        "hashOptions",
        "secret",
        "current",
        "providerAccessToken",
        "providerAccessTokenExpiry",
        "providerRefreshToken",
    }
)
"""Fields of responses that no history shows, and one that depends on who asks."""


def asked(stream: str) -> Sequence[tuple[str, Sequence[object]]]:
    """The statements a document is made from."""
    return (
        (accounts.BY_STREAM.sql, ([stream],)),
        (sessions.OF_STREAM, (stream,)),
        (identities.OF_STREAM, (stream,)),
    )


def document(rows: Sequence[Sequence[tuple[Any, ...]]], locale: str) -> Document:
    """A user as `users.get` answers, with the user's sessions and identities by their ids."""
    of_account, of_sessions, of_identities = rows
    if not of_account:
        return NOBODY
    row = accounts.AccountRow._make(of_account[0])
    opened = [models.session(sessions.SessionRow._make(each), row.account_id, locale=locale) for each in of_sessions]
    linked = [identity(identities.IdentityRow._make(each), row.account_id, None) for each in of_identities]
    return {
        **_shown(models.user(row)),
        "sessions": {each["$id"]: _shown(each) for each in opened},
        "identities": {each["$id"]: _shown(each) for each in linked},
    }


def _shown(response: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name not in SECRETS}


class _Absent:
    """Not there, which is not the same as null."""


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One value that became another at a path."""

    path: str
    old: Any
    new: Any

    @property
    def field(self) -> str:
        """The path for people: ``name``, ``prefs/theme``."""
        return self.path[1:]

    def operation(self) -> dict[str, Any]:
        """As JSON Patch, with what was there before."""
        if self.new is ABSENT:
            return {"op": "remove", "path": self.path, "old": self.old}
        if self.old is ABSENT:
            return {"op": "add", "path": self.path, "value": self.new}
        return {"op": "replace", "path": self.path, "value": self.new, "old": self.old}


def differences(old: Document, new: Document, path: str = "") -> Iterator[Change]:
    """What changed from one document to another, value by value; lists are values."""
    for name in {**old, **new}:
        below = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        before, after = old.get(name, ABSENT), new.get(name, ABSENT)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from differences(cast("Document", before), cast("Document", after), below)
        elif ABSENT in (before, after) or to_json(before) != to_json(after):
            yield Change(below, before, after)


def leaves(value: Document, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document with its path; an object is one where it is empty."""
    for each in differences(NOBODY, value, path):
        new = each.new
        if isinstance(new, dict) and new:
            yield from leaves(cast("Document", new), each.path)
        else:
            yield each.path, cast("Any", new)
