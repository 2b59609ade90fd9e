"""``Idempotency-Key``: the same request sent again is carried out once and gets the same answer.

The key's hash commits with the events; the answer follows, sealed with a key that only the client's own key and the
master key give together, because it may hold a session's secret. Answers are kept for a day.
"""

import hashlib
from typing import Final, NamedTuple

from pydantic_core import from_json, to_json

from accounts_es.domain.errors import GeneralArgumentInvalid, GeneralIdempotencyKeyReused
from accounts_es.eventstore.append import IdempotencyKey
from accounts_es.http.context import Context
from accounts_es.http.origins import RawHeaders

MAX_KEY: Final = 255
# Without streams it is about somebody who was erased meanwhile.
KEEP: Final = "UPDATE log.idempotency SET answer = %s WHERE key = %s AND streams IS NOT NULL RETURNING 1"
_NO_BODY: Final = frozenset({b"", b"{}"})
KEPT: Final = "24 hours"
_REPEATED: Final = frozenset({b"set-cookie", b"x-fallback-cookies"})
"""Headers that are part of the answer; the others are about one request."""


class Remembered(NamedTuple):
    """An answer given before."""

    status: int
    body: bytes
    headers: RawHeaders


async def recall(ctx: Context) -> Remembered | None:
    """The answer to this very request if it was carried out before; otherwise nothing, and the key is set to commit.

    Raises `GeneralIdempotencyKeyReused` when the key belongs to another request or the first answer was lost.
    """
    sent = ctx.request.header(b"idempotency-key")
    if sent is None or (not ctx.presented and ctx.request.body.strip() in _NO_BODY):
        # Strangers whose requests are all alike could meet in a key, and must not get each other's answers.
        return None
    if not 0 < len(sent) <= MAX_KEY:
        raise GeneralArgumentInvalid(f"The Idempotency-Key must be 1 to {MAX_KEY} characters long")
    caller = "\x1f".join((ctx.project_id, str(ctx.caller.actor), ctx.caller.actor.impersonator or "", sent))
    key = hashlib.sha256(caller.encode()).digest()
    request = b"\x1f".join((ctx.request.method.encode(), ctx.request.path.encode(), ctx.request.body))
    ctx.idempotency = IdempotencyKey(key, hashlib.sha256(request).digest())
    ctx.answer_key = caller
    rows = await ctx.reads.fetch("SELECT fingerprint, answer FROM log.idempotency WHERE key = %s", (key,))
    if not rows:
        return None
    fingerprint, answer = rows[0]
    if bytes(fingerprint) != ctx.idempotency.fingerprint or answer is None:
        raise GeneralIdempotencyKeyReused
    plain = ctx.services.application.log.keys.open_answer(caller, bytes(answer))
    status, body, headers = from_json(plain)
    return Remembered(status, body.encode(), [(name.encode(), value.encode("latin-1")) for name, value in headers])


async def remember(ctx: Context, status: int, body: bytes) -> None:
    """Keep the answer, if the request's key was committed with its events."""
    if ctx.answer_key is None or ctx.idempotency is not None:
        return  # no key was sent, or nothing happened that could happen twice
    key = hashlib.sha256(ctx.answer_key.encode()).digest()
    headers = [(name.decode(), value.decode("latin-1")) for name, value in ctx.headers if name in _REPEATED]
    plain = to_json((status, body.decode(), headers))
    sealed = ctx.services.application.log.keys.seal_answer(ctx.answer_key, plain)
    await ctx.reads.fetch(KEEP, (sealed, key))
