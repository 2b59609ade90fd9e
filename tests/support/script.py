"""A Node script that does what it is told, one line of JSON at a time."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support.tools import tools


class Refused(Exception):  # noqa: N818 - it is what the SDKs call an exception
    """An SDK's exception."""

    def __init__(self, code: int, type: str, message: str) -> None:  # noqa: A002 - the wire's name
        super().__init__(f"{code} {type}: {message}")
        self.code = code
        self.type = type
        self.message = message


@contextmanager
def refused(type: str) -> Iterator[None]:  # noqa: A002 - the wire's name
    """The SDK throws this refusal."""
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.type == type


class Script:
    """The script, running for the length of a ``with`` block."""

    def __init__(self, path: Path, *arguments: str) -> None:
        found = tools()
        self._process = subprocess.Popen(
            [found["NODE"], str(path), *arguments],
            env={**os.environ, **found},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, **order: Any) -> Any:
        """Have one thing done. Raises `Refused` when the SDK does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the script ended"
        told = json.loads(line)
        if "refused" in told:
            raise Refused(**told["refused"])
        assert "failed" not in told, told["failed"]
        return told.get("answer")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
