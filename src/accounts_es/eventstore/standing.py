"""How far everything is that follows the log, and what stands still.

What follows inline is where the log is. What follows later is as far behind as the first event that it has not taken in
is old: that is so much lag, whether it is slow or does not move at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from accounts_es.eventstore.migrate import UNFILLED
from accounts_es.eventstore.parking import Parked

Rows = Sequence[tuple[Any, ...]]

_COUNTED: Final = 10_000
"""Events behind that are counted; more are as bad."""
PATIENCE: Final = 60.0
"""Seconds that a follower may be behind."""
_LIVE_TABLES: Final = "read"

_READ_MODELS: Final = "SELECT name, rebuilt_to FROM log.read_models ORDER BY name"
_HEAD: Final = "SELECT coalesce(max(notification_id), 0) FROM log.accounts_events"
_FOLLOWERS: Final = f"""
    WITH follower (name, kind, position) AS (
        SELECT 'ledger', 'follower', coalesce((SELECT position FROM log.checkpoints ORDER BY size DESC LIMIT 1), 0)
        UNION ALL SELECT name, 'kept', kept_to FROM log.read_models WHERE kept_to IS NOT NULL
        UNION ALL SELECT array_to_string(read_models, ' '), 'rebuild', position FROM log.rebuild
    )
    SELECT name, kind, position, (
        SELECT count(*) FROM (
            SELECT 1 FROM log.accounts_events WHERE notification_id > follower.position LIMIT {_COUNTED}
        ) AS missing
    ), (
        SELECT greatest(extract(epoch FROM now() - recorded_at), 0)::float8 FROM log.accounts_events
        WHERE notification_id > follower.position ORDER BY notification_id LIMIT 1
    )
    FROM follower ORDER BY kind, name"""
_OUTBOX: Final = """SELECT count(*), count(*) FILTER (WHERE attempts > 0),
        coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (WHERE next_attempt_at <= now())), 0)::float8
    FROM log.outbox"""
# Where nothing is to be told a webhook's position stands still and is right. What is due and not tried again is not.
_WEBHOOKS: Final = """SELECT coalesce(min(p.position), 0), count(*) FILTER (WHERE p.attempts > 0),
        coalesce(extract(epoch FROM now() - min(p.next_attempt_at) FILTER (WHERE p.attempts > 0)), 0)::float8
    FROM log.webhook_progress AS p JOIN read.webhooks_v1 AS w USING (project_id, webhook_id) WHERE w.enabled"""
_PARKED: Final = """SELECT read_model, stream, version, position, topic, error, since, tables FROM log.parked
    ORDER BY position"""

QUERIES: Final = (_READ_MODELS, _HEAD, _FOLLOWERS, _OUTBOX, _WEBHOOKS, _PARKED)
"""What `standing` wants the answers of, in this order."""

_TABLES: Final = {"inline": _LIVE_TABLES, "kept": "read_old", "rebuild": "read_next"}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one follower of the log is. ``lag`` counts events, messages that wait, or webhooks that fail."""

    name: str
    kind: Literal["inline", "follower", "outbox", "webhooks", "kept", "rebuild"]
    passes: bool
    position: int
    lag: int = 0
    lag_seconds: float = 0.0
    note: str = ""
    parked: tuple[Parked, ...] = ()


def standing(answers: Sequence[Rows], ledger_seconds: float = 10.0) -> list[Standing]:
    """All followers, from the answers to `QUERIES`. ``ledger_seconds``: how often the log is signed."""
    models, ((head,),), followers, ((waiting, tried, overdue),), ((told, failing, late),), parked = answers
    found = [_inline(name, rebuilt_to, head, parked) for name, rebuilt_to in models]
    patience = {"follower": PATIENCE + 2 * ledger_seconds, "kept": 10 * PATIENCE}
    for name, kind, position, lag, seconds in followers:
        still = tuple(
            Parked(*each[:7]) for each in parked if each[7] == _TABLES.get(kind) and each[0] in name.split(" ")
        )
        behind = seconds or 0.0
        passes = kind == "rebuild" or behind <= patience[kind]
        found.append(Standing(name, kind, passes, position, lag, behind, _NOTES.get(kind, ""), still))
    note = f"{tried} of {waiting} were tried before" if tried else ""
    found.append(Standing("outbox", "outbox", overdue <= PATIENCE, head, waiting, overdue, note))
    late, note = max(late, 0.0), f"{failing} are tried again" if failing else ""
    found.append(Standing("webhooks", "webhooks", late <= PATIENCE, told, failing, late, note))
    return found


_NOTES: Final = {
    "kept": "replaced tables, kept for the way back",
    "rebuild": "a rebuild under way, or left unfinished",
}


def _inline(name: str, rebuilt_to: int, head: int, parked: Rows) -> Standing:
    still = tuple(Parked(*each[:7]) for each in parked if each[7] == _LIVE_TABLES and each[0] == name)
    if rebuilt_to == UNFILLED:
        return Standing(name, "inline", False, 0, note="not filled yet", parked=still)
    return Standing(name, "inline", not still, head, note="streams stand still" if still else "", parked=still)


def ask(execute: Callable[[str], Rows], ledger_seconds: float = 10.0) -> list[Standing]:
    """`standing`, where the questions are put one by one."""
    return standing([execute(query) for query in QUERIES], ledger_seconds)
