"""What there is to tell, as those who deliver it see it. Who knows the wire provides it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from accounts_es.domain.event import JSONObject


class Notice(Protocol):
    """Something that happened to a user, a team or a membership."""

    @property
    def pattern(self) -> tuple[str, ...]:
        """The most exact name, by its segments."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """All its names, the most exact first."""
        ...

    @property
    def own_position(self) -> int:
        """The place in the log of the fact itself: no two notices share one."""
        ...

    @property
    def at(self) -> datetime:
        """When it happened."""
        ...

    async def payload(self) -> JSONObject | None:
        """What is said: the response model as of then. Nothing of somebody who was erased meanwhile."""
        ...

    async def caused_by(self) -> str:
        """The id of the account that did it; empty if it was a server, or nobody who is still there."""
        ...


class Told(Protocol):
    """What one request did to one account or team."""

    @property
    def stream(self) -> str:
        """Whose facts they are."""
        ...

    @property
    def end(self) -> int:
        """The position of the last: beyond it all of this has been told."""
        ...

    @property
    def notices(self) -> Sequence[Notice]:
        """What there is to tell, in the order of the log."""
        ...


class Page(Protocol):
    """A part of the log."""

    @property
    def told(self) -> Sequence[Told]:
        """What there is to tell in it, in the order of the log."""
        ...

    @property
    def reached(self) -> int:
        """Everything up to this position is in it or before it."""
        ...

    @property
    def is_last(self) -> bool:
        """Whether there is nothing beyond it yet."""
        ...


class Source(Protocol):
    """The log, as it is told."""

    async def page(self, project: str, after: int) -> Page:
        """What happened in a project after a position."""
        ...
