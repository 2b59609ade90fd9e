"""The walk of a request: find the operation, check in the contract's order, parse, run, answer.

Order of checks (contract: users-teams, 0): origin, project, credentials, scope, blocked, rate limit, session guard,
parameters. A guest who sends garbage is told 401, not 400.
"""

import asyncio
import logging
import re
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import psycopg
from pydantic import JsonValue
from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from accounts_es.domain.account import ACCOUNT
from accounts_es.domain.account.commands import note_access
from accounts_es.domain.errors import (
    AccessForbidden,
    AuditEventNotFound,
    GeneralArgumentInvalid,
    GeneralRateLimitExceeded,
    GeneralRouteNotFound,
    GeneralServiceUnavailable,
    GeneralUnauthorizedScope,
    GeneralUnknown,
    KeyCreationDenied,
    KeyNotFound,
    MembershipNotFound,
    PlatformNotFound,
    ProjectIdMissing,
    ProjectKeyExpired,
    ProjectNotFound,
    Refusal,
    ResourceNotFound,
    TeamInviteMismatch,
    TeamInviteNotFound,
    TeamMembershipMismatch,
    TeamNotFound,
    UserBlocked,
    UserChallengeRequired,
    UserIdentityNotFound,
    UserJwtAndCookieSet,
    UserJwtCreationDenied,
    UserJwtInvalid,
    UserMoreFactorsRequired,
    UserNotFound,
    UserSessionNotFound,
    UserTargetNotFound,
    UserUnauthorized,
    WebhookNotFound,
)
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project.commands import note_key_use
from accounts_es.domain.project.commands.keys import USED_EVERY
from accounts_es.domain.values import is_id
from accounts_es.eventstore.append import AppendRefused
from accounts_es.eventstore.reader import ReadsClosed
from accounts_es.http import gates, idempotency, limits, past
from accounts_es.http.answers import PRIVATE, Answer, File, moved, told
from accounts_es.http.callers import GUEST, caller_with_jwt, caller_with_key, caller_with_session
from accounts_es.http.context import Context, Services
from accounts_es.http.cookies import presented
from accounts_es.http.impersonation import act_as
from accounts_es.http.operation import AT, OF_EVENTS, Operation, Redirect, Source, Streamed
from accounts_es.http.origins import RawHeaders, allow, is_trusted, unknown_origin
from accounts_es.http.requests import Request
from accounts_es.http.routes import Routes
from accounts_es.http.rules import Invalid
from projections import projects
from projections.accounts import AccountRow
from projections.api_keys import ApiKeyRow

log = logging.getLogger(__name__)

ACCESS_SECONDS: Final = 86_400
_SDK: Final = re.compile(r"[^A-Za-z0-9 ._-]")
"""What a program's name is not made of."""


DENIALS: Final = (
    AccessForbidden,
    AuditEventNotFound,
    GeneralUnauthorizedScope,
    KeyCreationDenied,
    KeyNotFound,
    WebhookNotFound,
    PlatformNotFound,
    MembershipNotFound,
    ProjectIdMissing,
    ProjectKeyExpired,
    TeamInviteMismatch,
    TeamInviteNotFound,
    TeamMembershipMismatch,
    TeamNotFound,
    ResourceNotFound,
    UserBlocked,
    UserChallengeRequired,
    UserJwtCreationDenied,
    UserJwtInvalid,
    UserMoreFactorsRequired,
    UserNotFound,
    UserIdentityNotFound,
    UserSessionNotFound,
    UserTargetNotFound,
    UserUnauthorized,
)
"""Refusals that are recorded: somebody reached for what is not theirs, or tried a key (ASVS V16.3.1, V16.3.2)."""


class Api:
    """The ASGI application below ``/v1``."""

    def __init__(self, services: Services, operations: Iterable[Operation]) -> None:
        self.services = services
        self.operations = tuple(operations)
        self._routes = Routes(self.operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        origin = request.header(b"origin")
        hosts = self.services.settings.own_hosts
        if request.method == "OPTIONS":
            return Answer(204, b"", allow(origin or "null", ["*"]))
        ctx: Context | None = None
        try:
            path = request.path.removeprefix("/v1")
            found = self._find(request.method, path)
            ctx = Context(self.services, request, found[0])
            if ctx.operation.scopes:
                hosts = await self._enter(ctx, origin, hosts)
            answer = await self._run(ctx, found[1])
        except Refusal as refused:
            answer = await self._refused(ctx, refused)
        except (psycopg.OperationalError, ReadsClosed, AppendRefused) as error:
            log.warning("database away", extra={"request": request.id, "error": type(error).__name__})
            answer = told(ctx, GeneralServiceUnavailable())
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("request failed", extra={"request": request.id})
            answer = told(ctx, GeneralUnknown())
        answer.raw_headers.extend(allow(origin, hosts))
        if ctx is not None:
            answer.raw_headers.extend(ctx.headers)
            if ctx.even or (ctx.operation.even and not ctx.opened):
                await _until_even(request, self.services.settings.even_answers)
        answer.raw_headers.append((b"x-request-id", request.id.encode()))
        return answer

    def _find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        found = self._routes.find(method, path)
        if found is None:
            raise GeneralRouteNotFound
        return found

    async def _enter(self, ctx: Context, origin: str | None, trusted: tuple[str, ...]) -> tuple[str, ...]:
        """Project, origin, caller. Returns the hosts whose pages may read the answer."""
        request, reads = ctx.request, ctx.reads
        header = request.header(b"x-appwrite-project")
        named = header or _project_parameter(request) or ""
        project = projects.find(reads, named)
        credential, asked_fallback = presented(request, named)
        session = caller_with_session(reads, named, credential) if credential is not None else None
        ctx.headers.append((b"x-debug-fallback", b"true" if asked_fallback else b"false"))
        ctx.presented = credential is not None or b"x-appwrite-key" in request.headers
        ctx.caller = await session or GUEST if session is not None else GUEST
        ctx.project = await project
        hosts = (*trusted, *ctx.project.hostnames) if ctx.project is not None else trusted
        key = request.header(b"x-appwrite-key")
        if origin is not None and key is None and not is_trusted(origin, hosts):
            raise unknown_origin(origin)
        if ctx.project is None:
            raise ProjectNotFound
        jwt = request.header(b"x-appwrite-jwt")
        if jwt:
            ctx.presented = True
            if ctx.caller.session is not None:
                raise UserJwtAndCookieSet
            ctx.caller = await caller_with_jwt(reads, named, self.services.jwts, jwt)
        if key is not None:
            ctx.signed_in = ctx.caller.session is not None
            ctx.caller = await caller_with_key(reads, named, self.services.jwts, key, header)
        return hosts

    async def _run(self, ctx: Context, path: dict[str, str]) -> Answer:
        operation, caller = ctx.operation, ctx.caller
        changes = operation.method != "GET"
        if operation.scopes:
            gates.enter(ctx)
            if operation.impersonable and caller.account is not None and (changes or caller.account.impersonator):
                await act_as(ctx)
            if ctx.caller.impersonator is not None:
                gates.ensure_fit(ctx)
            elif caller.account is not None:
                if _is_stale(ctx.at, caller.account):
                    await _note_access(ctx)
            elif caller.key is not None:
                await _note_key_use(ctx, caller.key)
        if changes:
            await ctx.request.read_body()
        counted = await limits.count(ctx, path) if operation.limits else ()
        if operation.scopes:
            gates.proceed(ctx)
        values = _values(ctx, path) if operation.parameters else {}
        remembered = await idempotency.recall(ctx) if changes else None
        if remembered is not None:
            await limits.succeeded(ctx, counted)
            return Answer(remembered.status, remembered.body, [*PRIVATE, *remembered.headers])
        if (operation.has_past or operation.id in OF_EVENTS) and AT in ctx.request.query():
            result = await past.answer(ctx, path, values)
        else:
            result = await operation.handler(ctx, **values)
        if counted:
            await limits.succeeded(ctx, counted)
        if isinstance(result, Redirect):
            return moved(operation.status, result)
        if isinstance(result, Streamed):
            return File(result, ctx.request.id)
        body = result if isinstance(result, bytes) else b"" if result is None else to_json(result)
        answer = Answer(operation.status, body, _kept(operation) if operation.public_for else PRIVATE)
        if changes:
            await idempotency.remember(ctx, operation.status, body)
        return answer

    async def _refused(self, ctx: Context | None, refused: Refusal) -> Answer:
        if ctx is not None and ctx.project is not None and isinstance(refused, DENIALS):
            try:
                await ctx.deny(refused.wire_type)
            except (AppendRefused, psycopg.Error):
                # The refusal stands whether or not it could be recorded.
                log.exception("refusal not recorded", extra={"request": ctx.request.id})
        if ctx is not None and isinstance(refused, GeneralRateLimitExceeded):
            ctx.services.refusals.count_limited(ctx.meta())
        return told(ctx, refused)


def _kept(operation: Operation) -> RawHeaders:
    return [
        (b"cache-control", b"public, max-age=%d" % operation.public_for),
        # What a cache keeps for one project and page is not for another that is named in the headers.
        (b"vary", b"Origin, X-Appwrite-Project"),
    ]


async def _until_even(request: Request, step: float) -> None:
    """Wait for the next multiple of ``step`` after the request came: what was done until then no longer shows."""
    if step:
        spent = time.monotonic() - request.arrived
        await asyncio.sleep(step - spent % step)


def _project_parameter(request: Request) -> str | None:
    named = request.query().get("project")
    return named if isinstance(named, str) and is_id(named) else None


def _is_stale(at: datetime, account: AccountRow) -> bool:
    """Whether the last access noted is a day old."""
    return account.accessed_at is None or (at - account.accessed_at).total_seconds() >= ACCESS_SECONDS


async def _note_access(ctx: Context) -> None:
    await ctx.services.application.execute(ctx.meta(), ACCOUNT, ctx.account.stream, note_access, now=ctx.at)


async def _note_key_use(ctx: Context, key: ApiKeyRow) -> None:
    if key.used_at is None or ctx.at - key.used_at >= USED_EVERY:
        sdk = _SDK.sub("", ctx.request.header(b"x-sdk-name") or "")[:64]
        await ctx.services.application.execute(
            ctx.meta(), PROJECT, ctx.required_project.stream, note_key_use, key_id=key.key_id, sdk=sdk, now=ctx.at
        )


def _values(ctx: Context, path: dict[str, str]) -> dict[str, Any]:
    """The operation's parameters, checked in the order it declares them.

    Raises `GeneralArgumentInvalid` for the first that breaks its rule.
    """
    operation = ctx.operation
    if not operation.parameters:
        return {}
    sent: dict[str, JsonValue] = ctx.request.query() if operation.method == "GET" else ctx.request.fields()
    values: dict[str, Any] = {}
    for parameter in operation.parameters:
        value = path[parameter.wire] if parameter.source is Source.PATH else sent.get(parameter.wire)
        if value is None:
            if parameter.required:
                raise GeneralArgumentInvalid(f'Param "{parameter.wire}" is not optional.')
            continue
        try:
            values[parameter.name] = parameter.rule.parse(value)
        except Invalid as broken:
            raise GeneralArgumentInvalid(f"Invalid `{parameter.wire}` param: {broken}") from None
    return values
