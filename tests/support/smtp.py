"""A real mail server on 127.0.0.1, with TLS and accounts, that can be slow, refuse, hang up and be stopped."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Security = Literal["none", "starttls", "tls"]
USERNAME, PASSWORD = "postmaster", "let mail through"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "smtp.pem", folder / "smtp.key"
    cert_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


class Behaviour:
    """What the server does with mail, changed by tests while it runs."""

    def __init__(self) -> None:
        self.received: list[Envelope] = []
        self.encrypted: list[bool] = []
        self.refuse_recipient: str | None = None
        self.refuse_data: str | None = None
        self.hang_up = 0
        """So many conversations end in the middle of the mail."""
        self.slow: dict[str, threading.Event] = {}
        """Recipients whose mail is only taken once the event is set."""
        self._patience = ThreadPoolExecutor(16)
        self.waiting = 0
        """So many mails wait for that."""

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take the recipient or not."""
        if self.refuse_recipient is not None:
            return self.refuse_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Take the mail or not."""
        if self.hang_up:
            self.hang_up -= 1
            assert server.transport is not None
            server.transport.abort()
            return "421 gone"
        for recipient in envelope.rcpt_tos:
            if recipient in self.slow:
                self.waiting += 1
                await asyncio.get_running_loop().run_in_executor(self._patience, self.slow[recipient].wait, 30)
                self.waiting -= 1
        if self.refuse_data is not None:
            return self.refuse_data
        self.received.append(envelope)
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 OK"

    def to(self, address: str) -> list[bytes]:
        """The mails taken for an address."""
        return [bytes(each.content or b"") for each in self.received if address in each.rcpt_tos]


@contextmanager
def smtp_server(
    behaviour: Behaviour, folder: Path, *, security: Security = "none", auth: bool = False, port: int = 0
) -> Iterator[tuple[int, Path]]:
    """A running server; its port and the certificate to trust."""
    cert, key = certificate(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (
            USERNAME.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=right, handled=False)

    controller = Controller(
        behaviour,
        hostname="127.0.0.1",
        port=port or free_port(),
        ssl_context=context if security == "tls" else None,
        tls_context=context if security == "starttls" else None,
        require_starttls=security == "starttls",
        auth_required=auth,
        auth_require_tls=security == "starttls",
        authenticator=authenticate if auth else None,
    )
    controller.start()
    try:
        yield controller.port, cert
    finally:
        controller.stop()


def free_port() -> int:
    """A port nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
