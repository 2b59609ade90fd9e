"""What every sign-in ends in: a session, its answer, and an alert where the project wants one."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts_es.adapters.ids import session_secret, wire_id
from accounts_es.http import models, notices
from accounts_es.http.context import Context
from projections import sessions
from projections.accounts import AccountRow


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
    return models.session(row, account_id, locale=ctx.request.locale, current=True, secret=shown)


async def alert(ctx: Context, account: AccountRow) -> None:
    """Tell people of a session that is not their first (contract: account, 1.9)."""
    if ctx.rules.policies.session_alert.enabled and account.email:
        _, others = await sessions.list_sessions(ctx.reads, account.stream)
        if others:
            meta = ctx.meta()
            values = {"ip": meta.ip or "", "user_agent": meta.user_agent or "", "at": ctx.at.isoformat()}
            notices.mail(ctx, "session-alert", account.email, account.name, **values)
