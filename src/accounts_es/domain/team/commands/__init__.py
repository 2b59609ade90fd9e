"""What a team decides."""

from accounts_es.domain.team.commands.teams import create_team, rename_team

__all__ = ["create_team", "rename_team"]
