"""Which methods of the official SDKs a module of tests called with success.

It is committed in ``tests/sdk/calls``, one file per module, and `docs/develop/sdk-methods.md` is made from it. Set
ACCOUNTS_RECORD_CALLS to have the files written instead of compared.
"""

import json
import os
from pathlib import Path
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

ROOT: Final = Path(__file__).parent.parent.parent
FOLDER: Final = ROOT / "tests" / "sdk" / "calls"
RECORD: Final = "ACCOUNTS_RECORD_CALLS"


class Calls:
    """What one module called so far."""

    def __init__(self, module: str) -> None:
        self._module = Path(module).relative_to(ROOT)
        self._seen: dict[str, set[str]] = {}

    def add(self, sdk: str, service: str, method: str) -> None:
        """A call that succeeded."""
        self._seen.setdefault(sdk, set()).add(f"{service.lower()}.{method}")

    def noted(self, sdk: str, service: T) -> T:
        """The service of a Python SDK, adding what is called of it."""
        return cast("T", Noted(self, sdk, service))

    def held(self) -> None:
        """What was called is what is committed."""
        file = FOLDER / f"{self._module.stem}.json"
        seen = {sdk: sorted(methods) for sdk, methods in sorted(self._seen.items())}
        text = json.dumps({"module": str(self._module), "calls": seen}, indent=2) + "\n"
        if os.environ.get(RECORD):
            file.write_text(text)
        assert file.read_text() == text, f"run the whole module with {RECORD}=1, then scripts/generated.py"


class Noted:
    """A service whose successful calls are added."""

    def __init__(self, calls: Calls, sdk: str, service: object) -> None:
        self._calls = calls
        self._sdk = sdk
        self._service = service

    def __getattr__(self, method: str) -> Any:
        def call(*positional: Any, **named: Any) -> Any:
            answer = getattr(self._service, method)(*positional, **named)
            self._calls.add(self._sdk, type(self._service).__name__, method)
            return answer

        return call
