"""Into a team: invited by an owner and accepted with the secret of the link, or added by a server."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from accounts_es.adapters.ids import fingerprint, hex_secret, stream_id, wire_id
from accounts_es.application import Step, step
from accounts_es.domain.account import ACCOUNT, Account
from accounts_es.domain.account import commands as account_commands
from accounts_es.domain.account.events import (
    AccountEvent,
    SessionCreated,
    SignedUp,
    TargetAdded,
    VerifiedEmail,
    VerifiedPhone,
)
from accounts_es.domain.errors import (
    GeneralArgumentInvalid,
    GeneralResourceLocked,
    MembershipAlreadyConfirmed,
    MembershipNotFound,
    TeamInvalidSecret,
    TeamInviteMismatch,
    TeamMembershipMismatch,
    TeamNotFound,
    UserAlreadyExists,
    UserNotFound,
    UserUnauthorized,
)
from accounts_es.domain.team import TEAM, Team, commands
from accounts_es.domain.team.commands.memberships import NOT_TO_INVITE
from accounts_es.domain.team.events import InvitationRenewed, MemberAdded, MemberInvited, MemberJoined, TeamEvent
from accounts_es.http import models, notices, redirects
from accounts_es.http.account import opening
from accounts_es.http.context import Context
from accounts_es.http.operation import Limit, operation
from accounts_es.http.policies import BEGINNING_REFUSALS, ensure_may_begin
from accounts_es.http.rules import Email, Id, Key, Phone, Text, Texts, Url
from accounts_es.http.teams.access import by, is_server, owned
from accounts_es.http.teams.memberships import answer, known_by
from projections import accounts, teams
from projections.accounts import AccountRow
from projections.teams import TeamRow

Way = Literal["email", "phone"]
"""How an invitation travels, and so what accepting it shows."""
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Invitee:
    """Whom to invite: an account there is, or one that begins with the invitation."""

    stream: str
    account_id: str
    name: str
    email: str | None
    phone: str | None
    reached: bool = True
    """By an address, not by the id alone."""
    begins: Step[Account, AccountEvent] | None = None

    @property
    def way(self) -> tuple[Way, str] | None:
        """Where an invitation goes: to the e-mail address if there is one, else to the number."""
        if self.email:
            return "email", self.email
        return ("phone", self.phone) if self.phone else None


@operation(
    "POST",
    "/teams/{teamId}/memberships",
    id="teams.createMembership",
    scope="teams.write",
    returns=models.Membership,
    status=201,
    emits=(MemberInvited, InvitationRenewed, MemberAdded, MemberJoined, SignedUp, TargetAdded),
    raises=(
        TeamNotFound,
        UserUnauthorized,
        UserNotFound,
        UserAlreadyExists,
        MembershipAlreadyConfirmed,
        MembershipNotFound,
        *BEGINNING_REFUSALS,
    ),
    auth_method="invites",
    limits=(Limit(10, 3600, "url", "ip"),),
)
async def create_membership(
    ctx: Context,
    *,
    team_id: Annotated[str, Id()],
    roles: Annotated[list[str], Texts(Key(81), 100)],
    email: Annotated[str | None, Email()] = None,
    user_id: Annotated[str | None, Id()] = None,
    phone: Annotated[str | None, Phone()] = None,
    url: Annotated[str | None, Url()] = None,
    name: Annotated[str, Text(128)] = "",
) -> models.Membership:
    """Invite somebody by mail or SMS, known or new. Whom a server names is a member at once, and is told nothing."""
    if url is not None:
        redirects.ensure_allowed(ctx, "url", url)
    elif not is_server(ctx):
        raise GeneralArgumentInvalid('Param "url" is not optional.')
    if user_id is None and email is None and phone is None:
        raise GeneralArgumentInvalid("At least one of userId, email, or phone is required")
    team = await owned(ctx, team_id, NOT_TO_INVITE)
    key, attempts = ctx.idempotency, _ATTEMPTS
    while True:
        invitee = await _invitee(ctx, user_id, email, phone, name)
        try:
            return await _bring_in(ctx, team, invitee, roles, url)
        except (UserAlreadyExists, GeneralResourceLocked):
            # At this very moment somebody began with the address, or was invited by another owner.
            attempts -= 1
            if not attempts:
                raise
            ctx.idempotency = key


async def _invitee(ctx: Context, user_id: str | None, email: str | None, phone: str | None, name: str) -> Invitee:
    """Raises `UserNotFound` for an unknown id, and `UserAlreadyExists` when an address is not that of the account."""
    known: AccountRow | None
    if user_id is not None:
        known = await accounts.get(ctx.reads, ctx.project_id, user_id)
    elif email is not None:
        known = await accounts.find_by_email(ctx.reads, ctx.project_id, email)
    else:
        known = await accounts.find_by_phone(ctx.reads, ctx.project_id, phone or "")
    if known is not None:
        if email not in {None, known.email} or phone not in {None, known.phone}:
            raise UserAlreadyExists
        reached = email is not None or phone is not None
        return Invitee(known.stream, known.account_id, known.name, known.email, known.phone, reached)
    if not is_server(ctx):
        await ensure_may_begin(ctx, email)
    stream, account_id, name = stream_id("account"), wire_id(), name or email or ""
    begins = step(
        ACCOUNT,
        stream,
        account_commands.sign_up,
        account_id=account_id,
        email=email,
        phone=phone,
        name=name,
        email_target_id=wire_id(),
        phone_target_id=wire_id(),
    )
    return Invitee(stream, account_id, name, email, phone, begins=begins)


async def _bring_in(
    ctx: Context, team: TeamRow, invitee: Invitee, roles: list[str], url: str | None
) -> models.Membership:
    if is_server(ctx) or url is None:
        joins = step(
            TEAM,
            team.stream,
            commands.add_member,
            membership_id=wire_id(),
            account=invitee.stream,
            roles=roles,
        )
    else:
        joins = await _invited(ctx, team, invitee, roles, url)
    begins = (invitee.begins,) if invitee.begins is not None else ()
    outcome, *_ = await ctx.execute_together(joins, *begins, told=invitee.stream)
    team_now: Team = outcome.state
    membership = team_now.membership_of(invitee.stream)
    # Whom somebody reached by an address is known to them; an id alone tells no more than the project lets members see.
    seen = models.NAMES_AND_ID if invitee.reached else known_by(ctx)
    return await answer(ctx, membership.membership_id if membership is not None else "", seen)


async def _invited(ctx: Context, team: TeamRow, invitee: Invitee, roles: list[str], url: str) -> Step[Team, TeamEvent]:
    if invitee.way is None:
        raise GeneralArgumentInvalid("This user has no email address and no phone number an invitation could go to")
    way, address = invitee.way
    known = await teams.find_between(ctx.reads, team.stream, invitee.stream)
    membership_id, secret = known.membership_id if known is not None else wire_id(), hex_secret(256)
    link = redirects.link(
        url,
        membershipId=membership_id,
        userId=invitee.account_id,
        secret=secret,
        teamId=team.team_id,
        teamName=team.name,
    )
    if way == "email":
        owner = ctx.account.name or ctx.account.email or team.name
        notices.mail(ctx, "invitation", address, invitee.name, link=link, team=team.name, owner=owner)
    else:
        notices.text(ctx, "invitation", address, link=link)
    return step(
        TEAM,
        team.stream,
        commands.invite_member,
        membership_id=membership_id,
        account=invitee.stream,
        roles=roles,
        secret_hash=_digest(ctx, team, way, address, secret),
        by=by(ctx),
    )


def _digest(ctx: Context, team: TeamRow, way: Way, address: str, secret: str) -> str:
    """The secret together with the address it was sent to: whoever has another one by now cannot use it."""
    return ctx.token_digest(team.stream, f"{way}\x1f{address}\x1f{secret}")


@operation(
    "PATCH",
    "/teams/{teamId}/memberships/{membershipId}/status",
    id="teams.updateMembershipStatus",
    scope="public",
    returns=models.Membership,
    emits=(MemberJoined, VerifiedEmail, VerifiedPhone, SessionCreated, *opening.EVICTING),
    raises=(
        MembershipNotFound,
        TeamNotFound,
        TeamMembershipMismatch,
        TeamInvalidSecret,
        TeamInviteMismatch,
        MembershipAlreadyConfirmed,
        UserNotFound,
    ),
)
async def update_membership_status(
    ctx: Context,
    *,
    team_id: Annotated[str, Id()],
    membership_id: Annotated[str, Id()],
    user_id: Annotated[str, Id()],
    secret: Annotated[str, Text(256)],
) -> models.Membership:
    """Accept an invitation with the secret of its link. Whoever is not signed in is so afterwards."""
    row = await teams.get_membership(ctx.reads, ctx.project_id, membership_id)
    team = await teams.find(ctx.reads, ctx.project_id, team_id)
    if team is None:
        raise TeamNotFound
    if row.team != team.stream:
        raise TeamMembershipMismatch
    account = await accounts.get_by_stream(ctx.reads, row.account)
    # Both whom the link names and whoever is signed in must be the one invited.
    named = row.account if user_id == row.account_id else ""
    signed_in = ctx.caller.account.stream if ctx.caller.account is not None else named
    acting = Acting(team, membership_id, account, frozenset({named, signed_in}))
    key = ctx.idempotency
    ways: dict[Way, str | None] = {"email": account.email, "phone": account.phone}
    for way, address in ways.items():
        if address:
            ctx.idempotency = key
            try:
                return await _accept(ctx, acting, way, address, secret)
            except TeamInvalidSecret:
                continue
    await ctx.refuse_sign_in("invitation", "invalid_secret", account.account_id, account)
    raise TeamInvalidSecret


@dataclass(frozen=True, slots=True)
class Acting:
    """An invitation that somebody accepts: ``accounts`` are the streams of all who say it is theirs."""

    team: TeamRow
    membership_id: str
    account: AccountRow
    accounts: frozenset[str]


async def _accept(ctx: Context, acting: Acting, way: Way, address: str, secret: str) -> models.Membership:
    new = opening.new_session(ctx) if ctx.caller.account is None else None
    if new is not None:
        await opening.alert(ctx, acting.account)
    await ctx.execute_together(
        step(
            TEAM,
            acting.team.stream,
            commands.accept_invitation,
            membership_id=acting.membership_id,
            secret_hash=_digest(ctx, acting.team, way, address, secret),
            accounts=acting.accounts,
        ),
        step(
            ACCOUNT,
            acting.account.stream,
            account_commands.follow_invitation,
            way=way,
            address=address,
            session_id=new.session_id if new is not None else None,
            secret_hash=fingerprint(new.secret) if new is not None else "",
            expires_at=new.expires_at if new is not None else None,
            limit=new.limit if new is not None else 0,
            evict=not ctx.services.settings.trust_unverified,
        ),
        told=acting.account.stream,
    )
    if new is not None:
        ctx.open_session(acting.account.account_id, new.secret, new.expires_at)
    return await answer(ctx, acting.membership_id, models.NAMES_AND_ID)
