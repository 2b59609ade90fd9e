"""Load, decide, append, retry: how a command becomes facts.

A decision is made from the state in memory and is only good if the append proves that state to be current. A refusal
or "nothing changes" has no append to prove it, so it is made again from fresh state before it counts.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Concatenate, Final, Generic, NamedTuple, ParamSpec, TypeVar, cast

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
    claim_changes,
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


class _Known(NamedTuple):
    """The state of a stream at a version, and whether it was read just now."""

    version: int
    state: Any
    proven: bool = False


class _StateCache:
    """Folded states of recently used streams, bounded by their size: about that of the largest event in each."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, tuple[_Known, int]] = OrderedDict()
        self._bytes = 0
        self._behind: set[str] = set()

    def saw(self, stream: str, version: int) -> None:
        kept = self._states.get(stream)
        if kept is not None and kept[0].version < version:
            self._behind.add(stream)

    def is_behind(self, stream: str) -> bool:
        return stream in self._behind

    def get(self, stream: str) -> _Known | None:
        kept = self._states.get(stream)
        if kept is None:
            return None
        self._states.move_to_end(stream)
        return kept[0]

    def put(self, stream: str, version: int, state: object, events: Iterable[Event]) -> None:
        kept = self._states.pop(stream, None)
        self._behind.discard(stream)
        before = kept[1] if kept is not None else 0
        size = before
        for event in events:
            size = max(size, len(event.__pydantic_serializer__.to_json(event)))
        self._states[stream] = (_Known(version, state), size)
        self._bytes += size - before + (_STATE_OVERHEAD if kept is None else 0)
        while self._bytes > _CACHE_BYTES and len(self._states) > 1:
            self.drop(next(iter(self._states)))

    def drop(self, stream: str) -> None:
        kept = self._states.pop(stream, None)
        self._behind.discard(stream)
        if kept is not None:
            self._bytes -= kept[1] + _STATE_OVERHEAD


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
        known = [self._remembered(each.stream) or await self._refresh(each, None) for each in steps]
        for attempt in range(MAX_ATTEMPTS):
            try:
                decided = [each.decide(at.state) for each, at in zip(steps, known, strict=True)]
            except Refusal:
                if all(at.proven for at in known):
                    raise
                decided = [()]
            if all(decided) or all(at.proven for at in known):
                if not any(decided):
                    return [Outcome(each.stream, at.version, at.state) for each, at in zip(steps, known, strict=True)]
                try:
                    return await self._append(meta, besides, steps, known, decided)
                except Conflict:
                    await asyncio.sleep(random.uniform(0, min(0.002 * attempt, 0.05)))  # noqa: S311 - spreads writers, no secret
            known = [await self._refresh(each, at) for each, at in zip(steps, known, strict=True)]
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
        known: Sequence[_Known],
        decided: Sequence[Sequence[Event]],
    ) -> list[Outcome[Any]]:
        events: list[Recorded[Event]] = []
        claims: list[ClaimChange] = []
        written: list[str] = []
        new_keys: list[tuple[str, bytes]] = []
        states: list[Any] = []
        for each, at, new in zip(steps, known, decided, strict=True):
            after = at.state
            for nth, event in enumerate(new):
                caused = replace(meta, causation_id=each.causes[nth]) if each.causes else meta
                events.append(Recorded(each.stream, at.version + nth + 1, event, caused))
                after = each.decider.evolve(after, event, meta.at)
            states.append(after)
            if new:
                written.append(each.stream)
                claims += claim_changes(meta.project, each.stream, each.decider, at.state, after)
                if at.version == 0:
                    # A stream begins with its key. Until both are stored the key is nobody's.
                    new_keys.append((each.stream, self.log.keys.create(each.stream)))
        subject = besides.told or written[0]
        try:
            effects = tuple(Effect(each.kind, subject, each.model_dump_json().encode()) for each in besides.messages)
            stored = await self.log.append(
                Append(tuple(events), tuple(claims), tuple(new_keys), besides.idempotency, effects)
            )
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
                    for stream in written:
                        self.log.keys.forget(stream)
                        self._cache.drop(stream)
                    raise UserErased from None
                case _:
                    raise
        outcomes: list[Outcome[Any]] = []
        first = 0
        for each, at, new, state in zip(steps, known, decided, states, strict=True):
            version, after = at.version + len(new), first + len(new)
            if any(event.erases for event in new):
                self.log.forget(each.stream)
            elif new:
                self._cache.put(each.stream, version, state, new)
            outcomes.append(Outcome(each.stream, version, state, stored[first:after]))
            first = after
        return outcomes

    def _remembered(self, stream: str) -> _Known | None:
        """What was true when this process looked last, if it is not known to be behind."""
        return None if self._cache.is_behind(stream) else self._cache.get(stream)

    async def _refresh(self, step: Step[Any, Any], known: _Known | None) -> _Known:
        """What is true by now."""
        version, state, _ = known or self._cache.get(step.stream) or _Known(0, step.decider.initial)
        recorded = await self.log.load(step.stream, after=version)
        if recorded:
            version, state = recorded[-1].stream_version, step.decider.fold(recorded, state)
            if not self.log.keys.is_buried(step.stream):  # while it was read
                self._cache.put(step.stream, version, state, [each.event for each in recorded])
        return _Known(version, state, proven=True)
