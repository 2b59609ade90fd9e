"""Find the operation of a method and path by walking a tree of segments: the cost does not grow with the table."""

from collections.abc import Iterable
from typing import Any, Final

from accounts_es.http.operation import Operation

_ANY: Final = ""
"""The branch of path parameters; no real segment is empty."""


class Routes:
    """All paths of all operations."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root: dict[str, Any] = {}
        self._leaf: Final = "/"
        self._plain: dict[tuple[str, str], Operation] = {}
        """Paths without parameters need no walk."""
        for operation in operations:
            for path in operation.paths:
                self._add(path, operation)

    def _add(self, path: str, operation: Operation) -> None:
        node = self._root
        names: list[str] = []
        for segment in path.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node = node.setdefault(_ANY, {})
            else:
                node = node.setdefault(segment, {})
        methods = node.setdefault(self._leaf, {})
        if operation.method in methods:
            raise ValueError(f"{operation.method} {path} is declared twice")
        methods[operation.method] = (operation, tuple(names))
        if not names:
            self._plain[operation.method, path] = operation

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation and the path's parameters, as sent; a fixed segment wins over a parameter."""
        plain = self._plain.get((method, path))
        if plain is not None:
            return plain, {}
        return self._walk(self._root, path.strip("/").split("/"), 0, method, ())

    def _walk(
        self, node: dict[str, Any], segments: list[str], nth: int, method: str, values: tuple[str, ...]
    ) -> tuple[Operation, dict[str, str]] | None:
        if nth == len(segments):
            found = node.get(self._leaf, {}).get(method)
            return (found[0], dict(zip(found[1], values, strict=True))) if found is not None else None
        segment = segments[nth]
        if not segment:
            return None
        fixed, free = node.get(segment), node.get(_ANY)
        walked = self._walk(fixed, segments, nth + 1, method, values) if fixed is not None else None
        if walked is None and free is not None:
            # ``PATCH /policies/user-limit`` does not hide ``GET /policies/{policyId}``.
            return self._walk(free, segments, nth + 1, method, (*values, segment))
        return walked
