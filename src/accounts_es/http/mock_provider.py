"""The OAuth2 providers ``mock`` and ``mock-unverified``: this server itself, for tests."""

from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

_REFUSED: Final = 400


async def authorize(request: Request) -> Response:
    """Everybody consents."""
    asked = request.query_params
    query = urlencode({"code": "abcdef", "state": asked.get("state", "")})
    return RedirectResponse(f"{asked['redirect_uri']}?{query}", 301)


async def token(request: Request) -> Response:
    """The same tokens for everybody."""
    asked = request.query_params
    known = asked.get("client_id") == "1" and asked.get("client_secret") == "123456"
    if not known or (asked.get("code") != "abcdef" and asked.get("refresh_token") != "tuvwxyz"):
        return JSONResponse({"error": "invalid_grant"}, _REFUSED)
    return JSONResponse({"access_token": "123456", "refresh_token": "tuvwxyz", "expires_in": 14400})


async def user(request: Request) -> Response:
    """Whose address is verified."""
    if request.query_params.get("token") != "123456":
        return JSONResponse({"error": "invalid_token"}, _REFUSED)
    return JSONResponse({"id": 1, "name": "User Name", "email": "useroauth@localhost.test", "verified": True})


async def user_unverified(request: Request) -> Response:
    """Whose address is not."""
    if request.query_params.get("token") != "123456":
        return JSONResponse({"error": "invalid_token"}, _REFUSED)
    return JSONResponse(
        {"id": 2, "name": "User Name", "email": "useroauthunverified@localhost.test", "verified": False}
    )


async def success(_request: Request) -> Response:
    """A page to come back to."""
    return JSONResponse({"result": "success"})


async def failure(_request: Request) -> Response:
    """A page to come back to when it failed."""
    return JSONResponse({"result": "failure"}, _REFUSED)


_BELOW: Final = "/v1/mock/tests/general/oauth2"
MOCK: Final = (
    Route(_BELOW, authorize),
    Route(f"{_BELOW}/token", token),
    Route(f"{_BELOW}/user", user),
    Route(f"{_BELOW}/user-unverified", user_unverified),
    Route(f"{_BELOW}/success", success),
    Route(f"{_BELOW}/failure", failure),
)
