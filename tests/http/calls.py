"""A right call of any operation, made from its declaration."""

from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import httpx

from accounts_es.adapters.ids import wire_id
from accounts_es.http.callers import GUEST_SCOPES
from accounts_es.http.operation import Operation, Parameter, Source
from accounts_es.http.rules import Email, Flag, Id, Label, Password, Phone, Prefs, Queries, Rule, Text, Texts
from tests.support.running import PASSWORD, World, an_email
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
        return (client or self.client).ask(self.operation.method, path, **self.fields)

    def set(self, parameter: Parameter, value: Any) -> "Call":
        """The same with another value."""
        path, fields = dict(self.path), dict(self.fields)
        (path if parameter.source is Source.PATH else fields)[parameter.wire] = value
        return Call(self.operation, self.client, path, fields)

    def without(self, parameter: Parameter) -> "Call":
        """The same without a value."""
        fields = {name: value for name, value in self.fields.items() if name != parameter.wire}
        return Call(self.operation, self.client, self.path, fields)


def good(rule: Rule) -> Any:
    """A value the rule takes, that no account has yet."""
    match rule:
        case Id(custom=True):
            return wire_id()
        case Email():
            return an_email()
        case Phone():
            return f"+49{int(token_hex(4), 16) % 10**9:09}"
        case Password():
            return PASSWORD
        case Flag():
            return True
        case Text():
            return f"Some {token_hex(4)}"[: rule.longest]
        case Prefs():
            return {"darkTheme": True, "language": "en"}
        case Texts():
            return [good(rule.each)]
        case Label():
            return "vip"
        case Queries():
            return None
        case _:
            raise AssertionError(f"tell the matrix a good value of {rule}")


def ready(world: World, operation: Operation) -> Call:
    """A call that must succeed: somebody fresh, who may do this, and nothing missing."""
    person = world.person()
    if not operation.scopes or GUEST_SCOPES & set(operation.scopes):
        client = world.server.client()
    elif "account" in operation.scopes:
        client = person.client
    else:
        client = world.server.operator()
    known = {"userId": person.account_id, "sessionId": person.session_id}
    path = {each.wire: known[each.wire] for each in operation.parameters if each.source is Source.PATH}
    fields = {each.wire: good(each.rule) for each in operation.parameters if each.source is not Source.PATH}
    if operation.id == "account.createEmailPasswordSession":
        fields["email"] = person.email
    return Call(operation, client, path, {name: value for name, value in fields.items() if value is not None})
