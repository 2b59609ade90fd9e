"""What this server answers outside of its API: pages for links and sign-ins that name none, and how to find things."""

from html import escape
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

MAGIC_URL: Final = "/auth/magic-url"
OAUTH_SUCCESS: Final = "/auth/oauth2/success"
OAUTH_FAILURE: Final = "/auth/oauth2/failure"

_FRAME: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Sign in</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 24rem; margin: 20vh auto; text-align: center }
  button { font: inherit; padding: .75rem 1.5rem; border: 0; border-radius: .375rem; background: #18181b; color: #fff }
  code { color: #71717a }
</style>
"""

# The link signs in only when its reader says so: programs that look at mail follow links (RFC 9110, 9.2.1).
_PAGE: Final = (
    _FRAME
    + """<h1>Sign in</h1>
<p id="said" role="status">You followed a link from a mail.</p>
<button id="go">Sign in</button>
<script>
  const link = new URLSearchParams(location.search);
  const said = document.getElementById("said"), go = document.getElementById("go");
  go.onclick = async () => {
    go.disabled = true;
    const answer = await fetch("/v1/account/sessions/token", {
      method: "POST",
      credentials: "include",
      headers: { "content-type": "application/json", "x-appwrite-project": link.get("project") ?? "" },
      body: JSON.stringify({ userId: link.get("userId"), secret: link.get("secret") }),
    });
    said.textContent = answer.ok ? "You are signed in." : (await answer.json()).message;
    go.hidden = answer.ok;
    go.disabled = false;
    if (answer.ok) history.replaceState(null, "", location.pathname);
  };
</script>
</html>
"""
)
# Apps open a browser to sign in and wait for it to open them again, under a scheme that is theirs.
_SIGNED_IN: Final = (
    _FRAME
    + """<h1>You are signed in</h1>
<p>You can close this window.</p>
<script>
  const project = new URLSearchParams(location.search).get("project") ?? "";
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,35}$/.test(project)) {
    location.replace(`appwrite-callback-${project}://${location.search}`);
  }
</script>
</html>
"""
)
_NOT_SIGNED_IN: Final = (
    _FRAME
    + """<h1>You are not signed in</h1>
<p id="said" role="status">Something went wrong. You can close this window and try again.</p>
<script>
  const link = new URLSearchParams(location.search), project = link.get("project") ?? "";
  try { document.getElementById("said").textContent = JSON.parse(link.get("error")).message } catch {}
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,35}$/.test(project)) {
    location.replace(`appwrite-callback-${project}://${location.search}`);
  }
</script>
</html>
"""
)
ERROR_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def magic_url(_request: Request) -> Response:
    """The page; what the link says stays in the browser."""
    return HTMLResponse(_PAGE, headers=_HEADERS)


async def signed_in(_request: Request) -> Response:
    """Where a sign-in at a provider leads that names no page."""
    return HTMLResponse(_SIGNED_IN, headers=_HEADERS)


async def not_signed_in(_request: Request) -> Response:
    """The same for one that failed."""
    return HTMLResponse(_NOT_SIGNED_IN, headers=_HEADERS)


def error(status: int, kind: str, message: str) -> str:
    """What somebody sees whose browser went where only browsers go, when it cannot be done."""
    return (
        f"{_FRAME}<h1>{'Something went wrong' if status >= 500 else 'This cannot be done'}</h1>\n"
        f"<p>{escape(message)}</p>\n<p><code>{escape(kind)}</code></p>\n</html>\n"
    )


AUTHZEN: Final = "/.well-known/authzen-configuration"
"""OpenID AuthZEN Authorization API 1.0, 9: where decisions are to be had."""


def routes(public_url: str | None) -> list[Route]:
    """The routes of this file; ``public_url`` is where clients reach the server, if a proxy stands in front of it."""

    async def authzen(request: Request) -> Response:
        root = (public_url or str(request.base_url)).rstrip("/").removesuffix("/v1")
        return JSONResponse(
            {
                "policy_decision_point": root,
                "access_evaluation_endpoint": f"{root}/v1/access/v1/evaluation",
                "access_evaluations_endpoint": f"{root}/v1/access/v1/evaluations",
            },
            headers={"x-content-type-options": "nosniff"},
        )

    return [
        Route(MAGIC_URL, magic_url),
        Route(OAUTH_SUCCESS, signed_in),
        Route(OAUTH_FAILURE, not_signed_in),
        Route(AUTHZEN, authzen),
    ]
