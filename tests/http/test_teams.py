"""Teams as people and servers use them: who sees one, who may change it, who gets in and out."""

from secrets import token_hex
from typing import Any

import pytest

from tests.http.calls import PAGE
from tests.support.running import PASSWORD, Person, World, an_email
from tests.support.server import Client


class Crew:
    """A team, as its owner sees it."""

    def __init__(self, world: World, owner: Person, *roles: str) -> None:
        made = owner.ask("POST", "/teams", teamId="unique()", name="The Crew", **({"roles": roles} if roles else {}))
        assert made.status_code == 201, made.text
        self.world, self.owner, self.id = world, owner, made.json()["$id"]
        self.path = f"/teams/{self.id}"
        self.members = f"{self.path}/memberships"

    @property
    def now(self) -> dict[str, Any]:
        return self.world.server.operator().ask("GET", self.path).json()

    def invite(self, **whom: str) -> dict[str, Any]:
        """The invitation, and in ``link`` what came by mail."""
        invited = self.owner.ask("POST", self.members, roles=["player"], url=PAGE, **whom)
        assert invited.status_code == 201, invited.text
        return invited.json()

    def add(self, person: Person, *roles: str) -> str:
        """The id of a membership that a server made."""
        added = self.world.server.operator().ask("POST", self.members, userId=person.account_id, roles=roles)
        assert added.status_code == 201, added.text
        return added.json()["$id"]

    def memberships(self, client: Client | Person, **asked: Any) -> list[dict[str, Any]]:
        listed = client.ask("GET", self.members, **asked)
        assert listed.status_code == 200, listed.text
        return listed.json()["memberships"]


@pytest.fixture
def crew(world: World, jane: Person) -> Crew:
    """Jane's team."""
    return Crew(world, jane)


@pytest.fixture
def joe(world: World) -> Person:
    """Somebody else."""
    return world.person()


def told(answer: Any, status: int, kind: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, kind), answer.text


# The team itself ------------------------------------------------------------------------------------------------------


def test_who_makes_a_team_owns_it(world: World, jane: Person) -> None:
    crew = Crew(world, jane, "player")
    assert crew.now["total"] == 1
    (mine,) = crew.memberships(jane)
    assert mine["roles"] == ["player", "owner"]
    assert mine["confirm"] is True
    assert mine["joined"] == mine["invited"] == mine["$createdAt"]


def test_a_team_that_a_server_makes_is_empty(operator: Client) -> None:
    team = operator.ask("POST", "/teams", teamId="unique()", name="Empty", roles=["x"]).json()
    assert team["total"] == 0
    assert operator.ask("GET", f"/teams/{team['$id']}/memberships").json() == {"total": 0, "memberships": []}


def test_an_id_is_one_team_s(jane: Person, joe: Person) -> None:
    team_id = token_hex(8)
    assert jane.ask("POST", "/teams", teamId=team_id, name="One").status_code == 201
    told(joe.ask("POST", "/teams", teamId=team_id, name="Two"), 409, "team_already_exists")
    assert jane.ask("DELETE", f"/teams/{team_id}").status_code == 204
    assert joe.ask("POST", "/teams", teamId=team_id, name="Two").json()["prefs"] == {}


def test_to_strangers_there_is_no_team(crew: Crew, joe: Person) -> None:
    for method, path, fields in (
        ("GET", crew.path, {}),
        ("PUT", crew.path, {"name": "x"}),
        ("DELETE", crew.path, {}),
        ("GET", f"{crew.path}/prefs", {}),
        ("PUT", f"{crew.path}/prefs", {"prefs": {}}),
        ("GET", crew.members, {}),
        ("POST", crew.members, {"roles": [], "email": an_email(), "url": PAGE}),
    ):
        told(joe.ask(method, path, **fields), 404, "team_not_found")
    assert crew.id not in [team["$id"] for team in joe.ask("GET", "/teams").json()["teams"]]


def test_members_see_the_team_and_owners_change_it(crew: Crew, joe: Person) -> None:
    crew.add(joe, "player")
    assert joe.ask("GET", crew.path).json()["total"] == 2
    assert [team["$id"] for team in joe.ask("GET", "/teams").json()["teams"]] == [crew.id]
    for method, path, fields in (
        ("PUT", crew.path, {"name": "x"}),
        ("DELETE", crew.path, {}),
        ("PUT", f"{crew.path}/prefs", {"prefs": {}}),
        ("POST", crew.members, {"roles": [], "email": an_email(), "url": PAGE}),
    ):
        told(joe.ask(method, path, **fields), 401, "user_unauthorized")
    assert crew.owner.ask("PUT", crew.path, name="Others").json()["name"] == "Others"
    assert crew.owner.ask("PUT", f"{crew.path}/prefs", prefs={"b": 1, "a": 2}).text == '{"b":1,"a":2}'
    assert joe.ask("GET", f"{crew.path}/prefs").json() == {"b": 1, "a": 2}
    assert joe.ask("GET", crew.path).json()["prefs"] == {"b": 1, "a": 2}


def test_a_deleted_team_leaves_no_membership(crew: Crew, joe: Person, operator: Client) -> None:
    crew.add(joe)
    assert crew.owner.ask("DELETE", crew.path).status_code == 204
    told(joe.ask("GET", crew.path), 404, "team_not_found")
    assert joe.ask("GET", "/account/memberships").json()["total"] == 0
    assert operator.ask("GET", f"/users/{joe.account_id}/memberships").json()["total"] == 0


def test_lists_are_searched_filtered_and_paged(world: World, jane: Person, joe: Person) -> None:
    project_key = world.server.operator()
    names = {token_hex(6): name for name in ("Manchester United", "Arsenal", "Liverpool Reds")}
    for team_id, name in names.items():
        assert jane.ask("POST", "/teams", teamId=team_id, name=name).status_code == 201

    def found(*queries: str, **asked: Any) -> list[str]:
        asked |= {f"queries[{nth}]": query for nth, query in enumerate(queries)}
        return [team["name"] for team in jane.ask("GET", "/teams", **asked).json()["teams"]]

    every = list(names.values())
    assert found() == every
    assert found(search="united") == ["Manchester United"]
    assert found(search=next(iter(names))) == ["Manchester United"]
    assert found('{"method":"equal","attribute":"name","values":["Arsenal","Liverpool Reds"]}') == every[1:]
    assert found('{"method":"greaterThanEqual","attribute":"total","values":[1]}') == every
    assert found('{"method":"greaterThan","attribute":"total","values":[1]}') == []
    assert found(f'{{"method":"cursorAfter","values":["{next(iter(names))}"]}}') == every[1:]
    assert found('{"method":"orderDesc","attribute":"total"}', '{"method":"orderAsc","attribute":"name"}') == [
        "Arsenal",
        "Liverpool Reds",
        "Manchester United",
    ]
    told(
        jane.ask("GET", "/teams", **{"queries[]": '{"method":"cursorAfter","values":["x"]}'}),
        400,
        "general_cursor_not_found",
    )
    assert joe.ask("GET", "/teams").json() == {"total": 0, "teams": []}
    assert jane.ask("GET", "/teams", total="false").json()["total"] == 0
    assert project_key.ask("GET", "/teams").json()["total"] >= 3


# Invitations ----------------------------------------------------------------------------------------------------------


def test_somebody_new_is_invited_accepts_and_is_signed_in(world: World, crew: Crew) -> None:
    email = an_email()
    invited = crew.invite(email=email.upper(), name="Joe")
    assert (invited["userEmail"], invited["userName"], invited["teamName"]) == (email, "Joe", "The Crew")
    assert (invited["confirm"], invited["joined"], invited["roles"]) == (False, "", ["player"])
    assert crew.now["total"] == 1
    letter = world.mailbox.mail(email)
    assert letter.subject == "Invitation to The Crew Team at Default"
    assert "Jane Roe" in letter.text
    shown = letter.parameters
    assert shown.keys() == {"from", "membershipId", "userId", "secret", "teamId", "teamName"}
    assert (shown["membershipId"], shown["userId"], shown["teamId"]) == (invited["$id"], invited["userId"], crew.id)
    assert len(shown["secret"]) == 256

    browser = world.server.client()
    path = f"{crew.members}/{shown['membershipId']}/status"
    accepted = browser.ask("PATCH", path, userId=shown["userId"], secret=shown["secret"])
    assert accepted.status_code == 200
    assert accepted.json()["confirm"] is True
    assert accepted.json()["joined"]
    assert crew.now["total"] == 2
    me = browser.ask("GET", "/account").json()
    assert (me["$id"], me["email"], me["emailVerification"], me["passwordUpdate"]) == (shown["userId"], email, True, "")
    session = browser.ask("GET", "/account/sessions/current").json()
    assert (session["provider"], session["providerUid"], session["factors"]) == ("email", email, ["email"])
    assert browser.ask("PATCH", "/account/password", password=PASSWORD).status_code == 200

    told(
        browser.ask("PATCH", path, userId=shown["userId"], secret=shown["secret"]), 409, "membership_already_confirmed"
    )


def test_whoever_is_signed_in_keeps_the_session(world: World, crew: Crew, joe: Person) -> None:
    invited = crew.invite(userId=joe.account_id)
    secret = world.mailbox.mail(joe.email).parameters["secret"]
    path = f"{crew.members}/{invited['$id']}/status"
    accepted = joe.ask("PATCH", path, userId=joe.account_id, secret=secret)
    assert accepted.status_code == 200
    assert "set-cookie" not in accepted.headers
    assert joe.ask("GET", "/account/sessions").json()["total"] == 1
    assert joe.ask("GET", "/account").json()["emailVerification"] is True


def test_an_invitation_by_sms_verifies_the_number_and_not_the_address(world: World, crew: Crew) -> None:
    phone = f"+49{int(token_hex(4), 16) % 10**9:09}"
    crew.invite(phone=phone)
    link = world.mailbox.text(phone)
    assert link.startswith("http://localhost:3000/landing?from=mail&membershipId=")
    shown = dict(pair.split("=", 1) for pair in link.partition("?")[2].split("&"))
    browser = world.server.client()
    path = f"{crew.members}/{shown['membershipId']}/status"
    assert browser.ask("PATCH", path, userId=shown["userId"], secret=shown["secret"]).status_code == 200
    me = browser.ask("GET", "/account").json()
    assert (me["phone"], me["phoneVerification"], me["emailVerification"]) == (phone, True, False)
    assert browser.ask("GET", "/account/sessions/current").json()["factors"] == ["phone"]


def test_a_wrong_secret_another_person_and_another_team_are_told_apart(world: World, crew: Crew, joe: Person) -> None:
    ann = world.person()
    invited, other = crew.invite(email=joe.email), Crew(world, world.person())
    shown = world.mailbox.mail(joe.email).parameters
    path, right = f"{crew.members}/{invited['$id']}/status", {"userId": shown["userId"], "secret": shown["secret"]}
    guest = world.server.client()
    told(guest.ask("PATCH", f"{crew.members}/unknown/status", **right), 404, "membership_not_found")
    told(guest.ask("PATCH", f"/teams/unknown/memberships/{invited['$id']}/status", **right), 404, "team_not_found")
    told(guest.ask("PATCH", f"{other.members}/{invited['$id']}/status", **right), 404, "team_membership_mismatch")
    told(guest.ask("PATCH", path, **right | {"secret": "sdasdasd"}), 401, "team_invalid_secret")
    told(guest.ask("PATCH", path, **right | {"userId": ann.account_id}), 401, "team_invite_mismatch")
    told(ann.ask("PATCH", path, **right), 401, "team_invite_mismatch")
    told(ann.ask("PATCH", path, **right | {"userId": ann.account_id}), 401, "team_invite_mismatch")
    told(guest.ask("PATCH", path, **right | {"secret": ""}), 400, "general_argument_invalid")
    (refused,) = world.log.of(guest.ask("PATCH", path, **right | {"secret": "x"}))
    assert refused.topic == "security.sign_in_refused"
    assert crew.now["total"] == 1
    assert joe.ask("PATCH", path, **right).status_code == 200


def test_an_invitation_sent_again_has_another_secret(world: World, crew: Crew, joe: Person) -> None:
    first, old = crew.invite(email=joe.email), world.mailbox.mail(joe.email).parameters
    again, new = crew.invite(userId=joe.account_id), world.mailbox.mail(joe.email).parameters
    assert again["$id"] == first["$id"] == new["membershipId"]
    assert again["invited"] > first["invited"]
    path = f"{crew.members}/{first['$id']}/status"
    told(joe.ask("PATCH", path, userId=joe.account_id, secret=old["secret"]), 401, "team_invalid_secret")
    assert joe.ask("PATCH", path, userId=joe.account_id, secret=new["secret"]).status_code == 200
    answer = crew.owner.ask("POST", crew.members, roles=[], email=joe.email, url=PAGE)
    told(answer, 409, "membership_already_confirmed")


def test_an_old_invitation_does_not_verify_a_new_address(world: World, crew: Crew, joe: Person) -> None:
    invited = crew.invite(email=joe.email)
    secret = world.mailbox.mail(joe.email).parameters["secret"]
    assert joe.ask("PATCH", "/account/email", email=an_email(), password=PASSWORD).status_code == 200
    path = f"{crew.members}/{invited['$id']}/status"
    told(joe.ask("PATCH", path, userId=joe.account_id, secret=secret), 401, "team_invalid_secret")
    assert joe.ask("GET", "/account").json()["emailVerification"] is False


def test_what_is_stored_shows_neither_secret_nor_name(world: World, jane: Person) -> None:
    name, email = f"Friends of {token_hex(6)}", an_email()
    team = jane.ask("POST", "/teams", teamId=token_hex(8), name=name).json()
    jane.ask("PUT", f"/teams/{team['$id']}/prefs", prefs={"motto": name})
    jane.ask("POST", f"/teams/{team['$id']}/memberships", roles=[], email=email, url=PAGE)
    secret = world.mailbox.mail(email).parameters["secret"]
    for value in (name, team["$id"], email, secret):
        for column in ("state FROM log.accounts_events", "payload FROM log.outbox"):
            selected = f"SELECT 1 FROM (SELECT {column}) AS kept (bytes) WHERE position(%s::bytea IN bytes) > 0"
            assert world.log.connection.execute(selected, (value.encode(),)).fetchall() == []


def test_who_may_not_invite_leaves_nobody_behind(world: World, crew: Crew, joe: Person, operator: Client) -> None:
    crew.add(joe, "player")
    email = an_email()
    answer = joe.ask("POST", crew.members, roles=[], email=email, url=PAGE)
    told(answer, 401, "user_unauthorized")
    assert answer.json()["message"] == "User is not allowed to send invitations for this team"
    assert [event.topic for event in world.log.of(answer)] == ["security.access_denied"]
    assert operator.ask("GET", "/users", search=f'"{email}"').json()["total"] == 0
    assert world.mailbox.all_to(email) == []


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"email": "new@example.org"}, 400, "general_argument_invalid"),
        ({"url": PAGE}, 400, "general_argument_invalid"),
        ({"email": "new@example.org", "url": "http://elsewhere.example/"}, 400, "general_argument_invalid"),
        ({"userId": "nobody", "url": PAGE}, 404, "user_not_found"),
    ],
    ids=["no page", "nobody", "another page", "unknown"],
)
def test_an_invitation_must_be_to_somebody_and_lead_somewhere(crew: Crew, fields: Any, status: int, kind: str) -> None:
    told(crew.owner.ask("POST", crew.members, roles=[], **fields), status, kind)


def test_an_id_and_an_address_must_be_one_person_s(crew: Crew, joe: Person) -> None:
    answer = crew.owner.ask("POST", crew.members, roles=[], userId=joe.account_id, email=an_email(), url=PAGE)
    told(answer, 409, "user_already_exists")


def test_somebody_without_addresses_cannot_be_invited_but_added(world: World, crew: Crew) -> None:
    nobody = world.server.client()
    nobody_id = nobody.ask("POST", "/account/sessions/anonymous").json()["userId"]
    told(crew.owner.ask("POST", crew.members, roles=[], userId=nobody_id, url=PAGE), 400, "general_argument_invalid")
    assert world.server.operator().ask("POST", crew.members, roles=[], userId=nobody_id).json()["confirm"] is True
    assert nobody.ask("GET", crew.path).status_code == 200


def test_a_server_adds_at_once_and_nobody_is_told(world: World, crew: Crew, operator: Client) -> None:
    email = an_email()
    added = operator.ask("POST", crew.members, roles=["coach"], email=email, name="Joe")
    assert (added.status_code, added.json()["confirm"], added.json()["userName"]) == (201, True, "Joe")
    assert [event.topic for event in world.log.of(added)] == [
        "team.member_added",
        "account.signed_up",
        "account.target_added",
    ]
    assert crew.now["total"] == 2
    assert world.mailbox.all_to(email) == []


def test_a_server_confirms_an_invitation(crew: Crew, joe: Person, operator: Client) -> None:
    invited = crew.invite(email=joe.email)
    confirmed = operator.ask("POST", crew.members, roles=["coach"], email=joe.email).json()
    assert (confirmed["$id"], confirmed["confirm"], confirmed["roles"]) == (invited["$id"], True, ["player"])
    assert crew.now["total"] == 2


def test_invitations_may_be_switched_off_for_people(world: World) -> None:
    project = world.project(f"p{token_hex(4)}")
    owner = world.person(project=project)
    team = owner.ask("POST", "/teams", teamId="unique()", name="Crew").json()
    world.method("invites", enabled=False, project=project)
    path = f"/teams/{team['$id']}/memberships"
    told(owner.ask("POST", path, roles=[], email=an_email(), url=PAGE), 501, "user_auth_method_unsupported")
    key = world.server.client(project=project, key=world.key("teams.write", project=project))
    assert key.ask("POST", path, roles=[], email=an_email()).status_code == 201


def test_a_full_project_takes_nobody_new_by_invitation(world: World) -> None:
    project = world.project(f"p{token_hex(4)}")
    owner, joe = world.person(project=project), world.person(project=project)
    team = owner.ask("POST", "/teams", teamId="unique()", name="Crew").json()
    world.policy("user_limit", total=2, project=project)
    path = f"/teams/{team['$id']}/memberships"
    told(owner.ask("POST", path, roles=[], email=an_email(), url=PAGE), 400, "user_count_exceeded")
    assert owner.ask("POST", path, roles=[], email=joe.email, url=PAGE).status_code == 201


# Memberships ----------------------------------------------------------------------------------------------------------


def test_members_are_listed_with_those_only_invited(world: World, crew: Crew, joe: Person) -> None:
    invited = crew.invite(email=joe.email)

    def found(client: Client | Person, *queries: str, **asked: Any) -> list[str]:
        asked |= {f"queries[{nth}]": query for nth, query in enumerate(queries)}
        return [each["$id"] for each in crew.memberships(client, **asked)]

    operator = world.server.operator()
    (mine, joes) = found(operator)
    assert joes == invited["$id"]
    assert found(operator, '{"method":"equal","attribute":"confirm","values":[true]}') == [mine]
    assert found(operator, '{"method":"equal","attribute":"confirm","values":[false]}') == [joes]
    assert found(operator, '{"method":"isNull","attribute":"joined","values":[]}') == [joes]
    assert found(operator, '{"method":"contains","attribute":"roles","values":["player"]}') == [joes]
    assert found(operator, f'{{"method":"equal","attribute":"userId","values":["{joe.account_id}"]}}') == [joes]
    assert found(operator, search=joe.account_id) == [joes]
    assert found(operator, search=joes) == [joes]
    assert found(operator, search="unknown") == []
    assert found(operator, '{"method":"orderDesc","attribute":"joined"}') == [mine, joes]
    assert found(operator, f'{{"method":"cursorAfter","values":["{mine}"]}}') == [joes]
    told(joe.ask("GET", crew.members), 404, "team_not_found")
    equal = '{"method":"equal","attribute":"roles","values":["x"]}'
    answer = operator.ask("GET", f"/users/{joe.account_id}/memberships", **{"queries[]": equal})
    assert 'Cannot query equal on attribute "roles" because it is an array.' in answer.json()["message"]
    (listed,) = operator.ask("GET", f"/users/{joe.account_id}/memberships").json()["memberships"]
    assert (listed["userEmail"], listed["teamName"], listed["userPhone"]) == (joe.email, "The Crew", "")
    assert joe.ask("GET", "/account/memberships").json() == {"total": 1, "memberships": [listed]}


FIELDS = ("userId", "userName", "userEmail", "userPhone", "userAccessedAt")


def test_people_see_of_each_other_what_the_project_lets_them(world: World) -> None:
    project = world.project(f"p{token_hex(4)}")
    owner = world.person(project=project)
    team = owner.ask("POST", "/teams", teamId="unique()", name="Crew").json()
    path = f"/teams/{team['$id']}/memberships"
    (seen,) = owner.ask("GET", path).json()["memberships"]
    assert [seen[name] for name in FIELDS] == [""] * 5
    assert owner.ask("GET", f"{path}/{seen['$id']}").json() == seen
    key = world.server.client(project=project, key=world.key("teams.read", project=project))
    (all_of_it,) = key.ask("GET", path).json()["memberships"]
    assert (all_of_it["userId"], all_of_it["userEmail"]) == (owner.account_id, owner.email)
    assert all_of_it["userAccessedAt"]
    world.policy("membership_privacy", user_id=True, user_name=True, project=project)
    (seen,) = owner.ask("GET", path).json()["memberships"]
    assert [seen[name] for name in FIELDS] == [owner.account_id, "Jane Roe", "", "", ""]


def test_an_id_does_not_tell_an_address(world: World, crew: Crew, joe: Person, operator: Client) -> None:
    invited = crew.invite(userId=joe.account_id)
    assert [invited[name] for name in FIELDS[:3]] == [joe.account_id, "", ""]
    changed = crew.owner.ask("PATCH", f"{crew.members}/{invited['$id']}", roles=["coach"]).json()
    assert [changed[name] for name in FIELDS[:3]] == [joe.account_id, "", ""]
    changed = operator.ask("PATCH", f"{crew.members}/{invited['$id']}", roles=["player"]).json()
    assert [changed[name] for name in FIELDS[:3]] == [joe.account_id, "Jane Roe", joe.email]
    again = crew.invite(email=joe.email)
    assert [again[name] for name in FIELDS[:3]] == [joe.account_id, "Jane Roe", joe.email]


def test_roles_are_changed_by_owners_and_count_at_once(world: World, crew: Crew, joe: Person) -> None:
    joes = crew.add(joe, "player")
    path = f"{crew.members}/{joes}"
    answer = joe.ask("PATCH", path, roles=["owner"])
    told(answer, 401, "user_unauthorized")
    assert answer.json()["message"] == "User is not allowed to modify roles"
    assert crew.owner.ask("PATCH", path, roles=["owner", "x", "x"]).json()["roles"] == ["owner", "x"]
    assert joe.ask("PUT", crew.path, name="Joe's").status_code == 200
    (mine, _) = crew.memberships(joe)
    assert joe.ask("PATCH", f"{crew.members}/{mine['$id']}", roles=[]).json()["roles"] == []
    told(crew.owner.ask("PUT", crew.path, name="Jane's"), 401, "user_unauthorized")
    told(joe.ask("PATCH", f"{crew.members}/unknown", roles=[]), 404, "membership_not_found")
    other = Crew(world, joe)
    told(joe.ask("PATCH", f"{other.members}/{joes}", roles=[]), 404, "team_membership_mismatch")


def test_members_leave_are_removed_and_nobody_else_decides(world: World, crew: Crew, joe: Person) -> None:
    ann = world.person()
    joes, anns = crew.add(joe), crew.add(ann)
    told(joe.ask("DELETE", f"{crew.members}/{anns}"), 401, "user_unauthorized")
    told(joe.ask("DELETE", f"{crew.members}/unknown"), 404, "team_invite_not_found")
    told(world.person().ask("DELETE", f"{crew.members}/{anns}"), 404, "team_not_found")
    left = joe.ask("DELETE", f"{crew.members}/{joes}")
    assert [event.topic for event in world.log.of(left)] == ["team.member_left"]
    told(joe.ask("GET", crew.path), 404, "team_not_found")
    removed = crew.owner.ask("DELETE", f"{crew.members}/{anns}")
    assert [event.topic for event in world.log.of(removed)] == ["team.member_removed"]
    assert crew.now["total"] == 1


def test_somebody_invited_cannot_decline_but_the_owner_takes_it_back(world: World, crew: Crew, joe: Person) -> None:
    invited = crew.invite(email=joe.email)
    secret = world.mailbox.mail(joe.email).parameters["secret"]
    path = f"{crew.members}/{invited['$id']}"
    told(joe.ask("DELETE", path), 404, "team_not_found")
    before = crew.now["$updatedAt"]
    assert crew.owner.ask("DELETE", path).status_code == 204
    assert crew.now["$updatedAt"] == before
    told(joe.ask("PATCH", f"{path}/status", userId=joe.account_id, secret=secret), 404, "membership_not_found")


def test_the_last_owner_may_leave(crew: Crew) -> None:
    (mine,) = crew.memberships(crew.owner)
    assert crew.owner.ask("DELETE", f"{crew.members}/{mine['$id']}").status_code == 204
    told(crew.owner.ask("GET", crew.path), 404, "team_not_found")
    assert crew.now["total"] == 0


# When an account is gone ----------------------------------------------------------------------------------------------


def test_a_deleted_account_is_in_no_team(world: World, crew: Crew, joe: Person, operator: Client) -> None:
    joes = crew.add(joe, "player")
    assert joe.ask("DELETE", "/account").status_code == 204
    assert crew.now["total"] == 1
    assert len(crew.memberships(operator)) == 1
    told(operator.ask("GET", f"{crew.members}/{joes}"), 404, "membership_not_found")
    told(operator.ask("DELETE", f"{crew.members}/{joes}"), 404, "team_invite_not_found")
    # Whoever gets the id next is somebody else.
    again = operator.ask("POST", "/users", userId=joe.account_id, email=joe.email).json()
    assert operator.ask("GET", f"/users/{again['$id']}/memberships").json()["total"] == 0
    assert operator.ask("POST", crew.members, roles=[], userId=again["$id"]).status_code == 201


def test_an_invitation_ends_with_its_account(world: World, crew: Crew, joe: Person, operator: Client) -> None:
    invited = crew.invite(email=joe.email)
    shown = world.mailbox.mail(joe.email).parameters
    assert operator.ask("DELETE", f"/users/{joe.account_id}").status_code == 204
    path = f"{crew.members}/{invited['$id']}/status"
    answer = world.server.client().ask("PATCH", path, userId=shown["userId"], secret=shown["secret"])
    told(answer, 404, "membership_not_found")


def test_a_blocked_account_does_not_get_in_by_an_invitation(world: World, crew: Crew, joe: Person) -> None:
    invited = crew.invite(email=joe.email)
    shown = world.mailbox.mail(joe.email).parameters
    world.server.operator().ask("PATCH", f"/users/{joe.account_id}/status", status=False)
    path = f"{crew.members}/{invited['$id']}/status"
    answer = world.server.client().ask("PATCH", path, userId=shown["userId"], secret=shown["secret"])
    told(answer, 403, "user_blocked")
    assert crew.now["total"] == 1
