"""What the server said to people: the files of its outbox, as somebody without a mail server finds them."""

import re
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class Mailbox:
    """Mail and text messages in the order they were written; each is handed out once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: set[str] = set()

    def mail(self, to: str, *, limit: float = 20.0) -> "Letter":
        """The next mail to an address; waits for it."""
        return self._next("eml", lambda content: _letter_to(content, to), to, limit)

    def text(self, to: str, *, limit: float = 20.0) -> str:
        """The next text message to a number; waits for it."""

        def read(content: bytes) -> str | None:
            head, _, body = content.decode().partition("\n\n")
            return body.strip() if head == f"To: {to}" else None

        return self._next("txt", read, to, limit)

    def all_to(self, to: str) -> list["Letter"]:
        """The mails to an address so far, read or not."""
        found = [_letter_to(path.read_bytes(), to) for path in sorted(self._folder.glob("*.eml"))]
        return [letter for letter in found if letter is not None]

    def new_addressees(self) -> list[str]:
        """To whom the mails went that nobody has read; each is told once."""
        new = [path for path in sorted(self._folder.glob("*.eml")) if path.name not in self._read]
        self._read.update(path.name for path in new)
        letters = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in new]
        return [address.addr_spec for letter in letters for address in letter["to"].addresses]

    def _next(self, suffix, read, to: str, limit: float):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            for path in sorted(self._folder.glob(f"*.{suffix}")):
                if path.name not in self._read and (found := read(path.read_bytes())) is not None:
                    self._read.add(path.name)
                    return found
            time.sleep(0.005)
        raise AssertionError(f"nothing came for {to}")


class Letter:
    """One mail."""

    def __init__(self, message: EmailMessage) -> None:
        self.message = message
        self.subject = str(message["subject"])
        self.text = self._part("plain")
        self.html = self._part("html")

    def _part(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content())

    @property
    def link(self) -> str:
        """The first link in the plain part."""
        found = re.search(r"^[a-z][a-z0-9+.-]*://\S+$", self.text, re.MULTILINE)
        assert found is not None, self.text
        return found[0]

    @property
    def parameters(self) -> dict[str, str]:
        """The query of the link."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.link).query).items()}

    @property
    def code(self) -> str:
        """The first number of six digits in the plain part."""
        found = re.search(r"\b\d{6}\b", self.text)
        assert found is not None, self.text
        return found[0]


def _letter_to(content: bytes, to: str) -> Letter | None:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    addresses = [address.addr_spec for address in message["to"].addresses]
    return Letter(message) if to in addresses else None
