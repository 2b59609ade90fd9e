"""Signing in with a certified OpenID provider: the official web SDK, in a real browser that sees its pages."""

import json
import time
from collections.abc import Iterator
from secrets import token_hex
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.browser.people import Visitor
from tests.support.identity_provider import providing
from tests.support.running import PASSWORD, World

BACK = "*/oauth2/callback/*"
"""Where the provider sends the browser."""
CODE_SECONDS = 2


@pytest.fixture
def callback(world: World) -> str:
    """Where the provider sends people back to, as the browser reaches the server."""
    root = world.server.url.replace("localhost", "127.0.0.1")
    return f"{root}/account/sessions/oauth2/callback/oidc/default"


@pytest.fixture
def provider(world: World, callback: str) -> Iterator[str]:
    """A provider the default project knows, whose codes are good for moments."""
    with providing(callback, code_seconds=CODE_SECONDS) as issuer:
        known = {
            "client_secret": "a secret between the two",
            "well_known_url": f"{issuer}/.well-known/openid-configuration",
        }
        world.provider("oidc", client_id="accounts", settings=known)
        yield issuer


@pytest.fixture(params=["127.0.0.1"])
def visit(visit: object) -> object:
    """On a page of the server's own host: without TLS the browser keeps the session from others."""
    return visit


def leave(visitor: Visitor, method: str = "createOAuth2Session") -> str:
    """The application's button; the provider's page."""
    pages = {"success": f"{visitor.page_url}?in=1", "failure": f"{visitor.page_url}?out=1"}
    return visitor.leave_for(method, provider="oidc", **pages)


def sign_in(visitor: Visitor, who: str) -> str:
    """Log in at the provider and agree; where the browser ends."""
    visitor.follow("button[type=submit]", login=who, password="any")
    return visitor.follow("button[type=submit]")


def given(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def failure(url: str) -> str:
    """What the page for failures is told."""
    told = given(url)
    assert told["out"] == "1"
    return str(json.loads(told["error"])["type"])


def somebody() -> str:
    return f"p{token_hex(5)}"


def test_somebody_new_comes_back_with_a_session(visitor: Visitor, provider: str) -> None:
    who = somebody()
    assert leave(visitor).startswith(provider)
    assert sign_in(visitor, who) == f"{visitor.page_url}?in=1"
    account = visitor.account("get")
    assert (account["email"], account["emailVerification"]) == (f"{who}@idp.example", True)
    (session,) = visitor.account("listSessions")["sessions"]
    assert session["provider"] == "oidc"
    (identity,) = visitor.account("listIdentities")["identities"]
    assert identity["providerUid"] == who


def test_a_token_opens_a_session_once(visitor: Visitor, provider: str) -> None:
    assert leave(visitor, "createOAuth2Token").startswith(provider)
    told = given(sign_in(visitor, somebody()))
    visitor.account("createSession", userId=told["userId"], secret=told["secret"])
    assert visitor.account("get")["$id"] == told["userId"]


def test_whoever_denies_is_led_to_the_page_for_failures(visitor: Visitor, provider: str) -> None:
    assert leave(visitor).startswith(provider)
    assert failure(visitor.follow("a[href$=abort]")) == "user_oauth2_provider_error"


def test_a_state_that_is_not_ours_is_refused_with_a_page(visitor: Visitor, provider: str, callback: str) -> None:
    assert provider
    visitor.open(f"{callback}?code=x&state=%7B%22success%22%3A%22https%3A%2F%2Fevil.example%22%7D")
    assert visitor.run("location.host") == urlsplit(callback).netloc
    assert "Invalid `state` param" in visitor.run("document.body.innerText")


def test_a_code_that_was_used_opens_nothing(visitor: Visitor, provider: str) -> None:
    assert leave(visitor).startswith(provider)
    with visitor.held_before(BACK):
        back = sign_in(visitor, somebody())
    assert visitor.open(back) == f"{visitor.page_url}?in=1"
    visitor.account("deleteSession", sessionId="current")
    assert visitor.open(back) != f"{visitor.page_url}?in=1"
    visitor.reload()
    assert not visitor.cookies.get("a_session_default")


def test_a_code_that_is_too_old_opens_nothing(visitor: Visitor, provider: str) -> None:
    assert leave(visitor).startswith(provider)
    with visitor.held_before(BACK):
        back = sign_in(visitor, somebody())
    # What is tested is that time passes.
    time.sleep(CODE_SECONDS + 1)
    assert failure(visitor.open(back)) == "user_oauth2_provider_failure"


def test_T64_a_provider_that_is_away_leads_to_the_page_for_failures(
    world: World, visitor: Visitor, callback: str
) -> None:
    with providing(callback) as issuer:
        well_known = f"{issuer}/.well-known/openid-configuration"
        settings = {"client_secret": "a secret between the two", "well_known_url": well_known}
        world.provider("oidc", client_id="accounts", settings=settings)
        assert leave(visitor).startswith(issuer)
        with visitor.held_before(BACK):
            back = sign_in(visitor, somebody())
    assert failure(visitor.open(back)) == "user_oauth2_provider_failure"


def test_T16_an_address_that_is_taken_leads_to_the_page_for_failures(
    world: World, visitor: Visitor, provider: str
) -> None:
    who = somebody()
    world.person(email=f"{who}@idp.example")  # who did not verify it
    assert leave(visitor).startswith(provider)
    assert failure(sign_in(visitor, who)) == "general_bad_request"


def test_whoever_is_signed_in_links_and_keeps_the_account(visitor: Visitor, provider: str) -> None:
    email = f"{somebody()}@example.org"
    me = visitor.account("create", userId="unique()", email=email, password=PASSWORD)
    visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    assert leave(visitor).startswith(provider)
    assert sign_in(visitor, somebody()) == f"{visitor.page_url}?in=1"
    assert visitor.account("get")["$id"] == me["$id"]
    assert visitor.account("listIdentities")["total"] == 1
