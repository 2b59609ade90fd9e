"""How the project's mail leaves, and what it says."""

from typing import Annotated, Any, Final

from accounts_es.adapters import smtp
from accounts_es.adapters.public_addresses import Reach
from accounts_es.domain.errors import ProjectSmtpConfigInvalid
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.commands.mail import smtp_after
from accounts_es.domain.project.events import EmailTemplateChanged, SmtpConfigured, SmtpTested
from accounts_es.eventstore.listing import Asked
from accounts_es.http import notices
from accounts_es.http.context import Context
from accounts_es.http.listing import Queries
from accounts_es.http.models.mail import (
    SMTP_FIELDS,
    TEMPLATE_FIELDS,
    TEMPLATE_IDS,
    EmailTemplate,
    EmailTemplateList,
    email_template,
    renamed,
)
from accounts_es.http.models.projects import Project, project
from accounts_es.http.operation import operation
from accounts_es.http.project.keys import ALL_OF_THEM
from accounts_es.http.rules import Choice, Email, Flag, Locale, Number, OrNone, Text, Texts
from accounts_es.messages import CUSTOM_TEMPLATES

_PATIENCE: Final = 5.0
"""Seconds a server may take to show that it is there."""
_TEMPLATE: Final = Choice(TEMPLATE_IDS)


@operation(
    "PATCH",
    "/project/smtp",
    id="project.updateSMTP",
    scope="project.write",
    returns=Project,
    emits=(SmtpConfigured,),
    raises=(ProjectSmtpConfigInvalid,),
    optional={
        "host": Text(256, shortest=0),
        "port": Number(1, 65_535),
        "username": Text(256, shortest=0),
        "password": Text(256, shortest=0),
        "senderEmail": OrNone(Email()),
        "senderName": Text(256, shortest=0),
        "replyToEmail": OrNone(Email()),
        "replyToName": Text(256, shortest=0),
        "secure": OrNone(Choice(("tls", "ssl"))),
        "enabled": Flag(),
    },
)
async def update_smtp(ctx: Context, **given: Any) -> Project:
    """Send the project's mail by a server of its own, which is tried first. What is not sent stays as it is.

    A password stays while its host does.
    """
    stream = ctx.required_project.stream
    changes = renamed(given, SMTP_FIELDS)
    after = smtp_after(await ctx.load(PROJECT, stream), changes)
    if after.enabled and after.host:
        try:
            settings = ctx.services.settings
            reach = Reach(settings.reachable_networks)
            await smtp.check(after, reach=reach, ca_file=settings.smtp_ca_file, patience=_PATIENCE)
        except smtp.SmtpUnusable as unusable:
            raise ProjectSmtpConfigInvalid(f"The SMTP settings are not good: {unusable}") from None
    return project((await ctx.execute(PROJECT, stream, commands.configure_smtp, changes=changes)).state)


@operation(
    "POST",
    "/project/smtp/tests",
    id="project.createSMTPTest",
    scope="project.write",
    emits=(SmtpTested,),
    raises=(ProjectSmtpConfigInvalid,),
)
async def create_smtp_test(ctx: Context, *, emails: Annotated[list[str], Texts(Email(), 10)]) -> None:
    """Mail these addresses by the project's server."""
    for email in dict.fromkeys(emails):
        notices.mail(ctx, "smtp-test", email)
    await ctx.execute(PROJECT, ctx.required_project.stream, commands.try_smtp, recipients=len(emails))


@operation(
    "GET",
    "/project/templates/email",
    id="project.listEmailTemplates",
    scope="templates.read",
    returns=EmailTemplateList,
)
async def list_email_templates(
    ctx: Context,
    *,
    queries: Annotated[Asked, Queries()] = ALL_OF_THEM,
    total: Annotated[bool, Flag(loose=True)] = True,
) -> EmailTemplateList:
    """The templates the project has of its own."""
    known = list((await ctx.load(PROJECT, ctx.required_project.stream)).templates.values())
    part = known[queries.offset : queries.offset + queries.limit]
    return {"total": len(known) if total else 0, "templates": [_whole(ctx, each) for each in part]}


@operation(
    "GET",
    "/project/templates/email/{templateId}",
    id="project.getEmailTemplate",
    scope="templates.read",
    returns=EmailTemplate,
)
async def get_email_template(
    ctx: Context, *, template_id: Annotated[str, _TEMPLATE], locale: Annotated[str, Locale()] = "en"
) -> EmailTemplate:
    """What a kind of mail says in a language: the project's own words, or ours."""
    known = (await ctx.load(PROJECT, ctx.required_project.stream)).templates.get((template_id, locale))
    return _whole(ctx, known or EmailTemplateChanged(template=template_id, locale=locale))


@operation(
    "PATCH",
    "/project/templates/email",
    id="project.updateEmailTemplate",
    scope="templates.write",
    returns=EmailTemplate,
    emits=(EmailTemplateChanged,),
    raises=(ProjectSmtpConfigInvalid,),
    optional={
        "subject": Text(255, shortest=0),
        "message": Text(65_535, shortest=0),
        "senderName": Text(255, shortest=0),
        "senderEmail": OrNone(Email()),
        "replyToEmail": OrNone(Email()),
        "replyToName": Text(255, shortest=0),
    },
)
async def update_email_template(
    ctx: Context, *, template_id: Annotated[str, _TEMPLATE], locale: Annotated[str, Locale()] = "en", **given: Any
) -> EmailTemplate:
    """Let a kind of mail say something else; an empty text is ours again, and what is not sent stays as it is."""
    changes = renamed(given, TEMPLATE_FIELDS)
    outcome = await ctx.execute(
        PROJECT,
        ctx.required_project.stream,
        commands.change_email_template,
        template=template_id,
        locale=locale,
        changes=changes,
    )
    return _whole(ctx, outcome.state.templates[template_id, locale])


def _whole(ctx: Context, known: EmailTemplateChanged) -> EmailTemplate:
    subject, message = ctx.services.wording(CUSTOM_TEMPLATES[known.template], known.locale)
    return email_template(known, subject, message)
