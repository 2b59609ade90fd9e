"""Mail and text messages in the name of the project."""

from datetime import datetime, timedelta
from typing import Any

from accounts_es.adapters import devices
from accounts_es.http.context import Context
from accounts_es.messages import Mail, MailTemplate, Sms, SmsTemplate
from projections.accounts import AccountRow


def mail(
    ctx: Context, template: MailTemplate, to: str, to_name: str = "", *, life: timedelta | None = None, **values: str
) -> None:
    """Mail this address once the next command has recorded something; not at all after the life of what it says."""
    values = {"project": ctx.required_project.name, "user": to_name, **values}
    project = ctx.project_id if ctx.rules.own_smtp else ""
    locale, end = ctx.request.locale[:16], _end(ctx, life)
    words = Mail(
        template=template, to=to, to_name=to_name, locale=locale, values=values, project=project, good_until=end
    )
    ctx.send(words)


def text(ctx: Context, template: SmsTemplate, to: str, *, life: timedelta | None = None, **values: str) -> None:
    """Send this number a message as `mail` does. Mock numbers get none."""
    if to not in ctx.rules.mock_phones:
        values = {"project": ctx.required_project.name, **values}
        locale, end = ctx.request.locale[:16], _end(ctx, life)
        ctx.send(Sms(template=template, to=to, locale=locale, values=values, good_until=end))


def _end(ctx: Context, life: timedelta | None) -> datetime | None:
    return None if life is None else ctx.at + life


def agent(ctx: Context) -> dict[str, Any]:
    """What a mail says about the program that asked for it: names we know, not what strangers write to its reader."""
    device = devices.parse(ctx.meta().user_agent or "")
    client = device.client_name if device.client_code or device.client_type == "library" else ""
    return {"client": client, "os": device.os_name if device.os_code else "", "form": device.device_name}


def warn(ctx: Context, template: MailTemplate, account: AccountRow) -> None:
    """Tell the owner of a verified address what happens to the account (ASVS V6.3.7)."""
    if account.email and account.email_verified:
        mail(ctx, template, account.email, account.name)
