"""Load, decide, append, retry: how a command becomes facts.

A decision is made from the state in memory and is only good if the append proves that state to be current. A refusal
or "nothing changes" has no append to prove it, so it is made again from fresh state before it counts.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, cast

from accounts_es.domain.decider import Decider
from accounts_es.domain.errors import (
    GeneralIdempotencyKeyReused,
    GeneralResourceLocked,
    GeneralServiceUnavailable,
    Refusal,
)
from accounts_es.domain.event import Event, Metadata, Recorded
from accounts_es.eventstore.append import (
    Append,
    ClaimChange,
    ClaimTaken,
    Conflict,
    Effect,
    IdempotencyKey,
    KeyUsed,
    LogBusy,
)
from accounts_es.eventstore.log import EventLog
from accounts_es.messages import Message

S = TypeVar("S")
E = TypeVar("E", bound=Event)
P = ParamSpec("P")

MAX_ATTEMPTS: Final = 50
_CACHE_BYTES: Final = 16 * 1024 * 1024
_STATE_OVERHEAD: Final = 1024


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """What a command came to: the state after it, and the events it recorded (none when nothing changed)."""

    stream: str
    version: int
    state: S
    recorded: tuple[Recorded[Event], ...] = ()


@dataclass(frozen=True, slots=True)
class Besides:
    """What commits with the events of a command, and only with them."""

    idempotency: IdempotencyKey | None = None
    messages: tuple[Message, ...] = ()


NOTHING_BESIDES: Final = Besides()


class _StateCache:
    """Folded states of recently used streams, bounded by their size: about that of the largest event in each."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, tuple[int, Any, int]] = OrderedDict()
        self._bytes = 0

    def get(self, stream: str) -> tuple[int, Any] | None:
        known = self._states.get(stream)
        if known is None:
            return None
        self._states.move_to_end(stream)
        return known[0], known[1]

    def put(self, stream: str, version: int, state: object, events: Iterable[Event]) -> None:
        before = self._states.pop(stream, (0, None, _STATE_OVERHEAD))
        self._bytes -= before[2] if before[0] else 0
        size = max(
            before[2],
            *(len(event.__pydantic_serializer__.to_json(event)) + _STATE_OVERHEAD for event in events),
        )
        self._states[stream] = (version, state, size)
        self._bytes += size
        while self._bytes > _CACHE_BYTES and len(self._states) > 1:
            _, (_, _, freed) = self._states.popitem(last=False)
            self._bytes -= freed

    def drop(self, stream: str) -> None:
        known = self._states.pop(stream, None)
        if known is not None:
            self._bytes -= known[2]


class _Turns:
    """Writers of one stream in this process go one after another, so that they do not conflict with each other."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, stream: str) -> None:
        """Wait for the turn."""
        queue = self._waiting.get(stream)
        if queue is None:
            self._waiting[stream] = deque()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(stream)
            raise

    def give(self, stream: str) -> None:
        """Hand the turn to the next writer."""
        queue = self._waiting[stream]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[stream]


class Application:
    """Carries out commands on streams."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._cache = _StateCache()
        self._turns = _Turns()

    async def execute(
        self,
        meta: Metadata,
        decider: Decider[S, E],
        stream: str,
        command: Callable[Concatenate[S, P], Iterator[E]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Outcome[S]:
        """Decide on a stream and record what was decided; returns once it is durable.

        Raises the command's refusals, the decider's refusal for a taken claim, `GeneralResourceLocked` when other
        writers kept winning, `GeneralServiceUnavailable` when the log is at its limit.
        """
        return await self.execute_with(meta, NOTHING_BESIDES, decider, stream, command, *args, **kwargs)

    async def execute_with(
        self,
        meta: Metadata,
        besides: Besides,
        decider: Decider[S, E],
        stream: str,
        command: Callable[Concatenate[S, P], Iterator[E]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Outcome[S]:
        """As `execute`; an idempotency key that was used before raises `GeneralIdempotencyKeyReused`.

        Messages are sent after the commit, and not at all when the command is refused or decides nothing.
        """

        def decide(state: S) -> Sequence[E]:
            return tuple(command(state, *args, **kwargs))

        await self._turns.take(stream)
        try:
            version, state, fresh = await self._state(decider, stream)
            for attempt in range(MAX_ATTEMPTS):
                try:
                    decided = decide(state)
                except Refusal:
                    if fresh:
                        raise
                    decided = ()
                if not decided:
                    if fresh:
                        return Outcome(stream, version, state)
                    version, state, fresh = await self._refresh(decider, stream, version, state)
                    continue
                try:
                    return await self._append(meta, besides, decider, stream, version, state, decided)
                except Conflict:
                    self._cache.drop(stream)
                    await asyncio.sleep(random.uniform(0, min(0.002 * attempt, 0.05)))  # noqa: S311 - spreads writers, no secret
                    version, state, fresh = await self._state(decider, stream)
            raise GeneralResourceLocked
        finally:
            self._turns.give(stream)

    async def load(self, decider: Decider[S, E], stream: str) -> Outcome[S]:
        """The state of a stream as of now."""
        recorded = cast("Sequence[Recorded[E]]", await self.log.load(stream))
        version = recorded[-1].stream_version if recorded else 0
        return Outcome(stream, version, decider.fold(recorded))

    async def _append(
        self,
        meta: Metadata,
        besides: Besides,
        decider: Decider[S, E],
        stream: str,
        version: int,
        state: S,
        decided: Sequence[E],
    ) -> Outcome[S]:
        events = tuple(Recorded(stream, version + nth, event, meta) for nth, event in enumerate(decided, start=1))
        after = decider.fold(events, state)
        held, holds = decider.claims(state), decider.claims(after)
        claims = tuple(
            ClaimChange(meta.project, claim.kind, claim.value, stream, take=taken)
            for taken, changed in ((True, holds - held), (False, held - holds))
            for claim in sorted(changed)
        )
        # A stream begins with its key. Until both are stored the key is nobody's.
        new_keys = ((stream, self.log.keys.create(stream)),) if version == 0 else ()
        try:
            effects = tuple(Effect(each.kind, stream, each.model_dump_json().encode()) for each in besides.messages)
            recorded = await self.log.append(Append(events, claims, new_keys, besides.idempotency, effects))
        except BaseException as error:
            if new_keys:
                self.log.keys.forget(stream)
            match error:
                case ClaimTaken():
                    raise decider.taken[error.kind] from None
                case KeyUsed():
                    raise GeneralIdempotencyKeyReused from None
                case LogBusy():
                    raise GeneralServiceUnavailable from None
                case _:
                    raise
        self._cache.put(stream, recorded[-1].stream_version, after, decided)
        return Outcome(stream, recorded[-1].stream_version, after, recorded)

    async def _state(self, decider: Decider[S, E], stream: str) -> tuple[int, S, bool]:
        known = self._cache.get(stream)
        if known is not None:
            return known[0], known[1], False
        return await self._refresh(decider, stream, 0, decider.initial)

    async def _refresh(self, decider: Decider[S, E], stream: str, version: int, state: S) -> tuple[int, S, bool]:
        recorded = cast("Sequence[Recorded[E]]", await self.log.load(stream, after=version))
        if recorded:
            version, state = recorded[-1].stream_version, decider.fold(recorded, state)
            self._cache.put(stream, version, state, [each.event for each in recorded])
        return version, state, True
