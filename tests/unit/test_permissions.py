"""What permissions look like, and what they stand for."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_es.domain.permissions import ACTIONS, MalformedPermission, Permission, aggregated, parse, role

ROLES = [
    "any",
    "guests",
    "users",
    "users/verified",
    "users/unverified",
    "user:ann",
    "user:ann/verified",
    "user:ann/unverified",
    "team:crew",
    "team:crew/owner",
    f"team:crew/{'r' * 81}",
    "member:m1",
    "label:vip",
]


@pytest.mark.parametrize("text", ROLES)
def test_every_role_of_the_contract_is_one(text: str) -> None:
    assert role(text) == text
    assert parse(f'read("{text}")') == Permission("read", text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "keys", "owner", "role:all", "any:1", "any/verified", "guests/x", "users:1", "users/owner"),
        *("user:", "user", "user:_a", "user:ann/owner", "user:ann/verified/x", "team:", f"team:crew/{'r' * 82}"),
        *("team:crew/", "member:m1/owner", "member:", "label:", "label:a-b", "label:vip/x", f"label:{'a' * 37}"),
    ],
)
def test_what_nobody_can_be_is_no_role(text: str) -> None:
    with pytest.raises(MalformedPermission):
        role(text)


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "role:all",
        "read(any)",
        'read("any")x',
        ' read("any")',
        'read("any", "users")',
        'admin("any")',
        'READ("any")',
        "read",
    ],
)
def test_what_is_not_written_like_a_permission_is_none(text: str) -> None:
    with pytest.raises(MalformedPermission):
        parse(text)


def test_an_action_the_place_does_not_know_is_refused() -> None:
    with pytest.raises(MalformedPermission):
        parse('create("any")', ("read", "update", "delete"))


def test_write_stands_for_every_change_and_nothing_counts_twice() -> None:
    written = [parse(each) for each in ('write("any")', 'read("users")', 'update("any")', 'read("users")')]
    assert [str(each) for each in aggregated(written)] == [
        'create("any")',
        'update("any")',
        'delete("any")',
        'read("users")',
    ]
    assert [str(each) for each in aggregated(written, ("read", "update", "delete"))] == [
        'update("any")',
        'delete("any")',
        'read("users")',
    ]


@given(st.lists(st.tuples(st.sampled_from([*ACTIONS, "write"]), st.sampled_from(ROLES)), max_size=20))
def test_aggregated_once_is_aggregated_for_good(pairs: list[tuple[str, str]]) -> None:
    once = aggregated(Permission(*pair) for pair in pairs)
    assert aggregated(once) == once
    assert len(set(once)) == len(once)
    assert {each.role for each in once} == {pair[1] for pair in pairs}
    assert "write" not in {each.action for each in once}


@given(st.text(max_size=40))
def test_any_text_is_a_permission_or_refused(text: str) -> None:
    with suppress(MalformedPermission):
        assert str(parse(text)) == text
