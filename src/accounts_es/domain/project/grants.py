"""What a key opens: scopes, until a moment or for ever."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple


class Grant(NamedTuple):
    """Scopes until ``expires_at`` (``None``: for ever)."""

    scopes: frozenset[str]
    expires_at: datetime | None

    @classmethod
    def of(cls, scopes: Iterable[str], expires_at: datetime | None) -> "Grant":
        """From the scopes of a key."""
        return cls(frozenset(scopes), expires_at)

    def within(self, other: "Grant") -> bool:
        """Whether the other one opens all of this, for as long."""
        if not self.scopes <= other.scopes:
            return False
        return other.expires_at is None or (self.expires_at is not None and self.expires_at <= other.expires_at)
