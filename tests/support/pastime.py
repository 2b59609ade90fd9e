"""Random commands of a server in a project of its own, and what the server is told after each."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Final

import httpx

from accounts_es.http.callers import ALL_KEY_SCOPES
from tests.support.running import World, a_phone
from tests.support.server import Client

Said = tuple[int, Any]
"""A status and a body."""


@dataclass(frozen=True)
class Captured:
    """What was answered to a read when the log had come to a position."""

    position: int
    path: str
    said: Said
    body: dict[str, Any] | None = None
    """Of a question; reads have none."""


def said(answer: httpx.Response) -> Said:
    """An answer without the moment it was given."""
    return answer.status_code, answer.json()


def answered(answer: httpx.Response) -> Said:
    """What was said. A server that was too busy to say anything says nothing about that moment."""
    assert answer.status_code < 500, answer.text
    return said(answer)


@dataclass
class Past:
    """A project, and commands in it that depend on a seed alone."""

    world: World
    seed: int
    people: int = 12
    teams: int = 4
    things: int = 3
    captured: list[Captured] = field(default_factory=list[Captured])

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        project = self.world.project(f"past-{token_hex(4)}")
        self.client: Client = self.world.server.client(
            project=project, key=self.world.key(*ALL_KEY_SCOPES, project=project)
        )
        self.client.ask("GET", "/users")  # notes that the key is in use

    def head(self) -> int:
        """The last position."""
        ((position,),) = self.world.log.connection.execute(
            "SELECT max(notification_id) FROM log.accounts_events"
        ).fetchall()
        return int(position)

    def run(self, commands: int, *, lists_every: int, at_most: int = 100) -> None:
        """Carry out as many commands, and ask after each for what it may have touched, or for some of it."""
        for nth in range(commands):
            reads = self.random.choices(list(COMMANDS), weights=list(COMMANDS.values()))[0](self)
            lists = LISTS if nth % lists_every == 0 else ()
            self.capture([*self.random.sample(reads, min(len(reads), at_most)), *lists])

    def capture(self, paths: list[str]) -> None:
        """What all of these answer now."""
        position = self.head()
        for path in dict.fromkeys(paths):
            self.captured.append(Captured(position, path, answered(self.client.ask("GET", path))))
        for _ in range(3):
            question = {
                "subject": {"type": "user", "id": self.user()},
                "action": {"name": self.random.choice(("read", "update"))},
                "resource": {"type": "notes", "id": self.thing()},
            }
            answer = self.client.ask("POST", "/access/v1/evaluation", **question)
            self.captured.append(Captured(position, "/access/v1/evaluation", answered(answer), question))

    def then(self, captured: Captured, at: int | str) -> Said:
        """The same, asked now as of then."""
        path = f"{captured.path}?at={at}"
        if captured.body is not None:
            return said(self.client.ask("POST", path, **captured.body))
        return said(self.client.get(path))

    def user(self) -> str:
        return f"user{self.random.randrange(self.people)}"

    def team(self) -> str:
        return f"team{self.random.randrange(self.teams)}"

    def thing(self) -> str:
        return f"thing{self.random.randrange(self.things)}"

    def word(self) -> str:
        return "".join(self.random.choices("abcdefgh", k=self.random.randrange(1, 9)))


LISTS: Final = (
    "/users",
    "/teams",
    "/users/identities",
    "/project",
    "/project/policies",
    "/project/platforms",
    "/project/keys",
    "/project/mock-phones",
    "/project/oauth2",
)


def of_user(user: str) -> list[str]:
    """All there is to read of a user."""
    read = ("", "/prefs", "/sessions", "/targets", "/memberships", "/mfa/factors")
    return [f"/users/{user}{each}" for each in read]


def of_team(team: str) -> list[str]:
    """All there is to read of a team."""
    return [f"/teams/{team}{each}" for each in ("", "/prefs", "/memberships")]


def _creates(past: Past) -> list[str]:
    user = past.user()
    given = {"email": f"{past.word()}@{past.word()}.example", "name": past.word()}
    past.client.ask("POST", "/users", userId=user, **given)
    return of_user(user)


def _changes(path: str, field: str, value: Callable[[Past], Any], method: str = "PATCH") -> Callable[[Past], list[str]]:
    def change(past: Past) -> list[str]:
        user = past.user()
        past.client.ask(method, f"/users/{user}{path}", **{field: value(past)})
        return of_user(user)

    return change


def _deletes(past: Past) -> list[str]:
    user = past.user()
    past.client.ask("DELETE", f"/users/{user}")
    return of_user(user)


def _opens(past: Past) -> list[str]:
    user = past.user()
    past.client.ask("POST", f"/users/{user}/sessions")
    return of_user(user)


def _closes(past: Past) -> list[str]:
    user = past.user()
    open_ones = past.client.ask("GET", f"/users/{user}/sessions").json().get("sessions", [])
    if open_ones and past.random.random() < 0.8:
        past.client.ask("DELETE", f"/users/{user}/sessions/{past.random.choice(open_ones)['$id']}")
    else:
        past.client.ask("DELETE", f"/users/{user}/sessions")
    return of_user(user)


def _targets(past: Past) -> list[str]:
    user, target = past.user(), f"target{past.random.randrange(3)}"
    match past.random.randrange(3):
        case 0:
            given = {"providerType": "push", "identifier": token_hex(8), "name": past.word()}
            past.client.ask("POST", f"/users/{user}/targets", targetId=target, **given)
        case 1:
            past.client.ask("PATCH", f"/users/{user}/targets/{target}", identifier=token_hex(8))
        case _:
            past.client.ask("DELETE", f"/users/{user}/targets/{target}")
    return [*of_user(user), f"/users/{user}/targets/{target}"]


def _begins_team(past: Past) -> list[str]:
    team = past.team()
    past.client.ask("POST", "/teams", teamId=team, name=past.word())
    return of_team(team)


def _changes_team(past: Past) -> list[str]:
    team = past.team()
    match past.random.randrange(5):
        case 0:
            past.client.ask("DELETE", f"/teams/{team}")
        case 1 | 2:
            past.client.ask("PUT", f"/teams/{team}", name=past.word())
        case _:
            past.client.ask("PUT", f"/teams/{team}/prefs", prefs={past.word(): past.word()})
    return of_team(team)


def _joins(past: Past) -> list[str]:
    team, user = past.team(), past.user()
    joined = past.client.ask("POST", f"/teams/{team}/memberships", userId=user, roles=[past.word()])
    one = [f"/teams/{team}/memberships/{joined.json()['$id']}"] if joined.status_code == 201 else []
    return [*of_team(team), f"/users/{user}/memberships", *one]


def _changes_membership(past: Past) -> list[str]:
    team = past.team()
    members = past.client.ask("GET", f"/teams/{team}/memberships").json().get("memberships", [])
    if not members:
        return of_team(team)
    member = past.random.choice(members)
    path = f"/teams/{team}/memberships/{member['$id']}"
    if past.random.random() < 0.5:
        past.client.ask("DELETE", path)
    else:
        past.client.ask("PATCH", path, roles=[past.word(), past.word()])
    return [*of_team(team), path, f"/users/{member['userId']}/memberships"]


def _settles(past: Past) -> list[str]:
    on = past.random.random() < 0.5
    match past.random.randrange(5):
        case 0:
            past.client.ask("PATCH", "/project/policies/password-history", total=past.random.randrange(1, 20))
            return ["/project/policies/password-history", "/project"]
        case 1:
            past.client.ask("PATCH", "/project/auth-methods/magic-url", enabled=on)
            return ["/project"]
        case 2:
            past.client.ask("PATCH", "/project/policies/mfa-factors", totp=on)
            user = past.user()
            return ["/project/policies", f"/users/{user}/mfa/factors"]
        case 3:
            number = f"+4930901820{past.random.randrange(3)}"
            past.client.ask("POST", "/project/mock-phones", number=number, otp="123456")
            return ["/project/mock-phones"]
        case _:
            platform = f"platform{past.random.randrange(3)}"
            given = {"name": past.word(), "hostname": f"{past.word()}.example.org"}
            past.client.ask("POST", "/project/platforms/web", platformId=platform, **given)
            return ["/project/platforms", f"/project/platforms/{platform}"]


def _protects(past: Past) -> list[str]:
    thing = past.thing()
    roles = (
        "any",
        "users",
        "users/verified",
        "users/unverified",
        f"user:{past.user()}",
        f"team:{past.team()}",
        "label:vip",
    )
    if past.random.random() < 0.2:
        past.client.ask("DELETE", f"/resources/notes/{thing}")
    else:
        role, action = past.random.choice(roles), past.random.choice(("read", "update", "write"))
        past.client.ask("PUT", f"/resources/notes/{thing}", permissions=[f'{action}("{role}")'])
    return []


COMMANDS: Final[dict[Callable[[Past], list[str]], float]] = {
    _creates: 4,
    _deletes: 1,
    _changes("/name", "name", Past.word): 2,
    _changes("/email", "email", lambda past: f"{past.word()}@example.org"): 2,
    _changes("/phone", "number", lambda past: past.random.choice(("", a_phone()))): 1,
    _changes("/prefs", "prefs", lambda past: {past.word(): past.word(), "n": past.random.random()}): 3,
    _changes("/labels", "labels", lambda past: past.random.sample(("vip", "beta", "staff"), 2), "PUT"): 2,
    _changes("/status", "status", lambda past: past.random.random() < 0.6): 2,
    _changes("/verification", "emailVerification", lambda past: past.random.random() < 0.6): 2,
    _changes("/verification/phone", "phoneVerification", lambda past: past.random.random() < 0.6): 1,
    _changes("/mfa", "mfa", lambda past: past.random.random() < 0.5): 1,
    _changes("/impersonator", "impersonator", lambda past: past.random.random() < 0.5): 1,
    _changes("/password", "password", lambda past: f"correct horse {past.word()} battery"): 0.3,
    _opens: 3,
    _closes: 2,
    _targets: 3,
    _begins_team: 2,
    _changes_team: 2,
    _joins: 3,
    _changes_membership: 2,
    _settles: 2,
    _protects: 4,
}


def differing(past: Past, captured: list[Captured]) -> Iterator[tuple[Captured, Said]]:
    """What is answered as of then, where that is not what was answered then."""
    for each in captured:
        now = past.then(each, each.position)
        if now != each.said:
            yield each, now
