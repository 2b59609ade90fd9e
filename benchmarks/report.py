"""What was measured, as tables for people: drawn on a terminal, plain lines elsewhere."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.bars import bars
from benchmarks.measure import Report

_FIGURES = ("rate", "ratio", "p50_ms", "p99_ms", "server_cpu_us", "postgres_cpu_us", "generator_cpu_us", "errors")
_FORMATS = ("{:.0f}", "{:.3g}", "{:.2f}", "{:.2f}", "{:.0f}", "{:.0f}", "{:.0f}", "{:.0f}")
_TITLES = ("w", "conn", "per s", "ratio", "p50 ms", "p99 ms", "CPU us", "PG us", "load us", "errors")


def show(report: Report) -> None:
    """Everything."""
    console = Console()
    _table(console, ("operation", *_TITLES), [_cells(row) for row in report.rows])
    facts = [[name, f"{value:.2f}" if isinstance(value, float) else str(value)] for name, value in report.facts.items()]
    _table(console, ("fact", "value"), facts)
    asked = [
        [bar.name, f"{bar.seen:.2f}", f"{'>=' if bar.more_is_better else '<='} {bar.wanted:g}", _verdict(bar.met)]
        for bar in bars(report)
    ]
    _table(console, ("bar", "seen", "wanted", ""), asked)


def _verdict(met: bool) -> str:  # noqa: FBT001 - one question, one answer
    return "pass" if met else "MISS"


def _cells(row: dict[str, Any]) -> list[str]:
    figures = zip(_FIGURES, _FORMATS, strict=True)
    found = [form.format(row[name]) if name in row else "" for name, form in figures]
    return [row["operation"], str(row["workers"]), str(row["connections"]), *found]


def _table(console: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    if console.is_terminal:
        table = Table(titles[0])
        for title in titles[1:]:
            table.add_column(title, justify="right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip())
    print()
