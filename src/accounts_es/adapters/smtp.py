"""Whether an SMTP server takes us, before a project relies on it."""

import ssl
from pathlib import Path

import aiosmtplib

from accounts_es.adapters.public_addresses import OutOfReach, Reach
from accounts_es.domain.project.events import SmtpConfigured


class SmtpUnusable(Exception):  # noqa: N818
    """The server cannot be used; the text says why and repeats nothing the server said."""


async def check(smtp: SmtpConfigured, *, reach: Reach, ca_file: Path | None, patience: float) -> None:
    """Connect, turn to TLS and sign in as configured, and leave. Raises `SmtpUnusable`."""
    try:
        connected = await reach.connect(smtp.host, smtp.port, patience)
    except OutOfReach:
        raise SmtpUnusable("the server has no public address") from None
    except OSError:
        raise SmtpUnusable("the server cannot be reached like this") from None
    tls = ssl.create_default_context()
    if ca_file is not None:
        tls.load_verify_locations(ca_file)
    client = aiosmtplib.SMTP(
        hostname=smtp.host,
        sock=connected,
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
