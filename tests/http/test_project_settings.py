"""What servers set about their project, and when it holds: from the next request on, on every server."""

from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from accounts_es.http.callers import ALL_KEY_SCOPES
from tests.support.answers import refusal
from tests.support.running import PASSWORD, World, an_email
from tests.support.server import Client, Server
from tests.support.wire import said as said_by


@pytest.fixture
def shop(world: World) -> Client:
    """A server with all scopes in a new project."""
    return in_project(world, world.project(f"shop-{token_hex(4)}"))


def in_project(world: World, project: str) -> Client:

    return world.server.client(project=project, key=world.key(*ALL_KEY_SCOPES, project=project))


def project_of(client: Client) -> str:
    return client.headers["x-appwrite-project"]


@pytest.fixture(scope="module")
def second(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another process on the same database."""
    with Server(tmp_path_factory.mktemp("second") / "data", database_url=world.conninfo) as server:
        yield server


def test_T27_a_policy_holds_on_every_server_at_once(world: World, shop: Client, second: Server) -> None:
    clients = [server.client(project=project_of(shop)) for server in (world.server, second)]
    body = {"userId": "unique()", "password": "lower case only"}
    for demanding in (True, False, True):
        changed = shop.ask("PATCH", "/project/policies/password-strength", uppercase=demanding)
        assert changed.json()["uppercase"] is demanding
        for client in clients:
            answer = client.ask("POST", "/account", **body, email=an_email())
            assert answer.status_code == (400 if demanding else 201)
    shop.ask("PATCH", "/project/auth-methods/email-password", enabled=False)
    for client in clients:
        answer = client.ask("POST", "/account/sessions/email", email=an_email(), password=PASSWORD)
        assert answer.json()["type"] == "user_auth_method_unsupported"


def test_a_service_that_is_off_is_there_for_servers_only(world: World, shop: Client) -> None:
    jane = world.person(project=project_of(shop))
    said = shop.ask("PATCH", "/project/services/teams", enabled=False).json()
    assert [each["$id"] for each in said["services"] if not each["enabled"]] == ["teams"]
    refused = jane.ask("GET", "/teams")
    assert refusal(refused) == (403, "general_service_disabled")
    assert jane.ask("GET", "/account").status_code == shop.ask("GET", "/teams").status_code == 200
    shop.ask("PATCH", "/project/services/teams", enabled=True)
    assert jane.ask("GET", "/teams").status_code == 200
    shop.ask("PATCH", "/project/services/account", enabled=False)
    guest = world.server.client(project=project_of(shop))
    for path in ("/account/sessions/oauth2/google", "/account"):
        assert said_by(guest.ask("GET", path))["type"] == "general_service_disabled"


def test_a_protocol_that_is_off_is_there_for_servers_only(world: World, shop: Client) -> None:
    jane = world.person(project=project_of(shop))
    said = shop.ask("PATCH", "/project/protocols/rest", enabled=False).json()
    assert said["protocols"] == [
        {"$id": "rest", "enabled": False},
        {"$id": "graphql", "enabled": True},
        {"$id": "websocket", "enabled": True},
    ]
    for path in ("/account", "/teams", "/resources/notes"):
        assert refusal(jane.ask("GET", path)) == (403, "general_api_disabled")
    assert jane.ask("GET", "/.well-known/jwks.json").status_code == shop.ask("GET", "/project").status_code == 200
    shop.ask("PATCH", "/project/protocols/rest", enabled=True)
    assert jane.ask("GET", "/account").status_code == 200


def test_policies_are_listed_with_their_settings(shop: Client) -> None:
    listed = shop.ask("GET", "/project/policies").json()
    by_id = {each["$id"]: each for each in listed["policies"]}
    assert listed["total"] == len(by_id) == 15
    assert by_id["session-limit"] == {"$id": "session-limit", "total": 10}
    assert by_id["session-duration"] == {"$id": "session-duration", "duration": 31_536_000}
    shop.ask("PATCH", "/project/policies/membership-privacy", userMFA=True, userName=True)
    assert shop.ask("GET", "/project/policies/membership-privacy").json() == {
        "$id": "membership-privacy",
        "userId": False,
        "userEmail": False,
        "userPhone": False,
        "userName": True,
        "userMFA": True,
        "userAccessedAt": False,
    }


def test_a_limit_is_taken_off_by_null_and_by_nothing_else(shop: Client) -> None:
    path = "/project/policies/user-limit"
    shop.ask("PATCH", path, total=1)
    assert shop.ask("PATCH", path).json()["type"] == "general_argument_invalid"

    assert shop.ask("GET", path).json()["total"] == 1
    assert shop.ask("PATCH", path, total=None).status_code == 200
    assert shop.ask("GET", path).json()["total"] == 0


def test_the_project_says_which_methods_are_on(shop: Client) -> None:
    shop.ask("PATCH", "/project/auth-methods/jwt", enabled=False)
    said: Any = shop.ask("GET", "/project").json()
    assert said["$id"] == project_of(shop)
    assert {each["$id"] for each in said["authMethods"] if not each["enabled"]} == {"jwt"}


@pytest.mark.parametrize(
    ("kind", "field", "identifier", "origin", "other"),
    [
        ("web", "hostname", "*.shop.example", "https://eu.shop.example", "https://shop.example"),
        (
            "android",
            "applicationId",
            "com.example.Shop",
            "appwrite-android://com.example.shop",
            "appwrite-ios://com.example.shop",
        ),
        (
            "apple",
            "bundleIdentifier",
            "com.example.shop",
            "appwrite-macos://com.example.shop",
            "https://com.example.shop",
        ),
        ("windows", "packageIdentifierName", "shop", "appwrite-windows://shop", "appwrite-linux://shop"),
        ("linux", "packageName", "shop", "appwrite-linux://shop", "appwrite-linux://shop2"),
    ],
)
def test_pages_and_apps_come_in_by_their_platform_and_no_longer_than_it_is_there(
    world: World, shop: Client, kind: str, field: str, identifier: str, origin: str, other: str
) -> None:
    def status(origin: str) -> int:
        return world.server.client(project=project_of(shop), origin=origin).ask("GET", "/account").status_code

    assert status(origin) == 403
    made = shop.ask("POST", f"/project/platforms/{kind}", platformId="p", name="Ours", **{field: identifier}).json()
    assert (made["type"], made["name"]) == (kind, "Ours")
    assert (status(origin), status(other)) == (401, 403)
    changed = shop.ask("PUT", f"/project/platforms/{kind}/p", name="Other", **{field: "elsewhere.example"}).json()
    assert changed[field] == "elsewhere.example"
    assert status(origin) == 403
    shop.ask("PUT", f"/project/platforms/{kind}/p", name="Ours", **{field: identifier})
    assert status(origin) == 401
    wrong = "apple" if kind == "web" else "web"
    wrong_field = "bundleIdentifier" if kind == "web" else "hostname"
    answer = shop.ask("PUT", f"/project/platforms/{wrong}/p", name="x", **{wrong_field: "x.example"})
    assert answer.json()["type"] == "platform_method_unsupported"
    assert shop.ask("GET", "/project/platforms").json()["total"] == 1
    assert shop.ask("DELETE", "/project/platforms/p").status_code == 204
    assert status(origin) == 403
    assert shop.ask("GET", "/project/platforms/p").json()["type"] == "platform_not_found"


def test_a_mock_phone_takes_its_code_and_no_other(world: World, shop: Client) -> None:
    number = "+4930901899"
    shop.ask("POST", "/project/mock-phones", number=number, otp="123456")
    shop.ask("PUT", f"/project/mock-phones/{number}", otp="654321")
    app = world.server.client(project=project_of(shop))
    user_id = app.ask("POST", "/account/tokens/phone", userId="unique()", phone=number).json()["userId"]
    assert app.ask("PUT", "/account/sessions/phone", userId=user_id, secret="123456").status_code == 401
    assert app.ask("PUT", "/account/sessions/phone", userId=user_id, secret="654321").status_code == 201
    assert shop.ask("POST", "/project/mock-phones", number=number, otp="1" * 6).json()["type"] == (
        "mock_number_already_exists"
    )
    assert shop.ask("DELETE", f"/project/mock-phones/{number}").status_code == 204
    assert shop.ask("GET", f"/project/mock-phones/{number}").json()["type"] == "mock_number_not_found"


def test_T25_settings_of_one_project_are_not_there_in_another(world: World, shop: Client) -> None:
    key = shop.ask("POST", "/project/keys", keyId="theirs", name="x", scopes=[]).json()
    shop.ask("POST", "/project/platforms/web", platformId="theirs", name="x", hostname="x.example")
    other = in_project(world, world.project(f"other-{token_hex(4)}"))
    for path in (f"/project/keys/{key['$id']}", "/project/platforms/theirs"):
        for method in ("GET", "DELETE"):
            answer = other.ask(method, path)
            assert answer.status_code == 404
            assert [each.topic for each in world.log.of(answer)] == ["security.access_denied"]
    assert other.ask("GET", "/project/platforms").json()["total"] == 0


def test_a_provider_s_secret_is_written_and_never_read(world: World, shop: Client) -> None:
    path, secret = "/project/oauth2/google", f"their-secret-{token_hex(8)}"
    made = shop.ask("PATCH", path, clientId="client", clientSecret=secret, prompt=["consent"], enabled=True)
    expected = {"$id": "google", "enabled": True, "clientId": "client", "clientSecret": "", "prompt": ["consent"]}
    expected |= {"issuer": "", "jwksURL": "", "nativeEnabled": False, "nativeClientIds": []}
    assert made.json() == shop.ask("GET", path).json() == expected
    assert shop.ask("PATCH", path, enabled=False).json() == {**expected, "enabled": False}
    for answer in (made, shop.ask("GET", "/project/oauth2"), shop.ask("GET", "/project")):
        assert secret not in answer.text
    (first, second) = world.log.read("topic = 'project.provider_configured' AND project_id = %s", project_of(shop))
    assert first.event.model_dump()["settings"] == {"client_secret": secret, "prompt": ["consent"]}
    assert second.event.model_dump()["settings"] == first.event.model_dump()["settings"]
    assert not world.log.connection.execute(
        "SELECT 1 FROM log.accounts_events WHERE convert_from(state, 'UTF8') LIKE %s", (f"%{secret}%",)
    ).fetchall()


def test_ID_tokens_of_apps_are_switched_on_apart_from_the_browser(shop: Client) -> None:
    path, issuer = "/project/oauth2/google", {"issuer": "https://id.example", "jwksURL": "https://id.example/keys"}
    native = {"nativeEnabled": True, "nativeClientIds": ["ios", "android", "ios"]}
    made = shop.ask("PATCH", path, clientId="web", **native, **issuer).json()
    assert (made["enabled"], made["nativeEnabled"], made["nativeClientIds"]) == (False, True, ["ios", "android"])
    assert {name: made[name] for name in issuer} == issuer
    assert shop.ask("PATCH", path, enabled=True).json() == {**made, "enabled": True}
    assert shop.ask("PATCH", path, nativeClientIds=[]).json()["nativeClientIds"] == []
    assert "nativeEnabled" not in shop.ask("PATCH", "/project/oauth2/github", **native).json()


def test_providers_are_configured_in_their_own_words(shop: Client) -> None:
    apple = {"serviceId": "app.example", "keyId": "K", "teamId": "T", "p8File": "-----BEGIN PRIVATE KEY-----"}
    assert shop.ask("PATCH", "/project/oauth2/apple", **apple, clientId="ignored").json() == {
        "$id": "apple",
        "enabled": False,
        **apple,
        "p8File": "",
        "issuer": "",
        "jwksURL": "",
        "nativeEnabled": False,
        "nativeClientIds": [],
    }
    oidc = {"wellKnownURL": "https://id.example/.well-known/openid-configuration", "maxAge": 60}
    answer = shop.ask("PATCH", "/project/oauth2/oidc", **oidc).json()
    assert (answer["wellKnownURL"], answer["maxAge"], answer["tokenURL"]) == (oidc["wellKnownURL"], 60, "")
    listed = shop.ask("GET", "/project/oauth2").json()
    assert listed["total"] == len(listed["providers"]) == 46
    assert shop.ask("PATCH", "/project/oauth2/fax", clientId="x").json()["type"] == "general_argument_invalid"
