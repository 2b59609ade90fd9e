"""What every sign-in ends in: a session, its answer, and an alert where the project wants one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from accounts_es.adapters import countries
from accounts_es.adapters.ids import session_secret, wire_id
from accounts_es.domain.account import ACCOUNT
from accounts_es.domain.account.aggregate import Session
from accounts_es.domain.account.events import (
    AuthenticatorRemoved,
    IdentityRemoved,
    MfaSwitchedOff,
    PasswordRevoked,
    PhoneChanged,
    RecoveryCodesGenerated,
    SessionDeleted,
    TargetRemoved,
)
from accounts_es.http import models, notices
from accounts_es.http.context import Context
from projections import sessions
from projections.accounts import AccountRow
from projections.sessions import SessionRow

_OURS: Final = frozenset({"email", "anonymous", "magic-url", "phone", "token", "server"})
"""Session providers that hand out no tokens: this server itself."""
EVICTING: Final = (
    PasswordRevoked,
    SessionDeleted,
    IdentityRemoved,
    PhoneChanged,
    TargetRemoved,
    MfaSwitchedOff,
    AuthenticatorRemoved,
    RecoveryCodesGenerated,
)
"""What is recorded besides when somebody is let in by a mail for the first time."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A session about to be opened."""

    session_id: str
    secret: str
    expires_at: datetime
    limit: int


def new_session(ctx: Context) -> Opening:
    """A session of the project's length."""
    policies = ctx.rules.policies
    expires_at = ctx.at + timedelta(seconds=policies.session_duration.duration)
    return Opening(wire_id(), session_secret(), expires_at, policies.session_limit.total)


async def answer(ctx: Context, stream: str, account_id: str, opening: Opening) -> models.Session:
    """Send the session to the client, and what it is."""
    row = await sessions.get(ctx.reads, stream, opening.session_id)
    shown = ctx.open_session(account_id, opening.secret, opening.expires_at)
    (answered,) = await describe(ctx, [row], account_id, current=opening.session_id, secret=shown)
    return answered


async def describe(
    ctx: Context, rows: Sequence[SessionRow], account_id: str, *, current: str = "", secret: str = ""
) -> list[models.Session]:
    """Sessions of one account as the API shows them to its owner and to servers."""
    opened: Mapping[str, Session] = {}
    if any(row.provider not in _OURS for row in rows):
        opened = (await ctx.load(ACCOUNT, rows[0].stream)).sessions
    return [
        models.session(
            row,
            account_id,
            locale=ctx.request.locale,
            current=row.session_id == current,
            secret=secret,
            opened=opened.get(row.session_id),
        )
        for row in rows
    ]


async def alert(ctx: Context, account: AccountRow) -> None:
    """Tell people of a session that is not their first (contract: account, 1.9)."""
    if ctx.rules.policies.session_alert.enabled and account.email:
        _, others = await sessions.list_sessions(ctx.reads, account.stream)
        if others:
            ip = ctx.meta().ip or ""
            country = countries.country_name(countries.country_of(ip), ctx.request.locale)
            at, device = ctx.at.isoformat(), notices.agent(ctx)
            notices.mail(ctx, "session-alert", account.email, account.name, ip=ip, country=country, at=at, **device)
