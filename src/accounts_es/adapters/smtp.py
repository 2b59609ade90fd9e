"""Whether an SMTP server takes us, before a project relies on it."""

import ssl
from pathlib import Path

import aiosmtplib

from accounts_es.domain.project.events import SmtpConfigured


class SmtpUnusable(Exception):  # noqa: N818
    """The server cannot be used; the text says why and repeats nothing the server said."""


async def check(smtp: SmtpConfigured, *, ca_file: Path | None, patience: float) -> None:
    """Connect, turn to TLS and sign in as configured, and leave. Raises `SmtpUnusable`."""
    tls = ssl.create_default_context()
    if ca_file is not None:
        tls.load_verify_locations(ca_file)
    client = aiosmtplib.SMTP(
        hostname=smtp.host,
        port=smtp.port,
        use_tls=smtp.security == "ssl",
        start_tls=smtp.security == "tls",
        tls_context=tls if smtp.security else None,
        username=smtp.username or None,
        password=smtp.password or None,
        timeout=patience,
    )
    try:
        async with client:
            await client.noop()
    except aiosmtplib.SMTPAuthenticationError:
        raise SmtpUnusable("the server does not take the username and password") from None
    except (aiosmtplib.SMTPException, OSError, ValueError):
        raise SmtpUnusable("the server cannot be reached like this") from None
