"""The page behind a magic link that names no page of its own."""

from urllib.parse import urlsplit

import httpx

from tests.support.running import World, an_email


def test_a_magic_link_without_a_page_leads_to_ours(world: World) -> None:
    email, client = an_email(), world.server.client()
    assert client.ask("POST", "/account/tokens/magic-url", userId="unique()", email=email).status_code == 201
    letter = world.mailbox.mail(email)
    assert letter.link.startswith(world.server.url.removesuffix("/v1") + "/auth/magic-url?")
    assert letter.parameters["project"] == "default"

    page = httpx.get(letter.link, trust_env=False)

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert letter.parameters["secret"] not in page.text, "what the link says stays in the browser"


def test_looking_at_the_page_does_not_sign_in_and_its_request_does(world: World) -> None:
    email, client = an_email(), world.server.client()
    client.ask("POST", "/account/tokens/magic-url", userId="unique()", email=email)
    letter = world.mailbox.mail(email)
    httpx.get(letter.link, trust_env=False)
    parts = urlsplit(letter.link)
    page = world.server.client(origin=f"{parts.scheme}://{parts.netloc}")

    signed_in = page.ask(
        "POST",
        "/account/sessions/token",
        userId=letter.parameters["userId"],
        secret=letter.parameters["secret"],
    )

    assert signed_in.status_code == 201
    assert page.ask("GET", "/account").json()["emailVerification"] is True
