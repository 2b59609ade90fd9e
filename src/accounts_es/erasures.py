"""Erasing a person: the event, the destroyed key, the certificate, and the same once more for a restored backup."""

import asyncio
import base64
import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import ErasureReason
from accounts_es.domain.errors import UserErased
from accounts_es.domain.event import Metadata
from accounts_es.eventstore import erased_ids
from accounts_es.eventstore.certificates import COLUMNS, CertificateFiles, Erasure, facts, text
from accounts_es.eventstore.ledger.note import Signer, public_key

log = logging.getLogger(__name__)

_UNFINISHED: Final = f"""SELECT {COLUMNS}, certificate FROM log.erasures
    WHERE certificate IS NULL OR NOT kept ORDER BY number LIMIT 100"""
_ORIGIN: Final = "SELECT origin FROM log.ledger"
_CHECKPOINT: Final = "SELECT size, root FROM log.checkpoints ORDER BY size DESC LIMIT 1"
_CERTIFY: Final = """UPDATE log.erasures SET certificate = %s WHERE stream = %s AND certificate IS NULL RETURNING 1"""
_CERTIFICATE: Final = "SELECT certificate FROM log.erasures WHERE stream = %s"
_KEPT: Final = "UPDATE log.erasures SET kept = true WHERE stream = %s RETURNING 1"
_ANSWERS: Final = (
    """UPDATE log.idempotency SET answer = NULL WHERE %s = ANY(streams) AND answer IS NOT NULL RETURNING 1"""
)
_LEFT: Final = "SELECT subject FROM log.subject_keys WHERE subject = ANY(%s)"


class Erasures:
    """Erases people. ``secret`` is the ledger key, ``folder`` where certificates are kept."""

    def __init__(self, app: Application, secret: bytes, folder: Path) -> None:
        self._app = app
        self._secret = secret
        self._files = CertificateFiles(folder)

    async def erase(self, meta: Metadata, stream: str, reason: ErasureReason) -> str:
        """Erase somebody; returns the certificate. The key is gone, and all that hung on it, when this returns.

        Asked for again, it gives the certificate again. Raises `UserUnderLegalHold`, `UserNotFound`.
        """
        # Where it was asked from would be sealed under the key that is destroyed: it is not kept.
        meta = replace(meta, ip=None, user_agent=None)
        await erased_ids.note(self._app.log, stream)
        with suppress(UserErased):
            await self._app.execute(meta, ACCOUNT, stream, commands.erase, reason=reason)
        await self.finish()
        ((certificate,),) = await self._app.log.reads.fetch(_CERTIFICATE, (stream,))
        return str(certificate)

    async def finish(self) -> None:
        """Certificates that are not signed or not kept yet, after a crash or a full disk as well."""
        reads = self._app.log.reads
        while rows := await reads.fetch(_UNFINISHED):
            ((origin,),) = await reads.fetch(_ORIGIN)
            signer = Signer(origin, self._secret)
            for *columns, certificate in rows:
                erasure = Erasure._make(columns)
                await reads.fetch(_ANSWERS, (erasure.stream,))
                note = str(certificate) if certificate is not None else await self._certify(signer, erasure)
                try:
                    await asyncio.to_thread(self._files.keep, erasure.stream, note)
                except OSError as error:
                    log.error("certificate of an erasure not kept yet", extra={"error": type(error).__name__})  # noqa: TRY400
                    return
                await reads.fetch(_KEPT, (erasure.stream,))

    async def _certify(self, signer: Signer, erasure: Erasure) -> str:
        reads = self._app.log.reads
        newest = await reads.fetch(_CHECKPOINT)
        size, root = newest[0] if newest else (0, b"")
        note = signer.sign_text(text(signer.name, erasure, size, base64.b64encode(bytes(root)).decode()))
        # Somebody else may be at the same: the first certificate counts.
        await reads.fetch(_CERTIFY, (note, erasure.stream))
        ((certificate,),) = await reads.fetch(_CERTIFICATE, (erasure.stream,))
        return str(certificate)

    async def again(self, meta: Metadata) -> int:
        """Erase those again whom a restored backup brought back; returns how many. What is no certificate is said.

        ``meta`` says who; the project is that of each. Raises `OSError`.
        """
        ((origin,),) = await self._app.log.reads.fetch(_ORIGIN)
        public = public_key(self._secret)
        found: dict[str, str] = {}
        for path, note in await asyncio.to_thread(lambda: list(self._files.all())):
            try:
                said = facts(note, origin, public)
            except ValueError as error:
                log.error(  # noqa: TRY400 - the file is at fault
                    "not a certificate of this log: nobody is erased by it",
                    extra={"file": str(path), "reason": str(error)},
                )
                continue
            found[said["subject"]] = said["project"]
        back = await self._app.log.reads.fetch(_LEFT, (list(found),))
        for (stream,) in back:
            await self.erase(replace(meta, project=found[stream]), stream, "restored")
        return len(back)
