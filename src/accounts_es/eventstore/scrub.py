"""Write the tables anew that personal values stood in, so that not even the files of the database hold what is gone.

VACUUM gives the space of dead rows back without wiping it. This wipes it, and nobody reads or writes a table meanwhile.
"""

from typing import Final

from psycopg import sql

from accounts_es.eventstore.connection import Conn

BESIDE: Final = (
    "subject_keys",
    "claims",
    "outbox",
    "idempotency",
    "accounts_snapshots",
    "webhook_progress",
    "erased_ids",
)
"""Tables beside the log that may hold something of a person, sealed or not."""
SPOTTED: Final = """SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname IN ('read', 'read_next', 'read_old') OR (schemaname = 'log' AND tablename = ANY(%s))"""
"""All of them, those of read models included."""


def scrub(owner: Conn) -> None:
    """Rewrite them, and let the write-ahead log go up to here.

    Needs the owner's role; raises ``InsufficientPrivilege`` in the end where that may not switch the write-ahead log.
    """
    owner.execute("SET statement_timeout = 0; SET lock_timeout = 0")
    for schema, table in owner.execute(SPOTTED, (list(BESIDE),)).fetchall():
        owner.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(sql.Identifier(schema, table)))
    # Statistics hold samples of values; what they were until now is dead as well.
    owner.execute("VACUUM FULL pg_statistic")
    for _ in range(2):
        owner.execute("SELECT pg_switch_wal()")
        owner.execute("CHECKPOINT")
