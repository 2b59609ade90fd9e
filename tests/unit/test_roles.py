"""What a caller is, in the words of permissions (contract: users-teams, 3.2)."""

from typing import Any

from accounts_es.http.roles import roles_of_account
from projections.accounts import AccountRow
from projections.teams import MemberOf

VALUES: dict[str, Any] = {"account_id": "jane", "labels": ["vip", "admin"], "email_verified": True}


def an_account(**changes: Any) -> AccountRow:
    values = VALUES | changes
    return AccountRow._make(values.get(name) for name in AccountRow._fields)


TEAMS = [MemberOf("abc", "m1", ["owner", "x"]), MemberOf("def", "m2", ["guest"])]


def test_a_member_of_two_teams_with_two_labels_is_thirteen_things() -> None:
    roles = list(roles_of_account(an_account(), TEAMS))
    assert roles == [
        "users",
        "user:jane",
        "users/verified",
        "user:jane/verified",
        "team:abc",
        "member:m1",
        "team:abc/owner",
        "team:abc/x",
        "team:def",
        "member:m2",
        "team:def/guest",
        "label:vip",
        "label:admin",
    ]


def test_an_account_is_verified_by_its_address_or_its_number() -> None:
    assert "users/verified" in roles_of_account(an_account(email_verified=False, phone_verified=True), [])
    unverified = list(roles_of_account(an_account(email_verified=False, labels=[]), []))
    assert unverified == ["users", "user:jane", "users/unverified", "user:jane/unverified"]
