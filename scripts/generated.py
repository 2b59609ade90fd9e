"""Write what is generated from the table of operations; with ``--check`` only say whether it is fresh."""

import sys
from pathlib import Path

from accounts_es.http.operation import Operation
from accounts_es.http.table import OPERATIONS

TARGET = Path(__file__).parent.parent / "docs" / "develop" / "operations.md"

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


def main() -> int:
    """Write or compare."""
    text = HEAD + "".join(row(operation) for operation in OPERATIONS)
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            print(f"{TARGET.name} is stale: run .venv/bin/python scripts/generated.py")
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
