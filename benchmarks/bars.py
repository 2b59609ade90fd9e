"""What is asked of the server. A missed bar is said, and fails nothing: a busy machine is no defect."""

import statistics
from typing import Any, NamedTuple

from benchmarks import appends, listing, rebuild
from benchmarks.http import BARE, LIBRARY, SAVE
from benchmarks.measure import Report


class Bar(NamedTuple):
    """A figure with what it should be."""

    name: str
    seen: float
    wanted: float
    more_is_better: bool = True

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.seen >= self.wanted if self.more_is_better else self.seen <= self.wanted


# Two workers and one run at different times, so of these ratios alone the noise of the machine is not taken out.
_RATIOS = (
    ("prefs updates over HTTP / the same by the library's save()", ("prefs update", 1), (LIBRARY, 1), 5.0),
    ("prefs updates over HTTP / the library's save() without HTTP", ("prefs update", 1), (SAVE, 1), 5.0),
    ("commands in process / the library's save() in process", (appends.COMMAND, 1), (appends.SAVE, 1), 5.0),
    ("session checks / bare route", ("session check", 1), (BARE, 1), 0.5),
    ("session checks, two workers / one", ("session check", 2), ("session check", 1), 1.0),
    ("prefs updates, two workers / one", ("prefs update", 2), ("prefs update", 1), 1.0),
)
_LIMITS = (
    ("MiB resident, each of 1", 120.0),
    ("MiB resident, each of 2", 120.0),
    ("seconds to the first answer, new folder", 3.0),
    ("seconds to the first answer, existing folder", 3.0),
    (listing.DEAREST[listing.KEYED], 3.0),
    (listing.DEAREST[listing.SCAN], 15.0),
    (listing.SPILLS, 0.0),
    *((rebuild.NOTICED.format(each), 2.0) for each in rebuild.OPERATIONS),
    (rebuild.GROWTH, 1.2),
)
CONNECTIONS = 64


def bars(report: Report) -> list[Bar]:
    """Those whose figures were measured."""
    found: list[Bar] = []
    for name, (above, above_workers), (below, below_workers), wanted in _RATIOS:
        over = report.find(above, above_workers, CONNECTIONS)
        under = report.find(below, below_workers, CONNECTIONS)
        if over is not None and under is not None:
            found.append(Bar(f"{name}, {CONNECTIONS} connections", _ratio(over["rates"], under["rates"]), wanted))
    for name, wanted in _LIMITS:
        seen: Any = report.facts.get(name)
        if seen is not None:
            found.append(Bar(name, seen, wanted, more_is_better=False))
    return found


def _ratio(over: list[float], under: list[float]) -> float:
    return statistics.median(a / b if b else 0.0 for a, b in zip(over, under, strict=True))
