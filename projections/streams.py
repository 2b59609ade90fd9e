"""Which streams ever had an id, and which accounts were ever in which teams: where reads of the past begin.

A row outlasts the account, team or resource, and is no state of it: it says no more than that they had to do with each
other. The id of a person goes with the person's key.
"""

from typing import Final, Literal, LiteralString

from accounts_es.domain.account import events as account_events
from accounts_es.domain.event import Recorded
from accounts_es.domain.resource import events as resource_events
from accounts_es.domain.team import events as team_events
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Reads

projection = Projection(
    name="streams",
    tables=("streams_v1", "belongings_v1"),
    ddl="""
    CREATE TABLE streams_v1 (
        stream text PRIMARY KEY,
        version bigint NOT NULL,
        project_id text NOT NULL,
        kind text NOT NULL,
        id text COLLATE "C" NOT NULL
    );
    CREATE INDEX streams_v1_id ON streams_v1 (project_id, kind, id);
    CREATE TABLE belongings_v1 (
        team text NOT NULL,
        account text NOT NULL,
        version bigint NOT NULL,
        PRIMARY KEY (team, account)
    );
    CREATE INDEX belongings_v1_account ON belongings_v1 (account);
    """,
)

Kind = Literal["account", "team", "resource"]


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(account_events.SignedUp)
def signed_up(tx: Tx, recorded: Recorded[account_events.SignedUp]) -> None:
    """An account has its id from the beginning."""
    _began(tx, recorded, "account", recorded.event.account_id)


@projection.on(account_events.AccountErased)
def account_erased(tx: Tx, recorded: Recorded[account_events.AccountErased]) -> None:
    """The id of an erased person is not kept."""
    tx.execute("DELETE FROM streams_v1 WHERE stream = %s AND version < %s", (recorded.stream, recorded.stream_version))


@projection.on(team_events.TeamCreated)
def team_created(tx: Tx, recorded: Recorded[team_events.TeamCreated]) -> None:
    """So has a team."""
    _began(tx, recorded, "team", recorded.event.team_id)


@projection.on(resource_events.ResourceProtected)
def resource_protected(tx: Tx, recorded: Recorded[resource_events.ResourceProtected]) -> None:
    """So has a resource; among those of its type."""
    _began(tx, recorded, "resource", resource_key(recorded.event.resource_type, recorded.event.resource_id))


@projection.on(team_events.MemberInvited)
def member_invited(tx: Tx, recorded: Recorded[team_events.MemberInvited]) -> None:
    """An account has to do with a team."""
    _belongs(tx, recorded, recorded.event.account)


@projection.on(team_events.MemberAdded)
def member_added(tx: Tx, recorded: Recorded[team_events.MemberAdded]) -> None:
    """The same."""
    _belongs(tx, recorded, recorded.event.account)


def _began(
    tx: Tx,
    recorded: Recorded[account_events.SignedUp]
    | Recorded[team_events.TeamCreated]
    | Recorded[resource_events.ResourceProtected],
    kind: Kind,
    identity: str,
) -> None:
    tx.execute(
        """INSERT INTO streams_v1 (stream, version, project_id, kind, id) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (stream) DO NOTHING""",
        (recorded.stream, recorded.stream_version, recorded.meta.project, kind, identity),
    )


def _belongs(
    tx: Tx, recorded: Recorded[team_events.MemberInvited] | Recorded[team_events.MemberAdded], account: str
) -> None:
    tx.execute(
        """INSERT INTO belongings_v1 (team, account, version) VALUES (%s, %s, %s)
           ON CONFLICT (team, account) DO NOTHING""",
        (recorded.stream, account, recorded.stream_version),
    )


# Queries --------------------------------------------------------------------------------------------------------------


def resource_key(resource_type: str, resource_id: str) -> str:
    """What a resource is found by."""
    return f"{resource_type}/{resource_id}"


_OF_ID: Final[LiteralString] = (
    "SELECT stream FROM streams_v1 WHERE project_id = %s AND kind = %s AND id = ANY(%s::text[]) ORDER BY stream"
)
_LAST: Final[LiteralString] = """SELECT originator_id FROM log.accounts_events WHERE originator_id = ANY(%s::text[])
    ORDER BY notification_id DESC LIMIT 1"""
_TEAMS: Final[LiteralString] = "SELECT DISTINCT team FROM belongings_v1 WHERE account = ANY(%s::text[])"
_ACCOUNTS: Final[LiteralString] = "SELECT DISTINCT account FROM belongings_v1 WHERE team = ANY(%s::text[])"
_ID: Final[LiteralString] = "SELECT stream, id FROM streams_v1 WHERE stream = ANY(%s::text[])"


async def with_ids(reads: Reads, project_id: str, kind: Kind, *ids: str) -> list[str]:
    """The streams that ever had one of these ids; also those of what is gone."""
    return [row[0] for row in await reads.fetch(_OF_ID, (project_id, kind, list(ids)))]


async def last_with_id(reads: Reads, project_id: str, kind: Kind, identity: str) -> str | None:
    """The stream that has this id, or of those that are gone the last that had it."""
    found = await with_ids(reads, project_id, kind, identity)
    if not found:
        return None
    ((stream,),) = await reads.fetch(_LAST, (found,))
    return str(stream)


async def teams_of(reads: Reads, accounts: list[str]) -> list[str]:
    """The streams of the teams these accounts were ever in, or invited to."""
    return [row[0] for row in await reads.fetch(_TEAMS, (accounts,))]


async def accounts_of(reads: Reads, teams: list[str]) -> list[str]:
    """The streams of the accounts that were ever in these teams, or invited."""
    return [row[0] for row in await reads.fetch(_ACCOUNTS, (teams,))]


async def ids_of(reads: Reads, streams: list[str]) -> dict[str, str]:
    """The ids of streams; those of erased persons are not among them."""
    return dict(await reads.fetch(_ID, (streams,)))
