"""What every answer must be, whoever asked: of the shape its operation declares, or one of the refusals it declares."""

import html
import re
from datetime import datetime
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import httpx
from typing_extensions import is_typeddict

from accounts_es.domain import errors
from accounts_es.http.operation import Operation
from accounts_es.http.routes import Routes
from accounts_es.http.table import OPERATIONS

ROUTES: Final = Routes(OPERATIONS)

EVERYWHERE: Final = (
    errors.GeneralArgumentInvalid,
    errors.GeneralUnauthorizedScope,
    errors.GeneralUnknownOrigin,
    errors.GeneralServiceDisabled,
    errors.GeneralApiDisabled,
    errors.GeneralServiceUnavailable,
    errors.GeneralResourceLocked,
    errors.GeneralIdempotencyKeyReused,
    errors.GeneralUnknown,
    errors.ProjectNotFound,
    errors.ProjectKeyExpired,
    errors.ProjectIdMissing,
    errors.UserUnauthorized,
    errors.UserBlocked,
    errors.UserJwtAndCookieSet,
    errors.UserJwtInvalid,
    errors.UserMoreFactorsRequired,
    errors.UserAuthMethodUnsupported,
    errors.UserChallengeRequired,
    errors.UserSessionAlreadyExists,
)
"""Refusals that come before the operation's own."""


def operation_of(request: httpx.Request) -> Operation | None:
    """The operation that answers this request."""
    found = ROUTES.find(request.method, request.url.path.removeprefix("/v1"))
    return found[0] if found is not None else None


def check(answer: httpx.Response) -> None:
    """Hold an answer against the table. Runs on everything a `Client` receives."""
    answer.read()
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.request.method in {"OPTIONS", "HEAD"}:
        return
    operation = operation_of(answer.request)
    if operation is not None and operation.for_browsers:
        check_page(answer, operation)
        return
    file = operation is not None and operation.streams and answer.status_code < 400
    kind = "text/plain" if answer.status_code == 204 else "application/json"
    assert file or answer.headers["content-type"] == f"{kind}; charset=UTF-8"
    kept = operation.public_for if operation is not None and answer.is_success else 0
    assert (
        answer.headers["cache-control"] == f"public, max-age={kept}"
        if kept
        else "no-store" in (answer.headers["cache-control"])
    )
    assert answer.headers["x-request-id"]
    if answer.status_code >= 400:
        check_refusal(answer, operation)
        return
    assert operation is not None
    assert answer.status_code == operation.status
    assert ("x-ratelimit-limit" in answer.headers) == bool(operation.limits)
    if file:
        assert answer.headers["content-type"].startswith(("application/x-ndjson", "text/csv", "application/json"))
    elif operation.returns is None:
        assert answer.content == b""
    else:
        conforms(answer.json(), operation.returns)


def check_page(answer: httpx.Response, operation: Operation) -> None:
    """What a person sees: sent on, or a page with one of the refusals the operation declares."""
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["x-request-id"]
    if answer.status_code < 400:
        assert answer.status_code == operation.status
        assert answer.headers["location"]
        return
    assert refusals_of(operation)[said(answer)["type"]].wire_status == answer.status_code


def said(answer: httpx.Response) -> dict[str, str]:
    """The type and the message of a refusal, of JSON or of a page."""
    if answer.headers["content-type"].startswith("text/html"):
        found = re.search(r"<p>(.*)</p>\n<p><code>(\w+)</code></p>", answer.text)
        assert found is not None
        return {"message": html.unescape(found[1]), "type": found[2]}
    return answer.json()


def refusals_of(operation: Operation | None) -> dict[str, type[errors.Refusal]]:
    """What an operation may answer instead, by type."""
    if operation is None:
        return {errors.GeneralRouteNotFound.wire_type: errors.GeneralRouteNotFound}
    limited = (errors.GeneralRateLimitExceeded,) if operation.limits else ()
    before = (errors.UserNotFound,) if operation.has_past else ()
    return {refusal.wire_type: refusal for refusal in (*operation.raises, *limited, *before, *EVERYWHERE)}


def check_refusal(answer: httpx.Response, operation: Operation | None) -> None:
    """One shape, and a type the operation says it may answer."""
    body = answer.json()
    assert set(body) == {"message", "code", "type", "version"}
    assert body["code"] == answer.status_code
    assert body["version"] == "1.9.6"
    assert body["message"]
    assert isinstance(body["message"], str)
    by_type = refusals_of(operation)
    assert body["type"] in by_type, f"{operation and operation.id} does not declare {body['type']}"
    assert by_type[body["type"]].wire_status == answer.status_code


def conforms(value: object, declared: Any, where: str = "$") -> None:
    """Whether a JSON value is what a model declares: every key, no other key, and no type coerced."""
    origin = get_origin(declared)
    if is_typeddict(declared):
        assert isinstance(value, dict), where
        fields = get_type_hints(declared)
        assert getattr(declared, "__required_keys__") <= set(value) <= set(fields), where  # noqa: B009
        for name, kind in fields.items():
            if name not in value:
                continue
            conforms(value[name], kind, f"{where}.{name}")
            if kind is str and value[name] and name in DATES:
                assert datetime.fromisoformat(value[name]).isoformat(timespec="milliseconds") == value[name], where
    elif origin is list:
        assert isinstance(value, list), where
        for nth, each in enumerate(value):
            conforms(each, get_args(declared)[0], f"{where}[{nth}]")
    elif origin in {Union, UnionType}:
        assert any(type(value) is kind for kind in get_args(declared)), where
    elif declared is not Any:
        assert type(value) is (origin or declared), where


DATES: Final = frozenset(
    {
        "$createdAt",
        "$updatedAt",
        "registration",
        "passwordUpdate",
        "accessedAt",
        "expire",
        "mfaUpdatedAt",
        "time",
        "invited",
        "joined",
        "userAccessedAt",
    }
)
"""Fields that hold a date with milliseconds and offset, or nothing."""
