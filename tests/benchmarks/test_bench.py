"""The benchmarks run and answer; how fast anything is, no test says."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.bars import Bar, bars
from benchmarks.measure import Report
from benchmarks.recovery import EQUAL, LOST

ROOT = Path(__file__).resolve().parents[2]


def test_a_short_run_measures_without_errors(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    parts = ("--only", "http", "--only", "appends", "--only", "listing", "--users", "1000,3000")
    command = [sys.executable, "-m", "benchmarks", "--quick", *parts, "--connections", "8", "--seconds", "0.2"]

    done = subprocess.run(
        [*command, "--json", str(found)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(found.read_text())
    operations = {row["operation"] for row in report["rows"]}
    assert {"bare route", "session check", "prefs update", "signup", "login", "append: command"} <= operations
    assert {"list: first page, 1,000 users", "list: first page, 3,000 users"} <= operations
    assert all(row["rate"] > 0 for row in report["rows"] if row["operation"] in {"session check", "append: command"})


def test_T62_recovery_is_measured_and_what_comes_back_is_whole(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "recovery", "--events", "2000"]

    done = subprocess.run(
        [*command, "--json", str(found)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stderr
    facts = json.loads(found.read_text())["facts"]
    assert facts["crash: changes answered before it"] > 0
    assert facts[LOST] == 0
    for way in ("point in time", "dump", "dump of the log alone"):
        assert facts[EQUAL.format(way)] == 1
        assert facts[f"{way}: seconds from start to first answer"] > 0


def _results(*rates: float) -> list[dict[str, float]]:
    return [{"rate": rate, "answers": rate, "errors": 0} for rate in rates]


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    report = Report()

    report.add("ours", 1, 64, _results(10, 100, 30), _results(10, 50, 10))

    assert report.rows[0]["ratio"] == 2
    assert report.rows[0]["rate"] == 30


def test_a_bar_appears_once_its_figures_were_measured() -> None:
    report = Report()
    assert bars(report) == []
    report.add("session check", 1, 64, _results(60), _results(100))
    report.add("bare route", 1, 64, _results(100), _results(100))
    report.facts["MiB resident, each of 1"] = 130.0

    found = bars(report)

    assert found[0] == Bar("session checks / bare route, 64 connections", 0.6, 0.5)
    assert [bar.met for bar in found] == [True, False]
