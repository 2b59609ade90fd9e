"""Bring a database up to this release: the log's schema, the server's role, the tables of the read models."""

from collections.abc import Iterable
from importlib import resources
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.eventstore.connection import APP_ROLE, Conn
from accounts_es.eventstore.key_check import begin
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.projection import Projection

MINIMUM_SERVER: Final = 150000
UNFILLED: Final = -1
"""``rebuilt_to`` of a read model that misses what the log already holds."""
MIGRATION_LOCK: Final = 7017280570803617908
"""The advisory lock of whoever migrates: while it is held, no server gets beyond its start."""
_NEWER: Final = """SELECT 1 FROM log.accounts_events
    WHERE topic = %s AND (convert_from(state, 'UTF8')::jsonb ->> 'v')::int > %s LIMIT 1"""


class UnsuitableDatabase(Exception):  # noqa: N818
    """The database cannot hold the log; the message says why in one sentence."""


def migrate(connection: Conn, master: MasterKey, projections: Iterable[Projection]) -> list[str]:
    """Migrate under a lock, so that any number of servers may start together. Needs the owner's role.

    Returns the names of the read models whose tables are new while the log is not: they must be rebuilt before
    the server answers. Raises `UnsuitableDatabase` and `WrongMasterKey`.
    """
    if connection.info.server_version < MINIMUM_SERVER:
        raise UnsuitableDatabase(
            f"PostgreSQL {connection.info.server_version // 10000} is too old: accounts-es needs 15 or newer"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UnsuitableDatabase(f"the database has the encoding {encoding}: accounts-es needs UTF8")
    connection.execute("SET statement_timeout = 0; SET lock_timeout = 0")
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        _schemas(connection)
        _role(connection)
        _log(connection)
        begin(connection, master)
        _shapes(connection)
        fresh = _read_models(connection, projections)
        _grants(connection)
    return fresh


def _schemas(connection: Conn) -> None:
    connection.execute("CREATE SCHEMA IF NOT EXISTS log")
    connection.execute("CREATE SCHEMA IF NOT EXISTS read")
    connection.execute("CREATE TABLE IF NOT EXISTS log.migrations (name text PRIMARY KEY, applied_at timestamptz)")


def _role(connection: Conn) -> None:
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APP_ROLE,)).fetchone()
    role = sql.Identifier(APP_ROLE)
    try:
        with connection.transaction():
            if found is None:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        pass  # roles belong to the whole cluster: another database's migration was first
    except psycopg.errors.InsufficientPrivilege:
        member = connection.execute("SELECT pg_has_role(current_user, %s, 'MEMBER')", (APP_ROLE,)).fetchone()
        if found is None or not member or not member[0]:
            raise UnsuitableDatabase(
                f"the database user may not create the role {APP_ROLE}: "
                f"let an administrator run CREATE ROLE {APP_ROLE}; GRANT {APP_ROLE} TO {connection.info.user}"
            ) from None


def _log(connection: Conn) -> None:
    applied = {name for (name,) in connection.execute("SELECT name FROM log.migrations")}
    files = sorted(
        (
            each
            for each in resources.files("accounts_es.eventstore").joinpath("migrations").iterdir()
            if each.name.endswith(".sql")
        ),
        key=lambda each: each.name,
    )
    known = {each.name for each in files}
    if unknown := applied - known:
        raise UnsuitableDatabase(f"the database was made by a later release: it has {', '.join(sorted(unknown))}")
    for each in files:
        if each.name not in applied:
            connection.execute(each.read_text(encoding="utf-8").encode())
            connection.execute("INSERT INTO log.migrations VALUES (%s, now())", (each.name,))


def _shapes(connection: Conn) -> None:
    """Refuse a log with events that only a later release can read, and note what this one writes."""
    for topic, version in connection.execute("SELECT topic, version FROM log.shapes ORDER BY 1, 2").fetchall():
        known = BY_TOPIC[topic].version if topic in BY_TOPIC else 0
        if version > known and connection.execute(_NEWER, (topic, known)).fetchone():
            raise UnsuitableDatabase(
                f"the log holds events that a later release has written ({topic}, version {version}):"
                " start that release again"
            )
    connection.cursor().executemany(
        "INSERT INTO log.shapes (topic, version) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [(topic, event.version) for topic, event in BY_TOPIC.items()],
    )


def _read_models(connection: Conn, projections: Iterable[Projection]) -> list[str]:
    head = connection.execute("SELECT coalesce(max(notification_id), 0) FROM log.accounts_events").fetchone()
    begun = head is not None and head[0] > 0
    known: dict[str, list[str]] = dict(connection.execute("SELECT name, tables FROM log.read_models").fetchall())
    for projection in projections:
        if known.get(projection.name) == list(projection.tables) and _are_there(connection, projection):
            continue
        connection.execute("SET LOCAL search_path = read, log")
        for table in projection.tables:
            connection.execute(sql.SQL("DROP TABLE IF EXISTS read.{}").format(sql.Identifier(table)))
        for table in known.get(projection.name, ()):
            connection.execute(sql.SQL("DROP TABLE IF EXISTS read_old.{}").format(sql.Identifier(table)))
        connection.execute(projection.ddl)
        connection.execute(
            """INSERT INTO log.read_models (name, tables, rebuilt_to) VALUES (%s, %s, %s)
               ON CONFLICT (name) DO UPDATE SET tables = excluded.tables, rebuilt_to = excluded.rebuilt_to,
                   kept_to = NULL, kept_since = NULL""",
            (projection.name, list(projection.tables), UNFILLED if begun else 0),
        )
        connection.execute("DELETE FROM log.parked WHERE read_model = %s", (projection.name,))
    unfilled = connection.execute("SELECT name FROM log.read_models WHERE rebuilt_to = %s ORDER BY name", (UNFILLED,))
    return [name for (name,) in unfilled]


def _are_there(connection: Conn, projection: Projection) -> bool:
    """Whether the tables exist: a backup of the log alone comes without them."""
    names = [f"read.{table}" for table in projection.tables]
    found = connection.execute("SELECT to_regclass(name) FROM unnest(%s::text[]) AS name", (names,)).fetchall()
    return all(table is not None for (table,) in found)


_GRANTS: Final[tuple[LiteralString, ...]] = (
    "GRANT USAGE ON SCHEMA log, read TO {role}",
    "GRANT SELECT, INSERT ON log.accounts_events, log.accounts_snapshots TO {role}",
    "GRANT SELECT, INSERT ON log.subject_keys TO {role}",
    # Keys are destroyed by log.erase and log.forget, together with the event that says so.
    "REVOKE DELETE ON log.subject_keys FROM {role}",
    "GRANT EXECUTE ON FUNCTION log.erase(text) TO {role}",
    "GRANT SELECT, UPDATE (certificate, kept, swept) ON log.erasures TO {role}",
    "GRANT SELECT, INSERT, DELETE ON log.erased_ids TO {role}",
    "GRANT SELECT, INSERT, DELETE ON log.claims TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON log.idempotency, log.outbox, log.limits, log.webhook_progress TO {role}",
    "GRANT SELECT ON log.key_check, log.migrations, log.read_models, log.rebuild, log.parked, log.ledger TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON log.ledger_tiles TO {role}",
    "GRANT SELECT, INSERT, UPDATE (kept) ON log.checkpoints TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA log TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA read TO {role}",
)


def _grants(connection: Conn) -> None:
    for statement in _GRANTS:
        connection.execute(sql.SQL(statement).format(role=sql.Identifier(APP_ROLE)))


def read_model_grants(connection: Conn, schema: str, table: str) -> None:
    """Let the server use one table of a read model."""
    connection.execute(
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {}.{} TO {}").format(
            sql.Identifier(schema), sql.Identifier(table), sql.Identifier(APP_ROLE)
        )
    )
