"""People who use somebody's application in their browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.support.calls import Calls
from tests.support.script import Script


class Visitor:
    """One person: a profile of the browser and a page that has the web SDK."""

    def __init__(self, browser: Script, who: str, page_url: str, calls: Calls) -> None:
        self._browser = browser
        self._who = who
        self._calls = calls
        self.page_url = page_url
        browser.tell(order="meet", who=who)
        self.open(page_url)

    def open(self, url: str) -> str:
        """Go to a page, as by a click on a link; where it led."""
        return self._browser.tell(order="open", who=self._who, url=url)

    def reload(self) -> None:
        """Come back to the application."""
        self.open(self.page_url)

    def account(self, method: str, *positional: Any, **params: Any) -> Any:
        """A method of the SDK's Account. Raises `Refused`."""
        return self.call("Account", method, *positional, **params)

    def leave_for(self, method: str, **params: Any) -> str:
        """A method of Account that sends the browser away; where it is when it comes back."""
        told = {"order": "leave", "who": self._who, "service": "Account", "method": method, "params": [params]}
        back = self._browser.tell(**told)
        self._calls.add("web", "Account", method)
        return back

    def follow(self, selector: str, **fields: str) -> str:
        """Fill in a form and click on what leads elsewhere; where it led."""
        return self._browser.tell(order="follow", who=self._who, selector=selector, fields=fields)

    @contextmanager
    def held_before(self, pattern: str) -> Iterator[None]:
        """Meanwhile the browser stands before addresses of this pattern instead of opening them."""
        self._browser.tell(order="hold", who=self._who, pattern=pattern)
        yield
        self._browser.tell(order="release", who=self._who)

    def call(self, service: str, method: str, *positional: Any, **params: Any) -> Any:
        """A method of any service of the SDK. Raises `Refused`."""
        given = [*positional, *([params] if params else [])]
        answer = self._browser.tell(order="call", who=self._who, service=service, method=method, params=given)
        self._calls.add("web", service, method)
        return answer

    def run(self, code: str) -> Any:
        """What an expression in the page comes to."""
        return self._browser.tell(order="run", who=self._who, code=code)

    @property
    def cookies(self) -> dict[str, dict[str, Any]]:
        """What the browser keeps for the server."""
        return {each["name"]: each for each in self._browser.tell(order="cookies", who=self._who)}

    @property
    def complaints(self) -> list[str]:
        """What the browser wrote in its console, but for refusals and the SDK's word on how it keeps the session."""
        said = self._browser.tell(order="complaints", who=self._who)
        expected = ("the server responded with a status of 4", "Appwrite is using localStorage for session management")
        return [each for each in said if not any(known in each for known in expected)]

    def leave(self) -> None:
        """Close the browser's window."""
        self._browser.tell(order="part", who=self._who)


def query_of(url: str) -> Iterator[str]:
    """The names of a link's parameters, in their order."""
    return (each.partition("=")[0] for each in urlsplit(url).query.split("&"))
