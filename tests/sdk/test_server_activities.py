"""What happened in a project, as the official server SDKs ask for it."""

import json
from typing import Any

import pytest

from tests.support.backends import Backend
from tests.support.calls import Calls
from tests.support.running import PASSWORD, an_email
from tests.support.script import Refused


def query(method: str, attribute: str | None = None, *values: Any) -> str:
    """As the SDK's ``Query`` writes it."""
    asked = {"method": method, "attribute": attribute, "values": list(values)}
    return json.dumps({name: value for name, value in asked.items() if value is not None})


def test_what_happened_is_listed_page_by_page_while_more_happens(keyed: Backend) -> None:
    user = keyed.account("create", userId="unique()", email=an_email(), password=PASSWORD, name="Jane Roe")["$id"]
    for nth in range(4):
        keyed.call("Users", "updateName", userId=user, name=f"Jane {nth}")
    mine = query("equal", "userId", user)
    whole = keyed.call("Activities", "listEvents", queries=[mine])
    assert whole["total"] == 6
    assert [each["event"] for each in whole["events"]] == [*["user.update"] * 4, "target.create", "user.create"]
    seen: list[str] = []
    while len(seen) < whole["total"]:
        after = [query("cursorAfter", None, seen[-1])] if seen else []
        page = keyed.call("Activities", "listEvents", queries=[mine, *after, query("limit", None, 2)])
        seen += [each["$id"] for each in page["events"]]
        keyed.call("Users", "updateName", userId=user, name=f"Jane at {len(seen)}")
    assert seen == [each["$id"] for each in whole["events"]]


def test_one_event_says_who_where_and_what(keyed: Backend) -> None:
    email = an_email()
    user = keyed.account("create", userId="unique()", email=email, password=PASSWORD, name="Jane Roe")["$id"]
    session = keyed.account("createEmailPasswordSession", email=email, password=PASSWORD)
    keyed.acting(setSession=session["secret"]).account("updateName", name="Jane Doe")
    by_user = query("equal", "actorId", user)
    (listed,) = keyed.call("Activities", "listEvents", queries=[by_user])["events"]
    event = keyed.call("Activities", "getEvent", eventId=listed["$id"])
    assert event == {**listed, "changes": [{"field": "name", "old": "Jane Roe", "new": "Jane Doe"}]}
    assert (event["actorType"], event["actorId"], event["actorEmail"]) == ("user", user, email)
    assert (event["event"], event["resource"], event["projectId"]) == ("user.update", f"user/{user}", "default")
    assert event["ip"] == "127.0.0.1"
    with pytest.raises(Refused) as refused:
        keyed.call("Activities", "getEvent", eventId="99999999999")
    assert refused.value.type == "audit_event_not_found"


def test_one_query_as_a_text_is_taken_as_well(keyed: Backend) -> None:
    """The type that the Node SDK declares."""
    if keyed.name == "node":
        assert len(keyed.call("Activities", "listEvents", queries=query("limit", None, 1))["events"]) == 1


def test_what_was_called_is_written_down(calls: Calls) -> None:
    calls.held()
