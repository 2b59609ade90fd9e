"""What an account decides: generator functions from a state and plain arguments to events, or a refusal."""

from accounts_es.domain.account.commands.administration import (
    delete_account,
    replace_labels,
    set_email_verification,
)
from accounts_es.domain.account.commands.profile import change_name, note_access, update_prefs
from accounts_es.domain.account.commands.sessions import create_session, delete_session, delete_sessions
from accounts_es.domain.account.commands.signup import sign_up, sign_up_anonymously

__all__ = [
    "change_name",
    "create_session",
    "delete_account",
    "delete_session",
    "delete_sessions",
    "note_access",
    "replace_labels",
    "set_email_verification",
    "sign_up",
    "sign_up_anonymously",
    "update_prefs",
]
