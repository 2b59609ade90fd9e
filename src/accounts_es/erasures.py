"""Erasing a person: the event, the destroyed key, the certificate, and the same once more for a restored backup."""

import asyncio
import base64
import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import ErasureReason
from accounts_es.domain.errors import Refusal, UserErased
from accounts_es.domain.event import Metadata
from accounts_es.eventstore import echoes, erased_ids
from accounts_es.eventstore.certificates import COLUMNS, CertificateFiles, Erasure, facts, text
from accounts_es.eventstore.ledger.note import Signer, public_key

log = logging.getLogger(__name__)

_COLUMNS: Final = f"number, {COLUMNS}, certificate"
_UNFINISHED: Final = f"""SELECT {_COLUMNS} FROM log.erasures
    WHERE (certificate IS NULL OR NOT kept) AND number > %s ORDER BY number LIMIT 100"""
_OF: Final = f"SELECT {_COLUMNS} FROM log.erasures WHERE stream = %s"
_ORIGIN: Final = "SELECT origin FROM log.ledger"
_CHECKPOINT: Final = "SELECT size, root FROM log.checkpoints ORDER BY size DESC LIMIT 1"
_CERTIFY: Final = """UPDATE log.erasures SET certificate = %s WHERE stream = %s AND certificate IS NULL RETURNING 1"""
_CERTIFICATE: Final = "SELECT certificate FROM log.erasures WHERE stream = %s"
_KEPT: Final = "UPDATE log.erasures SET kept = true WHERE stream = %s RETURNING 1"
# What was answered about their memberships stands with the streams of teams. An answer on its way is not kept either:
# it goes to rows with streams alone.
_ANSWERS: Final = """UPDATE log.idempotency SET answer = NULL, streams = NULL WHERE streams && ARRAY(
        SELECT %s::text UNION SELECT team FROM belongings_v1 WHERE account = %s::text)
    RETURNING 1"""
_RENEW: Final = "UPDATE log.erasures SET certificate = NULL, kept = false WHERE certificate = %s RETURNING stream"
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
        try:
            await self._app.execute(meta, ACCOUNT, stream, commands.erase, reason=reason)
        except UserErased:
            pass  # before: the certificate is asked for again
        except Refusal:
            await erased_ids.withdraw(self._app.log, stream)
            raise
        ((_, *columns, certificate),) = await self._app.log.reads.fetch(_OF, (stream,))
        note, trouble = await self._finish(await self._signer(), Erasure._make(columns), certificate)
        if trouble is not None:
            log.error("certificate of an erasure not kept yet", extra={"error": type(trouble).__name__})
        return note

    async def finish(self) -> None:
        """Certificates that are not signed or not kept yet, after a crash or a full disk as well."""
        reached = missing = 0
        trouble: OSError | None = None
        while rows := await self._app.log.reads.fetch(_UNFINISHED, (reached,)):
            signer = await self._signer()
            for _, *columns, certificate in rows:
                _, failed = await self._finish(signer, Erasure._make(columns), certificate)
                missing, trouble = (missing + 1, failed) if failed is not None else (missing, trouble)
            reached = rows[-1][0]
        if trouble is not None:
            log.error(
                "certificates of erasures not kept yet", extra={"count": missing, "error": type(trouble).__name__}
            )

    async def _finish(self, signer: Signer, erasure: Erasure, certificate: str | None) -> tuple[str, OSError | None]:
        """All that follows an erasure; returns the certificate, and what kept it from being kept."""
        reads, note = self._app.log.reads, certificate
        if note is None:
            # Once: what is kept from then on is somebody else's.
            await reads.fetch(_ANSWERS, (erasure.stream, erasure.stream))
            await echoes.forget(reads, erasure.project_id)
            note = await self._certify(signer, erasure)
        try:
            await asyncio.to_thread(self._files.keep, erasure.stream, note)
        except OSError as error:
            return note, error
        await reads.fetch(_KEPT, (erasure.stream,))
        return note, None

    async def _signer(self) -> Signer:
        ((origin,),) = await self._app.log.reads.fetch(_ORIGIN)
        return Signer(origin, self._secret)

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

        ``meta`` says who; the project is that of each. Certificates that the ledger key of before signed are signed
        anew, as long as the database knows them. Raises `OSError`.
        """
        ((origin,),) = await self._app.log.reads.fetch(_ORIGIN)
        public = public_key(self._secret)
        found: dict[str, str] = {}
        for path, note in await asyncio.to_thread(lambda: list(self._files.all())):
            try:
                said = facts(note, origin, public)
            except ValueError as error:
                if await self._app.log.reads.fetch(_RENEW, (note,)):
                    continue
                log.error(  # noqa: TRY400 - the file is at fault
                    "not a certificate of this log: nobody is erased by it",
                    extra={"file": str(path), "reason": str(error)},
                )
                continue
            found[said["subject"]] = said["project"]
        await self.finish()
        back = await self._app.log.reads.fetch(_LEFT, (list(found),))
        for (stream,) in back:
            await self.erase(replace(meta, project=found[stream]), stream, "restored")
        return len(back)
