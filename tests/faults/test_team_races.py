"""People who decide about a team at the same moment, over HTTP, on two workers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import httpx
import pytest

from tests.support.mailbox import Mailbox
from tests.support.running import PASSWORD, an_email
from tests.support.server import Server

PAGE = "http://localhost:3000/join"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One database, two processes."""
    with Server(tmp_path_factory.mktemp("races") / "data", ACCOUNTS_WORKERS="2") as running:
        yield running


@dataclass
class Person:
    """Somebody signed in, whose every call takes another connection."""

    account_id: str
    email: str
    secret: str


class Town:
    """Connections of their own, so that both processes get some."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.mailbox = Mailbox(server.data / "outbox")
        self._clients = [httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) for _ in range(16)]
        self._next = 0

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def ask(self, who: Person | str | None, method: str, path: str, **fields: Any) -> httpx.Response:
        """As a person, as a server (``"key"``) or as a guest."""
        self._next += 1
        client = self._clients[self._next % len(self._clients)]
        client.cookies.clear()
        headers = {"x-appwrite-project": "default"}
        if isinstance(who, Person):
            headers["x-appwrite-session"] = who.secret
        elif who is not None:
            headers["x-appwrite-key"] = self.server.credentials["key"]
        body = {"json": fields} if method != "GET" else {"params": fields}
        return await client.request(method, path, headers=headers, **body)

    async def person(self) -> Person:
        """Somebody new."""
        email = an_email()
        made = await self.ask("key", "POST", "/users", userId="unique()", email=email, password=PASSWORD)
        opened = await self.ask("key", "POST", "/account/sessions/email", email=email, password=PASSWORD)
        return Person(made.json()["$id"], email, opened.json()["secret"])

    async def team(self, owner: Person) -> str:
        """The path of a new team."""
        made = await self.ask(owner, "POST", "/teams", teamId="unique()", name="Crew")
        return f"/teams/{made.json()['$id']}"

    async def add(self, team: str, person: Person, *roles: str) -> str:
        """The path of a membership."""
        added = await self.ask("key", "POST", f"{team}/memberships", userId=person.account_id, roles=roles)
        return f"{team}/memberships/{added.json()['$id']}"

    async def own(self, team: str) -> str:
        """The path of the first membership."""
        listed = await self.ask("key", "GET", f"{team}/memberships")
        return f"{team}/memberships/{listed.json()['memberships'][0]['$id']}"

    async def total(self, team: str) -> int:
        """How many members it has."""
        return (await self.ask("key", "GET", team)).json()["total"]


@pytest.fixture
async def town(server: Server) -> AsyncIterator[Town]:
    """Everybody."""
    town = Town(server)
    try:
        yield town
    finally:
        await town.close()


def kinds(answers: list[httpx.Response]) -> Counter[Any]:
    return Counter(each.json()["type"] if each.status_code >= 400 else each.status_code for each in answers)


async def test_an_invitation_accepted_fifty_times_at_once_lets_one_in(town: Town) -> None:
    owner, email = await town.person(), an_email()
    team = await town.team(owner)
    await town.ask(owner, "POST", f"{team}/memberships", roles=[], email=email, url=PAGE)
    shown = await asyncio.to_thread(town.mailbox.mail, email)
    link = shown.parameters
    path = f"{team}/memberships/{link['membershipId']}/status"
    accept = {"userId": link["userId"], "secret": link["secret"]}

    answers = await asyncio.gather(*(town.ask(None, "PATCH", path, **accept) for _ in range(50)))

    assert kinds(answers) == {200: 1, "membership_already_confirmed": 49}
    assert len([each for each in answers if "set-cookie" in each.headers]) == 1
    assert (await town.ask("key", "GET", f"/users/{link['userId']}/sessions")).json()["total"] == 1
    assert await town.total(team) == 2


async def test_of_two_owners_who_remove_each_other_one_stays(town: Town) -> None:
    for _ in range(10):
        jane, joe = await town.person(), await town.person()
        team = await town.team(jane)
        janes, joes = await town.own(team), await town.add(team, joe, "owner")
        answers = await asyncio.gather(town.ask(jane, "DELETE", joes), town.ask(joe, "DELETE", janes))
        assert sorted(each.status_code for each in answers) == [204, 404]
        assert await town.total(team) == 1


async def test_the_last_owners_may_leave_together(town: Town) -> None:
    for _ in range(5):
        jane, joe = await town.person(), await town.person()
        team = await town.team(jane)
        janes, joes = await town.own(team), await town.add(team, joe, "owner")
        answers = await asyncio.gather(town.ask(jane, "DELETE", janes), town.ask(joe, "DELETE", joes))
        assert [each.status_code for each in answers] == [204, 204]
        assert await town.total(team) == 0


async def test_a_membership_is_left_once(town: Town) -> None:
    jane = await town.person()
    team = await town.team(jane)
    janes = await town.own(team)
    answers = await asyncio.gather(*(town.ask(jane, "DELETE", janes) for _ in range(20)))
    assert kinds(answers)[204] == 1
    assert {each.status_code for each in answers} == {204, 404}


async def test_a_team_deleted_while_somebody_accepts_leaves_no_member_and_no_stray_session(town: Town) -> None:
    for _ in range(10):
        owner, email = await town.person(), an_email()
        team = await town.team(owner)
        await town.ask(owner, "POST", f"{team}/memberships", roles=[], email=email, url=PAGE)
        link = (await asyncio.to_thread(town.mailbox.mail, email)).parameters
        path = f"{team}/memberships/{link['membershipId']}/status"
        accepted, deleted = await asyncio.gather(
            town.ask(None, "PATCH", path, userId=link["userId"], secret=link["secret"]),
            town.ask(owner, "DELETE", team),
        )
        assert deleted.status_code == 204
        assert accepted.status_code in {200, 404}
        user = f"/users/{link['userId']}"
        assert (await town.ask("key", "GET", f"{user}/memberships")).json()["total"] == 0
        sessions = (await town.ask("key", "GET", f"{user}/sessions")).json()["total"]
        assert sessions == int(accepted.status_code == 200 or "set-cookie" in accepted.headers)


async def test_an_account_deleted_while_a_server_adds_it_is_no_member(town: Town) -> None:
    for _ in range(10):
        owner, joe = await town.person(), await town.person()
        team = await town.team(owner)
        added, deleted = await asyncio.gather(
            town.ask("key", "POST", f"{team}/memberships", userId=joe.account_id, roles=[]),
            town.ask("key", "DELETE", f"/users/{joe.account_id}"),
        )
        assert deleted.status_code == 204
        assert added.status_code in {201, 404}
        assert await town.total(team) == 1
        assert (await town.ask("key", "GET", f"{team}/memberships")).json()["total"] == 1


async def test_an_address_invited_by_many_at_once_is_one_account_with_one_membership(town: Town) -> None:
    owners, email = [await town.person() for _ in range(3)], an_email()
    teams = [await town.team(owner) for owner in owners]
    invitations = [
        town.ask(owner, "POST", f"{team}/memberships", roles=["player"], email=email, url=PAGE)
        for owner, team in zip(owners, teams, strict=True)
        for _ in range(6)
    ]
    answers = await asyncio.gather(*invitations)
    assert kinds(answers).keys() <= {201, "general_resource_locked", "user_already_exists"}
    assert kinds(answers)[201] >= 3
    assert (await town.ask("key", "GET", "/users", search=f'"{email}"')).json()["total"] == 1
    user = (await town.ask("key", "GET", "/users", search=f'"{email}"')).json()["users"][0]["$id"]
    assert (await town.ask("key", "GET", f"/users/{user}/memberships")).json()["total"] == 3


async def test_a_team_s_id_taken_by_many_at_once_is_one_team(town: Town) -> None:
    people, team_id = [await town.person() for _ in range(4)], token_hex(8)
    answers = await asyncio.gather(
        *(town.ask(people[nth % 4], "POST", "/teams", teamId=team_id, name="Crew") for nth in range(20))
    )
    assert kinds(answers) == {201: 1, "team_already_exists": 19}
