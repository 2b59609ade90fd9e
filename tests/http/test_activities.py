"""What happened in a project, over the wire: complete, filtered, stable while more happens, and read on the record."""

import json
from typing import Any

import httpx
import pytest

from accounts_es.http.callers import PERSONAL
from tests.support.running import PASSWORD, Person, World
from tests.support.server import Client

PATH = "/activities/events"


@pytest.fixture(scope="module")
def auditor(world: World) -> Client:
    """Somebody with a key for what happened and nothing else."""
    return world.server.client(key=world.key("events.read", PERSONAL, key_id="auditor"))


@pytest.fixture(scope="module")
def blind(world: World) -> Client:
    """Somebody who may see what happened, and not to whom."""
    return world.server.client(key=world.key("events.read"))


def query(method: str, attribute: str | None = None, *values: Any) -> str:
    asked = {"method": method, "attribute": attribute, "values": list(values)}
    return json.dumps({name: value for name, value in asked.items() if value is not None})


def listed(client: Client, *queries: str, **more: Any) -> Any:
    answer = client.get(PATH, params={"queries[]": list(queries), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found: Any) -> list[str]:
    return [each["event"] for each in found["events"]]


def test_T49_who_did_what_to_whom_when_and_from_where(world: World, auditor: Client, jane: Person) -> None:
    world.server.operator().ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip"])
    thief = world.server.client(user_agent="Mozilla/5.0 (Thief)", x_forwarded_for="193.0.6.139")
    refused = thief.ask("POST", "/account/sessions/email", email=jane.email, password="a wrong password")
    found = listed(auditor, query("equal", "userId", jane.account_id))
    assert names(found) == ["session.refuse", "user.update", "session.create", "target.create", "user.create"]
    assert found["total"] == 5
    attack, labelled, arrived, *_ = found["events"]
    assert (attack["actorType"], attack["ip"], attack["country"]) == ("guest", "193.0.6.139", "nl")
    assert attack["userAgent"] == "Mozilla/5.0 (Thief)"
    assert (attack["resourceType"], attack["resourceId"]) == ("user", jane.account_id)
    assert attack["requestId"] == refused.headers["x-request-id"]
    assert attack["data"]["reason"] == "invalid_credentials"
    assert (labelled["actorType"], labelled["resource"]) == ("keyProject", f"user/{jane.account_id}")
    assert (arrived["actorId"], arrived["topic"]) == ("", "account.session_created")
    assert (arrived["resourceType"], arrived["resourceParent"]) == ("session", f"user/{jane.account_id}")
    assert arrived["resourceId"] == jane.session_id
    assert [each["time"] for each in found["events"]] == sorted(
        (each["time"] for each in found["events"]), reverse=True
    )

    jane.ask("PATCH", "/account/name", name="Jane Doe")
    (renamed,) = listed(auditor, query("equal", "actorId", jane.account_id))["events"]
    assert (renamed["actorId"], renamed["actorEmail"], renamed["actorName"]) == (
        jane.account_id,
        jane.email,
        "Jane Doe",
    )
    changes = [{"field": "name", "old": "Jane Roe", "new": "Jane Doe"}]
    assert auditor.ask("GET", f"{PATH}/{renamed['$id']}").json() == {**renamed, "changes": changes}
    assert renamed["data"]["name"] == "Jane Doe"


def test_filters_are_the_query_language_s(world: World, auditor: Client, jane: Person) -> None:
    team = jane.ask("POST", "/teams", teamId="unique()", name="The Crew").json()["$id"]
    jane.ask("PUT", f"/teams/{team}", name="The Others")
    of_team = query("equal", "teamId", team)
    assert names(listed(auditor, of_team)) == ["team.update", "membership.create", "team.create"]
    assert {each["teamId"] for each in listed(auditor, of_team)["events"]} == {team}
    assert names(listed(auditor, of_team, query("equal", "event", "team.create"))) == ["team.create"]
    assert names(listed(auditor, of_team, query("startsWith", "topic", "team.member"))) == ["membership.create"]
    assert names(listed(auditor, of_team, query("orderAsc", "time"), query("limit", None, 1))) == ["team.create"]
    assert names(listed(auditor, of_team, search="renamed")) == ["team.update"]
    assert listed(auditor, of_team, total="false")["total"] == 0
    when = listed(auditor, of_team)["events"][0]["time"]
    assert "team.update" in names(listed(auditor, of_team, query("greaterThanEqual", "time", when)))
    assert listed(auditor, of_team, query("lessThan", "time", "2020-01-01")) == {"total": 0, "events": []}
    either = query(
        "or",
        None,
        {"method": "equal", "attribute": "teamId", "values": [team]},
        {"method": "equal", "attribute": "userId", "values": [jane.account_id]},
    )
    assert listed(auditor, either)["total"] == 3 + len(
        listed(auditor, query("equal", "userId", jane.account_id))["events"]
    )
    assert listed(auditor, query("equal", "userId", "nobody-of-that-name"))["total"] == 0
    assert auditor.get(PATH, params={"queries": of_team}).json()["total"] == 3, "one text is a list of one"


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        (query("notEqual", "userId", "jane"), "general_argument_invalid"),
        (query("equal", "ip", "127.0.0.1"), "general_argument_invalid"),
        (query("cursorAfter", None, "jane"), "general_cursor_not_found"),
        (query("cursorAfter", None, "9" * 18), "general_cursor_not_found"),
        (query("search", "event", "team"), "general_query_invalid"),
        ("equal(1)", "general_argument_invalid"),
    ],
)
def test_what_cannot_be_asked_is_refused(auditor: Client, text: str, type_: str) -> None:
    assert auditor.get(PATH, params={"queries[]": text}).json()["type"] == type_


def test_pages_hold_every_event_once_while_more_happens(world: World, auditor: Client, jane: Person) -> None:
    for nth in range(7):
        jane.ask("PATCH", "/account/name", name=f"Jane {nth}")
    mine = query("equal", "userId", jane.account_id)
    for order in ([], [query("orderDesc", "$sequence")], [query("orderAsc", "$sequence")], [query("orderAsc", "time")]):
        before = [each["$id"] for each in listed(auditor, mine, *order, query("limit", None, 100))["events"]]
        seen: list[str] = []
        while True:
            after = [query("cursorAfter", None, seen[-1])] if seen else []
            page = listed(auditor, mine, *order, *after, query("limit", None, 2))["events"]
            seen += [each["$id"] for each in page]
            if len(seen) >= len(before):
                break
            jane.ask("PATCH", "/account/name", name=f"Jane {len(seen)} {order}")
        assert seen[: len(before)] == before
        back = listed(auditor, mine, *order, query("cursorBefore", None, before[3]), query("limit", None, 2))["events"]
        assert [each["$id"] for each in back] == before[1:3]


def test_a_project_s_events_are_its_own(world: World, auditor: Client, jane: Person) -> None:
    theirs = world.server.client(
        project=world.project("audited-elsewhere"), key=world.key("events.read", project="audited-elsewhere")
    )
    event = listed(auditor, query("equal", "userId", jane.account_id))["events"][0]["$id"]
    assert theirs.ask("GET", f"{PATH}/{event}").json()["type"] == "audit_event_not_found"
    assert listed(theirs, query("equal", "userId", jane.account_id))["total"] == 0
    found = listed(theirs, query("limit", None, 100))["events"]
    assert {each["projectId"] for each in found} == {"audited-elsewhere"}
    after = theirs.get(PATH, params={"queries[]": query("cursorAfter", None, event)})
    assert after.json()["type"] == "general_cursor_not_found"


def test_T50_who_reads_the_audit_is_in_it(world: World, auditor: Client, jane: Person) -> None:
    mine = query("equal", "userId", jane.account_id)
    answers = [auditor.get(PATH, params={"queries[]": [mine]}) for _ in range(2)]
    answers.append(auditor.get(PATH, params={"queries[]": [query("equal", "userId", "somebody-else")]}))
    first, again, other = [world.log.of(answer)[0].model_dump() for answer in answers]
    assert (first["attributes"], first["count"]) == (("userId",), 3)
    assert first["question"] == again["question"] != other["question"]
    assert jane.account_id not in repr(first)
    (recorded,) = world.log.recorded(answers[0])
    assert (str(recorded.meta.actor), recorded.meta.operation) == ("key:auditor", "activities.listEvents")
    reads = listed(auditor, query("equal", "actorId", "auditor"), query("equal", "event", "audit.read"))["events"]
    assert reads[0]["operation"] == "activities.listEvents"

    event = listed(auditor, mine)["events"][0]
    one = auditor.ask("GET", f"{PATH}/{event['$id']}")
    assert world.log.of(one)[0].model_dump()["about"] == event["stream"]
    (missed,) = world.log.of(auditor.ask("GET", f"{PATH}/{2**40}"))
    assert missed.topic == "security.access_denied"


def test_somebody_who_is_gone_is_still_told_of(world: World, auditor: Client, jane: Person) -> None:
    team = jane.ask("POST", "/teams", teamId="unique()", name="The Crew").json()["$id"]
    world.server.operator().ask("DELETE", f"/users/{jane.account_id}")
    world.server.operator().ask("DELETE", f"/teams/{team}")
    found = listed(auditor, query("equal", "userId", jane.account_id))["events"]
    assert found[0]["event"] == "user.delete"
    assert {each["resourceParent"] or each["resource"] for each in found} == {f"user/{jane.account_id}"}
    gone, *_, begun = listed(auditor, query("equal", "teamId", team))["events"]
    assert (gone["event"], begun["event"]) == ("team.delete", "team.create")
    assert (begun["actorId"], begun["actorEmail"]) == (jane.account_id, "")


def test_T52_an_event_says_what_was_before_and_after_it(world: World, auditor: Client, jane: Person) -> None:
    def changes(answer: httpx.Response) -> dict[str, tuple[Any, Any]]:
        """All that a request changed, whatever it is about."""
        request = query("equal", "requestId", answer.headers["x-request-id"])
        ids = [each["$id"] for each in listed(auditor, request)["events"]]
        found = [each for one in ids for each in auditor.ask("GET", f"{PATH}/{one}").json()["changes"]]
        return {each["field"]: (each["old"], each["new"]) for each in found}

    assert changes(jane.ask("PATCH", "/account/prefs", prefs={"a": 1}))["prefs/a"] == (None, 1)
    assert changes(jane.ask("PATCH", "/account/prefs", prefs={"a": 2}))["prefs/a"] == (1, 2)
    assert changes(jane.ask("PATCH", "/account/prefs", prefs={}))["prefs/a"] == (2, None)
    labels = world.server.operator().ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip"])
    assert changes(labels)["labels"] == ([], ["vip"])
    blocked = world.server.operator().ask("PATCH", f"/users/{jane.account_id}/status", status=False)
    assert changes(blocked) == {"active": (True, False)}
    other = world.person()
    begun = other.ask("POST", "/teams", teamId="unique()", name="The Crew")
    assert changes(begun)["name"] == ("", "The Crew")
    renamed = other.ask("PUT", f"/teams/{begun.json()['$id']}", name="The Others")
    assert changes(renamed) == {"name": ("The Crew", "The Others")}
    changed = other.ask("PATCH", "/account/password", password="another password", oldPassword=PASSWORD)
    assert "argon2" not in repr(changes(changed))


def test_no_secret_is_shown(world: World, auditor: Client, jane: Person) -> None:
    world.smtp({"host": "mail.example.org", "username": "mailer", "password": "their-smtp-password"})
    jane.ask("POST", "/account/mfa/authenticators/totp")
    jane.ask("POST", "/account/mfa/recovery-codes")
    text = auditor.get(PATH, params={"queries[]": query("limit", None, 200)}).text
    assert "argon2" not in text
    assert PASSWORD not in text
    assert "their-smtp-password" not in text
    world.smtp({"host": "", "username": "", "password": ""})


def test_T57_an_erased_person_is_erased_from_the_audit(world: World, auditor: Client, jane: Person) -> None:
    jane.ask("PATCH", "/account/name", name="Jane of the audit")
    before = listed(auditor, query("equal", "userId", jane.account_id))["events"]
    assert jane.email in repr(before)
    erased = world.server.operator().ask("POST", f"/users/{jane.account_id}/erasure")
    assert erased.status_code == 201, erased.text
    after = listed(auditor, query("equal", "stream", before[0]["stream"]))["events"]
    assert [each["topic"] for each in after[-len(before) :]] == [each["topic"] for each in before]
    exported = auditor.ask("GET", "/audit/export", after=int(before[-1]["$id"]) - 1).text
    for value in (jane.email, jane.account_id, "Jane of the audit"):
        assert value not in repr(after)
        assert value not in exported
    assert {each["ip"] for each in after[-len(before) :]} == {"[erased]"}
    assert listed(auditor, query("equal", "userId", jane.account_id))["total"] == 0


def test_what_is_personal_is_shown_to_keys_that_may_see_it_alone(
    world: World, auditor: Client, blind: Client, jane: Person
) -> None:
    team = jane.ask("POST", "/teams", teamId="unique()", name="Crew of Jane").json()["$id"]
    jane.ask("PATCH", "/account/prefs", prefs={"secret-plan": "tea"})
    labelled = world.server.operator().ask("PUT", f"/users/{jane.account_id}/labels", labels=["vip"])
    jane.ask("PATCH", "/account/name", name="Jane Doe")
    mine = query("equal", "userId", jane.account_id)
    crew = query("equal", "teamId", team)
    found = [*listed(auditor, mine)["events"], *listed(auditor, crew)["events"]]
    first = min(int(each["$id"]) for each in found)
    shown = [json.dumps(listed(blind, mine)), json.dumps(listed(blind, crew))]
    shown += [blind.ask("GET", f"{PATH}/{each['$id']}").text for each in found]
    shown += [blind.ask("GET", "/audit/export", format=each, after=first - 1).text for each in ("jsonl", "csv")]
    undoing = {"userId": jane.account_id, "from": "2020-01-01", "dryRun": True}
    shown += [blind.ask("POST", "/reverts", **undoing).text]
    for personal in (jane.email, jane.account_id, "Jane Roe", "Jane Doe", "secret-plan", "Crew of Jane", "127.0.0.1"):
        assert personal in json.dumps(found) or personal == "Jane Roe"
        for text in shown:
            assert personal not in text
    (event,) = listed(blind, query("equal", "requestId", labelled.headers["x-request-id"]))["events"]
    one = blind.ask("GET", f"{PATH}/{event['$id']}").json()
    assert one["changes"] == [{"field": "labels", "old": [], "new": ["vip"]}], "what is not personal is shown"
    renamed = next(each for each in found if each["topic"] == "account.name_changed")
    marked = blind.ask("GET", f"{PATH}/{renamed['$id']}").json()
    assert marked["changes"] == [{"field": "name", "old": "[redacted]", "new": "[redacted]"}]
    assert (marked["data"]["name"], marked["ip"], marked["actorEmail"]) == ("[redacted]", "[redacted]", "")


def test_a_cursor_beyond_all_numbers_is_not_found(operator: Client) -> None:
    for cursor in ("9" * 36, str(2**63)):
        query = json.dumps({"method": "cursorAfter", "values": [cursor]})
        answer = operator.get("/activities/events", params={"queries[]": [query]})
        assert (answer.status_code, answer.json()["type"]) == (400, "general_cursor_not_found")
