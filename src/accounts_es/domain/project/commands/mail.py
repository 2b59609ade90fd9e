"""How the project's mail leaves, and what it says."""

from collections.abc import Iterator

from accounts_es.domain.errors import ProjectSmtpConfigInvalid
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project.aggregate import Project
from accounts_es.domain.project.commands.projects import ensure_exists
from accounts_es.domain.project.events import EmailTemplateChanged, ProjectEvent, SmtpConfigured, SmtpTested


def smtp_after(project: Project, changes: JSONObject) -> SmtpConfigured:
    """The settings with these fields of `SmtpConfigured` changed.

    A password that is not said again goes to no other host, whose owner would be shown it, and not into the open.
    """
    before = project.smtp
    after = SmtpConfigured.model_validate({**before.model_dump(), **changes})
    exposed = after.host != before.host or (before.security and not after.security)
    return after.model_copy(update={"password": ""}) if exposed and "password" not in changes else after


def configure_smtp(project: Project, *, changes: JSONObject) -> Iterator[ProjectEvent]:
    """Change fields of `SmtpConfigured`; those not named stay. Raises `ProjectSmtpConfigInvalid`."""
    ensure_exists(project)
    after = smtp_after(project, changes)
    if after.enabled and not (after.host and after.sender_email):
        raise ProjectSmtpConfigInvalid("SMTP needs a host and the address of a sender before it can be enabled")
    if after != project.smtp:
        yield after


def try_smtp(project: Project, *, recipients: int) -> Iterator[ProjectEvent]:
    """Send a mail to see whether it arrives. Raises `ProjectSmtpConfigInvalid` while SMTP is off."""
    ensure_exists(project)
    _ensure_smtp(project)
    yield SmtpTested(recipients=recipients)


def change_email_template(
    project: Project, *, template: str, locale: str, changes: JSONObject
) -> Iterator[ProjectEvent]:
    """Change fields of one kind of mail in one language; those not named stay. Raises `ProjectSmtpConfigInvalid`."""
    ensure_exists(project)
    _ensure_smtp(project)
    known = project.templates.get((template, locale)) or EmailTemplateChanged(template=template, locale=locale)
    after = EmailTemplateChanged.model_validate({**known.model_dump(), **changes})
    if after != known or (template, locale) not in project.templates:
        yield after


def _ensure_smtp(project: Project) -> None:
    if not project.smtp.enabled:
        raise ProjectSmtpConfigInvalid("This needs an SMTP server of the project: configure and enable one first")
