"""Every helper of the official Python SDK's `Query`: what it makes is answered, or refused as the contract says."""

from collections.abc import Iterator
from typing import Any

import pytest
from appwrite.client import Client
from appwrite.exception import AppwriteException
from appwrite.query import Query
from appwrite.services.users import Users

from tests.support.server import Server


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    """The Users service of a server with three people."""
    with Server(tmp_path_factory.mktemp("queries") / "data") as server:
        client = Client().set_endpoint(server.url).set_project("default").set_key(server.credentials["key"])
        service = Users(client)
        service.create(user_id="ann", email="ann@example.com", name="Ann")
        service.create(user_id="bob", email="bob@example.com", name="Bob", phone="+4915123456789")
        service.create(user_id="cleo", name="Cleo", password="correct horse")
        service.update_labels("bob", ["vip"])
        service.update_labels("cleo", ["vip", "beta"])
        yield service


PAST, FUTURE = "2020-01-01T00:00:00.000+00:00", "2999-01-01T00:00:00.000+00:00"
EVERYBODY = ["ann", "bob", "cleo"]

TAKEN: dict[str, list[tuple[tuple[Any, ...], list[str]]]] = {
    "equal": [(("name", "ann"), ["ann"]), (("name", ["Ann", "Bob"]), ["ann", "bob"]), (("status", True), EVERYBODY)],
    "not_equal": [(("name", "Ann"), ["bob", "cleo"])],
    "less_than": [(("name", "Bob"), ["ann"])],
    "less_than_equal": [(("name", "Bob"), ["ann", "bob"])],
    "greater_than": [(("name", "Bob"), ["cleo"])],
    "greater_than_equal": [(("name", "Bob"), ["bob", "cleo"])],
    "between": [(("name", "Ann", "Bob"), ["ann", "bob"]), (("accessedAt", PAST, FUTURE), EVERYBODY)],
    "not_between": [(("name", "Ann", "Bob"), ["cleo"])],
    "is_null": [(("email",), ["cleo"])],
    "is_not_null": [(("email",), ["ann", "bob"])],
    "starts_with": [(("name", "B"), ["bob"])],
    "not_starts_with": [(("name", "B"), ["ann", "cleo"])],
    "ends_with": [(("email", "b@example.com"), ["bob"])],
    "not_ends_with": [(("email", "b@example.com"), ["ann"])],
    "contains": [(("labels", ["vip"]), ["bob", "cleo"]), (("name", "le"), ["cleo"])],
    "contains_any": [(("labels", ["beta", "none"]), ["cleo"])],
    "contains_all": [(("labels", ["beta", "vip"]), ["cleo"])],
    "not_contains": [(("labels", ["vip"]), ["ann"])],
    "order_asc": [(("name",), EVERYBODY)],
    "order_desc": [(("name",), EVERYBODY[::-1])],
    "cursor_after": [(("ann",), ["bob", "cleo"])],
    "cursor_before": [(("bob",), ["ann"])],
    "limit": [((2,), ["ann", "bob"])],
    "offset": [((2,), ["cleo"])],
    "created_before": [((PAST,), []), ((FUTURE,), EVERYBODY)],
    "created_after": [((PAST,), EVERYBODY)],
    "created_between": [((PAST, FUTURE), EVERYBODY)],
    "updated_before": [((PAST,), [])],
    "updated_after": [((FUTURE,), [])],
    "updated_between": [((PAST, FUTURE), EVERYBODY)],
    "or_queries": [(([Query.equal("name", "Ann"), Query.is_null("email")],), ["ann", "cleo"])],
    "and_queries": [(([Query.starts_with("name", "a"), Query.is_null("email")],), [])],
}

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "regex": ("name", "a"),
    "exists": (["name"],),
    "not_exists": (["name"],),
    "select": (["name"],),
    "search": ("name", "ann"),
    "not_search": ("name", "ann"),
}
BY_STORAGE = {"search", "not_search"}
"""Read, and then refused for want of a full-text index."""
OTHERS = {"order_random", "page", "builder"}


@pytest.mark.parametrize("helper", TAKEN)
def test_helpers_that_are_answered(users: Users, helper: str) -> None:
    for arguments, found in TAKEN[helper]:
        listed = users.list(queries=[getattr(Query, helper)(*arguments)])
        assert [user.id for user in listed.users] == found


@pytest.mark.parametrize("helper", ARGUMENTS)
def test_helpers_that_are_refused(users: Users, helper: str) -> None:
    with pytest.raises(AppwriteException) as refused:
        users.list(queries=[getattr(Query, helper)(*ARGUMENTS[helper])])
    assert refused.value.code == 400
    assert refused.value.type == ("general_query_invalid" if helper in BY_STORAGE else "general_argument_invalid")


UNKNOWN = {
    "join": ("teams", "a", "b"),
    "left_join": ("teams", "a", "b"),
    "right_join": ("teams", "a", "b"),
    "full_outer_join": ("teams", "a", "b"),
    "cross_join": ("teams",),
    "on": ("a", "b"),
    "distinct": (),
    "elem_match": ("labels", [Query.equal("a", "b")]),
    "having": ([Query.equal("a", "b")],),
    "relationship": ("labels", [Query.equal("a", "b")]),
    "group_by": (["name"],),
    **{name: ("name", [[1, 2]], 5) for name in vars(Query) if name.startswith("distance")},
    **{name: ("name", [1.0]) for name in vars(Query) if name.startswith("vector")},
    **{
        name: ("name", [[1, 2]])
        for name in vars(Query)
        if name.removeprefix("not_") in {"intersects", "crosses", "overlaps", "touches", "covers", "spatial_equals"}
    },
    **{
        name: ("name",)
        for name in vars(Query)
        if name in {"count", "count_distinct", "sum", "avg", "min", "max", "stddev", "stddev_pop", "stddev_samp"}
        or name in {"variance", "var_pop", "var_samp", "bit_and", "bit_or", "bit_xor"}
    },
}


@pytest.mark.parametrize("helper", UNKNOWN)
def test_helpers_of_other_services_are_refused(users: Users, helper: str) -> None:
    with pytest.raises(AppwriteException) as refused:
        users.list(queries=[getattr(Query, helper)(*UNKNOWN[helper])])
    assert (refused.value.code, refused.value.type) == (400, "general_argument_invalid")


def test_no_helper_is_forgotten() -> None:
    helpers = {name for name, value in vars(Query).items() if isinstance(value, staticmethod) and name[0] != "_"}
    assert helpers == set(TAKEN) | set(ARGUMENTS) | set(UNKNOWN) | OTHERS


def test_a_shuffled_page_and_a_built_one(users: Users) -> None:
    assert {user.id for user in users.list(queries=[Query.order_random()]).users} == set(EVERYBODY)
    assert [user.id for user in users.list(queries=Query.page(2, 2)).users] == ["cleo"]
    built = Query.builder().is_not_null("email").order_desc("name").limit(1).build()
    assert [user.id for user in users.list(queries=built).users] == ["bob"]
