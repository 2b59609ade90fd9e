"""What happened to an account, as its owner and servers see it."""

from collections.abc import Mapping
from typing import Final

from typing_extensions import TypedDict

from accounts_es.domain.account import events
from accounts_es.domain.account.events import TokenIssued, TokenPurpose
from accounts_es.domain.event import Event, Recorded
from accounts_es.domain.security.events import SignInRefused
from accounts_es.domain.team import events as team
from accounts_es.eventstore.activity import Deed
from accounts_es.http.models.dates import date
from accounts_es.http.models.origins import Origin, origin
from projections.accounts import AccountRow

NAMES: Final[Mapping[type[Event], str | None]] = {
    events.SignedUp: "user.create",
    events.AccountDeleted: "user.delete",
    events.SessionCreated: "session.create",
    SignInRefused: "session.refuse",
    events.ChallengePassed: "challenges.update",
    events.ChallengeCreated: "challenge.create",
    events.TokenIssued: "session.create",
    events.TokenRedeemed: "verification.update",
    events.EmailChanged: "user.update",
    events.PhoneChanged: "user.update",
    events.PasswordChanged: "user.update",
    events.PasswordRevoked: "user.update",
    events.NameChanged: "user.update",
    events.PrefsUpdated: "user.update",
    events.LabelAdded: "user.update",
    events.LabelRemoved: "user.update",
    events.AccountBlocked: "user.update",
    events.AccountUnblocked: "user.update",
    events.ImpersonatorAppointed: "user.update",
    events.ImpersonatorDismissed: "user.update",
    events.MfaSwitchedOn: "user.update",
    events.MfaSwitchedOff: "user.update",
    events.AuthenticatorAdded: "user.update",
    events.AuthenticatorVerified: "user.update",
    events.AuthenticatorRemoved: "user.update",
    events.RecoveryCodesGenerated: "user.update",
    events.VerifiedEmail: "verification.update",
    events.VerifiedPhone: "verification.update",
    events.EmailVerificationRevoked: "verification.update",
    events.PhoneVerificationRevoked: "verification.update",
    events.SessionExtended: "session.update",
    events.SessionTokensRenewed: "session.update",
    events.IdentityLinked: "identity.create",
    events.IdentityRemoved: "identity.delete",
    events.TargetAdded: "target.create",
    events.TargetChanged: "target.update",
    events.TargetRemoved: "target.delete",
    events.SessionFactorAdded: "session.update",
    events.SessionDeleted: "session.delete",
    events.AuthenticatorUsed: "challenges.update",
    events.RecoveryCodeUsed: "challenges.update",
    events.Accessed: None,
    events.PasswordRehashed: None,
    events.LegalHoldPlaced: None,
    events.LegalHoldLifted: None,
    events.AccountErased: None,
}
"""What the contract calls an event (account, 2.1). Of what one request did, the first in this order names it; nothing
stands for what changes nothing anybody would look for."""

_ISSUED: Final[Mapping[TokenPurpose, str]] = {
    "recovery": "recovery.create",
    "recovery-otp": "recovery.create",
    "verification": "verification.create",
    "verification-otp": "verification.create",
}
TEAM_NAMES: Final[Mapping[str, str]] = {
    team.TeamCreated.topic: "team.create",
    team.TeamDeleted.topic: "team.delete",
    team.TeamRenamed.topic: "team.update",
    team.PrefsUpdated.topic: "team.update",
    team.MemberInvited.topic: "membership.create",
    team.MemberAdded.topic: "membership.create",
    team.InvitationRenewed.topic: "membership.update",
    team.MemberJoined.topic: "membership.update",
    team.MemberRolesChanged.topic: "membership.update",
    team.MemberLeft.topic: "membership.delete",
    team.MemberRemoved.topic: "membership.delete",
}
"""The same for a team, by topic."""
TEAM_TOPICS: Final = tuple(TEAM_NAMES)
TOPICS: Final = tuple(event.topic for event, name in NAMES.items() if name is not None)
_RANK: Final = {topic: rank for rank, topic in enumerate(TOPICS)}
_NAMED: Final = {event.topic: name for event, name in NAMES.items() if name is not None}
_RECOVERY: Final = {events.TokenRedeemed.topic, events.PasswordChanged.topic}
_BY_ANYBODY: Final = (TokenIssued, SignInRefused)
"""What a guest may cause without being the account's owner."""


class Log(Origin):
    """One thing that happened, and where it was done from."""

    event: str
    userId: str  # noqa: N815 - the wire's name
    userEmail: str  # noqa: N815 - the wire's name
    userName: str  # noqa: N815 - the wire's name
    mode: str
    userType: str  # noqa: N815 - the wire's name
    time: str


class LogList(TypedDict):
    """A page of what happened."""

    total: int
    logs: list[Log]


def log(deed: Deed, account: AccountRow, locale: str) -> Log:
    """One deed of an account's history, named as the contract does."""
    return _log(deed, _name(deed), account, locale)


def team_log(deed: Deed, account: AccountRow | None, locale: str) -> Log:
    """One deed of a team's history, done by this account if by one that still is."""
    name = TEAM_NAMES[min({deed.first.event.topic, *deed.topics}, key=TEAM_TOPICS.index)]
    return _log(deed, name, account, locale)


def _log(deed: Deed, name: str, account: AccountRow | None, locale: str) -> Log:
    meta = deed.first.meta
    return {
        "event": name,
        "userId": account.account_id if account is not None else "",
        "userEmail": (account.email or "") if account is not None else "",
        "userName": account.name if account is not None else "",
        "mode": "default",
        "userType": _as_whom(deed.first),
        "time": date(meta.at),
        **origin(meta.ip, meta.user_agent, locale),
    }


def _name(deed: Deed) -> str:
    first, topics = deed.first.event, set(deed.topics)
    if isinstance(first, TokenIssued):
        return _ISSUED.get(first.purpose, "session.create")
    if topics >= _RECOVERY:
        return "recovery.update"
    return _NAMED[min(topics & _RANK.keys(), key=_RANK.__getitem__)]


def _as_whom(recorded: Recorded[Event]) -> str:
    """Whoever showed a password or a secret acted as the account, although the request came from a guest."""
    match recorded.meta.actor.kind:
        case "key":
            return "keyProject"
        case "system":
            return "admin"
        case "guest" if isinstance(recorded.event, _BY_ANYBODY):
            return "guest"
        case _:
            return "user"
