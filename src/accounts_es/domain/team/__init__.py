"""A team of accounts."""

from accounts_es.domain.team.aggregate import TEAM, Team

__all__ = ["TEAM", "Team"]
