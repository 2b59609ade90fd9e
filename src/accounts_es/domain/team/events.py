"""The facts of a team. Storage format: read `accounts_es.domain.event` before you change a line."""

from typing import TypeAlias

from accounts_es.domain.event import Event


class TeamCreated(Event, topic="team.created"):
    """A team came to be."""

    team_id: str
    name: str


class TeamRenamed(Event, topic="team.renamed"):
    """The team is called something else."""

    name: str


TeamEvent: TypeAlias = TeamCreated | TeamRenamed
