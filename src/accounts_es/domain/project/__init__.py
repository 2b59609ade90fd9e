"""A project: the space its accounts, teams, keys and platforms live in."""

from accounts_es.domain.project.aggregate import PROJECT, ApiKey, Platform, Project

__all__ = ["PROJECT", "ApiKey", "Platform", "Project"]
