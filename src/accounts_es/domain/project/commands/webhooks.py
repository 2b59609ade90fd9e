"""Who is told of events by HTTP."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from accounts_es.domain.errors import WebhookAlreadyExists, WebhookNotFound
from accounts_es.domain.project.aggregate import Project, Webhook
from accounts_es.domain.project.commands.projects import ensure_exists
from accounts_es.domain.project.events import (
    ProjectEvent,
    WebhookAdded,
    WebhookChanged,
    WebhookDisabled,
    WebhookFormat,
    WebhookRemoved,
    WebhookRewound,
    WebhookSecretRotated,
)


def add_webhook(
    project: Project,
    *,
    webhook_id: str,
    name: str,
    url: str,
    events: Sequence[str],
    secret: str,
    position: int,
    enabled: bool = True,
    tls: bool = True,
    auth_username: str = "",
    auth_password: str = "",
    format: WebhookFormat = "appwrite",  # noqa: A002 - the event's word
) -> Iterator[ProjectEvent]:
    """Tell somebody of what comes after this position of the log. Raises `WebhookAlreadyExists`."""
    ensure_exists(project)
    if webhook_id in project.webhooks:
        raise WebhookAlreadyExists
    yield WebhookAdded(
        webhook_id=webhook_id,
        name=name,
        url=url,
        events=tuple(dict.fromkeys(events)),
        secret=secret,
        position=position,
        enabled=enabled,
        tls=tls,
        auth_username=auth_username,
        auth_password=auth_password,
        format=format,
    )


def change_webhook(
    project: Project,
    *,
    webhook_id: str,
    name: str,
    url: str,
    events: Sequence[str],
    enabled: bool = True,
    tls: bool = True,
    auth_username: str = "",
    auth_password: str = "",
    format: WebhookFormat | None = None,  # noqa: A002 - the event's word
    failing: bool = False,
) -> Iterator[ProjectEvent]:
    """Say again who is told of what; without a ``format`` it stays. Raises `WebhookNotFound`.

    An empty password beside the user name there was stays, because it is never shown: not for another server, whose
    owner would be shown it. One that is ``failing`` is
    saved even if nothing changes: its attempts are counted anew.
    """
    known = _known(project, webhook_id)
    same_server = _server(url) == _server(known.url)
    if not auth_password and same_server and auth_username and auth_username == known.auth_username:
        auth_password = known.auth_password
    after = WebhookChanged(
        webhook_id=webhook_id,
        name=name,
        url=url,
        events=tuple(dict.fromkeys(events)),
        enabled=enabled,
        tls=tls,
        auth_username=auth_username,
        auth_password=auth_password,
        format=format or known.format,
    )
    same = all(getattr(known, name) == value for name, value in after.model_dump().items())
    if not same or (failing and enabled):
        yield after


def rotate_webhook_secret(project: Project, *, webhook_id: str, secret: str) -> Iterator[ProjectEvent]:
    """Sign with another secret. Raises `WebhookNotFound`."""
    if _known(project, webhook_id).secret != secret:
        yield WebhookSecretRotated(webhook_id=webhook_id, secret=secret)


def rewind_webhook(project: Project, *, webhook_id: str, position: int) -> Iterator[ProjectEvent]:
    """Tell what came after this position, again or for the first time. Raises `WebhookNotFound`."""
    _known(project, webhook_id)
    yield WebhookRewound(webhook_id=webhook_id, position=position)


def disable_webhook(project: Project, *, webhook_id: str, attempts: int) -> Iterator[ProjectEvent]:
    """Tell them nothing after so many attempts; one that is gone or disabled meanwhile is no event."""
    known = project.webhooks.get(webhook_id)
    if known is not None and known.enabled:
        yield WebhookDisabled(webhook_id=webhook_id, attempts=attempts)


def remove_webhook(project: Project, *, webhook_id: str) -> Iterator[ProjectEvent]:
    """Tell them nothing any more. Raises `WebhookNotFound`."""
    _known(project, webhook_id)
    yield WebhookRemoved(webhook_id=webhook_id)


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _known(project: Project, webhook_id: str) -> Webhook:
    ensure_exists(project)
    if webhook_id not in project.webhooks:
        raise WebhookNotFound
    return project.webhooks[webhook_id]
