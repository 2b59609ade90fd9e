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

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation and the path's parameters, as sent; a fixed segment wins over a parameter."""
        values: list[str] = []
        node = self._root
        for segment in path.strip("/").split("/"):
            branch = node.get(segment)
            if branch is None or not segment:
                branch = node.get(_ANY)
                if branch is None or not segment:
                    return None
                values.append(segment)
            node = branch
        found: tuple[Operation, tuple[str, ...]] | None = node.get(self._leaf, {}).get(method)
        if found is None:
            return None
        return found[0], dict(zip(found[1], values, strict=True))
