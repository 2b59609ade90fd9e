"""The table of operations. The decorator is the only description of an endpoint.

Routing, the checks before the handler, parameter parsing, the OpenAPI document, ``docs/operations.md`` and a matrix
of tests all read it. Under test what a request records and refuses is held against ``emits`` and ``raises``.
"""

import inspect
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
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
from accounts_es.domain.project import AuthMethod
from accounts_es.http.rules import Rule

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[..., Awaitable[Any]]
P = ParamSpec("P")
R = TypeVar("R")


AT: Final = "at"
"""The query parameter of reads as of an earlier moment."""
OF_STATE: Final = frozenset({"account", "users", "teams", "project"})
"""Services whose reads are of what is the case, so that they can be of what was."""
OF_EVENTS: Final = frozenset(
    {
        "account.listLogs",
        "users.export",
        "users.listLogs",
        "teams.listLogs",
        "users.listHistory",
        "users.getHistoryDiff",
        "users.getHistoryBlame",
    }
)
"""Reads among them that tell what happened: their answers have times themselves, and they refuse ``at``."""
EVALUATIONS: Final = frozenset({"access.evaluate", "access.evaluateAll"})
"""Questions that are asked with POST and change nothing."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The answer to a browser that is sent on. An operation that returns it answers refusals with a page for people."""

    url: str


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that is sent while it is made, as a file of this name if it has one."""

    content_type: str
    name: str
    parts: AsyncGenerator[bytes]


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


class Limit:
    """At most ``count`` requests within ``seconds``, for each value of what they are counted ``by`` together.

    ``url``: the operation; without it, operations with the same limit share their counters. ``ip``: the client's
    address. ``user``: the caller's account. ``param:email``: a parameter, as its rule reads it.

    What succeeds ``counts`` like everything else, ``resets`` the counter, or ``returns`` what it took from it, so that
    only failures count.
    """

    __slots__ = ("by", "count", "seconds", "success")

    def __init__(
        self, count: int, seconds: int, *by: str, success: Literal["counts", "resets", "returns"] = "counts"
    ) -> None:
        if count < 1 or seconds < 1 or not by:
            raise TypeError("a limit needs a count, a time and something to count by")
        for part in by:
            if part not in {"url", "ip", "user"} and not part.startswith("param:"):
                raise TypeError(f"a limit cannot count by {part}")
        self.count: Final = count
        self.seconds: Final = seconds
        self.by: Final = by
        self.success: Final = success

    def __str__(self) -> str:
        """For people: ``10 per hour by url, ip``."""
        time = {60: "minute", 1800: "30 minutes", 3600: "hour"}.get(self.seconds, f"{self.seconds} s")
        success = {"counts": "", "resets": "; success resets", "returns": "; success does not count"}
        return f"{self.count} per {time} by {', '.join(self.by)}{success[self.success]}"


def guesses(whom: str) -> tuple[Limit, ...]:
    """The limits of an operation that takes a guess at a secret of ``whom`` (``param:email``).

    The first is the contract's, with the client's address in it, so that nobody can shut out somebody else. The second
    bounds what many addresses can do together: no 100 consecutive failures without a delay, wherever the windows fall
    (ASVS V6.3.1). The third bounds what one address can do to many accounts.
    """
    return (
        Limit(10, 3600, "url", "ip", whom, success="resets"),
        Limit(50, 1800, "url", whom, success="resets"),
        Limit(100, 3600, "ip", success="returns"),
    )


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
    silent: str
    """Why it records nothing although its method says that it changes something."""
    raises: tuple[type[Refusal], ...]
    opens_session: bool
    """Refused to callers who have a session already."""
    auth_method: AuthMethod | None
    """The way to authenticate this belongs to: refused when the project switched it off, except to servers."""
    mfa_pending: bool
    """Whether a session that still owes its second factor may do this."""
    fresh_factor: bool
    """Whether the session must have shown a second factor lately."""
    for_impersonators: bool
    """Whether accounts that may act as others may do this without the scope."""
    impersonable: bool
    """Whether such an account acts as somebody else here, if the request says as whom."""
    even: bool
    """Whether an account is behind the answer must not show in its time, unless the answer opens a session."""
    public_for: int
    """Seconds for which anybody may keep the answer."""
    limits: tuple[Limit, ...]
    """How often it may be asked for; API keys may as often as they like."""
    parameters: tuple[Parameter, ...]
    handler: Handler
    summary: str

    @property
    def for_browsers(self) -> bool:
        """Whether people come here themselves, with the address bar."""
        return self.returns is Redirect

    @property
    def streams(self) -> bool:
        """Whether its answer is a file that may be long."""
        return self.returns is Streamed

    @property
    def has_past(self) -> bool:
        """Whether ``at`` asks for what it answered then."""
        of_state = self.method == "GET" and self.group in OF_STATE and not self.for_browsers
        return self.id in EVALUATIONS or (of_state and self.id not in OF_EVENTS)

    @property
    def group(self) -> str:
        """The SDK's service."""
        return self.id.partition(".")[0]

    @property
    def for_servers(self) -> bool:
        """Whether only API keys may: people have some of the scopes as well, such as sessions.write, for their own."""
        return self.group == "users"


OPERATION: Final = "__operation__"
NO_FIELDS: Final[Mapping[str, Rule]] = {}


def operation(
    method: Method,
    path: str,
    *,
    id: str,  # noqa: A002 - the word of OpenAPI and the SDKs
    scope: str | tuple[str, ...] = (),
    returns: Any = None,
    status: int | None = None,
    emits: tuple[type[Event], ...] = (),
    silent: str = "",
    raises: tuple[type[Refusal], ...] = (),
    aliases: tuple[str, ...] = (),
    opens_session: bool = False,
    auth_method: AuthMethod | None = None,
    mfa_pending: bool = False,
    fresh_factor: bool = False,
    for_impersonators: bool = False,
    impersonable: bool = False,
    even: bool = False,
    public_for: int = 0,
    limits: tuple[Limit, ...] = (),
    fields: Mapping[str, Rule] = NO_FIELDS,
    optional: Mapping[str, Rule] = NO_FIELDS,
) -> "Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]":
    """Declare the operation a function carries out.

    The function takes the `Context` and keyword-only parameters annotated ``Annotated[type, rule]``; a default makes
    one optional. Parameters are checked in the order of the signature. Where data says what they are, ``fields`` and
    ``optional`` are further ones by their names on the wire, and the function takes those sent as ``**given``.
    """

    def declare(handler: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        further = [(fields, True), (optional, False)]
        parameters = (
            *_parameters(handler, method, path),
            *(
                Parameter(name, name, Source.BODY, rule, need)
                for rules, need in further
                for name, rule in rules.items()
            ),
        )
        counted_by = {part.removeprefix("param:") for limit in limits for part in limit.by if part.startswith("param:")}
        if limits and not scope:
            raise TypeError(f"{handler.__name__} is limited and runs without a project to count in")
        if unknown := counted_by - {each.wire for each in parameters}:
            raise TypeError(f"{handler.__name__} is limited by parameters it does not have: {', '.join(unknown)}")
        described = Operation(
            id=id,
            method=method,
            paths=(path, *aliases),
            scopes=(scope,) if isinstance(scope, str) else scope,
            status=status or (200 if returns is not None else 204),
            returns=returns,
            emits=emits,
            silent=silent,
            raises=raises,
            opens_session=opens_session,
            auth_method=auth_method,
            mfa_pending=mfa_pending,
            fresh_factor=fresh_factor,
            for_impersonators=for_impersonators,
            impersonable=impersonable,
            even=even,
            public_for=public_for,
            limits=limits,
            parameters=parameters,
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
        wire = re.sub(r"_(\w)", lambda match: match[1].upper(), name.rstrip("_"))
        if get_origin(hints[name]) is not Annotated:
            raise TypeError(f"{handler.__name__}: {name} needs a rule")
        source = Source.PATH if wire in in_path else Source.QUERY if method == "GET" else Source.BODY
        rule: Rule = get_args(hints[name])[1]
        found.append(Parameter(name, wire, source, rule, parameter.default is inspect.Parameter.empty))
    return found


def operations_of(module: object) -> list[Operation]:
    """The operations a module declares, in the order of its lines."""
    return [getattr(each, OPERATION) for each in vars(module).values() if hasattr(each, OPERATION)]
