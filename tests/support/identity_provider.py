"""A certified OpenID provider in a process of its own, and a browser that somebody signs in with."""

import json
import re
import subprocess
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

from tests.support.server import Server
from tests.support.tools import SDK, tools

PAGE = "http://localhost:3000/landing"
"""Where the application of these tests is. Nothing answers there: a browser that gets so far stops."""


@contextmanager
def providing(redirect_uri: str, *, code_seconds: int = 60) -> Iterator[str]:
    """The issuer of a running provider that sends people back to ``redirect_uri``."""
    process = subprocess.Popen(
        [tools()["NODE"], str(SDK / "provider.mjs"), redirect_uri, str(code_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        issuer = process.stdout.readline().strip()
        assert issuer.startswith("http://"), "the provider did not start"
        yield issuer
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


class Browser:
    """Somebody's browser: keeps cookies, follows redirects, fills in the provider's forms."""

    def __init__(self, server: Server, project: str) -> None:
        self.http = httpx.Client(trust_env=False, timeout=30)
        weakref.finalize(self, self.http.close)
        self.server = server
        self.project = project
        self.visited: list[str] = []
        self.stops_at = PAGE

    def begin(self, flow: str = "sessions", provider: str = "oidc", **parameters: str) -> httpx.Response | str:
        """Follow an application's button: the provider's page, an error page, or where the browser ended up."""
        pages = {"success": f"{PAGE}?in=1", "failure": f"{PAGE}?out=1"}
        query = httpx.QueryParams(
            {"project": self.project, **{name: value for name, value in {**pages, **parameters}.items() if value}}
        )
        return self.go(f"{self.server.url}/account/{flow}/oauth2/{provider}?{query}")

    def go(self, url: str) -> httpx.Response | str:
        """Open an address; the page it ends at, or the address if that is the application's."""
        answer = self.http.get(url)
        while answer.is_redirect:
            url = urljoin(url, answer.headers["location"])
            self.visited.append(url)
            if self.stops_at in url.partition("?")[0]:
                return url
            answer = self.http.get(url)
        return answer

    def consent(self, page: httpx.Response | str, who: str) -> httpx.Response | str:
        """Sign in as somebody and agree to everything."""
        while isinstance(page, httpx.Response) and "/interaction/" in str(page.url):
            (prompt,) = re.findall(r'name="prompt" value="(\w+)"', page.text)
            form = {"prompt": prompt, "login": who, "password": "any"} if prompt == "login" else {"prompt": prompt}
            answer = self.http.post(page.url, data=form)
            page = self.go(urljoin(str(page.url), answer.headers["location"]))
        return page

    def deny(self, page: httpx.Response | str) -> httpx.Response | str:
        """Go back without signing in."""
        assert isinstance(page, httpx.Response)
        return self.go(f"{page.url}/abort")

    def consented(self, page: httpx.Response | str, who: str) -> str:
        """As `consent`, but stops when the provider sends the browser back; the address it was sent to."""
        self.stops_at = "/oauth2/callback/"
        try:
            back = self.consent(page, who)
        finally:
            self.stops_at = PAGE
        assert isinstance(back, str)
        return back

    def sign_in(self, who: str, flow: str = "sessions", **parameters: str) -> dict[str, str]:
        """The whole way; what the application's page is told."""
        ended = self.consent(self.begin(flow, **parameters), who)
        assert isinstance(ended, str), ended.text
        return told(ended)

    def ask(self, method: str, path: str, **fields: object) -> httpx.Response:
        """What the application's page asks the server then."""
        headers = {"x-appwrite-project": self.project}
        if method == "GET":
            return self.http.get(f"{self.server.url}{path}", headers=headers)
        return self.http.request(method, f"{self.server.url}{path}", headers=headers, json=fields)

    def came_back_with(self) -> str:
        """The last address at the server's callback, with its code."""
        return next(url for url in reversed(self.visited) if "/oauth2/callback/" in url)


def told(url: str) -> dict[str, str]:
    """The query of an address."""
    return dict(parse_qsl(urlsplit(url).query))


def error(said: dict[str, str]) -> str:
    """The type of the failure an application's page is told."""
    return json.loads(said["error"])["type"]
