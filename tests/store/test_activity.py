"""What happened to an account is read from the log along its indexes."""

import pytest

from accounts_es.domain.event import Event, Recorded
from accounts_es.domain.security.events import AccessDenied, SignInRefused
from accounts_es.eventstore import activities, activity
from accounts_es.eventstore.append import Append
from accounts_es.eventstore.listing import Condition, Filter, Operator
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.pages import Sql, condition
from accounts_es.http.models import TOPICS
from tests.support.examples import accessed, label_added, label_removed, name_changed, session_created, signed_up
from tests.support.metadata import metadata

STREAM = "account-1"


async def recorded(log: EventLog, stream: str, *requests: tuple[Event, ...]) -> None:
    """Events of one stream, request by request."""
    keys, version = ((stream, log.keys.create(stream)),), 0
    for nth, done in enumerate(requests):
        meta = metadata(request_id=f"{stream}-{nth}")
        events = tuple(Recorded(stream, version + each, event, meta) for each, event in enumerate(done, start=1))
        await log.append(Append(events, new_keys=keys))
        keys, version = (), version + len(done)


async def test_own_events_and_refused_sign_ins_come_newest_first_one_a_request(log: EventLog) -> None:
    def refused(stream: str) -> SignInRefused:
        return SignInRefused(method="email-password", reason="invalid_credentials", identifier="x", account=stream)

    await recorded(log, STREAM, (signed_up, session_created), (accessed,), (label_added, label_removed, name_changed))
    await recorded(log, "account-2", (signed_up,))
    denied = AccessDenied(operation="account.get", reason="general_unauthorized_scope")
    await recorded(log, "security-1", (refused(STREAM), denied), (refused("account-2"),), (refused(""),))
    await recorded(log, "security-2", (refused(STREAM),), (refused(STREAM),))

    found = await activity.deeds(log, STREAM, TOPICS, offset=0, limit=25)
    assert [(deed.first.stream, deed.first.stream_version) for deed in found] == [
        ("security-2", 2),
        ("security-2", 1),
        ("security-1", 1),
        (STREAM, 4),
        (STREAM, 1),
    ]
    assert found[3].topics == (label_added.topic, label_removed.topic, name_changed.topic)
    assert [deed.first.meta.ip for deed in found] == ["203.0.113.7"] * 5
    assert await activity.count(log, STREAM, TOPICS) == 5
    assert await activity.deeds(log, STREAM, TOPICS, offset=1, limit=3) == found[1:4]
    assert await activity.deeds(log, STREAM, TOPICS, offset=5, limit=25) == []
    assert await activity.deeds(log, "account-3", TOPICS, offset=0, limit=25) == []
    assert await activity.count(log, "account-3", TOPICS) == 0


async def test_no_request_reads_more_than_its_reach(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    await recorded(log, STREAM, (signed_up,), *((name_changed,) for _ in range(40)))
    monkeypatch.setattr(activity, "REACH", 10)
    assert await activity.count(log, STREAM, TOPICS) == 10
    assert len(await activity.deeds(log, STREAM, TOPICS, offset=0, limit=2**62)) == 10
    assert len(await activity.deeds(log, STREAM, TOPICS, offset=8, limit=25)) == 2
    assert await activity.deeds(log, STREAM, TOPICS, offset=2**62, limit=25) == []


async def test_what_it_reads_it_finds_along_indexes(log: EventLog) -> None:
    await log.reads.fetch("SELECT set_config('enable_seqscan', 'off', false)")
    wanted = list(TOPICS)
    page = (STREAM, wanted, wanted, 25, STREAM, 25, 0, 25)
    plan = "\n".join(line for (line,) in await log.reads.fetch(f"EXPLAIN {activity._PAGE}", page))
    assert "using accounts_events_refused" in plan
    assert "using accounts_events_pkey" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("project", "asked", "index"),
    [
        ("default", activities.aimed_at_or_of([STREAM]), "accounts_events_refused"),
        ("default", activities.by([STREAM]), "accounts_events_actor"),
        ("default", Condition(activities.REQUEST, Operator.EQUAL, ("r",)), "accounts_events_request"),
        ("another", None, "accounts_events_project"),
    ],
    ids=["user", "actor", "request", "a small project"],
)
async def test_what_is_asked_of_a_project_is_found_along_indexes(
    log: EventLog, project: str, asked: Filter | None, index: str
) -> None:
    await log.reads.fetch("SELECT set_config('enable_seqscan', 'off', false)")
    text, params = condition(asked) if asked is not None else Sql("true")
    statement = f"""EXPLAIN SELECT notification_id FROM log.accounts_events WHERE project_id = %s AND {text}
        ORDER BY notification_id DESC LIMIT 25"""
    # Without a plan for all values: lists are planned for what was asked.
    await log.reads.fetch("SELECT set_config('plan_cache_mode', 'force_custom_plan', false)")
    plan = "\n".join(line for (line,) in await log.reads.fetch(statement, (project, *params)))
    assert index in plan
