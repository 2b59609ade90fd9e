"""Every method of the official web SDK's Teams, in stories of people with a real browser."""

from collections.abc import Callable
from contextlib import contextmanager

import pytest

from tests.browser.people import Visitor
from tests.support.calls import Calls
from tests.support.running import PASSWORD, World, an_email
from tests.support.script import Refused


@contextmanager
def refused(type: str):  # noqa: A002 - the wire's name
    """The SDK throws this refusal."""
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.type == type


def signed_in(visitor: Visitor) -> None:
    """Sign up and in."""
    email = an_email()
    visitor.account("create", userId="unique()", email=email, password=PASSWORD, name="Jane Roe")
    visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)


def test_somebody_new_follows_the_link_of_an_invitation_and_is_in(world: World, visit: Callable[[], Visitor]) -> None:
    owner, guest, email = visit(), visit(), an_email()
    signed_in(owner)
    team = owner.call("Teams", "create", teamId="unique()", name="Crew & Co", roles=["captain"])
    url = f"{owner.page_url}?from=mail"
    invited = owner.call(
        "Teams", "createMembership", teamId=team["$id"], roles=["player"], email=email, url=url, name="Joe"
    )
    assert (invited["confirm"], invited["userName"], invited["teamName"]) == (False, "Joe", "Crew & Co")

    letter = world.mailbox.mail(email)
    assert letter.subject == "Invitation to Crew & Co Team at Default"
    assert guest.open(letter.link) == letter.link
    landed = guest.run("Object.fromEntries(new URLSearchParams(location.search))")
    assert (landed["from"], landed["teamName"], landed["teamId"]) == ("mail", "Crew & Co", team["$id"])
    accept = {name: landed[name] for name in ("teamId", "membershipId", "userId", "secret")}
    assert guest.call("Teams", "updateMembershipStatus", **accept)["confirm"] is True
    guest.reload()
    me = guest.account("get")
    assert (me["email"], me["emailVerification"], me["passwordUpdate"]) == (email, True, "")
    guest.account("updatePassword", password=PASSWORD)
    with refused("membership_already_confirmed"):
        guest.call("Teams", "updateMembershipStatus", **accept)

    assert owner.call("Teams", "get", teamId=team["$id"])["total"] == 2
    one = {"teamId": team["$id"], "membershipId": invited["$id"]}
    assert guest.call("Teams", "getMembership", **one)["roles"] == ["player"]
    with refused("user_unauthorized"):
        guest.call("Teams", "updateMembership", **one, roles=["owner"])
    assert owner.call("Teams", "updateMembership", **one, roles=["coach"])["roles"] == ["coach"]
    (mine, joes) = owner.call("Teams", "listMemberships", teamId=team["$id"])["memberships"]
    assert (mine["roles"], joes["$id"]) == (["captain", "owner"], invited["$id"])
    guest.call("Teams", "deleteMembership", **one)
    with refused("team_not_found"):
        guest.call("Teams", "get", teamId=team["$id"])


def test_a_team_and_what_it_keeps(visitor: Visitor) -> None:
    signed_in(visitor)
    assert visitor.call("Teams", "list") == {"total": 0, "teams": []}
    team = visitor.call("Teams", "create", teamId="unique()", name="Crew")
    one = {"teamId": team["$id"]}
    assert visitor.call("Teams", "updateName", **one, name="Others")["name"] == "Others"
    assert visitor.call("Teams", "getPrefs", **one) == {}
    assert visitor.call("Teams", "updatePrefs", **one, prefs={"a": 1}) == {"a": 1}
    assert visitor.call("Teams", "list", search="others")["teams"] == [visitor.call("Teams", "get", **one)]
    visitor.call("Teams", "delete", **one)
    assert visitor.call("Teams", "list")["total"] == 0


def test_what_was_called_is_written_down(calls: Calls) -> None:
    calls.held()
