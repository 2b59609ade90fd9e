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
from accounts_es.http.models.sessions import Session, SessionList, session

__all__ = [
    "Account",
    "HealthStatus",
    "HealthVersion",
    "Preferences",
    "Session",
    "SessionList",
    "Target",
    "User",
    "UserList",
    "account",
    "account_body",
    "date",
    "prefs",
    "session",
    "user",
]
