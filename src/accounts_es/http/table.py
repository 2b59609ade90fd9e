"""Every operation there is: the modules are listed here, and a test holds the list against the files."""

from typing import Final

from accounts_es.http import activities, audit, audit_export, feed, health, jwks, reverts
from accounts_es.http.access import evaluations, forward, resources
from accounts_es.http.account import (
    accounts,
    credentials,
    id_tokens,
    identities,
    logs,
    memberships,
    mfa,
    oauth,
    profile,
    recovery,
    sessions,
    targets,
    tokens,
    verification,
)
from accounts_es.http.operation import Operation, operations_of
from accounts_es.http.project import keys, mail, mock_phones, platforms, policies, projects, providers, retention
from accounts_es.http.teams import invitations, teams
from accounts_es.http.teams import logs as team_logs
from accounts_es.http.teams import memberships as team_memberships
from accounts_es.http.users import credentials as user_credentials
from accounts_es.http.users import erasure as user_erasure
from accounts_es.http.users import export as user_export
from accounts_es.http.users import history as user_history
from accounts_es.http.users import identities as user_identities
from accounts_es.http.users import imported as user_imports
from accounts_es.http.users import logs as user_logs
from accounts_es.http.users import memberships as user_memberships
from accounts_es.http.users import mfa as user_mfa
from accounts_es.http.users import profile as user_profile
from accounts_es.http.users import sessions as user_sessions
from accounts_es.http.users import targets as user_targets
from accounts_es.http.users import tokens as user_tokens
from accounts_es.http.users import users
from accounts_es.http.webhooks import webhooks

MODULES: Final = (
    health,
    jwks,
    accounts,
    sessions,
    id_tokens,
    oauth,
    tokens,
    profile,
    logs,
    credentials,
    recovery,
    verification,
    mfa,
    identities,
    targets,
    memberships,
    users,
    user_imports,
    user_profile,
    user_credentials,
    user_sessions,
    user_tokens,
    user_mfa,
    user_targets,
    user_identities,
    user_logs,
    user_history,
    user_memberships,
    user_erasure,
    user_export,
    teams,
    team_memberships,
    team_logs,
    invitations,
    projects,
    keys,
    platforms,
    policies,
    retention,
    mock_phones,
    providers,
    mail,
    webhooks,
    resources,
    evaluations,
    forward,
    audit,
    audit_export,
    reverts,
    feed,
    activities,
)

OPERATIONS: Final[tuple[Operation, ...]] = tuple(each for module in MODULES for each in operations_of(module))
