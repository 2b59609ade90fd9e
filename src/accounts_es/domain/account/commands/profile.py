"""What the owner of an account changes about it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic_core import to_json

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_active, ensure_exists
from accounts_es.domain.account.events import Accessed, AccountEvent, NameChanged, PrefsUpdated
from accounts_es.domain.event import JSONObject


def change_name(account: Account, *, name: str) -> Iterator[AccountEvent]:
    """Call the account something else."""
    ensure_exists(account)
    if name != account.name:
        yield NameChanged(name=name)


def update_prefs(account: Account, *, prefs: JSONObject) -> Iterator[AccountEvent]:
    """Replace the preferences as a whole."""
    ensure_exists(account)
    # Compared as bytes: in Python 1 == True, and dicts ignore the order of keys.
    if to_json(prefs) != to_json(account.prefs):
        yield PrefsUpdated(prefs=prefs)


def note_access(account: Account, *, now: datetime) -> Iterator[AccountEvent]:
    """Remember that the account was used, at most once in 24 hours (contract: cross-cutting, 4.13)."""
    ensure_active(account)
    if account.accessed_at is None or now - account.accessed_at >= timedelta(hours=24):
        yield Accessed()
