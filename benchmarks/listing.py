"""What a page of a list costs when there are ten times as many users.

Two databases of one PostgreSQL, filled by plain inserts into the read model; the same questions to both in turns, asked
as the server asks them: `DataLoader` for reads by key, `list_accounts` with its total for pages.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from accounts_es.adapters.embedded_postgres import EmbeddedPostgres
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.migrate import migrate
from accounts_es.eventstore.reader import DataLoader
from accounts_es.http.listing import Queries
from accounts_es.http.users.users import ATTRIBUTES
from benchmarks.measure import Options, Report, Result
from projections import ALL, accounts

KEYED: Final = "keyed"
"""Costs the same however many there are."""
SCAN: Final = "scan"
"""Reads them all, or all that match."""
DEAREST: Final = {kind: f"cost of many users / of few, dearest {kind} read" for kind in (KEYED, SCAN)}
SPILLS: Final = "temporary files written for lists"
_PROJECT: Final = "default"

# Rare are fifty, however many there are; names and addresses differ from row to row as people's do.
_FILL: Final[LiteralString] = """
INSERT INTO read.accounts_v2 (stream, version, position, project_id, account_id, email, phone, name, password_hash,
    password_updated_at, active, email_verified, phone_verified, impersonator, labels, prefs, targets, created_at,
    updated_at, accessed_at)
SELECT 'account-' || md5(n::text), 3, n * 3, 'default', 'user' || n,
    CASE WHEN n %% 10 > 0
        THEN 'person' || n || '@' || (ARRAY['example.com', 'example.org', 'mail.example'])[1 + n %% 3] END,
    CASE WHEN n %% 3 = 0 THEN '+49151' || (10000000 + n) END,
    (ARRAY['Anna', 'Bela', 'Chloé', 'David', 'Elif', 'Femi', 'Gita'])[1 + n %% 7]
        || ' ' || initcap(substr(md5(n::text), 1, 7)),
    CASE WHEN n %% 4 > 0 THEN '$argon2id$v=19$m=19456,t=2,p=1$' || repeat('x', 65) END,
    CASE WHEN n %% 4 > 0 THEN '2024-01-01Z'::timestamptz + n * interval '17 seconds' END,
    n %% rare > 0, n %% 2 = 0, n %% 20 = 0, n %% rare = 1,
    CASE WHEN n %% rare = 7 THEN '{rare}' WHEN n %% 5 = 0 THEN '{beta}' ELSE '{}' END::text[],
    '{"darkTheme":true,"language":"en","turn":' || n || '}', '[]',
    '2024-01-01Z'::timestamptz + n * interval '13 seconds',
    '2025-01-01Z'::timestamptz + (n * 7919 %% 1000003) * interval '1 second',
    CASE WHEN n %% 8 > 0 THEN '2025-01-01Z'::timestamptz + (n * 104729 %% 1000003) * interval '1 second' END
FROM generate_series(%s::bigint, %s) AS n, (SELECT %s / 50) AS fifty (rare)"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, given how many users there are."""

    name: str
    kind: str
    ask: Callable[[DataLoader, int], Awaitable[object]]


def _page(name: str, kind: str, *queries: tuple[Any, ...], search: str | None = None) -> Question:
    """``queries`` as (method, attribute, values...); ``{n}`` in a text is a user nine tenths down the list."""

    def ask(reads: DataLoader, count: int) -> Awaitable[object]:
        texts = [
            json.dumps({"method": method, "attribute": about, "values": values}) for method, about, *values in queries
        ]
        down = str(count * 9 // 10 + 1)
        asked = Queries(ATTRIBUTES).parse([text.replace('"{n}"', down).replace("{n}", down) for text in texts])
        return accounts.list_accounts(reads, _PROJECT, asked=asked, search=search and search.format(n=down))

    return Question(f"list: {name}", kind, ask)


def _address(nth: int) -> str:
    return f"person{nth}@{('example.com', 'example.org', 'mail.example')[nth % 3]}"


_DEEP: Final = ("cursorAfter", None, "user{n}")
QUESTIONS: Final = (
    Question("list: one by id", KEYED, lambda reads, n: accounts.get(reads, _PROJECT, f"user{n // 2}")),
    Question(
        "list: one by address", KEYED, lambda reads, n: accounts.find_by_email(reads, _PROJECT, _address(n // 2 + 1))
    ),
    _page("first page", KEYED),
    _page("deep page by cursor", KEYED, _DEEP),
    _page("the page before a cursor", KEYED, ("cursorBefore", None, "user{n}")),
    _page("deep page by offset", SCAN, ("offset", None, "{n}")),
    _page("$id equal", KEYED, ("equal", "$id", "user{n}", "user7", "nobody")),
    _page("name equal", KEYED, ("equal", "name", "anna c4ca423")),
    _page("name startsWith", KEYED, ("startsWith", "name", "chloé a1b2")),
    _page("name contains (rare)", SCAN, ("contains", "name", "c4ca42")),
    _page("name endsWith (none)", SCAN, ("endsWith", "name", "nobody")),
    _page("email startsWith", KEYED, ("startsWith", "email", "person{n}")),
    _page("email endsWith", KEYED, ("endsWith", "email", "@example.org")),
    _page("phone equal", KEYED, ("equal", "phone", "+4915110000003")),
    _page("phone isNull", KEYED, ("isNull", "phone")),
    _page("status equal false (rare)", KEYED, ("equal", "status", False)),
    _page("impersonator equal true (rare)", KEYED, ("equal", "impersonator", True)),
    _page("emailVerification equal true", KEYED, ("equal", "emailVerification", True)),
    _page("phoneVerification equal true", KEYED, ("equal", "phoneVerification", True)),
    _page("labels contains (rare)", KEYED, ("contains", "labels", "rare")),
    _page("labels contains (common)", KEYED, ("contains", "labels", "beta")),
    _page("passwordUpdate lessThan", KEYED, ("lessThan", "passwordUpdate", "2024-01-01T01:00Z")),
    _page("registration between", KEYED, ("between", "registration", "2024-01-02T00:00Z", "2024-01-02T01:00Z")),
    _page("accessedAt greaterThan (rare)", SCAN, ("greaterThan", "accessedAt", "2025-01-12T13:40Z")),
    _page("$updatedAt greaterThan (rare)", SCAN, ("greaterThan", "$updatedAt", "2025-01-12T13:46:40Z")),
    _page(
        "two filters, or",
        KEYED,
        (
            "or",
            None,
            {"method": "equal", "attribute": "name", "values": ["anna c4ca423"]},
            {"method": "equal", "attribute": "email", "values": ["person{n}@example.com"]},
        ),
    ),
    _page("search, one word (rare)", KEYED, search="c4ca423"),
    _page("search, an address", KEYED, search='"person{n}@example.com"'),
    _page("search, a beginning", KEYED, search="person{n}"),
    _page("search, a common word", SCAN, search="example"),
    _page("by name", KEYED, ("orderAsc", "name")),
    _page("by name, deep by cursor", KEYED, ("orderDesc", "name"), _DEEP),
    _page("by email, deep by cursor", KEYED, ("orderDesc", "email"), ("cursorAfter", None, "user5")),
    _page("by $createdAt, newest", KEYED, ("orderDesc", "$createdAt")),
    _page("by accessedAt, by cursor", SCAN, ("orderDesc", "accessedAt"), ("cursorAfter", None, "user5")),
    _page("by $id, deep by cursor", KEYED, ("orderAsc", "$id"), _DEEP),
    _page("by $updatedAt", SCAN, ("orderDesc", "$updatedAt")),
    _page("by $updatedAt, deep page by offset", SCAN, ("orderDesc", "$updatedAt"), ("offset", None, "{n}")),
    _page("by status", SCAN, ("orderAsc", "status")),
    _page("by name and email", KEYED, ("orderDesc", "name"), ("orderAsc", "email"), _DEEP),
    _page("shuffled", SCAN, ("orderRandom", None)),
)


def listing(report: Report, options: Options, folder: Path) -> None:
    """Every question to few and to many users, and what the many cost of what the few cost."""
    postgres = EmbeddedPostgres(folder / "listing")
    owner = postgres.start()
    try:
        asyncio.run(_measure(report, options, {count: _filled(owner, count) for count in options.users}))
        report.facts[SPILLS] = sum(_spilt(owner, count) for count in options.users)
    finally:
        postgres.stop()


def _filled(owner: str, count: int) -> str:
    """A database with that many users, vacuumed and analysed as autovacuum would sooner or later."""
    began = time.perf_counter()
    name = f"users_{count}"
    with psycopg.connect(owner, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    conninfo = make_conninfo(owner, dbname=name)
    with connect_sync(conninfo, as_app=False) as connection:
        migrate(connection, MasterKey(b"k" * 32), ALL)
        connection.execute("SET synchronous_commit = off; SET statement_timeout = 0")
        for first in range(1, count + 1, 50_000):
            connection.execute(_FILL, (first, min(first + 49_999, count), count))
        connection.execute("VACUUM (ANALYZE) read.accounts_v2")
        connection.execute("CHECKPOINT; SELECT pg_stat_reset()")
    print(f"{count} users: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return conninfo


async def _measure(report: Report, options: Options, databases: dict[int, str]) -> None:
    loaders = {count: DataLoader(conninfo) for count, conninfo in databases.items()}
    few, many = min(loaders), max(loaders)
    dearest: dict[str, tuple[float, str]] = {}
    for loader in loaders.values():
        await loader.start()
    try:
        for question in QUESTIONS:
            seen: dict[int, list[Result]] = {count: [] for count in loaders}
            for _ in range(options.rounds):
                for count, loader in loaders.items():
                    seen[count].append(await _time(question, loader, count, options.seconds / 5))
            for count, results in seen.items():
                report.add(f"{question.name}, {count:,} users", 1, 1, results, seen[few])
            medians = {count: statistics.median(each["p50_ms"] for each in results) for count, results in seen.items()}
            cost = medians[many] / medians[few]
            dearest[question.kind] = max(dearest.get(question.kind, (0.0, "")), (cost, question.name))
            print(
                f"{question.name} ({question.kind}): {medians[few]:.2f}, {medians[many]:.2f} ms, x {cost:.1f}",
                file=sys.stderr,
            )
    finally:
        for loader in loaders.values():
            await loader.stop()
    for kind, (cost, name) in dearest.items():
        report.facts[DEAREST[kind]] = cost
        report.facts[f"the dearest {kind} read"] = name


async def _time(question: Question, loader: DataLoader, count: int, seconds: float) -> Result:
    """Asked again and again, one after the other, at least three times."""
    times: list[float] = []
    await question.ask(loader, count)
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        began = time.perf_counter()
        await question.ask(loader, count)
        times.append(time.perf_counter() - began)
    milliseconds = sorted(each * 1000 for each in times)
    return {
        "rate": len(times) / sum(times),
        "answers": len(times),
        "errors": 0,
        "p50_ms": statistics.median(milliseconds),
        "p99_ms": milliseconds[int(len(milliseconds) * 0.99)],
    }


def _spilt(owner: str, count: int) -> int:
    with psycopg.connect(owner, autocommit=True) as server:
        row = server.execute(
            "SELECT temp_files FROM pg_stat_database WHERE datname = %s", (f"users_{count}",)
        ).fetchone()
    return int(row[0]) if row is not None else 0
