"""Facts as other systems hear of them: Appwrite's event names, channels and payloads (contract: cross-cutting, 11-13).

Webhooks and realtime tell the same events. What one request recorded in one stream is told together (`told_together`):
an account that signs up is told once, with the target that came with it.

Where we differ, and why: an authenticator that is removed is ``update.mfa`` (as ``delete.mfa`` it would also be called
``users.*.delete``); an account that deletes itself is told as ``users.*.delete``, and sessions that end are told one by
one, so that whoever keeps a copy can keep it right; payloads never hold a password's hash or a one-time secret.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby, product
from typing import Final

from accounts_es.domain.account import events as account
from accounts_es.domain.event import Event, Recorded
from accounts_es.domain.team import events as team

Group = tuple[Recorded[Event], ...]


class Payload(Enum):
    """Which response model is told."""

    ACCOUNT = "account"
    PREFS = "prefs"
    SESSION = "session"
    CHALLENGE = "challenge"
    TOKEN = "token"  # noqa: S105 - a word
    TARGET = "target"
    IDENTITY = "identity"
    TEAM = "team"
    TEAM_PREFS = "team prefs"
    MEMBERSHIP = "membership"


@dataclass(frozen=True, slots=True)
class Telling:
    """How a fact is told: what follows the id in the name, what is shown, and whether as it was before."""

    action: str
    """With the names of the event's fields for ids: ``sessions.{session_id}.create``."""
    payload: Payload
    before: bool = False


@dataclass(frozen=True, slots=True)
class WireEvent:
    """Something that happened to a user, a team or a membership."""

    pattern: tuple[str, ...]
    """The most exact name, by its segments: ``users``, an id, ``update``, ``email``."""
    payload: Payload
    before: bool
    recorded: Recorded[Event]
    """The fact."""
    group: Group
    """All that its request recorded in its stream."""

    @property
    def position(self) -> int:
        """Where the group ends in the log: whoever has taken in this position has heard of all of it."""
        return self.group[-1].position

    @property
    def names(self) -> tuple[str, ...]:
        """All names it goes by, the most exact first as the contract orders them."""
        return names(self.pattern)

    @property
    def channels(self) -> tuple[str, ...]:
        """Where realtime tells it."""
        return channels(self.pattern)

    @property
    def roles(self) -> tuple[str, ...]:
        """Who may hear of it: whoever has one of these roles."""
        return (f"user:{self.pattern[1]}",) if self.pattern[0] == "users" else (f"team:{self.pattern[1]}",)


_ACTIONS: Final = ("create", "update", "upsert", "delete")
_ID: Final = (1, 3)
"""Where ids stand in a pattern that has that many segments before its action."""


def names(pattern: Sequence[str]) -> tuple[str, ...]:
    """The names of an event: its own, those it goes by without its details, each with ``*`` for its ids."""
    nested = len(pattern) > 2 and pattern[2] not in _ACTIONS
    start = 4 if nested else 2
    action, attribute = pattern[start : start + 1], pattern[start + 1 : start + 2]
    subject, parent = tuple(pattern[:start]), tuple(pattern[:2])
    forms: list[tuple[str, ...]] = []
    if nested and attribute:
        forms += [(*subject, *action, *attribute), (*subject, *action), (*parent, *action, *attribute)]
    elif attribute:
        forms += [(*subject, *action), (*subject, *action, *attribute)]
    elif action:
        forms += [(*subject, *action)]
    forms += [subject, parent]
    return tuple(dict.fromkeys(name for form in forms for name in _with_wildcards(form)))


def _with_wildcards(form: tuple[str, ...]) -> Iterator[str]:
    """As it is, with ``*`` for all ids, then the mixed ones."""
    ids = [place for place in _ID if place < len(form) and (place != 3 or form[2] not in _ACTIONS)]
    choices = list(product((False, True), repeat=len(ids)))
    for starred in [choices[0], choices[-1], *choices[1:-1]]:
        hidden = {place for place, star in zip(ids, starred, strict=True) if star}
        yield ".".join("*" if place in hidden else each for place, each in enumerate(form))


def channels(pattern: Sequence[str]) -> tuple[str, ...]:
    """Where an event is told: everybody's channel and that of the one it is about; with the action where it has one."""
    if pattern[0] == "users":
        base, acting = ("account", f"account.{pattern[1]}"), pattern[2:3]
    elif pattern[2:3] == ("memberships",):
        base, acting = ("memberships", f"memberships.{pattern[3]}"), pattern[4:5]
    else:
        base, acting = ("teams", f"teams.{pattern[1]}"), pattern[2:3]
    action = next((each for each in acting if each in _ACTIONS), None)
    return base if action is None else (*base, *(f"{each}.{action}" for each in base))


# What is told of what ------------------------------------------------------------------------------------------------

_UPDATES: Final[Mapping[type[Event], str]] = {
    account.NameChanged: "name",
    account.EmailChanged: "email",
    account.PhoneChanged: "phone",
    account.PasswordChanged: "password",
    account.PasswordRevoked: "password",
    account.AccountBlocked: "status",
    account.AccountUnblocked: "status",
    account.LabelAdded: "labels",
    account.LabelRemoved: "labels",
    account.VerifiedEmail: "verification",
    account.VerifiedPhone: "verification",
    account.EmailVerificationRevoked: "verification",
    account.PhoneVerificationRevoked: "verification",
    account.ImpersonatorAppointed: "impersonator",
    account.ImpersonatorDismissed: "impersonator",
    account.MfaSwitchedOn: "mfa",
    account.MfaSwitchedOff: "mfa",
    account.AuthenticatorAdded: "mfa",
    account.AuthenticatorVerified: "mfa",
    account.AuthenticatorRemoved: "mfa",
    account.RecoveryCodesGenerated: "mfa",
}

TOLD: Final[Mapping[type[Event], Telling]] = {
    account.SignedUp: Telling("create", Payload.ACCOUNT),
    account.AccountDeleted: Telling("delete", Payload.ACCOUNT, before=True),
    **{event: Telling(f"update.{what}", Payload.ACCOUNT) for event, what in _UPDATES.items()},
    account.PrefsUpdated: Telling("update.prefs", Payload.PREFS),
    account.SessionCreated: Telling("sessions.{session_id}.create", Payload.SESSION),
    # A session that has shown its second factor is told as if it had begun just now.
    account.ChallengePassed: Telling("sessions.{session_id}.create", Payload.SESSION),
    account.SessionExtended: Telling("sessions.{session_id}.update", Payload.SESSION),
    account.SessionDeleted: Telling("sessions.{session_id}.delete", Payload.SESSION, before=True),
    account.ChallengeCreated: Telling("challenges.{challenge_id}.create", Payload.CHALLENGE),
    account.TargetAdded: Telling("targets.{target_id}.create", Payload.TARGET),
    account.TargetChanged: Telling("targets.{target_id}.update", Payload.TARGET),
    account.TargetRemoved: Telling("targets.{target_id}.delete", Payload.TARGET, before=True),
    account.IdentityRemoved: Telling("identities.{identity_id}.delete", Payload.IDENTITY, before=True),
    team.TeamCreated: Telling("create", Payload.TEAM),
    team.TeamRenamed: Telling("update", Payload.TEAM),
    team.PrefsUpdated: Telling("update.prefs", Payload.TEAM_PREFS),
    team.TeamDeleted: Telling("delete", Payload.TEAM, before=True),
    team.MemberInvited: Telling("memberships.{membership_id}.create", Payload.MEMBERSHIP),
    team.MemberAdded: Telling("memberships.{membership_id}.create", Payload.MEMBERSHIP),
    team.InvitationRenewed: Telling("memberships.{membership_id}.update", Payload.MEMBERSHIP),
    team.MemberJoined: Telling("memberships.{membership_id}.update.status", Payload.MEMBERSHIP),
    team.MemberRolesChanged: Telling("memberships.{membership_id}.update", Payload.MEMBERSHIP),
    team.MemberLeft: Telling("memberships.{membership_id}.delete", Payload.MEMBERSHIP, before=True),
    team.MemberRemoved: Telling("memberships.{membership_id}.delete", Payload.MEMBERSHIP, before=True),
}
"""What stands here is told by itself; of `TokenIssued` and `TokenRedeemed` it depends."""

_ISSUED: Final[Mapping[account.TokenPurpose, str]] = {
    "recovery": "recovery",
    "recovery-otp": "recovery",
    "verification": "verification",
    "verification-otp": "verification",
    "custom": "tokens",
    "oauth2": "tokens",
}
_TARGETS: Final = (account.TargetAdded, account.TargetChanged, account.TargetRemoved)
_BRING_TARGETS: Final = (account.SignedUp, account.EmailChanged, account.PhoneChanged, account.SessionCreated)
_OF_ACCOUNTS: Final = "account-"
_OF_TEAMS: Final = "team-"
_MAYBE: Final[tuple[type[Event], ...]] = (account.TokenIssued, account.TokenRedeemed)
TOPICS: Final = tuple(event.topic for event in (*TOLD, *_MAYBE))
"""What a reader of the log must ask for; nothing else is ever told."""


def told_together(recorded: Iterable[Recorded[Event]]) -> list[Group]:
    """Events in the order of the log, by request and stream. A group must not be cut: read on to the next request."""
    return [tuple(group) for _, group in groupby(recorded, key=lambda each: (each.meta.request_id, each.stream))]


def is_told(group: Group) -> bool:
    """Whether there is anything to tell."""
    return next(_tellings(group), None) is not None


def wire_events(group: Group, subject_id: str) -> tuple[WireEvent, ...]:
    """What is told of a group, each name once; ``subject_id`` is the id of its account or team."""
    kind = "users" if group[0].stream.startswith(_OF_ACCOUNTS) else "teams"
    found: dict[tuple[str, ...], WireEvent] = {}
    for recorded, telling in _tellings(group):
        action = (_segment(part, recorded.event) for part in telling.action.split("."))
        pattern = (kind, subject_id, *action)
        # The last of several equal ones: what it says is the newest.
        found[pattern] = WireEvent(pattern, telling.payload, telling.before, recorded, group)
    return tuple(found.values())


def _tellings(group: Group) -> Iterator[tuple[Recorded[Event], Telling]]:
    if not group[0].stream.startswith((_OF_ACCOUNTS, _OF_TEAMS)):
        return
    kinds = {type(each.event) for each in group}
    for recorded in group:
        event = recorded.event
        telling = TOLD.get(type(event))
        if isinstance(event, _TARGETS) and not kinds.isdisjoint(_BRING_TARGETS):
            continue
        if isinstance(event, account.TokenIssued) and event.purpose in _ISSUED:
            telling = Telling(f"{_ISSUED[event.purpose]}.{{token_id}}.create", Payload.TOKEN)
        if isinstance(event, account.TokenRedeemed) and account.SessionCreated not in kinds:
            telling = _redeemed(kinds)
        if telling is not None:
            yield recorded, telling


def _redeemed(kinds: set[type[Event]]) -> Telling | None:
    if account.PasswordChanged in kinds:
        return Telling("recovery.{token_id}.update", Payload.TOKEN)
    if kinds & {account.VerifiedEmail, account.VerifiedPhone}:
        return Telling("verification.{token_id}.update", Payload.TOKEN)
    return None


def _segment(part: str, event: Event) -> str:
    """One segment of a name; ids may hold dots, so they come in after the name was taken apart."""
    return str(getattr(event, part[1:-1])) if part.startswith("{") else part
