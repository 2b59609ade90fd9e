"""A project: the space its accounts, teams, keys and platforms live in."""

from accounts_es.domain.project.aggregate import PROJECT, ApiKey, MockPhone, Platform, Project, Provider, Webhook
from accounts_es.domain.project.grants import Grant
from accounts_es.domain.project.policies import AUTH_METHODS, PROTOCOLS, SERVICES, AuthMethod, Policies

__all__ = [
    "AUTH_METHODS",
    "PROJECT",
    "PROTOCOLS",
    "SERVICES",
    "ApiKey",
    "AuthMethod",
    "Grant",
    "MockPhone",
    "Platform",
    "Policies",
    "Project",
    "Provider",
    "Webhook",
]
