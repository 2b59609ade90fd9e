"""What holds for every operation, read from the table: a new operation is tested by being declared.

Each operation is called once as it should be, and then with one thing wrong at a time.
"""

import json
from collections.abc import Mapping
from secrets import token_hex
from typing import Any, Final

import httpx
import pytest

from accounts_es.http import rules
from accounts_es.http.access.rules import Entities, Entity, Permissions
from accounts_es.http.callers import ALL_KEY_SCOPES, GUEST_SCOPES, KEY_SCOPES, USER_SCOPES
from accounts_es.http.listing import Queries
from accounts_es.http.operation import Operation, Parameter, Source
from accounts_es.http.table import OPERATIONS
from accounts_es.http.webhooks.rules import EventName, HttpUrl, Place
from tests.http.calls import MUST_BE_RIGHT, PAGE, good, ready
from tests.support.running import World
from tests.support.server import Client
from tests.support.wire import said

ACCESSED: Final = "account.accessed"


def right(operation: Operation) -> str:
    return operation.id


def each_parameter(condition: Any) -> pytest.MarkDecorator:
    """Every parameter of every operation for which this holds."""
    picked = [(operation, each) for operation in OPERATIONS for each in operation.parameters if condition(each)]
    return pytest.mark.parametrize(
        ("operation", "parameter"), picked, ids=[f"{operation.id}-{each.wire}" for operation, each in picked]
    )


every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=right)
every_closed_operation = pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.for_servers or (each.scopes and not GUEST_SCOPES & set(each.scopes))],
    ids=right,
)
every_write = pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.method != "GET"], ids=right)


# As it should be ------------------------------------------------------------------------------------------------------


@every_operation
def test_T39_a_right_call_succeeds_and_records_what_it_declares(world: World, operation: Operation) -> None:
    answer = ready(world, operation).send()

    assert answer.status_code == operation.status, answer.text  # its body was held against the model by the client
    recorded = [event.topic for event in world.log.of(answer) if event.topic != ACCESSED]
    assert set(recorded) <= {event.topic for event in operation.emits}
    assert bool(recorded) == bool(operation.emits)


@every_operation
def test_every_path_of_an_operation_answers_alike(world: World, operation: Operation) -> None:
    for alias in operation.paths[1:]:
        call = ready(world, operation)
        answer = call.client.ask(operation.method, alias.format(**call.path), **call.sent)
        assert answer.status_code == operation.status


# Who may --------------------------------------------------------------------------------------------------------------


@every_closed_operation
def test_T50_a_guest_may_not_whatever_is_sent(world: World, operation: Operation, guest: Client) -> None:
    call = ready(world, operation)
    call.fields = {"rubbish": "$"}
    call.path = dict.fromkeys(call.path, "$$$")

    answer = call.send(guest)

    assert answer.status_code == 401
    assert said(answer)["type"] == "general_unauthorized_scope"
    wanted = json.dumps(list(operation.scopes), separators=(",", ":"))
    assert said(answer)["message"] == f"User (role: guests) missing scopes ({wanted})"


@pytest.fixture(scope="session")
def useless(world: World) -> Client:
    """Somebody with a key that opens next to nothing."""
    return world.server.client(key=world.key())


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.scopes and not KEY_SCOPES & set(each.scopes)], ids=right
)
def test_T50_a_key_without_the_scope_may_not_and_that_is_recorded(
    world: World, operation: Operation, useless: Client
) -> None:
    answer = ready(world, operation).send(useless)

    assert answer.status_code == 401
    assert said(answer)["type"] == "general_unauthorized_scope"
    wanted = json.dumps(list(operation.scopes), separators=(",", ":"))
    assert said(answer)["message"] == f"app.default@service (role: applications) missing scopes ({wanted})"
    (denied,) = world.log.of(answer)
    assert denied.topic == "security.access_denied"
    assert denied.model_dump() == {"operation": operation.id, "reason": "general_unauthorized_scope"}


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.for_servers or (each.scopes and not USER_SCOPES & set(each.scopes))],
    ids=right,
)
def test_T26_a_signed_in_person_may_not_do_what_servers_do(world: World, operation: Operation) -> None:
    person = world.person()
    answer = ready(world, operation).send(person.client)

    assert answer.status_code == 401
    wanted = json.dumps(list(operation.scopes), separators=(",", ":"))
    assert said(answer)["message"] == f"{person.email} (role: users) missing scopes ({wanted})"
    assert [event.topic for event in world.log.of(answer)] == ["security.access_denied"]


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if "account" in each.scopes], ids=right)
def test_no_key_has_an_account_of_its_own(world: World, operation: Operation) -> None:
    everything = world.server.client(key=world.key(*ALL_KEY_SCOPES))
    answer = ready(world, operation).send(everything)
    assert answer.status_code == 401
    assert said(answer)["type"] == "general_unauthorized_scope"


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.scopes], ids=right)
def test_an_operation_needs_a_project_that_exists(world: World, operation: Operation) -> None:
    call = ready(world, operation)
    for project in (None, "nowhere"):
        answer = call.send(world.server.client(project=project, key=world.server.credentials["key"]))
        assert answer.status_code == 404
        assert said(answer)["type"] == "project_not_found"
        assert world.log.of(answer) == []


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.opens_session], ids=right)
def test_whoever_is_signed_in_does_not_sign_in_again(world: World, operation: Operation) -> None:
    call = ready(world, operation)
    call.fields = {"email": "rubbish"}
    answer = call.send(world.person().client)
    assert answer.status_code == 401
    assert said(answer)["type"] == "user_session_already_exists"


# What is sent ---------------------------------------------------------------------------------------------------------


@each_parameter(lambda each: each.required and each.source is not Source.PATH)
def test_a_required_parameter_is_not_optional(world: World, operation: Operation, parameter: Parameter) -> None:
    call = ready(world, operation)
    # A query has no null.
    null = [call.set(parameter, None)] if parameter.source is Source.BODY else []
    for wrong in (call.without(parameter), *null):
        refused(wrong.send(), f'Param "{parameter.wire}" is not optional.')


@each_parameter(lambda each: not each.required)
def test_null_stands_for_an_optional_parameter_that_is_not_sent(
    world: World, operation: Operation, parameter: Parameter
) -> None:
    if operation.method != "GET" and parameter.wire not in MUST_BE_RIGHT.get(operation.id, ()):
        call = ready(world, operation).set(parameter, None)
        assert call.send().status_code == operation.status


def of_another_type(rule: rules.Rule) -> list[Any]:
    """JSON values that are no such thing."""
    everything: Mapping[type, Any] = {str: "text", int: 7, float: 1.5, bool: True, list: ["a"], dict: {"a": 1}}
    match rule:
        case rules.Flag():
            taken = {bool}
        case rules.Texts() | Queries() | Permissions() | Entities():
            taken = {list}
        case Entity():
            taken = set() if rule.names else {dict}
        case rules.Prefs():
            taken = {dict}
        case rules.Number() | Place():
            taken = {int}
        case _:
            taken = {str}
    return [value for kind, value in everything.items() if kind not in taken]


@each_parameter(lambda each: each.source is Source.BODY)
def test_a_value_of_another_type_is_refused(world: World, operation: Operation, parameter: Parameter) -> None:
    call = ready(world, operation)
    for value in of_another_type(parameter.rule):
        refused(call.set(parameter, value).send(), f"Invalid `{parameter.wire}` param: ")


def token_int(digits: int) -> str:
    """So many digits, never the same."""
    return f"{int(token_hex(12), 16) % 10**digits:0{digits}}"


def limits(rule: rules.Rule) -> tuple[list[Any], list[Any]]:  # noqa: PLR0915 - one case per rule
    """Values just within the rule, and values just beyond it. Lengths count characters, not bytes, unless noted."""
    match rule:
        case Permissions():
            many = [f'read("label:l{nth}")' for nth in range(100)]
            beyond = [[*many, 'read("any")'], ["*"], ["read"], ['admin("any")'], [1], 'read("any")', ['read("user:")']]
            return [[], many], [*beyond, ['create("any")']]
        case Entity():
            full = dict.fromkeys(rule.names, "a" * 255)
            long = [{**full, name: "a" * 256} for name in rule.names]
            without = [{key: text for key, text in full.items() if key != name} for name in rule.names]
            return [full, {**full, "properties": {"deep": [1]}}], [
                *long,
                *without,
                *([{}] if rule.names else []),
                [full],
            ]
        case Entities():
            return [[]], [[{}] * (rule.most + 1), ["a"], [1], {}]
        case rules.Printable():
            return ["", "~ " * (rule.longest // 2)], ["a" * (rule.longest + 1), "é", "a\n"]
        case rules.Text():
            within = [token_hex(8) + "é" * (rule.longest - 16), "a" * rule.shortest]
            beyond = ["é" * (rule.longest + 1), *([""] if rule.shortest else []), "a\x00b"]
            return within, beyond
        case rules.Id():
            unusual = token_hex(16) + "._-Z"
            beyond = ["a" * 37, "", "_a", ".a", "-a", "a b", "a/b", "wrongId$", "é", "a\n"]
            return [unusual, token_hex(3)], beyond
        case rules.Email():
            local, domain = token_hex(32), "a" * 63
            beyond = ["a@b@example.org", "example.org", "a@", "@b.example", "a@b", "", "a b@c.org", "a\x00@example.org"]
            return [f"{local}@{domain}.example"], [f"a{local}@example.org", *beyond]
        case rules.Phone():
            beyond = ["+123456", "+1234567890123456", "0123456789", "+0123456789", "+8021234567", ""]
            return [f"+1{token_int(6)}", f"+49{token_int(13)}"], beyond
        case rules.Password():
            within = ["a" * 8, "a" * 256, "é" * 128, "  spaces  ", "\x00" * 8]
            return within, ["a" * 7, "a" * 257, "é" * 128 + "a", ""]
        case rules.OldPassword():
            return ["", "a" * 256], ["a" * 257, "é" * 128 + "a"]
        case rules.OrNone():
            within, beyond = limits(rule.rule)
            return ["", *within], [each for each in beyond if each]
        case rules.Number():
            beyond = [rule.least - 1, rule.most + 1, "", "1.0", "-1", "x"]
            return [rule.least, rule.most, str(rule.most)], beyond
        case rules.Base64():
            most = rule.longest // 4 * 4
            return ["A" * most, "AA==", "+/+/"], ["A" * (most + 4), "", "A", "AA", "-_-_", "é===", "A A="]
        case rules.Choice():
            folded = [word.upper() for word in rule.words] if rule.folded else []
            return [*rule.words, *folded], ["", "other", f" {rule.words[0]}"]
        case HttpUrl():
            url = f"http://localhost:1/{token_hex(4)}"
            return [url, url.ljust(2048, "a")], [url.ljust(2049, "a"), "localhost", "http:", "ftp://localhost"]
        case EventName():
            return ["users.*", "teams.*.update"], ["users", "", "a" * 257]
        case Place():
            return [0, "2026-01-01T00:00:00Z"], [-1, 2**63, "tomorrow"]
        case rules.Url():
            within = [PAGE, f"{PAGE}&to={'a' * (2048 - len(PAGE) - 4)}", "http://127.0.0.1/", "http://[::1]:3000/#end"]
            elsewhere = ["http://127.0.0.2/", "https://localhost.example.com/", "http://[0:0:0:0:0:0:0:1]/", "tauri:/x"]
            return within, ["", "localhost/x", "/x", "http://", "http://a b", "http://localhost/\x00", *elsewhere]
        case rules.Prefs():
            spare = 65_535 - len('{"a":""}')
            within = [{}, [], {"a": "x" * spare}, {"a": "é" * (spare // 6)}, {"a": "/" * (spare // 2)}]
            beyond = [
                {"a": "x" * (spare + 1)},
                {"a": "é" * (spare // 6 + 1)},
                {"a": "/" * (spare // 2 + 1)},
                {"a": "🜚" * 100_000},
                {"a": "-" * 100_000},
                ["a"],
                "{}",
                "[]",
                '{"a":1}',
            ]
            return within, beyond
        case rules.Label():
            return ["a" * 36, "A1"], ["a" * 37, "", "a b", "a-b", "é", "a\n"]
        case rules.Key():
            return ["a" * rule.longest, "0.a_-"], ["a" * (rule.longest + 1), "", "_a", ".a", "-a", "a b", "é", "a\n"]
        case rules.Texts():
            within, beyond = limits(rule.each)
            most = [f"l{nth}" if isinstance(rule.each, rules.Label) else good(rule.each) for nth in range(rule.most)]
            other = "x" if isinstance(rule.each, rules.Number) else 1
            return [[], most, within], [[*most, "more"], *([each] for each in beyond), [other], [None]]
        case Queries():
            limit = json.dumps({"method": "limit", "values": [1]})
            return [[limit] * 100], [[limit] * 101, ["x" * 4097], [""], ["{}"], ["null"], ["[]"]]
        case rules.Locale():
            return ["en", "pt-br"], ["", "EN", "en_GB", "english", "e", "a\x00"]
        case rules.Digits():
            return ["0" * rule.length], [
                "1" * (rule.length - 1),
                "1" * (rule.length + 1),
                "",
                "a" * rule.length,
                "\u0661" * rule.length,
            ]
        case rules.Moment():
            within = ["2100-01-01", "2100-01-01T10:00:00", "2100-01-01T10:00:00.123Z", "2100-01-01T10:00:00+02:00"]
            return within, ["", "tomorrow", "2100-13-01", "0001-01-01T00:00:00+14:00"]
        case rules.Hostname():
            within = ["localhost", "Example.ORG", "*.example.org", "*", "127.0.0.1", "[::1]", "a-b.example.org"]
            beyond = ["", "https://example.org", "example.org:80", "example.org/", "a b", "é.org", ".org", "a.*.org"]
            return within, [*beyond, f"{'a' * 250}.org", "a\x00b"]
        case rules.Flag():
            return [False], ["", "yes", "null"] if rule.loose else ["true", "false", 1, 0]
        case _:
            raise AssertionError(f"tell the matrix the limits of {rule}")


@each_parameter(lambda each: each.source is not Source.PATH)
def test_the_limit_is_taken(world: World, operation: Operation, parameter: Parameter) -> None:
    if parameter.wire in MUST_BE_RIGHT.get(operation.id, ()):
        return
    for value in limits(parameter.rule)[0]:
        answer = ready(world, operation).set(parameter, value).send()
        assert answer.status_code == operation.status, f"{str(value)[:50]}: {answer.text[:200]}"


@each_parameter(lambda each: each.source is not Source.PATH)
def test_one_beyond_the_limit_is_refused(world: World, operation: Operation, parameter: Parameter) -> None:
    call = ready(world, operation)
    for value in limits(parameter.rule)[1]:
        if parameter.source is Source.QUERY and value in ([1], [None]):
            continue  # a query string holds texts only
        answer = call.set(parameter, value).send()
        refused(answer, f"Invalid `{parameter.wire}` param: ")
        assert len(answer.content) < 1000, "a refusal does not repeat what was sent"


@each_parameter(lambda each: each.source is Source.PATH and isinstance(each.rule, rules.Id))
def test_an_id_in_the_path_is_an_id(world: World, operation: Operation, parameter: Parameter) -> None:
    call = ready(world, operation)
    for value in ("a" * 37, "_a", "%C3%A9", "a%20b", "a$", "%00"):
        refused(call.set(parameter, value).send(), f"Invalid `{parameter.wire}` param: ")


def refused(answer: httpx.Response, message: str) -> None:
    """A 400 that says which parameter, and why."""
    assert answer.status_code == 400, answer.text[:300]
    assert said(answer)["type"] == "general_argument_invalid"
    assert said(answer)["message"].startswith(message)


@every_write
def test_a_refused_call_records_nothing(world: World, operation: Operation) -> None:
    call = ready(world, operation)
    required = [each for each in operation.parameters if each.required and each.source is not Source.PATH]
    for parameter in required:
        assert world.log.of(call.without(parameter).send()) == []


def test_parameters_are_checked_in_the_order_they_are_declared(guest: Client) -> None:
    for fields, first in (
        ({}, "userId"),
        ({"userId": "$", "email": 1}, "userId"),
        ({"userId": "a"}, "email"),
        ({"userId": "a", "email": "nonsense", "password": 1}, "email"),
        ({"userId": "a", "email": "a@b.example"}, "password"),
    ):
        answer = guest.ask("POST", "/account", **fields)
        assert answer.status_code == 400
        assert first in said(answer)["message"]
