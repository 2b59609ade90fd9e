"""Accounts as the API reads them back: one row per account."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple, TypeVar, get_args

from pydantic_core import to_json

from accounts_es.domain.account import events
from accounts_es.domain.errors import UserNotFound
from accounts_es.domain.event import Event, Recorded
from accounts_es.eventstore.arrays import Array, BigIntegers, Booleans, Texts, Times
from accounts_es.eventstore.listing import Asked, Attribute, Kind, Listing
from accounts_es.eventstore.pages import page
from accounts_es.eventstore.projection import KeyedUpdate, Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

E = TypeVar("E", bound=events.AccountEvent)

projection = Projection(
    name="accounts",
    tables=("accounts_v2",),
    ddl="""
    CREATE TABLE accounts_v2 (
        stream text PRIMARY KEY,
        version bigint NOT NULL,
        position bigint NOT NULL,
        project_id text NOT NULL,
        account_id text COLLATE "C" NOT NULL,
        email text COLLATE "C",
        phone text COLLATE "C",
        name text NOT NULL,
        password_hash text,
        password_updated_at timestamptz,
        active boolean NOT NULL DEFAULT true,
        email_verified boolean NOT NULL DEFAULT false,
        phone_verified boolean NOT NULL DEFAULT false,
        mfa boolean NOT NULL DEFAULT false,
        totp boolean NOT NULL DEFAULT false,
        impersonator boolean NOT NULL DEFAULT false,
        labels text[] NOT NULL DEFAULT '{}',
        prefs text NOT NULL DEFAULT '{}',
        targets text NOT NULL DEFAULT '[]',
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        accessed_at timestamptz,
        words tsvector NOT NULL GENERATED ALWAYS AS
            (log.search_words((ARRAY[account_id, email, phone, name] || labels) COLLATE "default")) STORED
    ) WITH (fillfactor = 80);
    -- Not unique: that is the claims' business, and within a batch a rebuild may see an id's next owner before the
    -- last one leaves.
    CREATE INDEX accounts_v2_id ON accounts_v2 (project_id, account_id);
    CREATE UNIQUE INDEX accounts_v2_order ON accounts_v2 (project_id, position);
    CREATE INDEX accounts_v2_email ON accounts_v2 (project_id, coalesce(email, ''), position);
    CREATE INDEX accounts_v2_phone ON accounts_v2 (project_id, coalesce(phone, ''), position);
    CREATE INDEX accounts_v2_words ON accounts_v2 USING gin (words);
    -- For lists: as `LISTING` writes it, then what decides between equals. What changes when somebody merely uses the
    -- account (prefs, updated_at, accessed_at) has no index: with one, such an update would cost all indexes an entry.
    CREATE INDEX accounts_v2_created ON accounts_v2 (project_id, created_at, position);
    CREATE INDEX accounts_v2_name ON accounts_v2 (project_id, (lower(name) COLLATE "C"), position);
    CREATE INDEX accounts_v2_password ON accounts_v2
        (project_id, coalesce(password_updated_at, '-infinity'), position);
    CREATE INDEX accounts_v2_email_verified ON accounts_v2 (project_id, email_verified, position);
    CREATE INDEX accounts_v2_phone_verified ON accounts_v2 (project_id, phone_verified, position);
    CREATE INDEX accounts_v2_blocked ON accounts_v2 (project_id, position) WHERE NOT active;
    CREATE INDEX accounts_v2_impersonators ON accounts_v2 (project_id, position) WHERE impersonator;
    CREATE INDEX accounts_v2_labels ON accounts_v2 USING gin (labels);
    """,
)


class AccountRow(NamedTuple):
    """One account. ``prefs`` and ``targets`` are JSON texts; ``position`` is its place in the order of sign-ups.

    ``totp`` says whether it has an authenticator that counts.

    Two rows of one ``stream`` and ``version`` are equal: every change of a row is an event of its stream.
    """

    stream: str
    version: int
    position: int
    project_id: str
    account_id: str
    email: str | None
    phone: str | None
    name: str
    password_hash: str | None
    password_updated_at: datetime | None
    active: bool
    email_verified: bool
    phone_verified: bool
    mfa: bool
    totp: bool
    impersonator: bool
    labels: list[str]
    prefs: str
    targets: str
    created_at: datetime
    updated_at: datetime
    accessed_at: datetime | None

    @property
    def has_second_factor(self) -> bool:
        """Whether there is a second factor to ask for."""
        return self.email_verified or self.phone_verified or self.totp


# What each event does ------------------------------------------------------------------------------------------------


@projection.on(events.SignedUp)
def signed_up(tx: Tx, recorded: Recorded[events.SignedUp]) -> None:
    """A new row."""
    event, at = recorded.event, recorded.meta.at
    tx.execute(
        """INSERT INTO accounts_v2 (stream, version, position, project_id, account_id, email, phone, name,
               password_hash, password_updated_at, created_at, updated_at, accessed_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (stream) DO NOTHING""",
        (
            recorded.stream,
            recorded.stream_version,
            recorded.position,
            recorded.meta.project,
            event.account_id,
            event.email,
            event.phone,
            event.name,
            event.password_hash,
            at if event.password_hash else None,
            at,
            at,
            at,
        ),
    )


def _sets(event: type[E], columns: Mapping[LiteralString, Callable[[Recorded[E]], object]]) -> None:
    """The event makes these columns what it says itself, whatever they were before."""
    values = tuple(columns.values())
    change = KeyedUpdate("accounts_v2", {name: _array_of(name) for name in (*columns, "version", "updated_at")})

    def handler(tx: Tx, recorded: Recorded[E]) -> None:
        version, at = recorded.stream_version, recorded.meta.at
        tx.execute(change, (*[value(recorded) for value in values], version, at, recorded.stream, version))

    handler.__name__ = re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()
    projection.on(event)(handler)
    _COLUMNS[event] = columns


def _array_of(column: str) -> type[Array]:
    kind = AccountRow.__annotations__[column]
    return _ARRAYS[get_args(kind)[0] if get_args(kind) else kind]


_ARRAYS: Final[dict[type, type[Array]]] = {str: Texts, bool: Booleans, int: BigIntegers, datetime: Times}
_COLUMNS: Final[dict[type[Event], Mapping[LiteralString, Callable[[Any], object]]]] = {}


def _nothing(_recorded: object) -> None:
    return None


def _true(_recorded: object) -> bool:
    return True


def _false(_recorded: object) -> bool:
    return False


_sets(events.NameChanged, {"name": lambda each: each.event.name})
# As JSON text, so that keys stay in the order they came in.
_sets(events.PrefsUpdated, {"prefs": lambda each: to_json(each.event.prefs).decode()})
_sets(events.EmailChanged, {"email": lambda each: each.event.email, "email_verified": _false})
_sets(events.PhoneChanged, {"phone": lambda each: each.event.phone, "phone_verified": _false})
_sets(
    events.PasswordChanged,
    {"password_hash": lambda each: each.event.password_hash, "password_updated_at": lambda each: each.meta.at},
)
_sets(events.PasswordRevoked, {"password_hash": _nothing, "password_updated_at": _nothing})
_sets(events.PasswordRehashed, {"password_hash": lambda each: each.event.password_hash})
_sets(events.VerifiedEmail, {"email_verified": _true})
_sets(events.EmailVerificationRevoked, {"email_verified": _false})
_sets(events.VerifiedPhone, {"phone_verified": _true})
_sets(events.PhoneVerificationRevoked, {"phone_verified": _false})
_sets(events.AccountBlocked, {"active": _false})
_sets(events.AccountUnblocked, {"active": _true})
_sets(events.MfaSwitchedOn, {"mfa": _true})
_sets(events.MfaSwitchedOff, {"mfa": _false})
_sets(events.AuthenticatorVerified, {"totp": _true})
_sets(events.AuthenticatorRemoved, {"totp": _false})
_sets(events.ImpersonatorAppointed, {"impersonator": _true})
_sets(events.ImpersonatorDismissed, {"impersonator": _false})


@projection.on(events.LabelAdded)
def label_added(tx: Tx, recorded: Recorded[events.LabelAdded]) -> None:
    """One more label, at the end."""
    _change(tx, recorded, "labels = array_append(labels, %s)", recorded.event.label)


@projection.on(events.LabelRemoved)
def label_removed(tx: Tx, recorded: Recorded[events.LabelRemoved]) -> None:
    """One label less."""
    _change(tx, recorded, "labels = array_remove(labels, %s)", recorded.event.label)


@projection.on(events.TargetAdded)
def target_added(tx: Tx, recorded: Recorded[events.TargetAdded]) -> None:
    """One more entry in ``targets``, in the order of the events."""
    event, at = recorded.event, recorded.meta.at.isoformat()
    target = {**event.model_dump(mode="json"), "created_at": at, "updated_at": at}
    _change(tx, recorded, "targets = (targets::jsonb || %s::jsonb)::text", to_json([target]).decode())


@projection.on(events.TargetChanged)
def target_changed(tx: Tx, recorded: Recorded[events.TargetChanged]) -> None:
    """An entry of ``targets`` changed in its place."""
    event = recorded.event
    changed = {**event.model_dump(mode="json"), "updated_at": recorded.meta.at.isoformat()}
    _change(
        tx,
        recorded,
        """targets = (SELECT COALESCE(jsonb_agg(CASE WHEN t ->> 'target_id' = %s THEN t || %s::jsonb ELSE t END
                      ORDER BY n), '[]')
                      FROM jsonb_array_elements(targets::jsonb) WITH ORDINALITY AS each (t, n))::text""",
        event.target_id,
        to_json(changed).decode(),
    )


@projection.on(events.TargetRemoved)
def target_removed(tx: Tx, recorded: Recorded[events.TargetRemoved]) -> None:
    """One entry of ``targets`` less."""
    _drop_targets(tx, recorded, to_json({"target_id": recorded.event.target_id}).decode())


@projection.on(events.SessionDeleted)
def session_deleted(tx: Tx, recorded: Recorded[events.SessionDeleted]) -> None:
    """Its push targets ended with it; mostly there is none and the row stays as it is."""
    _drop_targets(tx, recorded, to_json({"session_id": recorded.event.session_id}).decode())


@projection.on(events.Accessed)
def accessed(tx: Tx, recorded: Recorded[events.Accessed]) -> None:
    """Used just now. The account did not change: ``updated_at`` stays."""
    tx.execute(
        "UPDATE accounts_v2 SET accessed_at = %s, version = %s WHERE stream = %s AND version < %s",
        (recorded.meta.at, recorded.stream_version, recorded.stream, recorded.stream_version),
    )


@projection.on(events.AccountDeleted)
def account_deleted(tx: Tx, recorded: Recorded[events.AccountDeleted]) -> None:
    """No row."""
    tx.execute(
        "DELETE FROM accounts_v2 WHERE stream = %s AND version < %s",
        (recorded.stream, recorded.stream_version),
    )


def _change(tx: Tx, recorded: Recorded[events.AccountEvent], assignments: LiteralString, *values: object) -> None:
    """These assignments, on the row as it was before the event."""
    version = recorded.stream_version
    tx.execute(
        f"UPDATE accounts_v2 SET {assignments}, version = %s, updated_at = %s WHERE stream = %s AND version < %s",
        (*values, version, recorded.meta.at, recorded.stream, version),
    )


def _drop_targets(tx: Tx, recorded: Recorded[events.AccountEvent], like: str) -> None:
    """Without the targets that have these fields; no change where there is none."""
    version = recorded.stream_version
    tx.execute(
        """UPDATE accounts_v2 SET targets = (SELECT COALESCE(jsonb_agg(t ORDER BY n) FILTER (WHERE NOT t @> %s::jsonb),
               '[]') FROM jsonb_array_elements(targets::jsonb) WITH ORDINALITY AS each (t, n))::text,
               version = %s, updated_at = %s
           WHERE stream = %s AND version < %s AND targets::jsonb @> jsonb_build_array(%s::jsonb)""",
        (like, version, recorded.meta.at, recorded.stream, version, like),
    )


# Queries --------------------------------------------------------------------------------------------------------------

_SELECT = f"SELECT {columns(AccountRow)} FROM accounts_v2"

BY_STREAM = Lookup(sql=f"{_SELECT} WHERE stream = ANY(%s)", row=AccountRow._make, key=lambda row: (row.stream,))

BY_ID = Lookup(
    sql=f"{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (p, i) ON project_id = p AND account_id = i",
    row=AccountRow._make,
    key=lambda row: (row.project_id, row.account_id),
)

BY_EMAIL = Lookup(
    sql=f"{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (p, e) ON project_id = p AND coalesce(email, '') = e",
    row=AccountRow._make,
    key=lambda row: (row.project_id, row.email or ""),
)

BY_PHONE = Lookup(
    sql=f"{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (p, n) ON project_id = p AND coalesce(phone, '') = n",
    row=AccountRow._make,
    key=lambda row: (row.project_id, row.phone or ""),
)


def find(reads: Reads, project_id: str, account_id: str) -> Awaitable[AccountRow | None]:
    """The account with this id in this project, if there is one. The read is on its way when this returns."""
    return reads.load(BY_ID, (project_id, account_id))


async def find_by_email(reads: Reads, project_id: str, email: str) -> AccountRow | None:
    """The account that signs in with this (lower-case) address, if there is one."""
    return await reads.load(BY_EMAIL, (project_id, email))


async def find_by_phone(reads: Reads, project_id: str, phone: str) -> AccountRow | None:
    """The account with this number, if there is one."""
    return await reads.load(BY_PHONE, (project_id, phone))


async def get(reads: Reads, project_id: str, account_id: str) -> AccountRow:
    """The account with this id in this project. Raises `UserNotFound`."""
    return _found(await find(reads, project_id, account_id))


async def get_by_stream(reads: Reads, stream: str) -> AccountRow:
    """The account of this stream. Raises `UserNotFound`."""
    return _found(await reads.load(BY_STREAM, (stream,)))


async def get_after(reads: Reads, row: AccountRow, recorded: Sequence[Recorded[Event]]) -> AccountRow:
    """The account once these events are stored, given its row from before. Raises `UserNotFound`.

    Where they follow the row and say themselves what they set, nothing is read: the append proved the row current.
    """
    known = _after(row, recorded)
    return known if known is not None else await get_by_stream(reads, row.stream)


def _after(row: AccountRow, recorded: Sequence[Recorded[Event]]) -> AccountRow | None:
    for each in recorded:
        columns = _COLUMNS.get(type(each.event))
        if columns is None or (each.stream, each.stream_version) != (row.stream, row.version + 1):
            return None
        changed: dict[str, Any] = {name: value(each) for name, value in columns.items()}
        row = row._replace(version=each.stream_version, updated_at=each.meta.at, **changed)
    return row if recorded else None


def _found(row: AccountRow | None) -> AccountRow:
    if row is None:
        raise UserNotFound
    return row


async def list_after(reads: Reads, project_id: str, position: int, limit: int) -> list[AccountRow]:
    """The next accounts of a project after a position, in the order they signed up."""
    rows = await reads.fetch(
        f"{_SELECT} WHERE project_id = %s AND position > %s ORDER BY position LIMIT %s", (project_id, position, limit)
    )
    return [AccountRow._make(row) for row in rows]


def newcomer(project_id: str, account_id: str, email: str, name: str, target_id: str, at: datetime) -> AccountRow:
    """What the row of somebody who signs up just now would be. It stands nowhere."""
    target = {
        "target_id": target_id,
        "provider_type": "email",
        "identifier": email,
        "name": "",
        "provider_id": None,
        "session_id": None,
        "created_at": at.isoformat(),
        "updated_at": at.isoformat(),
    }
    return AccountRow(
        stream="",
        version=0,
        position=0,
        project_id=project_id,
        account_id=account_id,
        email=email,
        phone=None,
        name=name,
        password_hash=None,
        password_updated_at=at,
        active=True,
        email_verified=False,
        phone_verified=False,
        mfa=False,
        totp=False,
        impersonator=False,
        labels=[],
        prefs="{}",
        targets=to_json([target]).decode(),
        created_at=at,
        updated_at=at,
        accessed_at=at,
    )


async def at_least(reads: Reads, project_id: str, number: int) -> bool:
    """Whether the project has this many accounts. Reads no more of them than that."""
    rows = await reads.fetch(
        "SELECT count(*) FROM (SELECT 1 FROM accounts_v2 WHERE project_id = %s LIMIT %s) AS counted",
        (project_id, number),
    )
    return bool(rows[0][0] >= number)


_NEVER = "'-infinity'::timestamptz"

LISTING = Listing(
    row=AccountRow._make,
    columns=columns(AccountRow),
    source="accounts_v2",
    scope="project_id = %s",
    id="account_id",
    sequence="position",
    words="words",
    attributes={
        "id": Attribute("account_id", Kind.TEXT),
        "sequence": Attribute("position", Kind.NUMBER),
        "created_at": Attribute("created_at", Kind.TIME, turns_ties=True),
        "updated_at": Attribute("updated_at", Kind.TIME, turns_ties=True),
        "registered_at": Attribute("created_at", Kind.TIME),
        "name": Attribute('(lower(name) COLLATE "C")', Kind.TEXT, caseless=True),
        "email": Attribute("coalesce(email, '')", Kind.TEXT, absent="''", caseless=True),
        "phone": Attribute("coalesce(phone, '')", Kind.TEXT, absent="''"),
        "active": Attribute("active", Kind.FLAG),
        "email_verified": Attribute("email_verified", Kind.FLAG),
        "phone_verified": Attribute("phone_verified", Kind.FLAG),
        "impersonator": Attribute("impersonator", Kind.FLAG),
        "labels": Attribute("labels", Kind.TEXTS),
        "password_updated_at": Attribute(f"coalesce(password_updated_at, {_NEVER})", Kind.TIME, absent=_NEVER),
        "accessed_at": Attribute(f"coalesce(accessed_at, {_NEVER})", Kind.TIME, absent=_NEVER),
    },
)


async def list_accounts(
    reads: Reads, project_id: str, *, asked: Asked, search: str | None = None, with_total: bool = True
) -> tuple[list[AccountRow], int]:
    """A page of a project's accounts, and how many match in all. See `pages.page`."""
    return await page(reads, LISTING, (project_id,), asked, search=search, with_total=with_total)


class TargetRow(NamedTuple):
    """One entry of an account's ``targets``, as the JSON it is there."""

    target: str
    target_id: str
    place: int


TARGETS = Listing(
    row=TargetRow._make,
    columns=columns(TargetRow),
    source="""(SELECT stream, account_id, t::text AS target, t ->> 'target_id' AS target_id, n AS place,
                   (t ->> 'created_at')::timestamptz AS created_at, (t ->> 'updated_at')::timestamptz AS updated_at,
                   t ->> 'provider_type' AS provider_type, t ->> 'identifier' AS identifier,
                   coalesce(t ->> 'provider_id', '') AS provider_id
               FROM accounts_v2, jsonb_array_elements(targets::jsonb) WITH ORDINALITY AS each (t, n)) AS listed""",
    scope="stream = %s",
    id="target_id",
    sequence="place",
    attributes={
        "id": Attribute("target_id", Kind.TEXT),
        "sequence": Attribute("place", Kind.NUMBER),
        "created_at": Attribute("created_at", Kind.TIME, turns_ties=True),
        "updated_at": Attribute("updated_at", Kind.TIME, turns_ties=True),
        "account_id": Attribute("account_id", Kind.TEXT),
        "provider_type": Attribute("provider_type", Kind.TEXT),
        "provider_id": Attribute("provider_id", Kind.TEXT, absent="''"),
        "identifier": Attribute("lower(identifier)", Kind.TEXT, caseless=True),
    },
)


async def list_targets(
    reads: Reads, stream: str, *, asked: Asked, with_total: bool = True
) -> tuple[list[TargetRow], int]:
    """A page of an account's targets, and how many match in all. See `pages.page`."""
    return await page(reads, TARGETS, (stream,), asked, with_total=with_total)
