"""The official web SDK in a real browser, on a page from another port: what every application begins with."""

import pytest

from tests.browser.people import Visitor
from tests.support.calls import Calls
from tests.support.running import PASSWORD, an_email
from tests.support.script import Refused


def test_a_guest_is_refused_with_a_type_the_page_can_read(visitor: Visitor) -> None:
    with pytest.raises(Refused) as refused:
        visitor.account("get")
    assert (refused.value.code, refused.value.type) == (401, "general_unauthorized_scope")
    with pytest.raises(Refused) as refused:
        visitor.account("createEmailPasswordSession", email=an_email(), password="wrong horse")
    assert refused.value.type == "user_invalid_credentials"


def test_somebody_signs_up_comes_back_and_signs_out(visitor: Visitor) -> None:
    email = an_email()
    account = visitor.account("create", userId="unique()", email=email, password=PASSWORD, name="Jane")
    assert (account["email"], account["targets"][0]["identifier"]) == (email, email)
    session = visitor.account("createEmailPasswordSession", email=email, password=PASSWORD)
    assert (session["userId"], session["provider"]) == (account["$id"], "email")
    assert (session["current"], session["secret"]) == (True, "")
    assert all(cookie["httpOnly"] and cookie["path"] == "/" for cookie in visitor.cookies.values())
    assert visitor.cookies or "a_session_default" in visitor.run("localStorage.getItem('cookieFallback')")
    assert visitor.account("updateName", name="Jane Doe")["name"] == "Jane Doe"

    visitor.reload()
    assert (visitor.account("get")["$id"], visitor.account("get")["name"]) == (account["$id"], "Jane Doe")
    assert [each["current"] for each in visitor.account("listSessions")["sessions"]] == [True]
    assert visitor.account("getSession", sessionId="current")["$id"] == session["$id"]
    visitor.account("deleteSession", sessionId="current")
    with pytest.raises(Refused):
        visitor.account("get")


def test_the_two_snippets_of_the_documentation_on_preferences(visitor: Visitor) -> None:
    visitor.account("createAnonymousSession")
    # `account.updatePrefs({darkTheme: true, language: 'en'})`, then `account.getPrefs()`.
    assert visitor.account("updatePrefs", darkTheme=True, language="en")["prefs"] == {
        "darkTheme": True,
        "language": "en",
    }
    visitor.reload()
    assert visitor.account("getPrefs") == {"darkTheme": True, "language": "en"}


def test_an_anonymous_session(visitor: Visitor) -> None:
    assert visitor.account("createAnonymousSession")["provider"] == "anonymous"
    assert visitor.account("get")["email"] == ""
    with pytest.raises(Refused) as refused:
        visitor.account("createAnonymousSession")
    assert refused.value.type == "user_session_already_exists"
    visitor.account("deleteSessions")
    with pytest.raises(Refused):
        visitor.account("get")


def test_what_was_called_is_written_down(calls: Calls) -> None:
    calls.held()
