"""What is known of the OAuth2 providers, and how a person is found in what each of them answers."""

import re
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from accounts_es.adapters.id_tokens import IdTokens
from accounts_es.adapters.oauth import App, Asking, OAuth
from accounts_es.adapters.providers import MOCKS, PROVIDERS, Person, person
from accounts_es.http.models.providers import SHAPES, setting

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()

SETTINGS: dict[str, Any] = {
    "client_secret": "secret",
    "key_id": "key",
    "team_id": "team",
    "endpoint": "id.example:8443",
    "domain": "id.example",
    "realm_name": "the realm",
    "authorization_url": "https://id.example/authorize",
    "token_url": "https://id.example/token",
    "user_info_url": "https://id.example/userinfo",
}
ASKING = Asking("the state", "https://api.example/v1/callback", "verifier", "nonce", ("more",))

every_provider = pytest.mark.parametrize("name", PROVIDERS)


def app(name: str, **settings: Any) -> App:
    return App(name, PROVIDERS[name], "client", {**SETTINGS, **settings}, "https://api.example")


def test_they_are_those_of_the_contract() -> None:
    assert len(PROVIDERS) == 45 + len({"kakao"}) + len(MOCKS)
    assert set(PROVIDERS) == set(SHAPES) | MOCKS


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_what_it_needs_can_be_configured(name: str) -> None:
    facts = PROVIDERS[name]
    wanted = set(re.findall(r"\{([\w.]+)\}", " ".join([facts.authorize, facts.token, facts.profile])))
    ours = {"client_id", "client_secret", *map(setting, SHAPES[name].extras)}
    assert {each for each in wanted if not each.startswith("token.")} <= ours


def test_a_domain_may_come_with_its_scheme() -> None:
    for given, there in (("id.example", "https://id.example"), ("http://127.0.0.1:9/", "http://127.0.0.1:9")):
        assert app("keycloak", endpoint=given).fill("https://{endpoint}/realms") == f"{there}/realms"


class Answering:
    """Every provider: answers with these, in this order, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.asked.append(request)
        return httpx.Response(200, json=self.answers.pop(0))


def talking(answering: Answering) -> OAuth:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answering))
    return OAuth(client, IdTokens(client))


@every_provider
async def test_people_are_sent_to_it(name: str) -> None:
    url = httpx.URL(await talking(Answering()).authorize_url(app(name), ASKING))
    facts, asked = PROVIDERS[name], url.params
    assert url.scheme == "https"
    assert "{" not in str(url)
    assert (asked["client_id"], asked["response_type"], asked["state"]) == ("client", "code", "the state")
    assert ("redirect_uri" in asked) == facts.redirect
    assert ("code_challenge" in asked) == facts.pkce
    assert ("nonce" in asked) == bool(facts.jwks)
    assert asked[facts.scope_parameter].split(facts.separator) == [*facts.scopes, "more"]


@every_provider
async def test_a_code_is_exchanged_as_it_wants(name: str) -> None:
    facts = PROVIDERS[name]
    given = {"access_token": "theirs", "refresh_token": "again", "expires_in": "3600"}
    answering = Answering({facts.token_at: given} if facts.token_at else given)
    ours = app(name, client_secret=PEM) if facts.signed_secret else app(name)
    grant = await talking(answering).exchange(ours, "the code", ASKING)
    assert (grant.access, grant.refresh, grant.expires_in) == ("theirs", "again", 3600)
    (request,) = answering.asked
    sent = httpx.QueryParams(request.content.decode()) if request.method == "POST" else request.url.params
    assert sent["code"] == "the code"
    assert ("code_verifier" in sent) == facts.pkce
    assert ("client_secret" in sent) == (facts.client == "body")
    assert ("authorization" in request.headers) == (facts.client == "basic")
    assert "secret" not in str(request.url) or request.method == "GET"


async def test_apple_gets_a_secret_made_for_the_moment() -> None:
    answering = Answering({"access_token": "theirs"})
    await talking(answering).exchange(app("apple", client_secret=PEM), "code", ASKING)
    secret = httpx.QueryParams(answering.asked[0].content.decode())["client_secret"]
    claims = jwt.decode(secret, KEY.public_key(), ["ES256"], audience="https://appleid.apple.com")
    assert (claims["iss"], claims["sub"]) == ("team", "client")
    assert jwt.get_unverified_header(secret)["kid"] == "key"


ANSWERS: list[tuple[str, dict[str, Any], Person]] = [
    (
        "github",
        {
            "id": 7,
            "login": "jane",
            "details": [
                {"email": "old@x.org", "primary": False, "verified": True},
                {"email": "jane@x.org", "primary": True, "verified": True},
            ],
        },
        Person("7", "jane@x.org", True, "jane"),
    ),
    (
        "github",
        {
            "id": 7,
            "name": "Jane",
            "details": [
                {"email": "new@x.org", "primary": True, "verified": False},
                {"email": "old@x.org", "primary": False, "verified": True},
            ],
        },
        Person("7", "old@x.org", True, "Jane"),
    ),
    (
        "github",
        {"id": 7, "details": [{"email": "new@x.org", "primary": True, "verified": False}]},
        Person("7", "new@x.org", False, ""),
    ),
    (
        "bitbucket",
        {
            "uuid": "{u}",
            "display_name": "Jane",
            "details": {"values": [{"email": "jane@x.org", "is_confirmed": True, "is_primary": True}]},
        },
        Person("{u}", "jane@x.org", True, "Jane"),
    ),
    (
        "bitly",
        {
            "login": "jane",
            "name": "Jane",
            "emails": [{"email": "a@x.org", "is_verified": False}, {"email": "b@x.org", "is_verified": True}],
        },
        Person("jane", "b@x.org", True, "Jane"),
    ),
    ("disqus", {"response": {"id": "1", "email": "a@x.org", "name": "Jane"}}, Person("1", "a@x.org", False, "Jane")),
    (
        "dropbox",
        {"account_id": "d", "email": "a@x.org", "email_verified": True, "name": {"display_name": "Jane"}},
        Person("d", "a@x.org", True, "Jane"),
    ),
    (
        "gitlab",
        {"id": 1, "email": "a@x.org", "name": "Jane", "confirmed_at": "2020-01-01"},
        Person("1", "a@x.org", True, "Jane"),
    ),
    (
        "gitlab",
        {"id": 1, "email": "a@x.org", "name": "Jane", "confirmed_at": None},
        Person("1", "a@x.org", False, "Jane"),
    ),
    (
        "google",
        {"sub": "1", "email": "a@x.org", "email_verified": True, "name": "Jane"},
        Person("1", "a@x.org", True, "Jane"),
    ),
    ("kick", {"data": [{"user_id": 5, "email": "a@x.org", "name": "Jane"}]}, Person("5", "a@x.org", False, "Jane")),
    (
        "kakao",
        {
            "id": 123,
            "kakao_account": {
                "email": "a@x.org",
                "is_email_valid": True,
                "is_email_verified": True,
                "profile": {"nickname": "Jane"},
            },
        },
        Person("123", "a@x.org", True, "Jane"),
    ),
    ("kick", {"data": []}, Person("", "", False, "")),
    ("linkedin", {"sub": "1", "given_name": "Jane", "family_name": "Roe"}, Person("1", "", False, "Jane Roe")),
    (
        "microsoft",
        {"id": "1", "userPrincipalName": "a@x.org", "displayName": "Jane"},
        Person("1", "a@x.org", False, "Jane"),
    ),
    (
        "notion",
        {"bot": {"owner": {"user": {"id": "n", "name": "Jane", "person": {"email": "a@x.org"}}}}},
        Person("n", "a@x.org", False, "Jane"),
    ),
    (
        "paypal",
        {
            "payer_id": "p",
            "name": "Jane",
            "verified_account": "true",
            "emails": [{"value": "b@x.org", "primary": False}, {"value": "a@x.org", "primary": True}],
        },
        Person("p", "a@x.org", True, "Jane"),
    ),
    (
        "podio",
        {"user_id": 3, "mails": [{"mail": "a@x.org", "verified": True, "primary": True}], "details": {"name": "Jane"}},
        Person("3", "a@x.org", True, "Jane"),
    ),
    ("slack", {"user": {"id": "U", "email": "a@x.org", "name": "Jane"}}, Person("U", "a@x.org", False, "Jane")),
    (
        "tradeshift",
        {"Id": "t", "Username": "a@x.org", "FirstName": "Jane", "LastName": "Roe"},
        Person("t", "a@x.org", False, "Jane Roe"),
    ),
    (
        "twitch",
        {"data": [{"id": "9", "email": "a@x.org", "display_name": "Jane"}]},
        Person("9", "a@x.org", False, "Jane"),
    ),
    (
        "wordpress",
        {"ID": 4, "email": "a@x.org", "email_verified": False, "username": "jane"},
        Person("4", "", False, "jane"),
    ),
    (
        "wordpress",
        {"ID": 4, "email": "a@x.org", "email_verified": True, "username": "jane"},
        Person("4", "a@x.org", True, "jane"),
    ),
    ("x", {"data": {"id": "1", "name": "Jane", "confirmed_email": "a@x.org"}}, Person("1", "a@x.org", True, "Jane")),
    ("x", {"data": {"id": "1", "name": "Jane"}}, Person("1", "", False, "Jane")),
    (
        "zoom",
        {"id": "z", "email": "a@x.org", "verified": 1, "first_name": "Jane", "last_name": "Roe"},
        Person("z", "a@x.org", True, "Jane Roe"),
    ),
    ("zoom", {"id": "z", "email": "a@x.org", "verified": 0}, Person("z", "a@x.org", False, "")),
]


@pytest.mark.parametrize(("name", "profile", "expected"), ANSWERS, ids=[f"{name}" for name, _, _ in ANSWERS])
def test_a_person_is_found_in_its_answer(name: str, profile: dict[str, Any], expected: Person) -> None:
    assert person(PROVIDERS[name], profile) == expected


@pytest.mark.parametrize(
    ("name", "token", "url", "headers"),
    [
        ("etsy", {"access_token": "12.rest"}, "/v3/application/users/12", {"x-api-key": "client"}),
        ("stripe", {"access_token": "a", "stripe_user_id": "acct"}, "/v1/accounts/acct", {"authorization": "Bearer a"}),
        ("twitch", {"access_token": "a"}, "/helix/users", {"client-id": "client"}),
        ("notion", {"access_token": "a"}, "/v1/users/me", {"notion-version": "2021-08-16"}),
        ("yandex", {"access_token": "a"}, "/info?format=json", {"authorization": "OAuth a"}),
        ("disqus", {"access_token": "a"}, "api_secret=secret&access_token=a", {}),
        ("dropbox", {"access_token": "a"}, "get_current_account", {"authorization": "Bearer a"}),
    ],
)
async def test_the_profile_is_asked_for_as_it_wants(
    name: str, token: dict[str, str], url: str, headers: dict[str, str]
) -> None:
    answering = Answering(token, {"id": "1"})
    oauth = talking(answering)
    await oauth.who(app(name), await oauth.exchange(app(name), "code", ASKING), "nonce")
    request = answering.asked[-1]
    assert str(request.url).endswith(url)
    assert {key: request.headers[key] for key in headers} == headers
    assert request.method == PROVIDERS[name].profile_method
