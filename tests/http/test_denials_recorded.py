"""Whoever reaches for what is not theirs is recorded, whatever they are told (T50: ASVS V16.3.2)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
import pyotp
import pytest

from accounts_es.domain import errors
from accounts_es.domain.errors import Refusal
from accounts_es.http.api import DENIALS
from tests.http.calls import PAGE
from tests.support.running import PASSWORD, Person, World

Provoke = Callable[[World, Person], httpx.Response]


def missing(path: str) -> Provoke:
    """A server asks for what is not there, which looks like what is somebody else's."""
    return lambda world, jane: world.server.operator().ask("GET", path.format(jane=jane.account_id))


def with_header(name: str, value: str) -> Provoke:
    def provoke(world: World, _jane: Person) -> httpx.Response:
        return world.server.client(**{name: value}).ask("GET", "/account")

    return provoke


def keyed(path: str = "/users", **more: object) -> Provoke:
    return lambda world, _jane: world.server.client(key=world.key(**more)).ask("GET", path)  # type: ignore[arg-type]


def _widens(world: World, _jane: Person) -> httpx.Response:
    narrow = world.server.client(key=world.key("keys.write"))
    return narrow.ask("POST", "/project/keys", keyId="unique()", name="Wide", scopes=["users.write"])


def _names_no_project(world: World, _jane: Person) -> httpx.Response:
    return world.server.client(project=None, key=world.server.credentials["key"]).get("/users?project=default")


def _invited(world: World, jane: Person) -> tuple[str, str, str]:
    owner = world.person()
    team = owner.ask("POST", "/teams", teamId="unique()", name="The Crew").json()["$id"]
    invited = owner.ask("POST", f"/teams/{team}/memberships", email=jane.email, roles=[], url=PAGE)
    secret = world.mailbox.mail(jane.email).parameters["secret"]
    return team, str(invited.json()["$id"]), str(secret)


def _answers_for_another(world: World, jane: Person) -> httpx.Response:
    team, membership, secret = _invited(world, jane)
    path = f"/teams/{team}/memberships/{membership}/status"
    return world.person().ask("PATCH", path, userId=jane.account_id, secret=secret)


def _leaves_what_is_not_there(world: World, _jane: Person) -> httpx.Response:
    return world.server.operator().ask("DELETE", "/teams/nobody/memberships/nobody")


def _looks_in_another_team(world: World, jane: Person) -> httpx.Response:
    _, membership, _ = _invited(world, jane)
    other = jane.ask("POST", "/teams", teamId="unique()", name="Another").json()["$id"]
    return jane.ask("GET", f"/teams/{other}/memberships/{membership}")


def _looks_for_no_membership(_world: World, jane: Person) -> httpx.Response:
    team = jane.ask("POST", "/teams", teamId="unique()", name="The Crew").json()["$id"]
    return jane.ask("GET", f"/teams/{team}/memberships/nobody")


def _is_blocked(world: World, jane: Person) -> httpx.Response:
    world.server.operator().ask("PATCH", f"/users/{jane.account_id}/status", status=False)
    return jane.ask("GET", "/account")


def _has_authenticator(jane: Person) -> None:
    seed = jane.ask("POST", "/account/mfa/authenticators/totp").json()["secret"]
    assert jane.ask("PUT", "/account/mfa/authenticators/totp", otp=pyotp.TOTP(seed).now()).status_code == 200


def _owes_a_factor(world: World, jane: Person) -> httpx.Response:
    _has_authenticator(jane)
    assert jane.ask("PATCH", "/account/mfa", mfa=True).status_code == 200
    again = world.server.client()
    assert again.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD).status_code == 201
    return again.ask("GET", "/account")


def _shows_no_factor(_world: World, jane: Person) -> httpx.Response:
    return jane.ask("GET", "/account/mfa/recovery-codes")


def _makes_a_jwt_of_a_jwt(world: World, jane: Person) -> httpx.Response:
    token = jane.ask("POST", "/account/jwts").json()["jwt"]
    return world.server.client(x_appwrite_jwt=token).ask("POST", "/account/jwts")


def _is_not_let_through(world: World, jane: Person) -> httpx.Response:
    world.server.operator().ask("PUT", "/resources/notes/closed-one", permissions=['read("user:nobody")'])
    return jane.client.get(
        "/access/forward", params={"resourceType": "notes", "resourceId": "closed-one", "action": "read"}
    )


PROVOKE: Final[dict[type[Refusal], Provoke]] = {
    errors.AccessForbidden: _is_not_let_through,
    errors.AuditEventNotFound: missing("/activities/events/99999999999"),
    errors.GeneralUnauthorizedScope: keyed(),
    errors.KeyCreationDenied: _widens,
    errors.KeyNotFound: missing("/project/keys/nobody"),
    errors.WebhookNotFound: missing("/webhooks/nobody"),
    errors.PlatformNotFound: missing("/project/platforms/nobody"),
    errors.MembershipNotFound: _looks_for_no_membership,
    errors.ProjectIdMissing: _names_no_project,
    errors.ProjectKeyExpired: keyed(expires_at=datetime.now(UTC) - timedelta(seconds=1)),
    errors.TeamInviteMismatch: _answers_for_another,
    errors.TeamInviteNotFound: _leaves_what_is_not_there,
    errors.TeamMembershipMismatch: _looks_in_another_team,
    errors.TeamNotFound: missing("/teams/nobody"),
    errors.ResourceNotFound: missing("/resources/notes/nobody"),
    errors.UserBlocked: _is_blocked,
    errors.UserChallengeRequired: _shows_no_factor,
    errors.UserIdentityNotFound: lambda world, _: world.server.operator().ask("DELETE", "/users/identities/nobody"),
    errors.UserJwtCreationDenied: _makes_a_jwt_of_a_jwt,
    errors.UserJwtInvalid: with_header("x_appwrite_jwt", "rubbish"),
    errors.UserMoreFactorsRequired: _owes_a_factor,
    errors.UserNotFound: missing("/users/nobody"),
    errors.UserSessionNotFound: lambda _, jane: jane.ask("DELETE", "/account/sessions/nobody"),
    errors.UserTargetNotFound: missing("/users/{jane}/targets/nobody"),
    errors.UserUnauthorized: with_header("x_appwrite_key", "standard_nobody"),
}


@pytest.mark.parametrize("refusal", DENIALS, ids=lambda each: each.wire_type)
def test_T50_a_denied_access_is_recorded(world: World, jane: Person, refusal: type[Refusal]) -> None:
    answer = PROVOKE[refusal](world, jane)
    assert answer.json()["type"] == refusal.wire_type
    (denied,) = [each for each in world.log.recorded(answer) if each.event.topic == "security.access_denied"]
    fields = denied.event.model_dump()
    assert (fields["operation"], fields["reason"]) == (denied.meta.operation, refusal.wire_type)
    assert (denied.meta.project, denied.meta.ip) == ("default", "127.0.0.1")
    assert denied.stream.startswith("security-default-")
