"""Rate limits: a request is counted before it is carried out, whatever becomes of it (contract: cross-cutting, 8).

What cannot be counted is refused: a limiter that fails does not leave the door open (ASVS V16.5.3).
"""

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

import psycopg
from pydantic import JsonValue
from pydantic_core import to_json

from accounts_es.domain.errors import GeneralRateLimitExceeded, GeneralServiceUnavailable
from accounts_es.eventstore.counters import ALL, Counter, Counters, CountersClosed, Used
from accounts_es.http.context import Context
from accounts_es.http.operation import Limit, Source
from accounts_es.http.rules import Invalid

log = logging.getLogger(__name__)

_IPV6_SITE: Final = 64
"""Bits of an IPv6 address that name a customer's network; the rest is the customer's to choose."""


async def count(ctx: Context, path: Mapping[str, str]) -> Sequence[Counter]:
    """Count the request in its limits and say in headers what is left. API keys are not counted.

    The counters go to `succeeded` if the request does. The body must have been read. Raises `GeneralRateLimitExceeded`
    and, when it cannot be counted, `GeneralServiceUnavailable`.
    """
    limits, counters = ctx.operation.limits, ctx.services.counters
    if not limits:
        return ()
    if counters is None or ctx.caller.kind == "key":
        now = int(ctx.at.timestamp())
        _headers(ctx, limits, [Used(0, now - now % limit.seconds + limit.seconds) for limit in limits])
        return ()
    parameters = _parameters(ctx, path)
    wanted = [Counter(_key(ctx, limit, parameters), limit.seconds, limit.count) for limit in limits]
    try:
        counted = await counters.count(wanted)
    except (psycopg.Error, OSError, CountersClosed) as error:
        log.warning("requests cannot be counted", extra={"request": ctx.request.id, "error": type(error).__name__})
        raise GeneralServiceUnavailable from None
    reset = _headers(ctx, limits, counted.used)
    if not counted.passed:
        wait = max(1, reset - int(ctx.at.timestamp()))
        ctx.headers.append((b"retry-after", b"%d" % wait))
        raise GeneralRateLimitExceeded
    return wanted


async def succeeded(ctx: Context, counters: Sequence[Counter]) -> None:
    """Take back what success does not count."""
    limits = zip(ctx.operation.limits, counters, strict=True) if counters else ()
    back = [
        (counter, 1 if limit.success == "returns" else ALL) for limit, counter in limits if limit.success != "counts"
    ]
    if back:
        try:
            await _required(ctx).give_back(back)
        except (psycopg.Error, OSError, CountersClosed) as error:
            # What was done is done: it merely counts.
            log.warning("success counted", extra={"request": ctx.request.id, "error": type(error).__name__})


def _required(ctx: Context) -> Counters:
    if ctx.services.counters is None:
        raise LookupError("counted without counters")
    return ctx.services.counters


def _headers(ctx: Context, limits: Sequence[Limit], used: Sequence[Used]) -> int:
    """Add the headers of the limit that is nearest; returns when its window ends."""
    left, negated, count = min(
        (max(0, limit.count - each.before - 1), -each.ends, limit.count)
        for limit, each in zip(limits, used, strict=True)
    )
    ctx.headers.append((b"x-ratelimit-limit", b"%d" % count))
    ctx.headers.append((b"x-ratelimit-remaining", b"%d" % left))
    ctx.headers.append((b"x-ratelimit-reset", b"%d" % -negated))
    return -negated


def _parameters(ctx: Context, path: Mapping[str, str]) -> dict[str, JsonValue]:
    """What the operation's limits count by, as its rules read it: an address in capitals is the same address."""
    by = {part.removeprefix("param:") for limit in ctx.operation.limits for part in limit.by if ":" in part}
    if not by:
        return {}
    sent = ctx.request.query() if ctx.operation.method == "GET" else ctx.request.fields()
    read: dict[str, JsonValue] = {}
    for parameter in ctx.operation.parameters:
        if parameter.wire in by:
            value = path[parameter.wire] if parameter.source is Source.PATH else sent.get(parameter.wire)
            try:
                read[parameter.wire] = parameter.rule.parse(value) if value is not None else None
            except Invalid:
                continue
    return read


def _key(ctx: Context, limit: Limit, parameters: Mapping[str, JsonValue]) -> bytes:
    """The counter's name: a keyed digest, so that nobody learns from the table who asked for what."""
    values: list[JsonValue] = [limit.seconds, limit.success]
    for part in limit.by:
        match part:
            case "url":
                values.append(ctx.operation.id)
            case "ip":
                values.append(site(ctx.request.client_ip(ctx.services.settings.trusted_proxies)))
            case "user":
                values.append(ctx.caller.account.stream if ctx.caller.account is not None else None)
            case _:
                values.append(parameters.get(part.removeprefix("param:")))
    text = to_json([limit.by, values]).decode()
    return ctx.services.application.log.keys.digest(ctx.project_id, "limit", text)


@lru_cache(maxsize=1024)
def site(address: str) -> str:
    """The address, or the network of an IPv6 client, which has a host of addresses to choose from."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed), _IPV6_SITE), strict=False))
    return str(parsed)
