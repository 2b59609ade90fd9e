"""What people send is harmless in every form the audit takes (T55: ASVS V16.4.1)."""

import csv
import io
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from accounts_es.eventstore.audit_record import CSV_HEADER, Record, csv_line, harmless

NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r\n=1",
    " =1",
    "'=1",
    "|cmd",
    "%0a",
    "\uff1d1",
    '","=1',
    "\x1b[2J\x9b31m",
    "\u202egnp.exe",
    '"}\n{"position": 1',
    "\u2028",
    "\x00",
    "\ud800",
]
TEXTS = st.one_of(st.text(), st.sampled_from(NASTY), st.tuples(st.sampled_from(NASTY), st.text()).map("".join))
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), TEXTS)
VALUES = st.one_of(PLAIN, st.dictionaries(TEXTS, PLAIN, max_size=3))
DATA = st.dictionaries(TEXTS, VALUES, max_size=3)


def a_record(text: str, data: dict[str, Any]) -> Record:
    return Record(
        position=1,
        time="2026-03-14T12:00:00.000000+00:00",
        event=text,
        topic=text,
        version=1,
        stream=text,
        stream_version=1,
        account=text,
        project=text,
        actor=text,
        operation=text,
        request=text,
        correlation=text,
        causation=text,
        ip=text,
        user_agent=text,
        erased=False,
        about=text,
        data=data,
    )


@given(TEXTS, DATA)
@example("=HYPERLINK(1)\r\n", {"name": "\x1b[2J", "=1": "\n"})
def test_T55_a_line_of_json_is_one_line_and_means_what_was_sent(text: str, data: dict[str, Any]) -> None:
    line = a_record(text, data).json()
    assert line.isascii()
    assert line.isprintable()
    read = json.loads(line)
    assert read["user_agent"] == text
    assert read["data"] == data


@given(TEXTS, DATA)
@example("=HYPERLINK(1)\r\n", {"name": "\x1b[2J", "=1": "\n"})
def test_T55_a_line_of_csv_is_one_row_without_a_formula(text: str, data: dict[str, Any]) -> None:
    line = a_record(text, data).csv()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    (row,) = csv.reader(io.StringIO(line))
    names = next(csv.reader([CSV_HEADER]))
    assert len(row) == len(names)
    for cell in row:
        assert cell.lstrip()[:1] not in set("=+-@|%\t\uff1d\uff0b\uff0d\uff20")
    assert row[names.index("user_agent")] in {harmless(text), f"'{harmless(text)}"}
    assert json.loads(row[names.index("data")]) == data


@given(st.lists(TEXTS))
def test_T55_cells_stay_cells(texts: list[str]) -> None:
    assert len(next(csv.reader([csv_line(["first", *texts])]))) == len(texts) + 1
