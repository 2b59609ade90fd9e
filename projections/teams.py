"""Teams and memberships as the API reads them back.

A membership is there as long as its team and its account are: of accounts that are gone nobody is a member, without
any event of the team (docs/decisions/0006). How many members a team has is counted when it is asked for.
"""

from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime
from typing import Final, LiteralString, NamedTuple

from pydantic_core import from_json, to_json

from accounts_es.domain.account import events as account_events
from accounts_es.domain.errors import MembershipNotFound, TeamNotFound
from accounts_es.domain.event import Recorded
from accounts_es.domain.team import events
from accounts_es.eventstore.listing import Asked, Attribute, Kind, Listing
from accounts_es.eventstore.pages import page
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="teams",
    tables=("teams_v1", "memberships_v1", "members_v1"),
    ddl="""
    CREATE TABLE teams_v1 (
        stream text PRIMARY KEY,
        version bigint NOT NULL,
        position bigint NOT NULL,
        project_id text NOT NULL,
        team_id text COLLATE "C" NOT NULL,
        name text NOT NULL,
        prefs text NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        words tsvector NOT NULL GENERATED ALWAYS AS
            (log.search_words(ARRAY[team_id, name] COLLATE "default")) STORED
    );
    CREATE INDEX teams_v1_id ON teams_v1 (project_id, team_id);
    CREATE UNIQUE INDEX teams_v1_order ON teams_v1 (project_id, position);
    CREATE INDEX teams_v1_words ON teams_v1 USING gin (words);
    CREATE TABLE memberships_v1 (
        team text NOT NULL,
        membership_id text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        position bigint NOT NULL,
        project_id text NOT NULL,
        account text NOT NULL,
        roles text[] NOT NULL,
        invited_at timestamptz NOT NULL,
        joined_at timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (team, membership_id)
    );
    CREATE INDEX memberships_v1_id ON memberships_v1 (project_id, membership_id);
    CREATE INDEX memberships_v1_account ON memberships_v1 (account, position);
    CREATE INDEX memberships_v1_order ON memberships_v1 (team, position);
    -- The accounts there are, with their ids: those of which anybody can be a member.
    CREATE TABLE members_v1 (
        account text PRIMARY KEY,
        version bigint NOT NULL,
        account_id text COLLATE "C" NOT NULL
    );
    """,
)


class TeamRow(NamedTuple):
    """One team. ``prefs`` is a JSON text, ``position`` its place in the order of their beginnings.

    ``total`` is the number of members, without those who only are invited.
    """

    stream: str
    position: int
    project_id: str
    team_id: str
    name: str
    prefs: str
    total: int
    created_at: datetime
    updated_at: datetime


class MembershipRow(NamedTuple):
    """One membership. ``team`` and ``account`` are streams; who only is invited has not ``joined_at`` any time."""

    team: str
    membership_id: str
    position: int
    project_id: str
    account: str
    account_id: str
    team_id: str
    team_name: str
    roles: list[str]
    invited_at: datetime
    joined_at: datetime | None
    created_at: datetime
    updated_at: datetime


class MemberOf(NamedTuple):
    """What an account is in one team."""

    team_id: str
    membership_id: str
    roles: list[str]
    team: str = ""
    """The stream of the team."""


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(events.TeamCreated)
def team_created(tx: Tx, recorded: Recorded[events.TeamCreated]) -> None:
    """A new row."""
    event, meta = recorded.event, recorded.meta
    tx.execute(
        """INSERT INTO teams_v1 (stream, version, position, project_id, team_id, name, created_at, updated_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (stream) DO NOTHING""",
        (
            recorded.stream,
            recorded.stream_version,
            recorded.position,
            meta.project,
            event.team_id,
            event.name,
            meta.at,
            meta.at,
        ),
    )


@projection.on(events.TeamRenamed)
def team_renamed(tx: Tx, recorded: Recorded[events.TeamRenamed]) -> None:
    """Another name."""
    _change_team(tx, recorded, "name = %s", recorded.event.name)


@projection.on(events.PrefsUpdated)
def prefs_updated(tx: Tx, recorded: Recorded[events.PrefsUpdated]) -> None:
    """Other preferences, kept as JSON text so that keys stay in the order they came in."""
    _change_team(tx, recorded, "prefs = %s", to_json(recorded.event.prefs).decode())


@projection.on(events.MemberInvited)
def member_invited(tx: Tx, recorded: Recorded[events.MemberInvited]) -> None:
    """A new row of somebody who has not joined."""
    _add(tx, recorded, recorded.event, joined_at=None)


@projection.on(events.MemberAdded)
def member_added(tx: Tx, recorded: Recorded[events.MemberAdded]) -> None:
    """A new row of a member, and one more in the team."""
    _add(tx, recorded, recorded.event, joined_at=recorded.meta.at)
    _change_team(tx, recorded)


@projection.on(events.InvitationRenewed)
def invitation_renewed(tx: Tx, recorded: Recorded[events.InvitationRenewed]) -> None:
    """Invited just now."""
    _change_membership(tx, recorded, recorded.event.membership_id, "invited_at = %s", recorded.meta.at)


@projection.on(events.MemberJoined)
def member_joined(tx: Tx, recorded: Recorded[events.MemberJoined]) -> None:
    """Joined just now, and one more in the team."""
    _change_membership(tx, recorded, recorded.event.membership_id, "joined_at = %s", recorded.meta.at)
    _change_team(tx, recorded)


@projection.on(events.MemberRolesChanged)
def member_roles_changed(tx: Tx, recorded: Recorded[events.MemberRolesChanged]) -> None:
    """Other roles."""
    _change_membership(tx, recorded, recorded.event.membership_id, "roles = %s", list(recorded.event.roles))


@projection.on(events.MemberLeft)
def member_left(tx: Tx, recorded: Recorded[events.MemberLeft]) -> None:
    """No row."""
    _end(tx, recorded, recorded.event.membership_id)


@projection.on(events.MemberRemoved)
def member_removed(tx: Tx, recorded: Recorded[events.MemberRemoved]) -> None:
    """No row."""
    _end(tx, recorded, recorded.event.membership_id)


@projection.on(events.TeamDeleted)
def team_deleted(tx: Tx, recorded: Recorded[events.TeamDeleted]) -> None:
    """No rows."""
    gone = (recorded.stream, recorded.stream_version)
    tx.execute("DELETE FROM teams_v1 WHERE stream = %s AND version < %s", gone)
    tx.execute("DELETE FROM memberships_v1 WHERE team = %s AND version < %s", gone)


@projection.on(account_events.SignedUp)
def signed_up(tx: Tx, recorded: Recorded[account_events.SignedUp]) -> None:
    """An account that can be a member."""
    tx.execute(
        "INSERT INTO members_v1 (account, version, account_id) VALUES (%s, %s, %s) ON CONFLICT (account) DO NOTHING",
        (recorded.stream, recorded.stream_version, recorded.event.account_id),
    )


@projection.on(account_events.AccountDeleted)
def account_deleted(tx: Tx, recorded: Recorded[account_events.AccountDeleted]) -> None:
    """An account that is no member of anything.

    Its memberships are not touched: an invitation of the same moment might come after, and stay.
    """
    tx.execute("DELETE FROM members_v1 WHERE account = %s AND version < %s", (recorded.stream, recorded.stream_version))


def _change_team(
    tx: Tx, recorded: Recorded[events.TeamEvent], assignments: LiteralString = "", *values: object
) -> None:
    version = recorded.stream_version
    assigned: LiteralString = f"{assignments}, " if assignments else ""
    tx.execute(
        f"UPDATE teams_v1 SET {assigned}version = %s, updated_at = %s WHERE stream = %s AND version < %s",
        (*values, version, recorded.meta.at, recorded.stream, version),
    )


def _change_membership(
    tx: Tx, recorded: Recorded[events.TeamEvent], membership_id: str, assignments: LiteralString, *values: object
) -> None:
    version = recorded.stream_version
    tx.execute(
        f"""UPDATE memberships_v1 SET {assignments}, version = %s, updated_at = %s
            WHERE team = %s AND membership_id = %s AND version < %s""",
        (*values, version, recorded.meta.at, recorded.stream, membership_id, version),
    )


def _add(
    tx: Tx,
    recorded: Recorded[events.TeamEvent],
    event: events.MemberInvited | events.MemberAdded,
    *,
    joined_at: datetime | None,
) -> None:
    at = recorded.meta.at
    tx.execute(
        """INSERT INTO memberships_v1 (team, membership_id, version, position, project_id, account, roles, invited_at,
               joined_at, created_at, updated_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (team, membership_id) DO NOTHING""",
        (
            recorded.stream,
            event.membership_id,
            recorded.stream_version,
            recorded.position,
            recorded.meta.project,
            event.account,
            list(event.roles),
            at,
            joined_at,
            at,
            at,
        ),
    )


def _end(tx: Tx, recorded: Recorded[events.TeamEvent], membership_id: str) -> None:
    """No row; the team changed if it was one of a member."""
    stream, version = recorded.stream, recorded.stream_version
    tx.execute(
        """UPDATE teams_v1 SET version = %s, updated_at = %s WHERE stream = %s AND version < %s AND EXISTS (
               SELECT 1 FROM memberships_v1 WHERE team = %s AND membership_id = %s AND joined_at IS NOT NULL)""",
        (version, recorded.meta.at, stream, version, stream, membership_id),
    )
    tx.execute(
        "DELETE FROM memberships_v1 WHERE team = %s AND membership_id = %s AND version < %s",
        (stream, membership_id, version),
    )


# Queries --------------------------------------------------------------------------------------------------------------

TEAMS: Final = """(
    SELECT stream, position, project_id, team_id, name, prefs, created_at, updated_at, words, (
        SELECT count(*) FROM memberships_v1 JOIN members_v1 USING (account)
        WHERE team = teams_v1.stream AND joined_at IS NOT NULL) AS total
    FROM teams_v1) AS teams"""
MEMBERSHIPS: Final = """(
    SELECT team, membership_id, m.position, m.project_id, account, account_id, team_id, name AS team_name, roles,
        invited_at, joined_at, m.created_at, m.updated_at,
        log.search_words(ARRAY[membership_id, account_id]) AS words
    FROM memberships_v1 AS m JOIN members_v1 USING (account) JOIN teams_v1 ON stream = team) AS memberships"""

_SELECT_TEAM = f"SELECT {columns(TeamRow)} FROM {TEAMS}"
_SELECT = f"SELECT {columns(MembershipRow)} FROM {MEMBERSHIPS}"

BY_STREAM = Lookup(sql=f"{_SELECT_TEAM} WHERE stream = ANY(%s)", row=TeamRow._make, key=lambda row: (row.stream,))
BY_ID = Lookup(
    sql=f"{_SELECT_TEAM} JOIN unnest(%s::text[], %s::text[]) AS wanted (p, i) ON project_id = p AND team_id = i",
    row=TeamRow._make,
    key=lambda row: (row.project_id, row.team_id),
)
MEMBERSHIP_BY_ID = Lookup(
    sql=f"{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (p, i) ON project_id = p AND membership_id = i",
    row=MembershipRow._make,
    key=lambda row: (row.project_id, row.membership_id),
)
MEMBERSHIP_BETWEEN = Lookup(
    sql=f"{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (t, a) ON team = t AND account = a",
    row=MembershipRow._make,
    key=lambda row: (row.team, row.account),
)


class _Memberships(NamedTuple):
    """The teams of an account: a JSON text of `MemberOf`."""

    account: str
    memberships: str


MEMBER_OF = Lookup(
    sql=f"""SELECT account, json_agg(json_build_array(team_id, membership_id, roles, team) ORDER BY position)::text
            FROM {MEMBERSHIPS} WHERE account = ANY(%s) AND joined_at IS NOT NULL GROUP BY account""",
    row=_Memberships._make,
    key=lambda row: (row.account,),
)


def find(reads: Reads, project_id: str, team_id: str) -> Awaitable[TeamRow | None]:
    """The team with this id. The read is on its way when this returns."""
    return reads.load(BY_ID, (project_id, team_id))


async def get_by_stream(reads: Reads, stream: str) -> TeamRow:
    """The team of this stream. Raises `TeamNotFound`."""
    row = await reads.load(BY_STREAM, (stream,))
    if row is None:
        raise TeamNotFound
    return row


def find_membership(reads: Reads, project_id: str, membership_id: str) -> Awaitable[MembershipRow | None]:
    """The membership with this id, in whatever team."""
    return reads.load(MEMBERSHIP_BY_ID, (project_id, membership_id))


def find_between(reads: Reads, team: str, account: str) -> Awaitable[MembershipRow | None]:
    """The membership of an account in a team, both by their streams."""
    return reads.load(MEMBERSHIP_BETWEEN, (team, account))


async def get_membership(reads: Reads, project_id: str, membership_id: str) -> MembershipRow:
    """The membership with this id, in whatever team. Raises `MembershipNotFound`."""
    row = await find_membership(reads, project_id, membership_id)
    if row is None:
        raise MembershipNotFound
    return row


async def member_of(reads: Reads, account: str) -> list[MemberOf]:
    """What the account of this stream is a member of, in the order the memberships began."""
    row = await reads.load(MEMBER_OF, (account,))
    return [MemberOf(*each) for each in from_json(row.memberships)] if row is not None else []


# Lists ----------------------------------------------------------------------------------------------------------------

_NEVER = "'-infinity'::timestamptz"
_EVERY_LIST = {
    "sequence": Attribute("position", Kind.NUMBER),
    "created_at": Attribute("created_at", Kind.TIME, turns_ties=True),
    "updated_at": Attribute("updated_at", Kind.TIME, turns_ties=True),
}

TEAMS_OF_PROJECT = Listing(
    row=TeamRow._make,
    columns=columns(TeamRow),
    source=TEAMS,
    scope="project_id = %s",
    id="team_id",
    sequence="position",
    words="words",
    attributes={
        **_EVERY_LIST,
        "id": Attribute("team_id", Kind.TEXT),
        "name": Attribute('(lower(name) COLLATE "C")', Kind.TEXT, caseless=True),
        "total": Attribute("total", Kind.NUMBER),
    },
)
TEAMS_OF_ACCOUNT = replace(
    TEAMS_OF_PROJECT,
    scope="stream IN (SELECT team FROM memberships_v1 WHERE account = %s AND joined_at IS NOT NULL)",
)
MEMBERSHIPS_OF_TEAM = Listing(
    row=MembershipRow._make,
    columns=columns(MembershipRow),
    source=MEMBERSHIPS,
    scope="team = %s",
    id="membership_id",
    sequence="position",
    words="words",
    attributes={
        **_EVERY_LIST,
        "id": Attribute("membership_id", Kind.TEXT),
        "account_id": Attribute("account_id", Kind.TEXT),
        "team_id": Attribute("team_id", Kind.TEXT),
        "invited_at": Attribute("invited_at", Kind.TIME),
        "joined_at": Attribute(f"coalesce(joined_at, {_NEVER})", Kind.TIME, absent=_NEVER),
        "confirmed": Attribute("(joined_at IS NOT NULL)", Kind.FLAG),
        "roles": Attribute("roles", Kind.TEXTS),
    },
)
MEMBERSHIPS_OF_ACCOUNT = replace(MEMBERSHIPS_OF_TEAM, scope="account = %s")


async def list_teams(
    reads: Reads, project_id: str, *, asked: Asked, search: str | None = None, with_total: bool = True
) -> tuple[list[TeamRow], int]:
    """A page of a project's teams, and how many match in all. See `pages.page`."""
    return await page(reads, TEAMS_OF_PROJECT, (project_id,), asked, search=search, with_total=with_total)


async def list_teams_of(
    reads: Reads, account: str, *, asked: Asked, search: str | None = None, with_total: bool = True
) -> tuple[list[TeamRow], int]:
    """The same of the teams an account is a member of."""
    return await page(reads, TEAMS_OF_ACCOUNT, (account,), asked, search=search, with_total=with_total)


async def list_memberships(
    reads: Reads, team: str, *, asked: Asked, search: str | None = None, with_total: bool = True
) -> tuple[list[MembershipRow], int]:
    """A page of a team's memberships, those only invited among them, and how many match in all."""
    return await page(reads, MEMBERSHIPS_OF_TEAM, (team,), asked, search=search, with_total=with_total)


async def list_memberships_of(
    reads: Reads, account: str, *, asked: Asked, search: str | None = None, with_total: bool = True
) -> tuple[list[MembershipRow], int]:
    """The same of an account's memberships."""
    return await page(reads, MEMBERSHIPS_OF_ACCOUNT, (account,), asked, search=search, with_total=with_total)
