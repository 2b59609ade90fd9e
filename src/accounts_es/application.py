"""Load, decide, append, retry: how a command becomes facts.

A decision is made from the state in memory and is only good if the append proves that state to be current. A refusal
or "nothing changes" has no append to prove it, so it is made again from fresh state before it counts.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, cast

from accounts_es.domain.decider import Decider
from accounts_es.domain.errors import (
    GeneralIdempotencyKeyReused,
    GeneralResourceLocked,
    GeneralServiceUnavailable,
    Refusal,
    UserErased,
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
    StreamErased,
)
from accounts_es.eventstore.log import EventLog
from accounts_es.messages import Message

S = TypeVar("S")
E = TypeVar("E", bound=Event)
P = ParamSpec("P")

MAX_ATTEMPTS: Final = 50
_CACHE_BYTES: Final = 8 * 1024 * 1024
_STATE_OVERHEAD: Final = 1024


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """What a command came to: the state after it, and the events it recorded (none when nothing changed)."""

    stream: str
    version: int
    state: S
    recorded: tuple[Recorded[Event], ...] = ()


@dataclass(frozen=True, slots=True)
class Step(Generic[S, E]):
    """A command about to be carried out on a stream, together with others.

    ``causes`` are the events that what it decides answers, one for each; none: the request alone.
    """

    decider: Decider[S, E]
    stream: str
    decide: Callable[[S], Sequence[E]]
    causes: Sequence[str] = ()


def step(
    decider: Decider[S, E],
    stream: str,
    command: Callable[Concatenate[S, P], Iterator[E]],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> Step[S, E]:
    """A command with its arguments."""
    return Step(decider, stream, lambda state: tuple(command(state, *args, **kwargs)))


@dataclass(frozen=True, slots=True)
class Besides:
    """What commits with the events of a command, and only with them."""

    idempotency: IdempotencyKey | None = None
    messages: tuple[Message, ...] = ()
    told: str = ""
    """The stream of whom the messages are for: they are sealed with its key, and go with it."""


NOTHING_BESIDES: Final = Besides()


class _StateCache:
    """Folded states of recently used streams, bounded by their size: about that of the largest event in each."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, tuple[int, Any, int]] = OrderedDict()
        self._bytes = 0
        self._behind: set[str] = set()

    def saw(self, stream: str, version: int) -> None:
        known = self._states.get(stream)
        if known is not None and known[0] < version:
            self._behind.add(stream)

    def is_behind(self, stream: str) -> bool:
        return stream in self._behind

    def get(self, stream: str) -> tuple[int, Any] | None:
        known = self._states.get(stream)
        if known is None:
            return None
        self._states.move_to_end(stream)
        return known[0], known[1]

    def put(self, stream: str, version: int, state: object, events: Iterable[Event]) -> None:
        before = self._states.pop(stream, (0, None, _STATE_OVERHEAD))
        self._behind.discard(stream)
        self._bytes -= before[2] if before[0] else 0
        size = max(
            before[2],
            *(len(event.__pydantic_serializer__.to_json(event)) + _STATE_OVERHEAD for event in events),
        )
        self._states[stream] = (version, state, size)
        self._bytes += size
        while self._bytes > _CACHE_BYTES and len(self._states) > 1:
            oldest, (_, _, freed) = self._states.popitem(last=False)
            self._behind.discard(oldest)
            self._bytes -= freed

    def drop(self, stream: str) -> None:
        known = self._states.pop(stream, None)
        self._behind.discard(stream)
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
        log.erased.append(self._cache.drop)

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

        (outcome,) = await self.execute_together(meta, besides, step(decider, stream, command, *args, **kwargs))
        return cast("Outcome[S]", outcome)

    async def execute_together(self, meta: Metadata, besides: Besides, *steps: Step[Any, Any]) -> list[Outcome[Any]]:
        """Commands on different streams, all of them or none: what they decide is one append.

        Messages are sealed with the key of whom they are for; where that is not said, with that of the first stream in
        which something happens. Raises as `execute_with`.
        """
        streams = sorted({each.stream for each in steps})
        if len(streams) != len(steps):
            raise ValueError("two commands of one append are on the same stream")
        taken: list[str] = []
        try:
            for stream in streams:
                await self._turns.take(stream)
                taken.append(stream)
            return await self._decide(meta, besides, steps)
        finally:
            for stream in taken:
                self._turns.give(stream)

    async def _decide(self, meta: Metadata, besides: Besides, steps: Sequence[Step[Any, Any]]) -> list[Outcome[Any]]:
        known = [await self._state(each.decider, each.stream) for each in steps]
        for attempt in range(MAX_ATTEMPTS):
            proven = all(fresh for _, _, fresh in known)
            try:
                decided = [each.decide(state) for each, (_, state, _) in zip(steps, known, strict=True)]
            except Refusal:
                if proven:
                    raise
                decided = [()]
            if not proven and not all(decided):
                known = [
                    await self._refresh(each.decider, each.stream, version, state)
                    for each, (version, state, _) in zip(steps, known, strict=True)
                ]
                continue
            before = [Outcome(each.stream, *found[:2]) for each, found in zip(steps, known, strict=True)]
            if not any(decided):
                return before
            try:
                return await self._append(meta, besides, steps, before, decided)
            except Conflict:
                await asyncio.sleep(random.uniform(0, min(0.002 * attempt, 0.05)))  # noqa: S311 - spreads writers, no secret
                known = [
                    await self._refresh(each.decider, each.stream, version, state)
                    for each, (version, state, _) in zip(steps, known, strict=True)
                ]
        raise GeneralResourceLocked

    def saw(self, stream: str, version: int) -> None:
        """A read model shows this version of a stream: if another process brought it there, the next decision begins
        with reading what is new, instead of with an append that is refused."""
        self._cache.saw(stream, version)

    async def load(self, decider: Decider[S, E], stream: str, *, until: int | None = None) -> Outcome[S]:
        """The state of a stream as of now, or after the event at a position."""
        recorded = cast("Sequence[Recorded[E]]", await self.log.load(stream, until=until))
        version = recorded[-1].stream_version if recorded else 0
        return Outcome(stream, version, decider.fold(recorded))

    async def _append(
        self,
        meta: Metadata,
        besides: Besides,
        steps: Sequence[Step[Any, Any]],
        before: Sequence[Outcome[Any]],
        decided: Sequence[Sequence[Event]],
    ) -> list[Outcome[Any]]:
        events = [
            tuple(
                Recorded(known.stream, known.version + nth, event, _caused(meta, each, nth))
                for nth, event in enumerate(new, start=1)
            )
            for each, known, new in zip(steps, before, decided, strict=True)
        ]
        after = [
            each.decider.fold(new, known.state) if new else known.state
            for each, known, new in zip(steps, before, events, strict=True)
        ]
        claims = tuple(
            change
            for each, known, state in zip(steps, before, after, strict=True)
            for change in _claim_changes(meta.project, each, known.state, state)
        )
        written = [known for known, new in zip(before, events, strict=True) if new]
        # A stream begins with its key. Until both are stored the key is nobody's.
        new_keys = tuple((each.stream, self.log.keys.create(each.stream)) for each in written if each.version == 0)
        subject = besides.told or written[0].stream
        try:
            effects = tuple(Effect(each.kind, subject, each.model_dump_json().encode()) for each in besides.messages)
            flat = tuple(recorded for each in events for recorded in each)
            stored = iter(await self.log.append(Append(flat, claims, new_keys, besides.idempotency, effects)))
        except BaseException as error:
            for stream, _ in new_keys:
                self.log.keys.forget(stream)
            match error:
                case ClaimTaken():
                    taken = {kind: refusal for each in steps for kind, refusal in each.decider.taken.items()}
                    raise taken[error.kind] from None
                case KeyUsed():
                    raise GeneralIdempotencyKeyReused from None
                case LogBusy():
                    raise GeneralServiceUnavailable from None
                case StreamErased():
                    for each in written:
                        self.log.keys.forget(each.stream)
                        self._cache.drop(each.stream)
                    raise UserErased from None
                case _:
                    raise
        outcomes: list[Outcome[Any]] = []
        for known, state, new in zip(before, after, events, strict=True):
            recorded = tuple(islice(stored, len(new)))
            version = known.version + len(new)
            if any(each.event.erases for each in new):
                self.log.forget(known.stream)
            elif new:
                self._cache.put(known.stream, version, state, [each.event for each in new])
            outcomes.append(Outcome(known.stream, version, state, recorded))
        return outcomes

    async def _state(self, decider: Decider[S, E], stream: str) -> tuple[int, S, bool]:
        known = self._cache.get(stream)
        if known is not None and self._cache.is_behind(stream):
            return await self._refresh(decider, stream, *known)
        if known is not None:
            return known[0], known[1], False
        return await self._refresh(decider, stream, 0, decider.initial)

    async def _refresh(self, decider: Decider[S, E], stream: str, version: int, state: S) -> tuple[int, S, bool]:
        recorded = cast("Sequence[Recorded[E]]", await self.log.load(stream, after=version))
        if recorded:
            version, state = recorded[-1].stream_version, decider.fold(recorded, state)
            if not self.log.keys.is_buried(stream):  # while it was read
                self._cache.put(stream, version, state, [each.event for each in recorded])
        return version, state, True


def _caused(meta: Metadata, each: Step[S, E], nth: int) -> Metadata:
    return replace(meta, causation_id=each.causes[nth - 1]) if each.causes else meta


def _claim_changes(project: str, step: Step[S, E], before: S, after: S) -> Iterator[ClaimChange]:
    if after is before:
        return
    held, holds = step.decider.claims(before), step.decider.claims(after)
    for taken, changed in ((True, holds - held), (False, held - holds)):
        for claim in sorted(changed):
            yield ClaimChange(project, claim.kind, claim.value, step.stream, take=taken)
