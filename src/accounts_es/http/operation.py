"""The table of operations. The decorator is the only description of an endpoint.

Routing, the checks before the handler, parameter parsing, the OpenAPI document, ``docs/operations.md`` and a matrix
of tests all read it. Under test what a request records and refuses is held against ``emits`` and ``raises``.
"""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    ParamSpec,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from accounts_es.domain.errors import Refusal
from accounts_es.domain.event import Event
from accounts_es.http.rules import Rule

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[..., Awaitable[Any]]
P = ParamSpec("P")
R = TypeVar("R")


class Source(Enum):
    """Where a parameter travels."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name in Python and on the wire, where it travels, and its rule."""

    name: str
    wire: str
    source: Source
    rule: Rule
    required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint."""

    id: str
    method: Method
    paths: tuple[str, ...]
    """The path, then its aliases, below ``/v1``."""
    scopes: tuple[str, ...]
    """Any of these lets a caller in; none: everybody, without a project."""
    status: int
    returns: Any
    """The response model, or nothing for an empty answer."""
    emits: tuple[type[Event], ...]
    raises: tuple[type[Refusal], ...]
    opens_session: bool
    """Refused to callers who have a session already."""
    even: bool
    """Whether an account is behind the answer must not show in its time, unless the answer opens a session."""
    parameters: tuple[Parameter, ...]
    handler: Handler
    summary: str

    @property
    def group(self) -> str:
        """The SDK's service."""
        return self.id.partition(".")[0]


OPERATION: Final = "__operation__"


def operation(
    method: Method,
    path: str,
    *,
    id: str,  # noqa: A002 - the word of OpenAPI and the SDKs
    scope: str | tuple[str, ...] = (),
    returns: Any = None,
    status: int | None = None,
    emits: tuple[type[Event], ...] = (),
    raises: tuple[type[Refusal], ...] = (),
    aliases: tuple[str, ...] = (),
    opens_session: bool = False,
    even: bool = False,
) -> "Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]":
    """Declare the operation a function carries out.

    The function takes the `Context` and keyword-only parameters annotated ``Annotated[type, rule]``; a default makes
    one optional. Parameters are checked in the order of the signature.
    """

    def declare(handler: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        described = Operation(
            id=id,
            method=method,
            paths=(path, *aliases),
            scopes=(scope,) if isinstance(scope, str) else scope,
            status=status or (200 if returns is not None else 204),
            returns=returns,
            emits=emits,
            raises=raises,
            opens_session=opens_session,
            even=even,
            parameters=tuple(_parameters(handler, method, path)),
            handler=handler,
            summary=inspect.getdoc(handler) or "",
        )
        setattr(handler, OPERATION, described)
        return handler

    return declare


def _parameters(handler: Handler, method: Method, path: str) -> list[Parameter]:
    hints = get_type_hints(handler, localns={"Context": Any}, include_extras=True)
    in_path = set(re.findall(r"\{(\w+)\}", path))
    found: list[Parameter] = []
    for name, parameter in inspect.signature(handler).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        wire = re.sub(r"_(\w)", lambda match: match[1].upper(), name)
        if get_origin(hints[name]) is not Annotated:
            raise TypeError(f"{handler.__name__}: {name} needs a rule")
        source = Source.PATH if wire in in_path else Source.QUERY if method == "GET" else Source.BODY
        rule: Rule = get_args(hints[name])[1]
        found.append(Parameter(name, wire, source, rule, parameter.default is inspect.Parameter.empty))
    return found


def operations_of(module: object) -> list[Operation]:
    """The operations a module declares, in the order of its lines."""
    return [getattr(each, OPERATION) for each in vars(module).values() if hasattr(each, OPERATION)]
