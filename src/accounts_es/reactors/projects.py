"""Mail of projects that have an SMTP server, a sender or words of their own."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, cast

from pydantic import SecretStr

from accounts_es.domain.event import Recorded
from accounts_es.domain.project import PROJECT, Project
from accounts_es.domain.project.aggregate import project_stream
from accounts_es.domain.project.events import EmailTemplateChanged, ProjectEvent
from accounts_es.eventstore.connection import connect
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.mapper import decode
from accounts_es.messages import CUSTOM_TEMPLATES, Mail, Message
from accounts_es.reactors.outbox import LONGEST, Postponed, Refused, Transport
from accounts_es.settings import Settings

FIRST_REST: Final = 5.0
LONGEST_REST: Final = 120.0
_AWAKE: Final = (0.0, 0.0)

LoadProject = Callable[[str], Awaitable[Project]]

_SECURITY: Final = {"": "none", "tls": "starttls", "ssl": "tls"}
_STREAM: Final = """SELECT originator_version, topic, state, notification_id FROM log.accounts_events
    WHERE originator_id = %s ORDER BY originator_version"""
_KEY: Final = "SELECT subject, wrapped FROM log.subject_keys WHERE subject = %s"


def projects(conninfo: str, master: MasterKey) -> LoadProject:
    """Projects as the log has them now: their secrets are nowhere else."""

    async def load(project_id: str) -> Project:
        stream, keys = project_stream(project_id), KeyRing(master)
        async with await connect(conninfo) as connection:
            rows = await (await connection.execute(_STREAM, (stream,))).fetchall()
            wrapped = await (await connection.execute(_KEY, (stream,))).fetchall()
        keys.add({subject: bytes(key) for subject, key in wrapped})
        return PROJECT.fold(
            cast("Recorded[ProjectEvent]", decode(stream, version, topic, bytes(state), position, keys))
            for version, topic, state, position in rows
        )

    return load


class ProjectMail:
    """Sends mail as its project wants it, and as the server does where the project wants nothing special.

    The server of a project that fails is left alone for a while, then tried with one mail: all projects share the
    places in which mail is delivered, and a server that never answers must not take them.
    """

    def __init__(
        self,
        settings: Settings,
        ours: Transport,
        smtp: Callable[[Settings], Transport],
        load: LoadProject,
        *,
        first_rest: float = FIRST_REST,
    ) -> None:
        self._settings = settings
        self._ours = ours
        self._smtp = smtp
        self._load = load
        self._first_rest = first_rest
        self._resting: dict[str, tuple[float, float]] = {}
        """Until when the server of a project is left alone, and how long that is."""

    async def deliver(self, message: Message) -> None:
        """Deliver it. Raises as the transport that takes it."""
        mail = cast("Mail", message)
        if time.monotonic() < self._resting.get(mail.project, _AWAKE)[0]:
            raise Postponed("the project's server failed just now")
        project = await self._load(mail.project) if mail.project else Project()
        if not project.smtp.enabled:
            await self._ours.deliver(mail)
            return
        words = template_of(project, mail) or EmailTemplateChanged(template="", locale="")
        worded = mail.model_copy(update={"subject": words.subject, "message": words.message})
        await self._spare(mail.project, self._smtp(_as_configured(self._settings, project, words)), worded)

    async def _spare(self, project: str, server: Transport, mail: Mail) -> None:
        _, rest = self._resting.get(project, _AWAKE)
        if rest:
            self._resting[project] = time.monotonic() + LONGEST, rest  # this one tries
        try:
            await server.deliver(mail)
        except Refused:
            self._resting.pop(project, None)
            raise
        except BaseException:  # also one that takes too long and is cancelled
            rest = min(rest * 2, LONGEST_REST) or self._first_rest
            self._resting[project] = time.monotonic() + rest, rest
            raise
        self._resting.pop(project, None)


def template_of(project: Project, mail: Mail) -> EmailTemplateChanged | None:
    """The project's words for this mail: in its language, that without its region, or English."""
    wanted = mail.locale.strip().lower().replace("_", "-")
    for template in (name for name, ours in CUSTOM_TEMPLATES.items() if ours == mail.template):
        for locale in (wanted, wanted.partition("-")[0], "en"):
            if (template, locale) in project.templates:
                return project.templates[template, locale]
    return None


def _as_configured(settings: Settings, project: Project, words: EmailTemplateChanged) -> Settings:
    smtp = project.smtp
    return settings.model_copy(
        update={
            "smtp_host": smtp.host,
            "smtp_port": smtp.port,
            "smtp_security": _SECURITY[smtp.security],
            "smtp_username": smtp.username or None,
            "smtp_password": SecretStr(smtp.password) if smtp.password else None,
            "mail_from": words.sender_email or smtp.sender_email,
            "mail_from_name": words.sender_name or smtp.sender_name or project.name,
            "mail_reply_to": words.reply_to_email or smtp.reply_to_email or None,
        }
    )
