"""Every method of Teams that the official server SDKs have: as a backend, and as the people it acts for."""

from contextlib import contextmanager
from secrets import token_hex
from typing import Any

import pytest

from tests.support.backends import Backend
from tests.support.calls import Calls
from tests.support.running import PASSWORD, World, an_email
from tests.support.script import Refused

PAGE = "http://localhost:3000/join"


@contextmanager
def refused(type: str):  # noqa: A002 - the wire's name
    """The SDK throws this refusal."""
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.type == type


def signed_in(keyed: Backend, email: str) -> Backend:
    """Sign up and in."""
    keyed.account("create", userId="unique()", email=email, password=PASSWORD, name="Jane Roe")
    session = keyed.account("createEmailPasswordSession", email=email, password=PASSWORD)
    return keyed.acting(setSession=session["secret"])


def ids(listed: dict[str, Any], what: str) -> list[str]:
    return [each["$id"] for each in listed[what]]


def test_a_team_from_its_beginning_to_its_end(keyed: Backend) -> None:
    team_id = token_hex(8)
    team = keyed.call("Teams", "create", teamId=team_id, name="The Crew")
    assert (team["$id"], team["name"], team["total"]) == (team_id, "The Crew", 0)
    with refused("team_already_exists"):
        keyed.call("Teams", "create", teamId=team_id, name="The Crew")
    assert keyed.call("Teams", "updateName", teamId=team_id, name="Others")["name"] == "Others"
    assert keyed.call("Teams", "getPrefs", teamId=team_id) == {}
    keyed.call("Teams", "updatePrefs", teamId=team_id, prefs={"colour": "red"})
    assert keyed.call("Teams", "getPrefs", teamId=team_id) == {"colour": "red"}
    assert keyed.call("Teams", "get", teamId=team_id)["name"] == "Others"
    equal = '{"method":"equal","attribute":"name","values":["Others"]}'
    assert team_id in ids(keyed.call("Teams", "list", queries=[equal]), "teams")
    assert ids(keyed.call("Teams", "list", search=team_id), "teams") == [team_id]
    keyed.call("Teams", "delete", teamId=team_id)
    with refused("team_not_found"):
        keyed.call("Teams", "get", teamId=team_id)


def test_members_as_a_server_adds_them(keyed: Backend) -> None:
    team_id, email = token_hex(8), an_email()
    keyed.call("Teams", "create", teamId=team_id, name="The Crew")
    membership = keyed.call("Teams", "createMembership", teamId=team_id, roles=["player"], email=email, name="Joe")
    one = {"teamId": team_id, "membershipId": membership["$id"]}
    assert (membership["userName"], membership["userEmail"], membership["confirm"]) == ("Joe", email, True)
    assert keyed.call("Teams", "get", teamId=team_id)["total"] == 1
    with refused("membership_already_confirmed"):
        keyed.call("Teams", "createMembership", teamId=team_id, roles=[], userId=membership["userId"])
    assert keyed.call("Teams", "updateMembership", **one, roles=["coach"])["roles"] == ["coach"]
    assert keyed.call("Teams", "getMembership", **one)["userEmail"] == email
    listed = keyed.call("Teams", "listMemberships", teamId=team_id, search=membership["userId"])
    assert ids(listed, "memberships") == [membership["$id"]]
    of_user = keyed.call("Users", "listMemberships", userId=membership["userId"])
    assert ids(of_user, "memberships") == [membership["$id"]]
    keyed.call("Teams", "deleteMembership", **one)
    with refused("membership_not_found"):
        keyed.call("Teams", "getMembership", **one)


def test_people_invite_each_other(keyed: Backend, world: World) -> None:
    owner, email = signed_in(keyed, an_email()), an_email()
    guest = signed_in(keyed, email)
    team = owner.call("Teams", "create", teamId="unique()", name="The Crew", roles=["captain"])
    assert team["total"] == 1
    invited = owner.call("Teams", "createMembership", teamId=team["$id"], roles=["player"], email=email, url=PAGE)
    assert (invited["confirm"], invited["joined"]) == (False, "")
    if guest.has("listMemberships"):
        assert ids(guest.account("listMemberships"), "memberships") == [invited["$id"]]
    with refused("team_not_found"):
        guest.call("Teams", "get", teamId=team["$id"])
    link = world.mailbox.mail(email).parameters
    accept = {name: link[name] for name in ("teamId", "membershipId", "userId", "secret")}
    with refused("team_invalid_secret"):
        guest.call("Teams", "updateMembershipStatus", **{**accept, "secret": "wrong"})
    assert guest.call("Teams", "updateMembershipStatus", **accept)["confirm"] is True
    assert ids(guest.call("Teams", "list"), "teams") == [team["$id"]]
    with refused("user_unauthorized"):
        guest.call("Teams", "updateName", teamId=team["$id"], name="Mine")
    guest.call("Teams", "deleteMembership", teamId=team["$id"], membershipId=invited["$id"])
    assert guest.call("Teams", "list")["total"] == 0


def test_what_was_called_is_written_down(calls: Calls) -> None:
    calls.held()
