"""Signing in at a provider in the browser: a certified OpenID provider, and somebody who clicks through it."""

import time
from collections.abc import Iterator
from secrets import token_hex

import httpx
import pytest

from accounts_es.adapters.oauth_states import State, States
from accounts_es.domain.account import commands
from tests.support.identity_provider import PAGE, Browser, error, providing, told
from tests.support.running import World
from tests.support.server import MASTER
from tests.support.wire import said

PROJECT = "oauth"


@pytest.fixture(scope="module")
def callback(world: World) -> str:
    """Where the provider sends people back to."""
    return f"{world.server.url}/account/sessions/oauth2/callback/oidc/{PROJECT}"


@pytest.fixture(scope="module")
def issuer(world: World, callback: str) -> Iterator[str]:
    """A provider that a project of its own knows."""
    world.project(PROJECT)
    with providing(callback) as running:
        configure(world, running)
        yield running


def configure(world: World, issuer: str, project: str = PROJECT, **settings: object) -> None:
    """Tell a project of a provider."""
    known = {
        "client_secret": "a secret between the two",
        "well_known_url": f"{issuer}/.well-known/openid-configuration",
    }
    world.provider("oidc", project=project, client_id="accounts", settings={**known, **settings})


@pytest.fixture
def browser(world: World, issuer: str) -> Browser:
    """Somebody's browser."""
    return Browser(world.server, PROJECT)


def another(browser: Browser) -> Browser:
    """Somebody else's."""
    return Browser(browser.server, browser.project)


def somebody() -> str:
    """A name nobody used at the provider."""
    return f"p{token_hex(5)}"


# The way through ------------------------------------------------------------------------------------------------------


def test_somebody_new_comes_back_with_a_session(browser: Browser) -> None:
    who = somebody()

    assert browser.sign_in(who) == {"in": "1"}

    account = browser.ask("GET", "/account").json()
    assert account["email"] == f"{who}@idp.example"
    assert account["name"] == f"Name of {who}"
    assert account["emailVerification"] is True
    session = browser.ask("GET", "/account/sessions/current").json()
    assert (session["provider"], session["providerUid"], session["factors"]) == ("oidc", who, ["email", "oauth2"])
    assert session["providerAccessToken"]
    assert session["providerRefreshToken"]
    assert session["providerAccessTokenExpiry"]
    (identity,) = browser.ask("GET", "/account/identities").json()["identities"]
    assert identity["providerUid"] == who
    for name in ("providerAccessToken", "providerRefreshToken", "providerAccessTokenExpiry"):
        assert identity[name] == session[name]


def test_whoever_comes_back_finds_their_account(browser: Browser) -> None:
    who = somebody()
    browser.sign_in(who)
    again = another(browser)
    again.sign_in(who)
    assert again.ask("GET", "/account").json()["$id"] == browser.ask("GET", "/account").json()["$id"]
    assert again.ask("GET", "/account/identities").json()["total"] == 1


def test_the_provider_is_asked_with_a_challenge_a_nonce_and_a_state_that_says_nothing(browser: Browser) -> None:
    browser.begin(**{"scopes[]": "offline_access"})
    asked = told(next(url for url in browser.visited if "code_challenge" in url))
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "openid profile email offline_access"
    assert asked["nonce"]
    assert len(asked["state"]) < 2048
    assert "landing" not in asked["state"]


def test_the_token_flow_ends_in_a_secret_that_opens_one_session(browser: Browser) -> None:
    who = somebody()
    given = browser.sign_in(who, "tokens")
    assert list(given) == ["in", "secret", "userId"]
    assert browser.ask("GET", "/account").status_code == 401
    session = browser.ask("POST", "/account/sessions/token", userId=given["userId"], secret=given["secret"])
    assert session.status_code == 201, session.text
    assert (session.json()["provider"], session.json()["providerUid"]) == ("oidc", who)
    assert session.json()["factors"] == ["email", "oauth2"]
    assert session.json()["providerAccessToken"]
    again = another(browser).ask("POST", "/account/sessions/token", userId=given["userId"], secret=given["secret"])
    assert again.json()["type"] == "user_invalid_token"


@pytest.mark.parametrize("flow", ["sessions", "tokens"])
def test_the_application_gets_its_own_state_back(browser: Browser, flow: str) -> None:
    assert browser.sign_in(somebody(), flow, state="its own & only")["state"] == "its own & only"
    denied = another(browser)
    ended = denied.deny(denied.begin(flow, state="its own & only"))
    assert isinstance(ended, str)
    assert told(ended)["state"] == "its own & only"


def test_the_secret_is_only_good_for_its_own_account_and_as_it_came(world: World, browser: Browser) -> None:
    given = browser.sign_in(somebody(), "tokens")
    other = world.person(project=PROJECT)
    bare = _payload(given["secret"])["secret"]
    for user_id, secret in ((other.account_id, given["secret"]), (given["userId"], bare), (given["userId"], "x.y.z")):
        answer = another(browser).ask("POST", "/account/sessions/token", userId=user_id, secret=secret)
        assert answer.json()["type"] == "user_invalid_token"


def _payload(token: str) -> dict[str, str]:
    import jwt

    return jwt.decode(token, options={"verify_signature": False})


def test_without_pages_of_its_own_an_app_gets_the_session_by_its_own_scheme(browser: Browser) -> None:
    ended = browser.consent(browser.begin(success="", failure=""), somebody())
    assert isinstance(ended, httpx.Response)
    assert ended.url.path == "/auth/oauth2/success"
    assert "appwrite-callback-" in ended.text
    given = told(str(ended.url))
    assert set(given) == {"project", "domain", "key", "secret"}
    assert given["key"] == f"a_session_{PROJECT}"
    headers = {"x-appwrite-project": PROJECT, "x-appwrite-session": given["secret"]}
    assert httpx.get(f"{browser.server.url}/account", headers=headers, trust_env=False).status_code == 200


def test_extending_a_session_renews_the_providers_tokens(browser: Browser) -> None:
    browser.sign_in(somebody())
    before = browser.ask("GET", "/account/sessions/current").json()
    after = browser.ask("PATCH", "/account/sessions/current").json()
    assert after["providerAccessToken"] not in {"", before["providerAccessToken"]}
    assert after["providerRefreshToken"] not in {"", before["providerRefreshToken"]}
    assert browser.ask("GET", "/account/sessions/current").json() == after
    (identity,) = browser.ask("GET", "/account/identities").json()["identities"]
    assert identity["providerAccessToken"] == after["providerAccessToken"]


# What goes wrong ------------------------------------------------------------------------------------------------------


def test_denied_consent_leads_to_the_page_for_failures(browser: Browser) -> None:
    ended = browser.deny(browser.begin())
    assert isinstance(ended, str)
    assert error(told(ended)) == "user_oauth2_provider_error"
    assert "access_denied" in told(ended)["error"]
    assert "project" not in told(ended)
    assert browser.ask("GET", "/account").status_code == 401


def test_our_own_page_for_failures_is_told_the_project(browser: Browser) -> None:
    ended = browser.deny(browser.begin(failure=""))
    assert isinstance(ended, httpx.Response)
    assert ended.url.path == "/auth/oauth2/failure"
    assert told(str(ended.url))["project"] == PROJECT


def test_a_code_that_was_used_opens_nothing(browser: Browser) -> None:
    browser.sign_in(somebody())
    ended = browser.go(browser.came_back_with())
    assert isinstance(ended, str)
    assert error(told(ended)) == "user_oauth2_provider_failure"


def test_a_code_that_is_too_old_opens_nothing(world: World) -> None:
    project = world.project(f"slow-{token_hex(4)}")
    callback = f"{world.server.url}/account/sessions/oauth2/callback/oidc/{project}"
    with providing(callback, code_seconds=1) as issuer:
        configure(world, issuer, project)
        browser = Browser(world.server, project)
        back = browser.consented(browser.begin(), somebody())
        time.sleep(2.1)  # the provider's clock has seconds
        ended = browser.go(back)
        assert isinstance(ended, str)
        assert error(told(ended)) == "user_oauth2_provider_failure"


@pytest.mark.parametrize("state", ["", "rubbish", "{}"])
def test_a_state_that_is_not_ours_is_refused_with_a_page(browser: Browser, state: str) -> None:
    ended = come_back(browser, state)
    assert ended.status_code == 400
    assert ended.headers["content-type"].startswith("text/html")
    assert said(ended)["type"] == "general_argument_invalid"


def test_a_state_of_another_project_or_provider_is_refused(world: World, browser: Browser) -> None:
    states, elsewhere = States(MASTER), a_state(provider="google")
    for sealed in (states.seal("default", a_state()), states.seal(PROJECT, elsewhere)):
        ended = come_back(browser, sealed)
        assert ended.status_code == 400


def a_state(**other: str) -> State:
    """What a server's sign-in would be sealed as."""
    usual = {"provider": "oidc", "redirect_uri": "x", "verifier": "v", "nonce": "n", "browser": ""}
    return State(token=False, **{**usual, **other})


def come_back(browser: Browser, sealed: str) -> httpx.Response:
    """The error page somebody gets who is sent back with this state."""
    ended = browser.go(f"{browser.server.url}/account/sessions/oauth2/callback/oidc/{PROJECT}?code=x&state={sealed}")
    assert isinstance(ended, httpx.Response)
    return ended


def test_what_began_in_one_browser_does_not_end_in_another(browser: Browser) -> None:
    """An attacker's link would sign its reader in to the attacker's account."""
    back = browser.consented(browser.begin(), somebody())
    victim = another(browser)
    ended = victim.go(back)
    assert isinstance(ended, httpx.Response)
    assert ended.status_code == 400
    assert victim.ask("GET", "/account").status_code == 401


def test_a_sign_in_that_a_server_began_links_to_nobody(world: World, browser: Browser) -> None:
    """It has no browser to be bound to, so its link could be anybody's: it makes sign-ins, never links."""
    key = world.key("sessions.write", project=PROJECT)
    operator = world.server.client(project=PROJECT, key=key)
    begun = operator.ask("GET", "/account/tokens/oauth2/oidc", success=PAGE, failure=PAGE)
    assert begun.status_code == 301
    assert "set-cookie" not in begun.headers
    victim, who = another(browser), somebody()
    victim.sign_in(somebody())
    ended = victim.consent(victim.go(begun.headers["location"]), who)
    assert isinstance(ended, str)
    assert victim.ask("GET", "/account/identities").json()["total"] == 1
    assert "userId" in told(ended)


def test_T64_a_provider_that_is_away_leads_to_the_page_for_failures(world: World) -> None:
    project = world.project(f"away-{token_hex(4)}")
    callback = f"{world.server.url}/account/sessions/oauth2/callback/oidc/{project}"
    browser = Browser(world.server, project)
    with providing(callback) as issuer:
        configure(world, issuer, project)
        back = browser.consented(browser.begin(), somebody())
    ended = browser.go(back)
    assert isinstance(ended, str)
    assert error(told(ended)) == "user_oauth2_provider_failure"
    configure(world, "http://127.0.0.1:9", project)
    page = Browser(world.server, project).begin()
    assert isinstance(page, httpx.Response)
    assert (page.status_code, said(page)["type"]) == (500, "user_oauth2_provider_failure")


@pytest.mark.parametrize("how", [{"enabled": False}, {"client_id": ""}, {"settings": {}}], ids=str)
def test_a_provider_that_is_not_configured_is_refused_with_a_page(world: World, how: dict[str, object]) -> None:
    project = world.project(f"off-{token_hex(4)}")
    complete = {"client_id": "x", "settings": {"client_secret": "x", "well_known_url": "http://127.0.0.1:9/"}}
    world.provider("oidc", project=project, **{**complete, **how})
    page = Browser(world.server, project).begin()
    assert isinstance(page, httpx.Response)
    assert (page.status_code, said(page)["type"]) == (412, "project_provider_disabled")


def test_only_the_projects_pages_are_gone_back_to(world: World, browser: Browser) -> None:
    evil = "https://evil.example/"
    for pages in ({"success": evil}, {"failure": evil}, {"success": "javascript:1"}):
        page = browser.begin(**pages)
        assert isinstance(page, httpx.Response)
        assert (page.status_code, said(page)["type"]) == (400, "general_argument_invalid")


def test_the_page_is_checked_again_when_the_browser_comes_back(browser: Browser) -> None:
    ended = come_back(browser, States(MASTER).seal(PROJECT, a_state(success="https://gone.example/")))
    assert (ended.status_code, said(ended)["type"]) == (400, "project_invalid_success_url")


# Whose account it is --------------------------------------------------------------------------------------------------


def test_T16_an_address_that_is_taken_leads_to_the_page_for_failures(world: World, browser: Browser) -> None:
    who = somebody()
    world.person(project=PROJECT, email=f"{who}@idp.example")  # who did not verify it
    assert error(browser.sign_in(who)) == "general_bad_request"
    unverified = somebody()
    jane = world.person(project=PROJECT, email=f"{unverified}@idp.example")
    world.decide(jane.account_id, commands.set_email_verification, verified=True)
    assert error(another(browser).sign_in(f"{unverified}+unverified")) == "general_bad_request"


def test_whoever_is_signed_in_links_and_keeps_the_account(world: World, browser: Browser) -> None:
    anonymous = browser.ask("POST", "/account/sessions/anonymous").json()
    who = somebody()
    assert browser.sign_in(who) == {"in": "1"}
    account = browser.ask("GET", "/account").json()
    assert (account["$id"], account["email"]) == (anonymous["userId"], f"{who}@idp.example")
    (session,) = browser.ask("GET", "/account/sessions").json()["sessions"]
    assert session["provider"] == "oidc"


def test_somebody_elses_identity_cannot_be_linked(world: World, browser: Browser) -> None:
    who = somebody()
    another(browser).sign_in(who)
    browser.ask("POST", "/account/sessions/anonymous")
    assert error(browser.sign_in(who)) == "user_already_exists"
    assert browser.ask("GET", "/account/identities").json()["total"] == 0


def test_a_verified_address_comes_into_its_account(world: World, browser: Browser) -> None:
    who = somebody()
    jane = world.person(project=PROJECT, email=f"{who}@idp.example")
    world.decide(jane.account_id, commands.set_email_verification, verified=True)
    browser.sign_in(who)
    assert browser.ask("GET", "/account").json()["$id"] == jane.account_id


def test_a_blocked_account_stays_shut(world: World, browser: Browser) -> None:
    who = somebody()
    browser.sign_in(who)
    world.decide(browser.ask("GET", "/account").json()["$id"], commands.set_active, active=False)
    assert error(another(browser).sign_in(who)) == "user_blocked"


# The providers that are this server itself ----------------------------------------------------------------------------


def test_the_mock_providers_answer_as_the_contract_says(world: World) -> None:
    project = world.project(f"mock-{token_hex(4)}")
    for provider, uid, checked in (("mock", "1", True), ("mock-unverified", "2", False)):
        world.provider(provider, project=project, client_id="1", settings={"client_secret": "123456"})
        browser = Browser(world.server, project)
        assert browser.begin(provider=provider) == f"{PAGE}?in=1"
        session = browser.ask("GET", "/account/sessions/current").json()
        assert (session["providerUid"], session["providerAccessToken"]) == (uid, "123456")
        assert session["providerRefreshToken"] == "tuvwxyz"
        assert browser.ask("GET", "/account").json()["emailVerification"] is checked


def test_secrets_of_providers_are_in_no_log_line(world: World, browser: Browser) -> None:
    browser.sign_in(somebody())
    session = browser.ask("GET", "/account/sessions/current").json()
    for secret in ("a secret between the two", session["providerAccessToken"], session["providerRefreshToken"]):
        assert secret not in world.server.logged


def test_a_provider_inside_the_network_is_not_asked(world: World) -> None:
    project = world.project(f"shop-{token_hex(4)}", "localhost")
    inside = {"client_secret": "x", "well_known_url": "http://169.254.169.254/latest/meta-data"}
    world.provider("oidc", project=project, client_id="accounts", settings=inside)
    client = world.server.client(project=project)
    began = time.monotonic()
    answer = client.ask("GET", "/account/sessions/oauth2/oidc", success=PAGE, failure=PAGE)
    assert time.monotonic() - began < 4, "nobody was asked"
    assert (answer.status_code, said(answer)["type"]) == (500, "user_oauth2_provider_failure")
