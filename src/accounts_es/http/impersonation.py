"""Acting as somebody else (contract: account, 1.1 (8)): who is named, and who may be.

Only accounts that a server appointed may; each request names whom, and few operations listen. Events record both.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from accounts_es.domain.errors import UserNotFound
from accounts_es.domain.event import Actor
from accounts_es.eventstore.reads import Reads
from accounts_es.http.context import Context
from projections import accounts
from projections.accounts import AccountRow

Find = Callable[[Reads, str, str], Awaitable[AccountRow | None]]


def _find_by_email(reads: Reads, project_id: str, email: str) -> Awaitable[AccountRow | None]:
    return accounts.find_by_email(reads, project_id, email.strip().lower())


NAMED: Final[tuple[tuple[bytes, str, Find], ...]] = (
    (b"x-appwrite-impersonate-user-id", "impersonateUserId", accounts.find),
    (b"x-appwrite-impersonate-user-email", "impersonateEmail", _find_by_email),
    (b"x-appwrite-impersonate-user-phone", "impersonatePhone", accounts.find_by_phone),
)
"""The header, the parameter of the query (also in lower case), and how to find whom it names; the first sent counts."""


async def act_as(ctx: Context) -> None:
    """Make the caller the person the request names, if the caller may be that person.

    Otherwise what it names is ignored, except where something would happen to the wrong account: then raises
    `UserNotFound`.
    """
    caller, actor = ctx.caller, ctx.caller.account
    if actor is None or (ctx.operation.method == "GET" and not actor.impersonator):
        return
    named, find = _named(ctx)
    if not named or find is None:
        return
    target = await find(ctx.reads, ctx.project_id, named) if actor.impersonator else None
    if target is not None and target.stream != actor.stream and not target.impersonator:
        acting = Actor(kind="account", id=target.stream, impersonator=actor.stream)
        ctx.caller = replace(caller, account=target, actor=acting, impersonator=actor)
    elif ctx.operation.method != "GET":
        raise UserNotFound


def _named(ctx: Context) -> tuple[str, Find | None]:
    query = ctx.request.query()
    for header, parameter, find in NAMED:
        sent = ctx.request.header(header) or query.get(parameter) or query.get(parameter.lower())
        if isinstance(sent, str) and sent:
            return sent.replace("\x00", "\ufffd"), find  # PostgreSQL has no NUL in text
    return "", None
