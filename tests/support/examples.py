"""One example of every event there is. `tests/unit/test_examples.py` holds them against the catalogue.

Values stand for themselves, so that one found in the wrong place tells where it came from.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from accounts_es.domain.account import events as account
from accounts_es.domain.event import Event
from accounts_es.domain.project import events as project
from accounts_es.domain.security import events as security
from accounts_es.domain.team import events as team
from tests.support.metadata import NOON

YEAR: Final = timedelta(days=365)
HASH: Final = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$9mK1kQvVw0ZyqQy0Yh1s8hZ1cYJ3n1m3yQbq5Zr0k3A"
DIGEST: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# Account --------------------------------------------------------------------------------------------------------------

signed_up = account.SignedUp(
    account_id="walter", email="walter@example.org", phone="+4930901820", name="Walter O'Brien", password_hash=HASH
)
target_added = account.TargetAdded(target_id="mail", provider_type="email", identifier="walter@example.org")
session_created = account.SessionCreated(
    session_id="laptop",
    secret_hash=DIGEST,
    provider="email",
    provider_uid="walter@example.org",
    factors=("password",),
    expires_at=NOON + YEAR,
)
session_deleted = account.SessionDeleted(session_id="laptop", reason="signed_out")
name_changed = account.NameChanged(name="Wálter 🜚")
prefs_updated = account.PrefsUpdated(prefs={"theme": "dark", "size": 1.5, "tags": ["a", None, True], "deep": {"x": 1}})
label_added = account.LabelAdded(label="vip")
label_removed = account.LabelRemoved(label="vip")
verified_email = account.VerifiedEmail()
email_verification_revoked = account.EmailVerificationRevoked()
accessed = account.Accessed()
account_deleted = account.AccountDeleted()

# Team -----------------------------------------------------------------------------------------------------------------

team_created = team.TeamCreated(team_id="crew", name="The Crew")
team_renamed = team.TeamRenamed(name="The Other Crew")

# Project --------------------------------------------------------------------------------------------------------------

project_created = project.ProjectCreated(project_id="default", name="Default")
api_key_created = project.ApiKeyCreated(
    key_id="backend", name="Backend", scopes=("users.read", "users.write"), secret_hash=DIGEST, expires_at=NOON + YEAR
)
api_key_deleted = project.ApiKeyDeleted(key_id="backend")
platform_added = project.PlatformAdded(platform_id="web", hostname="*.example.org")
platform_removed = project.PlatformRemoved(platform_id="web")

# Security -------------------------------------------------------------------------------------------------------------

sign_in_refused = security.SignInRefused(
    method="email", reason="user_invalid_credentials", identifier="walter@example.org", account="account-1"
)
access_denied = security.AccessDenied(operation="users.list", reason="general_unauthorized_scope")
refusals_counted = security.RefusalsCounted(kind="sign_in", count=1000)

EXAMPLES: Final[tuple[Event, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Event))

EXAMPLE_OF: Final[Mapping[type[Event], Event]] = {type(example): example for example in EXAMPLES}
