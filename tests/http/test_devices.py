"""Sessions say which device and country they were opened from."""

import pytest

from accounts_es.http.models import Session
from accounts_es.http.operation import Operation
from accounts_es.http.table import OPERATIONS
from tests.http.calls import ready
from tests.support.running import PASSWORD, Person, World

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/70.0.3538.77 Safari/537.36"
)
SAID = {
    "osCode": "WIN",
    "osName": "Windows",
    "osVersion": "10",
    "clientType": "browser",
    "clientCode": "CH",
    "clientName": "Chrome",
    "clientVersion": "70.0",
    "clientEngine": "Blink",
    "clientEngineVersion": "70.0.3538.77",
    "deviceName": "desktop",
    "deviceBrand": "",
    "deviceModel": "",
}


def test_a_session_shows_where_it_was_opened_wherever_it_is_looked_at(world: World, jane: Person) -> None:
    device = world.server.client(user_agent=CHROME, x_forwarded_for="193.0.6.139")
    opened = device.ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD).json()
    expected = {**SAID, "ip": "193.0.6.139", "countryCode": "nl", "countryName": "Netherlands"}
    assert opened.items() >= expected.items()

    assert jane.ask("GET", f"/account/sessions/{opened['$id']}").json().items() >= expected.items()
    listed = jane.ask("GET", "/account/sessions").json()["sessions"]
    assert next(each for each in listed if each["$id"] == opened["$id"]).items() >= expected.items()
    seen = world.server.operator(x_appwrite_locale="nl").ask("GET", f"/users/{jane.account_id}/sessions").json()
    names = {each["$id"]: each["countryName"] for each in seen["sessions"]}
    assert names[opened["$id"]] == "Nederland"


def test_nothing_said_is_an_empty_text(world: World) -> None:
    client = world.server.client(user_agent="")
    opened = client.ask("POST", "/account/sessions/anonymous").json()
    assert {name: opened[name] for name in SAID} == dict.fromkeys(SAID, "")
    assert opened["countryCode"] == "--"
    assert opened["countryName"] == "Unknown"


def test_the_parameter_comes_before_the_header(world: World, jane: Person) -> None:
    jane.client.headers["x-appwrite-locale"] = "de"
    for path, unknown in (("", "Unbekannte Region"), ("?locale=fr", "région indéterminée"), ("?locale=tlh", "Unknown")):
        (session,) = jane.client.get(f"/account/sessions{path}").json()["sessions"]
        assert session["countryName"] == unknown
    client = world.server.client()
    assert client.ask("POST", "/account/sessions/anonymous", locale="de").json()["countryName"] == "Unbekannte Region"


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.returns is Session], ids=lambda each: each.id
)
def test_every_answer_names_countries_in_the_caller_s_language(world: World, operation: Operation) -> None:
    call = ready(world, operation)
    call.client.headers["x-appwrite-locale"] = "de"
    assert call.send().json()["countryName"] == "Unbekannte Region"
