"""A right call of any operation, made from its declaration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import pyotp

from accounts_es.adapters.ids import wire_id
from accounts_es.domain.account import commands
from accounts_es.http import rules
from accounts_es.http.access.rules import Entities, Entity, Permissions
from accounts_es.http.callers import GUEST_SCOPES
from accounts_es.http.listing import Queries
from accounts_es.http.operation import Operation, Parameter, Source
from accounts_es.http.webhooks.rules import EventName, HttpUrl, Place
from tests.http import settled
from tests.support.issuer import google
from tests.support.running import PASSWORD, Person, World, a_phone, an_email, signed_event
from tests.support.server import Client


@dataclass
class Call:
    """A request that is right in every way, ready to have one thing made wrong."""

    operation: Operation
    client: Client
    path: dict[str, str]
    fields: dict[str, Any] = field(default_factory=dict)

    def send(self, client: Client | None = None) -> httpx.Response:
        """Carry it out, possibly as somebody else."""
        path = self.operation.paths[0]
        for name, value in self.path.items():
            path = path.replace(f"{{{name}}}", value)
        return (client or self.client).ask(self.operation.method, path, **self.sent)

    @property
    def sent(self) -> dict[str, Any]:
        """The fields as they travel: a query string has no null, and writes a list ``name[]``."""
        if self.operation.method != "GET":
            return self.fields
        plain = {name: value for name, value in self.fields.items() if value is not None}
        return {f"{name}[]" if isinstance(value, list) else name: value for name, value in plain.items()}

    def set(self, parameter: Parameter, value: Any) -> "Call":
        """The same with another value."""
        path, fields = dict(self.path), dict(self.fields)
        (path if parameter.source is Source.PATH else fields)[parameter.wire] = value
        return Call(self.operation, self.client, path, fields)

    def without(self, parameter: Parameter) -> "Call":
        """The same without a value."""
        fields = {name: value for name, value in self.fields.items() if name != parameter.wire}
        return Call(self.operation, self.client, self.path, fields)


Prepare = Callable[[World, Person, Call], None]

SETTLING: Final = ("project", "webhooks")
"""Services of operations that change a project's settings."""

PAGE: Final = "http://localhost:3000/landing?from=mail"
"""A page that may call every project."""


def good(rule: rules.Rule) -> Any:
    """A value the rule takes, that no account has yet."""
    match rule:
        case rules.Id():
            return wire_id()
        case rules.Email():
            return an_email()
        case rules.Phone():
            return a_phone()
        case rules.Password() | rules.OldPassword():
            return PASSWORD
        case rules.OrNone():
            return good(rule.rule)
        case rules.Number():
            return rule.most
        case rules.Base64():
            return "Bw=="
        case rules.Choice():
            return rule.words[0]
        case HttpUrl():
            return f"http://localhost:1/{token_hex(4)}"
        case EventName():
            return "users.*.create"
        case Place():
            return 0
        case rules.Url():
            return PAGE
        case rules.Flag():
            return True
        case rules.Printable():
            return f"ours {token_hex(4)}"
        case rules.Text():
            return f"Some {token_hex(4)}"[: rule.longest]
        case rules.Prefs():
            return {"darkTheme": True, "language": "en"}
        case rules.Texts():
            return [good(rule.each)]
        case rules.Label() | rules.Key():
            return "vip"
        case Permissions():
            return ['read("any")', 'write("users/verified")']
        case Entity():
            return dict.fromkeys(rule.names, "read")
        case Entities():
            return []
        case Queries():
            return None
        case rules.Locale():
            return "de"
        case rules.Digits():
            return "1" * rule.length
        case rules.Moment():
            return "2100-01-01T00:00:00.000+00:00"
        case rules.Hostname():
            return f"{token_hex(4)}.example.org"
        case _:
            raise AssertionError(f"tell the matrix a good value of {rule}")


def ready(world: World, operation: Operation) -> Call:
    """A call that must succeed: somebody fresh, who may do this, and nothing missing."""
    person = world.bystander if operation.group in SETTLING else world.person()
    if operation.group == "account" and not GUEST_SCOPES & set(operation.scopes):
        client = person.client
    elif operation.group in SETTLING:
        client = world.settling
    elif operation.for_servers:
        client = world.server.operator()
    elif not operation.scopes or GUEST_SCOPES & set(operation.scopes):
        client = world.server.client()
    else:
        client = world.server.operator()
    known = {
        "userId": person.account_id,
        "sessionId": person.session_id,
        "type": "totp",
        "provider": "mock",
        "projectId": "default",
        "resourceType": "notes",
        "resourceId": wire_id(),
    }
    path = {each.wire: known.get(each.wire, "") for each in operation.parameters if each.source is Source.PATH}
    fields = {each.wire: good(each.rule) for each in operation.parameters if each.source is not Source.PATH}
    call = Call(operation, client, path, {name: value for name, value in fields.items() if value is not None})
    if operation.id in PREPARED:
        PREPARED[operation.id](world, person, call)
    return call


# What must have happened before ---------------------------------------------------------------------------------------

MUST_BE_RIGHT: Final = {
    "access.evaluate": {"subject", "action", "resource"},
    "access.evaluateAll": {"subject", "action", "resource", "evaluations", "options"},
    "access.forward": {"role", "resourceType", "resourceId", "action"},
    "audit.export": {"queries"},
    "audit.getProof": {"event"},
    "audit.getConsistency": {"from", "to"},
    "reverts.create": {"positions", "requestId", "keyId", "actor", "from", "to", "userId", "teamId", "dryRun"},
    "account.createEmailPasswordSession": {"email", "password"},
    "account.updateEmail": {"password"},
    "account.updatePhone": {"password"},
    "account.updatePassword": {"oldPassword"},
    "account.createSession": {"userId", "secret"},
    "account.updateMagicURLSession": {"userId", "secret"},
    "account.updatePhoneSession": {"userId", "secret"},
    "account.updateRecovery": {"userId", "secret"},
    "account.updateRecoveryOTP": {"userId", "secret"},
    "account.createRecovery": {"email"},
    "account.createRecoveryOTP": {"email"},
    "account.updateEmailVerification": {"userId", "secret"},
    "account.updateEmailVerificationOTP": {"userId", "secret"},
    "account.updatePhoneVerification": {"userId", "secret"},
    "account.updateMFAAuthenticator": {"otp"},
    "account.updateMFAChallenge": {"challengeId", "otp"},
    "account.updateMFA": {"mfa"},
    "account.createMFAChallenge": {"factor"},
    "account.updatePushTarget": {"identifier"},
    "users.updateStatus": {"status"},
    "users.createScryptUser": {"passwordCpu", "passwordMemory", "passwordParallel", "passwordLength"},
    "users.createJWT": {"sessionId"},
    "users.createTarget": {"providerType", "identifier"},
    "users.updateTarget": {"identifier"},
    "users.listIdentities": {"search"},
    "users.listHistory": {"from", "to", "field", "cursor"},
    "users.getHistoryDiff": {"from", "to"},
    "users.getHistoryBlame": {"to"},
    "account.createIdTokenSession": {"provider", "idToken", "nonce"},
    **settled.MUST_BE_RIGHT,
    "teams.createMembership": {"userId"},
    "teams.updateMembershipStatus": {"userId", "secret"},
    "oauth2.redirect": {"state"},
}
"""Parameters that are held against something else: no other value is right."""


def _signs_in(_world: World, person: Person, call: Call) -> None:
    call.fields["email"] = person.email


def _shows_password(_world: World, _person: Person, call: Call) -> None:
    call.fields["password"] = PASSWORD


def _changes_password(_world: World, _person: Person, call: Call) -> None:
    call.fields |= {"password": f"another {PASSWORD}", "oldPassword": PASSWORD}


def _has_token(world: World, person: Person, call: Call) -> None:
    issued = world.server.operator().ask("POST", "/account/tokens/email", userId="unique()", email=person.email)
    call.fields |= {"userId": person.account_id, "secret": issued.json()["secret"]}


def _recovers(path: str) -> Prepare:
    def prepare(world: World, person: Person, call: Call) -> None:
        fields = {"email": person.email} | ({} if path.endswith("otp") else {"url": PAGE})
        issued = world.server.operator().ask("POST", path, **fields)
        call.fields |= {"userId": person.account_id, "secret": issued.json()["secret"]}

    return prepare


def _got_link(world: World, person: Person, call: Call) -> None:
    assert person.ask("POST", "/account/verifications/email", url=PAGE).status_code == 201
    parameters = world.mailbox.mail(person.email).parameters
    call.fields |= {"userId": parameters["userId"], "secret": parameters["secret"]}


def _got_code(world: World, person: Person, call: Call) -> None:
    assert person.ask("POST", "/account/verifications/email/otp").status_code == 201
    call.fields |= {"userId": person.account_id, "secret": world.mailbox.mail(person.email).code}


def _has_phone(_world: World, person: Person, _call: Call) -> None:
    assert person.ask("PATCH", "/account/phone", phone=good(rules.Phone()), password=PASSWORD).status_code == 200


def _got_text(world: World, person: Person, call: Call) -> None:
    phone = good(rules.Phone())
    assert person.ask("PATCH", "/account/phone", phone=phone, password=PASSWORD).status_code == 200
    assert person.ask("POST", "/account/verifications/phone").status_code == 201
    call.fields |= {"userId": person.account_id, "secret": world.mailbox.text(phone)}


def _has_seed(_world: World, person: Person, call: Call) -> None:
    seed = person.ask("POST", "/account/mfa/authenticators/totp").json()["secret"]
    call.fields["otp"] = pyotp.TOTP(seed).now()


def _has_codes(person: Person) -> list[str]:
    return person.ask("POST", "/account/mfa/recovery-codes").json()["recoveryCodes"]


def _is_asked(_world: World, person: Person, call: Call) -> None:
    code = _has_codes(person)[0]
    asked = person.ask("POST", "/account/mfa/challenges", factor="recoveryCode")
    call.fields |= {"challengeId": asked.json()["$id"], "otp": code}


def _is_fresh(world: World, person: Person, call: Call) -> None:
    """Has an authenticator, recovery codes, and has just shown one of them."""
    seed = person.ask("POST", "/account/mfa/authenticators/totp").json()["secret"]
    shown = person.ask("PUT", "/account/mfa/authenticators/totp", otp=pyotp.TOTP(seed).now())
    assert shown.status_code == 200
    other = Call(call.operation, call.client, {})
    _is_asked(world, person, other)
    assert person.ask("PUT", "/account/mfa/challenges", **other.fields).status_code == 200


def _is_asked_for_code(_world: World, _person: Person, call: Call) -> None:
    call.fields["factor"] = "totp"


def _has_identity(world: World, person: Person, call: Call) -> None:
    identity_id = wire_id()
    identity = {"identity_id": identity_id, "provider": "google", "provider_uid": token_hex(8)}
    world.decide(person.account_id, commands.link_identity, **identity)
    call.path["identityId"] = identity_id


def _has_device(_world: World, person: Person, call: Call) -> None:
    made = person.ask("POST", "/account/targets/push", targetId="unique()", identifier=token_hex(8))
    call.path["targetId"] = made.json()["$id"]


def _is_held(world: World, person: Person, _call: Call) -> None:
    world.decide(person.account_id, commands.place_hold, reason="for a test")


def _is_blocked_next(_world: World, _person: Person, call: Call) -> None:
    call.fields["status"] = False


def _costs_little(_world: World, _person: Person, call: Call) -> None:
    call.fields |= {"passwordCpu": 2, "passwordMemory": 1, "passwordParallel": 1, "passwordLength": 16}


def _names_session(_world: World, person: Person, call: Call) -> None:
    call.fields["sessionId"] = person.session_id


def _is_device(_world: World, _person: Person, call: Call) -> None:
    call.fields["providerType"] = "push"


def _has_history(_world: World, _person: Person, call: Call) -> None:
    call.fields = {"from": 1} if call.operation.id == "users.getHistoryDiff" else {}


def _searches_nothing(_world: World, _person: Person, call: Call) -> None:
    del call.fields["search"]


def _has_recovery_codes(_world: World, person: Person, _call: Call) -> None:
    _has_codes(person)


def _is_asked_elsewhere(world: World, person: Person, call: Call) -> None:
    challenge = {"challenge_id": wire_id(), "factor": "custom", "code": "123456"}
    world.decide(
        person.account_id, commands.create_challenge, **challenge, expires_at=datetime.now(UTC) + timedelta(hours=1)
    )
    call.path["challengeId"] = challenge["challenge_id"]


def _came_from_google(world: World, _person: Person, call: Call) -> None:
    nonce = token_hex(8)
    call.fields |= {"provider": "google", "idToken": google(world).token(email=an_email(), nonce=nonce), "nonce": nonce}


def _has_team(world: World, _person: Person, call: Call) -> None:
    made = world.server.operator().ask("POST", "/teams", teamId="unique()", name="The Crew")
    call.path["teamId"] = made.json()["$id"]


def _invites(world: World, person: Person, call: Call) -> None:
    """Somebody by e-mail and number: an id would have to be that of the account behind them."""
    _has_team(world, person, call)
    del call.fields["userId"]


def _has_member(world: World, person: Person, call: Call) -> None:
    _has_team(world, person, call)
    path = f"/teams/{call.path['teamId']}/memberships"
    added = world.server.operator().ask("POST", path, userId=person.account_id, roles=["player"])
    call.path["membershipId"] = added.json()["$id"]


def _is_invited(world: World, person: Person, call: Call) -> None:
    owner = world.person()
    team = owner.ask("POST", "/teams", teamId="unique()", name="The Crew").json()
    path = f"/teams/{team['$id']}/memberships"
    invited = owner.ask("POST", path, email=person.email, roles=["player"], url=PAGE)
    assert invited.status_code == 201, invited.text
    call.path |= {"teamId": team["$id"], "membershipId": invited.json()["$id"]}
    call.fields |= {"userId": person.account_id, "secret": world.mailbox.mail(person.email).parameters["secret"]}


def _has_resource(world: World, _person: Person, call: Call) -> None:
    path = "/resources/{resourceType}/{resourceId}".format(**{"resourceId": wire_id(), **call.path})
    made = world.server.operator().ask("PUT", path, permissions=['read("any")'])
    assert made.status_code == 200
    call.fields.pop("total", None)


def _asks_about_resource(world: World, person: Person, call: Call) -> None:
    resource = {"type": "notes", "id": wire_id()}
    made = world.server.operator().ask("PUT", f"/resources/notes/{resource['id']}", permissions=['read("any")'])
    assert made.status_code == 200
    call.client = world.server.operator()
    call.fields |= {"subject": {"type": "user", "id": person.account_id}, "resource": resource}


def _is_let_through(world: World, person: Person, call: Call) -> None:
    _has_resource(world, person, Call(call.operation, call.client, call.path | {"resourceType": "notes"}))
    call.client = person.client
    call.fields = {"role": "users"}


def _came_back(_world: World, _person: Person, call: Call) -> None:
    begun = call.client.ask("GET", "/account/sessions/oauth2/mock")
    asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
    call.fields = {"state": asked["state"], "code": "abcdef"}


def _was_signed(world: World, person: Person, call: Call) -> None:
    call.fields["event"] = signed_event(world, person)


def _both_signed(world: World, person: Person, call: Call) -> None:
    signed_event(world, person)
    call.fields |= {"from": 1, "to": 2}


def _one_signed(world: World, person: Person, _call: Call) -> None:
    signed_event(world, person)


def _asks_one_event(world: World, person: Person, call: Call) -> None:
    call.path["eventId"] = str(signed_event(world, person))


def _exports_the_newest(world: World, person: Person, call: Call) -> None:
    call.fields = {"after": signed_event(world, person) - 1}


def _was_renamed(_world: World, person: Person, call: Call) -> None:
    answer = person.ask("PATCH", "/account/name", name="Somebody Else")
    call.fields = {"requestId": answer.headers["x-request-id"], "dryRun": False}


def _does_not_wait(_world: World, _person: Person, call: Call) -> None:
    call.fields |= {"after": 0, "wait": 0, "events": ["account.*"]}


PREPARED: Final[Mapping[str, Prepare]] = {
    "events.list": _does_not_wait,
    "reverts.create": _was_renamed,
    "activities.getEvent": _asks_one_event,
    "audit.export": _exports_the_newest,
    "audit.getCheckpoint": _one_signed,
    "audit.getProof": _was_signed,
    "audit.getConsistency": _both_signed,
    "account.createEmailPasswordSession": _signs_in,
    "account.updateEmail": _shows_password,
    "account.updatePhone": _shows_password,
    "account.updatePassword": _changes_password,
    "account.createSession": _has_token,
    "account.updateMagicURLSession": _has_token,
    "account.updatePhoneSession": _has_token,
    "account.createRecovery": _signs_in,
    "account.createRecoveryOTP": _signs_in,
    "account.updateRecovery": _recovers("/account/recovery"),
    "account.updateRecoveryOTP": _recovers("/account/recovery/otp"),
    "account.updateEmailVerification": _got_link,
    "account.updateEmailVerificationOTP": _got_code,
    "account.createPhoneVerification": _has_phone,
    "account.updatePhoneVerification": _got_text,
    "account.updateMFAAuthenticator": _has_seed,
    "account.deleteMFAAuthenticator": _is_fresh,
    "account.createMFAChallenge": _is_asked_for_code,
    "account.updateMFAChallenge": _is_asked,
    "account.getMFARecoveryCodes": _is_fresh,
    "account.updateMFARecoveryCodes": _is_fresh,
    "account.createIdTokenSession": _came_from_google,
    "oauth2.redirect": _came_back,
    "account.deleteIdentity": _has_identity,
    "account.updatePushTarget": _has_device,
    "account.deletePushTarget": _has_device,
    "users.createScryptUser": _costs_little,
    "teams.get": _has_team,
    "teams.updateName": _has_team,
    "teams.delete": _has_team,
    "teams.getPrefs": _has_team,
    "teams.updatePrefs": _has_team,
    "teams.listMemberships": _has_team,
    "teams.listLogs": _has_team,
    "teams.createMembership": _invites,
    "teams.getMembership": _has_member,
    "teams.updateMembership": _has_member,
    "teams.deleteMembership": _has_member,
    "teams.updateMembershipStatus": _is_invited,
    "access.getResource": _has_resource,
    "access.listResources": _has_resource,
    "access.release": _has_resource,
    "access.evaluate": _asks_about_resource,
    "access.evaluateAll": _asks_about_resource,
    "access.forward": _is_let_through,
    "users.updateStatus": _is_blocked_next,
    "users.liftHold": _is_held,
    "users.createJWT": _names_session,
    "users.createTarget": _is_device,
    "users.listIdentities": _searches_nothing,
    "users.listHistory": _has_history,
    "users.getHistoryDiff": _has_history,
    "users.getHistoryBlame": _has_history,
    "users.deleteIdentity": _has_identity,
    "users.getTarget": _has_device,
    "users.updateTarget": _has_device,
    "users.deleteTarget": _has_device,
    "users.deleteMFAAuthenticator": _is_fresh,
    "users.getMFARecoveryCodes": _has_recovery_codes,
    "users.updateMFARecoveryCodes": _has_recovery_codes,
    "users.getMFAChallenge": _is_asked_elsewhere,
    **settled.PREPARED,
}
