"""May somebody do something with a resource, and why: the one place where it is decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from accounts_es.domain.account import events as account_events
from accounts_es.domain.event import Event, Recorded
from accounts_es.domain.permissions import Permission, parse
from accounts_es.domain.team import events as team_events
from accounts_es.http.context import Context
from accounts_es.http.models.access import Decision
from accounts_es.http.roles import GUEST, roles_of_account
from projections import accounts, resources, teams
from projections.accounts import AccountRow

GUESTS: Final = "guest"


@dataclass(frozen=True, slots=True)
class Question:
    """May the account with this id (nobody: a guest) do this with that resource."""

    account_id: str | None
    action: str
    resource_type: str
    resource_id: str


async def decide(ctx: Context, question: Question) -> Decision:
    """Whether it is allowed. The context names the permission, the role, and the fact the role came from."""
    row = await resources.find(ctx.reads, ctx.project_id, question.resource_type, question.resource_id)
    if row is None:
        return _no("there is no such resource")
    account = (
        await accounts.find(ctx.reads, ctx.project_id, question.account_id) if question.account_id is not None else None
    )
    if question.account_id is not None and account is None:
        return _no("there is no such subject")
    if account is not None and not account.active:
        return _no("the subject is blocked")
    roles: tuple[str, ...] = GUEST
    if account is not None:
        roles = ("any", *roles_of_account(account, await teams.member_of(ctx.reads, account.stream)))
    granted = matching(map(parse, row.permissions), question.action, roles)
    if granted is None:
        return _no("no role of the subject may do this")
    reason: dict[str, Any] = {"permission": str(granted), "role": granted.role}
    source = await _source(ctx, account, granted.role)
    if source is not None:
        reason["source"] = source
    return {"decision": True, "context": {"reason": reason}}


def matching(permissions: Any, action: str, roles: Sequence[str]) -> Permission | None:
    """The first permission that one of the roles has."""
    return next((each for each in permissions if each.action == action and each.role in roles), None)


def _no(why: str) -> Decision:
    return {"decision": False, "context": {"reason": {"denied": why}}}


async def _source(ctx: Context, account: AccountRow | None, role: str) -> dict[str, Any] | None:
    """The event that gave the account this role; nothing for roles that everybody has."""
    if account is None or role == "any":
        return None
    named, _, dimension = role.partition("/")
    name, _, identifier = named.partition(":")
    if name in {"team", "member"}:
        return await _membership(ctx, account, name, identifier)
    recorded = await ctx.history(account.stream)
    match name:
        case "label":
            wanted: tuple[type[Event], ...] = (account_events.LabelAdded,)
            recorded = [each for each in recorded if getattr(each.event, "label", identifier) == identifier]
        case _ if dimension == "verified":
            wanted = (account_events.VerifiedEmail, account_events.VerifiedPhone)
        case _ if dimension == "unverified":
            wanted = (
                account_events.SignedUp,
                account_events.EmailVerificationRevoked,
                account_events.PhoneVerificationRevoked,
                account_events.EmailChanged,
                account_events.PhoneChanged,
            )
        case _:
            wanted = (account_events.SignedUp,)
    return _last(recorded, wanted)


async def _membership(ctx: Context, account: AccountRow, name: str, identifier: str) -> dict[str, Any] | None:
    for membership in await teams.member_of(ctx.reads, account.stream):
        if identifier == (membership.team_id if name == "team" else membership.membership_id):
            team = await teams.find(ctx.reads, ctx.project_id, membership.team_id)
            if team is None:
                return None
            recorded = [
                each
                for each in await ctx.history(team.stream)
                if getattr(each.event, "membership_id", None) == membership.membership_id
            ]
            wanted = (team_events.MemberJoined, team_events.MemberAdded, team_events.MemberRolesChanged)
            found = _last(recorded, wanted)
            return found | {"membership": membership.membership_id} if found is not None else None
    return None


def _last(recorded: Sequence[Recorded[Event]], wanted: tuple[type[Event], ...]) -> dict[str, Any] | None:
    for each in reversed(recorded):
        if isinstance(each.event, wanted):
            at: datetime = each.meta.at
            return {"event": type(each.event).__name__, "position": each.position, "at": at.isoformat()}
    return None
