"""Undoing facts: what an aggregate was before them, told as further facts.

An aggregate says as data which field each event sets (`Reverts.sets`) or why there is no way back (`Reverts.never`).
From that, `plan` decides what undoing some events of one stream comes to. A field goes back to the value before the
first of its selected events, unless an event that was not selected changed it since: the later value stays, and the
item says so. So no field ever gets a value it did not have (docs/decisions/0012).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast

from accounts_es.domain.decider import Claim, Decider
from accounts_es.domain.event import Event, Recorded

S = TypeVar("S")
E = TypeVar("E", bound=Event)

Outcome: TypeAlias = Literal["reverted", "nothing", "conflict", "impossible"]

WHOLE: Final = "existence"
"""The field of events that begin or end the aggregate itself."""
NOTHING: Final = "the value is the same already"


class Field(NamedTuple):
    """A field of an aggregate: its name, and of what, where there are several (which label, which membership)."""

    name: str
    of: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.of}" if self.of else self.name


class Irreversible(Exception):  # noqa: N818
    """The field cannot be what it was; the message says why."""


def shown(value: Any) -> Any:
    """A value of a field as plain data."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value


@dataclass(frozen=True, slots=True)
class Kept(Generic[S, E]):
    """A field that can be put back. ``restore(now, then, of)`` are the facts that make it in ``now`` what it was in
    ``then``; it raises `Irreversible`. ``scope`` is what a caller needs to change it by hand."""

    scope: str
    value: Callable[[S, str], Any]
    restore: Callable[[S, S, str], Iterator[E]]
    show: Callable[[Any], Any] = shown


@dataclass(frozen=True, slots=True)
class Reverts(Generic[S, E]):
    """How the facts of an aggregate are undone.

    ``sets`` names the field of each event, and the event's own fields that say of what. ``traces`` change nothing
    that anybody would lose with the aggregate.
    """

    decider: Decider[S, E]
    fields: Mapping[str, Kept[S, E]]
    sets: Mapping[type[Event], tuple[str, str]]
    never: Mapping[type[Event], str]
    traces: frozenset[type[Event]] = frozenset()
    besides: tuple[type[Event], ...] = ()
    """Further facts that an aggregate begins again with."""

    @property
    def emits(self) -> tuple[type[Event], ...]:
        """What undoing may record."""
        return (*self.sets, *self.besides)

    def field_of(self, event: Event) -> Field | None:
        """The field an event sets; nothing if there is no way back from it."""
        name, of = self.sets.get(type(event), ("", ""))
        return Field(name, "/".join(str(getattr(event, each)) for each in of.split())) if name else None

    def value(self, state: S, asked: Field) -> Any:
        """What a field is; `GONE` in an aggregate that does not exist."""
        exists = cast("Any", state).exists
        if asked.name == WHOLE:
            return exists
        return self.fields[asked.name].value(state, asked.of) if exists else GONE


class _Gone:
    def __repr__(self) -> str:
        return "GONE"


GONE: Final = _Gone()


@dataclass(frozen=True, slots=True)
class Item:
    """What becomes of one selected event. ``before`` is what the field is now, ``after`` what it will be."""

    position: int
    event: str
    topic: str
    stream: str
    field: Field | None
    outcome: Outcome
    reason: str = ""
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class Compensation:
    """The facts that put one field back, because of the selected event at a position."""

    field: Field
    events: tuple[Event, ...]
    cause: int
    takes: frozenset[Claim]
    """Unique values the aggregate holds again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What undoing events of one stream comes to, as things stand in ``state``."""

    stream: str
    state: Any
    known: Any
    """The last state in which the aggregate existed."""
    items: tuple[Item, ...]
    compensations: tuple[Compensation, ...]
    scopes: frozenset[str]
    """What a caller needs to make these changes."""
    frees: frozenset[Claim] = frozenset()
    """Unique values the aggregate gives up."""


Permitted: TypeAlias = Callable[[Field, Any, Any], str | None]
"""Why a caller may not make a field of the first state what it is in the second; nothing if they may."""


def anybody(_field: Field, _now: Any, _after: Any) -> str | None:
    """Nothing is refused: for the operator, who holds everything."""
    return None


def plan(
    reverts: Reverts[S, E],
    history: Sequence[Recorded[E]],
    selected: Set[int],
    *,
    refused: Mapping[Field, str] | None = None,
    permitted: Permitted = anybody,
) -> Plan:
    """Undo the events at these positions of one stream, of which ``history`` is all there is.

    ``refused`` are fields that cannot be put back for reasons outside the stream, such as a value somebody else holds.
    """
    return _Planning(reverts, history, selected, refused or {}, permitted).plan()


@dataclass(slots=True)
class _Planning(Generic[S, E]):
    reverts: Reverts[S, E]
    history: Sequence[Recorded[E]]
    selected: Set[int]
    refused: Mapping[Field, str]
    permitted: Permitted
    states: list[S] = field(default_factory=list[S])
    telling: dict[Field | None, list[int]] = field(default_factory=dict[Field | None, list[int]])
    """The events that set a field, by it; those that there is no way back from under nothing."""
    items: dict[int, Item] = field(default_factory=dict[int, Item])
    made: list[Compensation] = field(default_factory=list[Compensation])
    undone: set[int] = field(default_factory=set[int])
    """Beginnings and ends of the aggregate that are undone: they changed every field."""

    def plan(self) -> Plan:
        decider = self.reverts.decider
        self.states = [decider.initial]
        for recorded in self.history:
            self.states.append(decider.fold([recorded], self.states[-1]))
        for nth, recorded in enumerate(self.history):
            self.telling.setdefault(self.reverts.field_of(recorded.event), []).append(nth)
        erased = any(each.erased or each.event.erases for each in self.history)
        chosen = {nth for nth, recorded in enumerate(self.history) if recorded.position in self.selected}
        for nth in sorted(chosen):
            event = self.history[nth].event
            if self.reverts.field_of(event) is None:
                self._say(nth, None, "impossible", self.reverts.never[type(event)])
            elif erased:
                self._say(nth, None, "impossible", "what was personal is erased for good")
        chosen -= set(self.items)
        state = self._whole(self.states[-1], chosen)
        if cast("Any", state).exists:
            state = self._fields(state, chosen - set(self.items))
        return Plan(
            self.history[-1].stream,
            self.states[-1],
            next((each for each in reversed(self.states) if cast("Any", each).exists), self.states[-1]),
            tuple(self.items[nth] for nth in sorted(self.items)),
            tuple(self.made),
            frozenset(self.reverts.fields[each.field.name].scope for each in self.made),
            decider.claims(self.states[-1]) - decider.claims(state),
        )

    # The aggregate itself ---------------------------------------------------------------------------------------------

    def _whole(self, now: S, chosen: Set[int]) -> S:
        """Begin or end the aggregate; the state after that. Without it, what goes with it is said to."""
        whole = Field(WHOLE)
        mine = {nth for nth in chosen if self.reverts.field_of(self.history[nth].event) == whole}
        state = now
        run = self._run(whole, mine) if mine else []
        if run:
            then = self.states[run[0]]
            used = self._used_since(run[0]) if not cast("Any", then).exists and cast("Any", now).exists else None
            if used is None:
                state = self._restore(whole, run, now)
                self.undone = {nth for nth in run if self.items[nth].outcome != "impossible"}
            else:
                # What was made together with it stays as well.
                requests = {self.history[nth].meta.request_id for nth in run}
                for nth in chosen:
                    if self.history[nth].meta.request_id in requests:
                        self._conflict(nth, self.reverts.field_of(self.history[nth].event), used)
        if not cast("Any", state).exists:
            ended = cast("Any", now).exists
            for nth in sorted(chosen - set(self.items)):
                self._say(nth, self.reverts.field_of(self.history[nth].event), *self._without(ended=ended, run=run))
        return state

    def _used_since(self, start: int) -> int | None:
        """The last event that was not selected and would be lost if the aggregate ended."""
        for nth in range(len(self.history) - 1, start, -1):
            each = self.history[nth]
            if each.position not in self.selected and type(each.event) not in self.reverts.traces:
                return nth
        return None

    def _without(self, *, ended: bool, run: Sequence[int]) -> tuple[Outcome, str]:
        if ended:
            return "reverted", "ends with what it belongs to"
        if run and self.items[run[-1]].outcome == "impossible":
            return "impossible", "what it belongs to is gone"
        if run:
            return "nothing", NOTHING
        gone = next(nth for nth in range(len(self.history) - 1, -1, -1) if cast("Any", self.states[nth]).exists)
        return "conflict", f"it ended with event {self.history[gone].position}"

    # Its fields -------------------------------------------------------------------------------------------------------

    def _fields(self, state: S, chosen: Set[int]) -> S:
        by_field: dict[Field, set[int]] = {}
        for nth in chosen:
            found = self.reverts.field_of(self.history[nth].event)
            if found is not None:
                by_field.setdefault(found, set()).add(nth)
        runs = [(found, run) for found, mine in by_field.items() if (run := self._run(found, mine))]
        # The latest first, so that a value is free again when an earlier one wants it back.
        for found, run in sorted(runs, key=lambda each: -each[1][-1]):
            state = self._restore(found, run, state)
        return state

    def _run(self, asked: Field, mine: Set[int]) -> list[int]:
        """The selected events that nobody else's came after; says of the others what keeps them."""
        value = self.reverts.value
        first = min(mine)
        # Few events of a long history say anything of the field; the others need not be looked at.
        telling = {nth for each in (asked, None, Field(WHOLE)) for nth in self.telling.get(each, ())}
        touches = [
            nth
            for nth in sorted(telling)
            if nth >= first and value(self.states[nth], asked) != value(self.states[nth + 1], asked)
        ]
        run: list[int] = []
        later: int | None = None
        for nth in reversed(touches):
            if nth not in mine and nth not in self.undone:
                later = nth
            elif later is not None and nth in mine:
                self._conflict(nth, asked, later)
            elif later is None:
                run.append(nth)
        for nth in mine - set(touches):
            self._say(nth, asked, "nothing", NOTHING)
        run.reverse()
        return run if any(nth in mine for nth in run) else []

    def _restore(self, asked: Field, run: Sequence[int], state: S) -> S:
        then, kept = self.states[run[0]], self.reverts.fields[asked.name]
        before = self.reverts.value(self.states[-1], asked)
        mine = [nth for nth in run if self.reverts.field_of(self.history[nth].event) == asked]
        outcome: Outcome = "reverted"
        reason, after, result = "", before, state
        if asked in self.refused:
            outcome, reason = "impossible", self.refused[asked]
        elif self.reverts.value(state, asked) == self.reverts.value(then, asked):
            outcome, reason = ("nothing", NOTHING) if before == self.reverts.value(then, asked) else ("reverted", "")
            after = self.reverts.value(state, asked)
        else:
            try:
                events = tuple(kept.restore(state, then, asked.of))
            except Irreversible as why:
                outcome, reason = "impossible", str(why)
            else:
                changed = self._after(state, events)
                denied = self.permitted(asked, state, changed)
                if denied is not None:
                    outcome, reason = "impossible", denied
                else:
                    after, result = self.reverts.value(changed, asked), changed
                    takes = self.reverts.decider.claims(changed) - self.reverts.decider.claims(self.states[-1])
                    takes -= self.reverts.decider.claims(state)
                    self.made.append(Compensation(asked, events, self.history[mine[0]].position, takes))
        for nth in mine:
            self._say(nth, asked, outcome, reason, before, after)
        return result

    def _after(self, state: S, events: Sequence[E]) -> S:
        at = self.history[-1].meta.at
        for event in events:
            state = self.reverts.decider.evolve(state, event, at)
        return state

    # What is said of it -----------------------------------------------------------------------------------------------

    def _conflict(self, nth: int, asked: Field | None, later: int) -> None:
        by = self.history[later]
        undone = by.meta.causation_id == str(self.history[nth].position)
        reason = f"undone already by event {by.position}" if undone else f"changed since by event {by.position}"
        now = self.reverts.value(self.states[-1], asked) if asked is not None else None
        self._say(nth, asked, "conflict", reason, now, now)

    def _say(
        self, nth: int, asked: Field | None, outcome: Outcome, reason: str, before: Any = None, after: Any = None
    ) -> None:
        recorded = self.history[nth]
        show = (
            self.reverts.fields[asked.name].show if asked is not None and asked.name in self.reverts.fields else shown
        )
        before, after = (None if value is GONE or value is None else show(value) for value in (before, after))
        named = type(recorded.event)
        self.items[nth] = Item(
            recorded.position, named.__name__, named.topic, recorded.stream, asked, outcome, reason, before, after
        )
