"""Mail and text messages in the name of the project."""

from accounts_es.http.context import Context
from accounts_es.messages import Mail, MailTemplate, Sms, SmsTemplate
from projections.accounts import AccountRow


def mail(ctx: Context, template: MailTemplate, to: str, to_name: str = "", **values: str) -> None:
    """Mail this address once the next command has recorded something."""
    values = {"project": ctx.required_project.name, "user": to_name, **values}
    project = ctx.project_id if ctx.rules.own_smtp else ""
    locale = ctx.request.locale[:16]
    ctx.send(Mail(template=template, to=to, to_name=to_name, locale=locale, values=values, project=project))


def text(ctx: Context, template: SmsTemplate, to: str, **values: str) -> None:
    """Send this number a message once the next command has recorded something. Mock numbers get none."""
    if to not in ctx.rules.mock_phones:
        values = {"project": ctx.required_project.name, **values}
        ctx.send(Sms(template=template, to=to, locale=ctx.request.locale[:16], values=values))


def agent(ctx: Context) -> dict[str, str]:
    """What a mail may say about the browser that asked for it."""
    return {"user_agent": ctx.meta().user_agent or ""}


def warn(ctx: Context, template: MailTemplate, account: AccountRow) -> None:
    """Tell the owner of a verified address what happens to the account (ASVS V6.3.7)."""
    if account.email and account.email_verified:
        mail(ctx, template, account.email, account.name)
