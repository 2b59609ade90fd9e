"""A team of accounts."""

from accounts_es.domain.team.aggregate import OWNER, TEAM, Membership, Team

__all__ = ["OWNER", "TEAM", "Membership", "Team"]
