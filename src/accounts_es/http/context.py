"""What a handler works with: the request, who calls, the project, and the doors to commands and reads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from accounts_es.adapters.hashing import Passwords
from accounts_es.adapters.id_tokens import IdTokens
from accounts_es.adapters.ids import now
from accounts_es.adapters.jwts import Jwts
from accounts_es.adapters.oauth import OAuth
from accounts_es.adapters.oauth_states import States
from accounts_es.application import Application, Besides, Outcome, Step
from accounts_es.domain.decider import Decider
from accounts_es.domain.errors import UserSessionNotFound
from accounts_es.domain.event import Event, Metadata, Recorded
from accounts_es.domain.security.events import AccessDenied, AuditRead, SignInRefused
from accounts_es.erasures import Erasures
from accounts_es.eventstore.append import IdempotencyKey
from accounts_es.eventstore.counters import Counters
from accounts_es.eventstore.follower import Follower
from accounts_es.eventstore.moments import Moments
from accounts_es.eventstore.reads import Reads
from accounts_es.http import cookies
from accounts_es.http.callers import GUEST, Caller
from accounts_es.http.cookies import Credential, Jar
from accounts_es.http.operation import Operation
from accounts_es.http.origins import RawHeaders
from accounts_es.http.requests import Request
from accounts_es.messages import MailTemplate, Message
from accounts_es.security import Refusals
from accounts_es.settings import Settings
from projections.accounts import AccountRow
from projections.projects import ProjectRow, Rules
from projections.sessions import SessionKey

S = TypeVar("S")
E = TypeVar("E", bound=Event)
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the running server that requests use."""

    settings: Settings
    application: Application
    reads: Reads
    moments: Moments
    refusals: Refusals
    passwords: Passwords
    erasures: Erasures
    jwts: Jwts
    id_tokens: IdTokens
    oauth: OAuth
    states: States
    operations: tuple[Operation, ...]
    ledger_key: bytes
    """The public half of the key that signs checkpoints."""
    counters: Counters | None
    """Where requests are counted; nothing when rate limits are switched off."""
    wording: Callable[[MailTemplate, str], tuple[str, str]]
    """Our own subject and text of a mail in a language."""
    follower: Follower
    """Who tells of what is new in the log."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in the log: the read models as of then, and when that was."""

    reads: Reads
    position: int
    at: datetime


@dataclass(slots=True)
class Context:
    """One request on its way through an operation."""

    services: Services
    request: Request
    operation: Operation
    project: ProjectRow | None = None
    caller: Caller = GUEST
    presented: bool = False
    """Whether any credentials came along, good or bad."""
    signed_in: bool = False
    """Whether a session came along with an API key, which decides everything else."""
    idempotency: IdempotencyKey | None = None
    opened: bool = False
    """Whether the answer opens a session."""
    opened_secret: str = ""
    """What the client carries from then on."""
    even: bool = False
    """Whether the time of the answer must not tell what was done, besides what the operation says."""
    messages: tuple[Message, ...] = ()
    """What the next command sends if it is carried out."""
    answer_key: str | None = None
    """Set when the client sent an idempotency key: what its answer is sealed under."""
    at: datetime = field(default_factory=now)
    moment: Moment | None = None
    """Set while an operation answers as of then."""
    headers: RawHeaders = field(default_factory=list[tuple[bytes, bytes]])
    """Headers for the answer, besides those every answer has."""

    @property
    def reads(self) -> Reads:
        """Where queries run."""
        return self.services.reads if self.moment is None else self.moment.reads

    @property
    def project_id(self) -> str:
        """The project the request is about."""
        return self.required_project.project_id

    @property
    def required_project(self) -> ProjectRow:
        """The project row; operations with a scope always have one."""
        if self.project is None:
            raise LookupError(f"{self.operation.id} runs without a project")
        return self.project

    @property
    def account(self) -> AccountRow:
        """The account of the caller; operations with the scope ``account`` always have one."""
        if self.caller.account is None:
            raise LookupError(f"{self.operation.id} runs without an account")
        return self.caller.account

    @property
    def rules(self) -> Rules:
        """What the project decided about how people use it."""
        return self.required_project.rules

    @property
    def root(self) -> str:
        """Where this server is reached, as the client sees it, without ``/v1``."""
        settings = self.services.settings
        if settings.public_url is not None:
            return settings.public_url.removesuffix("/").removesuffix("/v1")
        scheme = "https" if self.request.is_https(settings.trusted_proxies) else "http"
        return f"{scheme}://{self.request.authority(settings.trusted_proxies)}"

    @property
    def required_session(self) -> SessionKey:
        """The session the caller came with. Raises `UserSessionNotFound` for callers with a JWT."""
        if self.caller.session is None:
            raise UserSessionNotFound
        return self.caller.session

    @property
    def session(self) -> SessionKey | None:
        """The session the caller came with."""
        return self.caller.session

    def meta(self) -> Metadata:
        """Who and why, for the events of this request."""
        request = self.request
        return Metadata(
            at=self.at,
            project=self.project.project_id if self.project is not None else "",
            actor=self.caller.actor,
            operation=self.operation.id,
            request_id=request.id,
            correlation_id=request.correlation_id,
            ip=request.client_ip(self.services.settings.trusted_proxies),
            user_agent=request.user_agent_for(by_server=self.caller.kind == "key"),
        )

    async def execute(
        self,
        decider: Decider[S, E],
        stream: str,
        command: Callable[Concatenate[S, P], Iterator[E]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Outcome[S]:
        """Carry out a command in the name of the caller; durable on return. Raises as `Application.execute_with`."""
        self._saw_caller()
        besides = Besides(self.idempotency, self.messages)
        self.idempotency, self.messages = None, ()
        return await self.services.application.execute_with(
            self.meta(), besides, decider, stream, command, *args, **kwargs
        )

    async def execute_together(self, *steps: Step[Any, Any], told: str = "") -> list[Outcome[Any]]:
        """Carry out commands on different streams, all of them or none; ``told`` is the stream of whom the messages are
        for. Raises as `execute`."""
        self._saw_caller()
        besides = Besides(self.idempotency, self.messages, told)
        self.idempotency, self.messages = None, ()
        return await self.services.application.execute_together(self.meta(), besides, *steps)

    def _saw_caller(self) -> None:
        """How far their account is, by its read model: another process may have brought it there."""
        account = self.caller.account
        if account is not None:
            self.services.application.saw(account.stream, account.version)

    def send(self, message: Message) -> None:
        """Send a message once the next command has recorded something."""
        self.messages = (*self.messages, message)

    async def load(self, decider: Decider[S, E], stream: str) -> S:
        """The state of a stream, for what read models do not hold."""
        until = None if self.moment is None else self.moment.position
        return (await self.services.application.load(decider, stream, until=until)).state

    async def history(self, stream: str) -> Sequence[Recorded[Event]]:
        """The events of a stream."""
        until = None if self.moment is None else self.moment.position
        return await self.services.application.log.load(stream, until=until)

    def token_digest(self, stream: str, secret: str) -> str:
        """What is stored of a one-time secret of an account (hex). Keyed, because a secret may be six digits."""
        return self.services.application.log.keys.digest(self.project_id, "token", f"{stream}\x1f{secret}").hex()

    async def refuse_sign_in(self, method: str, reason: str, identifier: str, account: AccountRow | None) -> None:
        """Record that somebody could not sign in."""
        stream = account.stream if account is not None else ""
        event = SignInRefused(method=method, reason=reason, identifier=identifier, account=stream)
        await self.services.refusals.record(self.meta(), event)

    async def deny(self, reason: str) -> None:
        """Record that the caller may not do this. Callers who brought no credentials are only counted."""
        event = AccessDenied(operation=self.operation.id, reason=reason)
        if self.presented:
            await self.services.refusals.record(self.meta(), event)
        else:
            self.services.refusals.count(self.meta(), event)

    async def note_audit_read(self, event: AuditRead) -> None:
        """Record that the caller reads of what happened."""
        await self.services.refusals.record(self.meta(), event)

    @property
    def jar(self) -> Jar:
        """Where the client keeps cookies."""
        trusted = self.services.settings.trusted_proxies
        page = self.request.header(b"origin") or self.request.header(b"referer")
        return Jar(self.request.host(trusted), self.request.is_https(trusted), page)

    def open_session(self, account_id: str, secret: str, expires_at: datetime) -> str:
        """Send the session to the client; returns what servers read from the body and clients do not."""
        self.opened = True
        self.opened_secret = encoded = cookies.encode(Credential(account_id, secret))
        self.headers.extend(cookies.opened(self.jar, self.project_id, encoded, expires_at))
        return encoded if self.caller.kind == "key" else ""

    def close_session(self) -> None:
        """Make the client forget its session."""
        self.headers.extend(cookies.closed(self.jar, self.project_id))
