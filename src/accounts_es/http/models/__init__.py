"""What the API answers: the models of the wire (contract: users-teams, part 6) and how rows become them."""

from accounts_es.http.models.access import Decision, Decisions, Resource, ResourceList, resource
from accounts_es.http.models.accounts import (
    Account,
    Preferences,
    Target,
    TargetList,
    User,
    UserList,
    account,
    account_body,
    prefs,
    target,
    user,
)
from accounts_es.http.models.activities import ActivityEvent, ActivityEventList, activity
from accounts_es.http.models.audit import AuditCheckpoint, AuditConsistency, AuditKey, AuditProof
from accounts_es.http.models.dates import date
from accounts_es.http.models.erasures import Erasure, Hold, erasure, hold
from accounts_es.http.models.health import HealthProjection, HealthProjections, HealthStatus, HealthVersion, projection
from accounts_es.http.models.logs import NAMES, TEAM_TOPICS, TOPICS, Log, LogList, log, team_log
from accounts_es.http.models.sessions import Session, SessionList, session
from accounts_es.http.models.teams import (
    EVERYTHING,
    NAMES_AND_ID,
    Membership,
    MembershipList,
    Team,
    TeamList,
    membership,
    team,
    team_prefs,
)

__all__ = [
    "EVERYTHING",
    "NAMES",
    "NAMES_AND_ID",
    "TEAM_TOPICS",
    "TOPICS",
    "Account",
    "ActivityEvent",
    "ActivityEventList",
    "AuditCheckpoint",
    "AuditConsistency",
    "AuditKey",
    "AuditProof",
    "Decision",
    "Decisions",
    "Erasure",
    "HealthProjection",
    "HealthProjections",
    "HealthStatus",
    "HealthVersion",
    "Hold",
    "Log",
    "LogList",
    "Membership",
    "MembershipList",
    "Preferences",
    "Resource",
    "ResourceList",
    "Session",
    "SessionList",
    "Target",
    "TargetList",
    "Team",
    "TeamList",
    "User",
    "UserList",
    "account",
    "account_body",
    "activity",
    "date",
    "erasure",
    "hold",
    "log",
    "membership",
    "prefs",
    "projection",
    "resource",
    "session",
    "target",
    "team",
    "team_log",
    "team_prefs",
    "user",
]
