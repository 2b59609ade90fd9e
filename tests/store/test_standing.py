"""Whoever is behind the log, or stands still, is seen."""

from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.standing import Standing, ask
from tests.support.appends import beginning


def standing_of(database: str, name: str, kind: str | None = None) -> Standing:
    with connect_sync(database) as connection:
        found = ask(lambda query: connection.execute(query.encode()).fetchall())
    return next(each for each in found if each.name == name and kind in {None, each.kind})


async def test_T45_a_follower_that_does_not_move_turns_red_by_the_age_of_what_it_misses(
    log: EventLog, database: str
) -> None:
    assert standing_of(database, "ledger").passes
    await log.append(beginning(log, "account-1"))  # of some time ago, and nobody signs here
    ledger = standing_of(database, "ledger")
    assert (ledger.passes, ledger.lag) == (False, 1)
    assert ledger.lag_seconds > 60
    # What follows inline is there already.
    accounts = standing_of(database, "accounts")
    assert (accounts.passes, accounts.lag, accounts.position) == (True, 0, 1)


async def test_T45_messages_that_nobody_takes_turn_the_outbox_red_and_those_that_are_tried_again_do_not(
    database: str,
) -> None:
    def put(due: str, attempts: int) -> None:
        with connect_sync(database, as_app=False) as owner:
            owner.execute(
                f"""INSERT INTO log.outbox (kind, subject, payload, attempts, next_attempt_at)
                    VALUES ('mail', 's', '', {attempts}, now() + interval '{due}')""".encode()
            )

    put("10 min", 3)
    outbox = standing_of(database, "outbox")
    assert (outbox.passes, outbox.lag, outbox.note) == (True, 1, "1 of 1 were tried before")
    put("-10 min", 0)
    assert not standing_of(database, "outbox").passes


async def test_T45_a_read_model_that_is_not_filled_is_red(database: str) -> None:
    with connect_sync(database, as_app=False) as owner:
        owner.execute("UPDATE log.read_models SET rebuilt_to = -1 WHERE name = 'teams'")
    assert not standing_of(database, "teams").passes
    assert standing_of(database, "accounts").passes


async def test_T45_a_webhook_that_nobody_tries_again_is_red_unless_it_is_switched_off(database: str) -> None:
    def webhook(due: str, *, attempts: int, enabled: bool) -> Standing:
        with connect_sync(database, as_app=False) as owner:
            owner.execute("TRUNCATE read.webhooks_v1, log.webhook_progress")
            owner.execute(
                """INSERT INTO read.webhooks_v1 (project_id, webhook_id, version, number, name, url, events, enabled,
                       tls, auth_username, format, created_at, updated_at, starts_at, started, saved)
                   VALUES ('default', 'w', 1, 1, 'W', 'u', '{}', %s, true, '', 'appwrite', now(), now(), 7, 1, 1)""",
                (enabled,),
            )
            owner.execute(
                """INSERT INTO log.webhook_progress (project_id, webhook_id, seen, position, previous, attempts,
                       next_attempt_at) VALUES ('default', 'w', 1, 7, 0, %s, now() + %s::interval)""",
                (attempts, due),
            )
        return standing_of(database, "webhooks", "webhooks")

    quiet = webhook("-1 day", attempts=0, enabled=True)
    assert (quiet.passes, quiet.position, quiet.lag) == (True, 7, 0)
    failing = webhook("10 min", attempts=3, enabled=True)
    assert (failing.passes, failing.lag, failing.note) == (True, 1, "1 are tried again")
    assert not webhook("-10 min", attempts=3, enabled=True).passes
    assert webhook("-10 min", attempts=3, enabled=False).passes
