"""What the API answers: the models of the wire (contract: users-teams, part 6) and how rows become them."""

from accounts_es.http.models.accounts import (
    Account,
    Preferences,
    Target,
    User,
    UserList,
    account,
    account_body,
    prefs,
    user,
)
from accounts_es.http.models.dates import date
from accounts_es.http.models.health import HealthStatus, HealthVersion
from accounts_es.http.models.logs import NAMES, TOPICS, Log, LogList, log
from accounts_es.http.models.sessions import Session, SessionList, session

__all__ = [
    "NAMES",
    "TOPICS",
    "Account",
    "HealthStatus",
    "HealthVersion",
    "Log",
    "LogList",
    "Preferences",
    "Session",
    "SessionList",
    "Target",
    "User",
    "UserList",
    "account",
    "account_body",
    "date",
    "log",
    "prefs",
    "session",
    "user",
]
