"""Write what is generated from the table of operations and from the SDKs; with ``--check`` only compare.

Needs the SDKs that `scripts/tools` installs.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from accounts_es.http.operation import Operation
from accounts_es.http.table import OPERATIONS
from scripts import sdk_table

FOLDER = Path(__file__).parent.parent / "docs"

HEAD = """# Operations

Written by `scripts/generated.py` from the table of operations. Paths are below `/v1`; any one of the scopes is enough.
Limits are per project, in windows aligned to the clock; API keys have none. `url` is the operation itself, `ip` the
client's address (of IPv6 its /64), `user` the caller's account.

| Operation | Route | Scope | Success | Events | Refusals of its own | Limits |
|---|---|---|---|---|---|---|
"""


def row(operation: Operation) -> str:
    """One line of the table."""
    routes = "<br>".join(f"`{operation.method} {path}`" for path in operation.paths)
    scopes = ", ".join(operation.scopes) or "-"
    events = ", ".join(event.__name__ for event in operation.emits) or "-"
    refusals = ", ".join(f"{each.status} `{each.wire_type}`" for each in operation.raises) or "-"
    limits = "<br>".join(map(str, operation.limits)) or "-"
    return f"| `{operation.id}` | {routes} | {scopes} | {operation.status} | {events} | {refusals} | {limits} |\n"


def operations() -> str:
    """The table."""
    return HEAD + "".join(row(operation) for operation in OPERATIONS)


DOCUMENTS: Mapping[str, Callable[[], str]] = {"develop/operations.md": operations, "sdk-methods.md": sdk_table.document}


def main() -> int:
    """Write or compare."""
    stale = False
    for name, make in DOCUMENTS.items():
        file, text = FOLDER / name, make()
        if "--check" not in sys.argv[1:]:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            print(f"{name} is stale: run .venv/bin/python scripts/generated.py")
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
