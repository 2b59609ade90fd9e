"""What ``accounts-es replay`` found, for people."""

from collections.abc import Sequence

from accounts_es.eventstore.audit_record import HASH, REDACTED, harmless, harmless_json, is_hidden
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.gate import State, Verdict
from accounts_es.eventstore.parking import Parked
from accounts_es.eventstore.projection import Projection
from accounts_es.eventstore.rebuild import Rebuilt
from accounts_es.eventstore.standing import Standing, ask


def rebuilt(read_models: Sequence[Projection], done: Rebuilt) -> None:
    """A rebuild that was swapped in."""
    states(done.states)
    parked(done.parked)
    names = ", ".join(each.name for each in read_models)
    print(f"rebuilt {names}: {done.events} events up to position {done.position}")


def states(found: Sequence[State]) -> None:
    """What each read model is, by its hash."""
    for each in found:
        told = "as live" if each.rebuilt == each.live else f"live is {each.live}"
        print(f"{each.read_model:<12} {each.rebuilt}  {told}")


def parked(found: Sequence[Parked]) -> None:
    """Streams that stand still."""
    for each in found:
        print(harmless(str(each)))


def refused(verdict: Verdict, *, show_values: bool) -> None:
    """A rebuild that did not pass."""
    states(verdict.states)
    difference(verdict, show_values=show_values)
    print("nothing was swapped: the live tables go on answering. Name what is meant with --accept TABLE.COLUMN")


def difference(verdict: Verdict, *, show_values: bool) -> None:
    """The first row that differs, and the event behind it."""
    found, origin = verdict.difference, verdict.origin
    if found is None:
        return
    if not found.rows:
        for side, names in (("live", found.live), ("rebuilt", found.rebuilt)):
            if names:
                print(f"{found.table}: only the {side} table has {', '.join(names)}")
        return
    key = ", ".join(f"{name} {value}" for name, value in found.key.items())
    print(harmless(f"{found.table}, row {key}: differs from the log ({found.rows} rows do in this table)"))
    for side, row in (("live", found.live), ("from the log", found.rebuilt)):
        if row is None:
            print(f"  {side}: no such row")
            continue
        for column, value in row.items():
            print(f"  {side}: {column} = {_shown(column, value, show=show_values)}")
    if origin is not None:
        print(f"  event {origin.position}: {origin.topic}, version {origin.version} of stream {origin.stream}")


def status(conninfo: str) -> None:
    """How far everything is."""
    with connect_sync(conninfo, as_app=False) as connection:
        found = ask(lambda query: connection.execute(query.encode()).fetchall())
    for each in found:
        print(_line(each))
        for one in each.parked:
            print(harmless(f"  {one}"))


def _line(each: Standing) -> str:
    told = f"{each.name:<12} {each.kind:<8} {'pass' if each.passes else 'FAIL'}  position {each.position}"
    if each.lag:
        told += f", {each.lag} behind"
    if each.lag_seconds:
        told += f" ({each.lag_seconds:.0f} s)"
    return f"{told}; {each.note}" if each.note else told


def _shown(column: str, value: object, *, show: bool) -> str:
    """Numbers and yes or no say nothing of a person, and nothing at all is a value too."""
    if value is not None and is_hidden(column):
        return HASH
    return harmless_json(value) if show or value is None or isinstance(value, bool | int) else REDACTED
