"""What a backend lists of accounts: where they can be reached, and who opens them elsewhere."""

import json
from secrets import token_hex
from typing import Any

import pytest

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import commands
from tests.support.running import Person, World
from tests.support.server import Client


def query(method: str, attribute: str | None = None, *values: Any) -> str:
    return json.dumps({"method": method, "attribute": attribute, "values": list(values)})


def listed(client: Client, path: str, *queries: str, **params: str) -> tuple[int, list[str]]:
    answer = client.get(path, params={"queries[]": list(queries), **params}).json()
    assert "type" not in answer, answer
    return answer["total"], [each["$id"] for each in answer.get("targets", answer.get("identities"))]


# Targets --------------------------------------------------------------------------------------------------------------


def test_targets_are_listed_filtered_ordered_and_paged(operator: Client, jane: Person) -> None:
    path, mark = f"/users/{jane.account_id}/targets", token_hex(4)
    (first,) = listed(operator, path)[1]
    for name, kind, identifier, provider in (
        ("b", "push", f"token-b-{mark}", None),
        ("a", "push", f"token-a-{mark}", "firebase"),
        ("c", "email", f"c-{mark}@example.org", None),
    ):
        fields = {"targetId": f"{name}{mark}", "providerType": kind, "identifier": identifier, "providerId": provider}
        assert operator.ask("POST", path, **fields).status_code == 201
    a, b, c = f"a{mark}", f"b{mark}", f"c{mark}"
    assert listed(operator, path) == (4, [first, b, a, c])
    assert listed(operator, path, total="false") == (0, [first, b, a, c])
    assert listed(operator, path, query("limit", None, 2), query("offset", None, 1)) == (4, [b, a])
    assert listed(operator, path, query("cursorAfter", None, b)) == (4, [a, c])
    assert listed(operator, path, query("cursorBefore", None, a), query("limit", None, 1)) == (4, [b])
    assert listed(operator, path, query("equal", "providerType", "push")) == (2, [b, a])
    assert listed(operator, path, query("equal", "providerId", "firebase")) == (1, [a])
    assert listed(operator, path, query("isNull", "providerId")) == (3, [first, b, c])
    assert listed(operator, path, query("startsWith", "identifier", "TOKEN-")) == (2, [b, a])
    assert listed(operator, path, query("equal", "userId", jane.account_id), query("orderDesc", "identifier"))[0] == 4
    assert listed(operator, path, query("equal", "providerType", "push"), query("orderAsc", "identifier"))[1] == [a, b]
    assert listed(operator, path, query("orderDesc", "$createdAt"))[1] == [c, a, b, first]

    whole = operator.get(path).json()["targets"]
    assert whole == operator.ask("GET", f"/users/{jane.account_id}").json()["targets"]
    for bad, refusal in (
        (query("cursorAfter", None, "nothing"), "general_cursor_not_found"),
        (query("equal", "name", "x"), "general_argument_invalid"),
        (query("search", "identifier", "x"), "general_query_invalid"),
    ):
        answer = operator.get(path, params={"queries[]": bad})
        assert (answer.status_code, answer.json()["type"]) == (400, refusal)


def test_the_targets_of_others_are_not_among_them(operator: Client, world: World, jane: Person) -> None:
    joe = world.person()
    theirs = set(listed(operator, f"/users/{joe.account_id}/targets")[1])
    assert len(theirs) == 1
    assert not theirs & set(listed(operator, f"/users/{jane.account_id}/targets")[1])
    (target,) = theirs
    after = operator.get(f"/users/{jane.account_id}/targets", params={"queries[]": query("cursorAfter", None, target)})
    assert after.json()["type"] == "general_cursor_not_found"


# Identities -----------------------------------------------------------------------------------------------------------


class Linked:
    """A project in which two people came by three providers' accounts."""

    def __init__(self, world: World) -> None:
        self.project = world.project(f"linked-{token_hex(4)}")
        self.key = world.key("users.read", "users.write", project=self.project)
        self.backend = world.server.client(project=self.project, key=self.key)
        self.people = [world.person(project=self.project) for _ in range(2)]
        self.ids = [wire_id() for _ in range(3)]
        for nth, (person, provider) in enumerate(((0, "google"), (1, "google"), (0, "github"))):
            world.decide(
                self.people[person].account_id,
                commands.link_identity,
                identity_id=self.ids[nth],
                provider=provider,
                provider_uid=f"uid-{nth}",
                provider_email=f"Somebody{nth}@provider.example",
                access_token=f"token-{nth}",
            )

    def listed(self, *queries: str, **params: str) -> tuple[int, list[str]]:
        return listed(self.backend, "/users/identities", *queries, **params)


@pytest.fixture(scope="module")
def linked(world: World) -> Linked:
    """Read by all tests below but the last."""
    return Linked(world)


def test_identities_of_all_accounts_are_listed(linked: Linked) -> None:
    one, two, three = linked.ids
    assert linked.listed() == (3, [one, two, three])
    assert linked.listed(total="false") == (0, [one, two, three])
    assert linked.listed(query("equal", "userId", linked.people[0].account_id)) == (2, [one, three])
    assert linked.listed(query("equal", "userId", "nobody")) == (0, [])
    assert linked.listed(query("equal", "provider", "google")) == (2, [one, two])
    assert linked.listed(query("equal", "providerUid", "uid-1")) == (1, [two])
    assert linked.listed(query("contains", "providerEmail", "BODY2@")) == (1, [three])
    assert linked.listed(query("cursorAfter", None, one), query("limit", None, 1)) == (3, [two])
    assert linked.listed(query("orderDesc", "userId"))[0] == 3
    shown = linked.backend.get("/users/identities").json()["identities"][0]
    assert (shown["userId"], shown["provider"], shown["providerAccessToken"]) == (
        linked.people[0].account_id,
        "google",
        "token-0",
    )


def test_there_is_nothing_to_search_in_identities(linked: Linked) -> None:
    answer = linked.backend.get("/users/identities", params={"search": "somebody"})
    assert (answer.status_code, answer.json()["type"]) == (400, "general_query_invalid")


def test_other_projects_have_other_identities(linked: Linked, operator: Client) -> None:
    assert not set(listed(operator, "/users/identities", query("limit", None, 5000))[1]) & set(linked.ids)
    answer = operator.ask("DELETE", f"/users/identities/{linked.ids[0]}")
    assert (answer.status_code, answer.json()["type"]) == (404, "user_identity_not_found")


def test_an_identity_is_taken_away(linked: Linked) -> None:
    one, *others = linked.ids
    assert linked.backend.ask("DELETE", f"/users/identities/{one}").status_code == 204
    assert linked.listed() == (2, others)
    gone = linked.backend.ask("DELETE", f"/users/identities/{one}")
    assert (gone.status_code, gone.json()["type"]) == (404, "user_identity_not_found")
    assert linked.people[0].ask("GET", "/account").status_code == 200, "sessions stay"
