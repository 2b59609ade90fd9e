"""What parameters must look like. A rule turns what came over the wire into a value, or says why not.

Texts follow the contract (account, 1.6): ``Invalid `name` param: <reason>``, limits in characters unless noted.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from pydantic import JsonValue
from pydantic_core import to_json

from accounts_es.domain.event import JSONObject
from accounts_es.domain.values import is_email, is_id

UNIQUE: Final = "unique()"
MAX_PREFS_BYTES: Final = 65_535
MAX_URL: Final = 2048
_NOT_IN_URLS: Final = re.compile(r"[\s\x00-\x1f\x7f\\]")
"""A backslash is a slash to browsers and none to us: we must not disagree on where the host ends."""
_DIGITS: Final = re.compile(r"[0-9]{1,18}\Z")


class Invalid(Exception):  # noqa: N818
    """The value breaks the rule; the message says how, without repeating the value."""


class Rule(Protocol):
    """How one parameter is read."""

    def parse(self, value: JsonValue) -> Any:
        """The value to hand to the operation. Raises `Invalid`."""
        ...

    def schema(self) -> Mapping[str, Any]:
        """The same as JSON Schema, for the OpenAPI document."""
        ...


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise Invalid("Value must be a valid string")
    # PostgreSQL has no NUL in text, and no name of a person has one either.
    if "\x00" in value:
        raise Invalid("Value must not contain the NUL character")
    return value


@dataclass(frozen=True, slots=True)
class Text:
    """A string of ``shortest`` to ``longest`` characters."""

    longest: int
    shortest: int = 1

    def parse(self, value: JsonValue) -> str:
        """The text as sent."""
        text = _text(value)
        if not self.shortest <= len(text) <= self.longest:
            raise Invalid(
                f"Value must be a valid string and between {self.shortest} and {self.longest} characters long"
            )
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "minLength": self.shortest, "maxLength": self.longest}


_PRINTABLE: Final = re.compile(r"[\x20-\x7e]*\Z")


@dataclass(frozen=True, slots=True)
class Printable:
    """At most ``longest`` printable ASCII characters (RFC 6749, appendix A.5)."""

    longest: int

    def parse(self, value: JsonValue) -> str:
        """The text as sent."""
        text = _text(value)
        if len(text) > self.longest or not _PRINTABLE.match(text):
            raise Invalid(f"Value must be at most {self.longest} printable ASCII characters long")
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "maxLength": self.longest, "pattern": "^[ -~]*$"}


@dataclass(frozen=True, slots=True)
class Id:
    """An id: up to 36 characters of a-z, A-Z, 0-9, period, hyphen and underscore, the first a letter or digit.

    ``unique()`` passes where ``custom`` is set; the operation then makes an id of its own.
    """

    custom: bool = False

    def parse(self, value: JsonValue) -> str:
        """The id as sent."""
        text = _text(value)
        if is_id(text) or (self.custom and text == UNIQUE):
            return text
        raise Invalid(
            "Parameter must contain at most 36 chars. Valid chars are a-z, A-Z, 0-9, period, hyphen, and underscore. "
            "Can't start with a special char"
        )

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "maxLength": 36}


@dataclass(frozen=True, slots=True)
class Email:
    """An e-mail address; read in lower case, spaces around it dropped."""

    def parse(self, value: JsonValue) -> str:
        """The address in lower case."""
        text = _text(value).strip().lower()
        if not is_email(text):
            raise Invalid("Value must be a valid email address")
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "format": "email"}


_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}\Z")


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number in the international form (ITU-T E.164), with a country calling code that exists."""

    def parse(self, value: JsonValue) -> str:
        """The number as sent."""
        text = _text(value)
        if not _PHONE.match(text) or not any(int(text[1:end]) in COUNTRY_CODE_TO_REGION_CODE for end in (2, 3, 4)):
            raise Invalid(
                "Phone number must start with a '+', have between 7 and 15 digits and begin with a country calling code"
            )
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "format": "phone"}


@dataclass(frozen=True, slots=True)
class Password:
    """8 to 256 bytes, taken as they are: nothing trimmed, folded or cut (ASVS V6.2.1, V6.2.8, V6.2.9)."""

    def parse(self, value: JsonValue) -> str:
        """The password as sent."""
        if not isinstance(value, str) or not 8 <= len(value.encode()) <= 256:
            raise Invalid("Password must be between 8 and 256 characters long.")
        return value

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "minLength": 8, "maxLength": 256, "format": "password"}


@dataclass(frozen=True, slots=True)
class OrNone:
    """A value of another rule, or an empty text that takes away what is there."""

    rule: Rule

    def parse(self, value: JsonValue) -> Any:
        """The value; nothing for the empty text."""
        return None if value == "" else self.rule.parse(value)

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"anyOf": [dict(self.rule.schema()), {"type": "string", "maxLength": 0}]}


@dataclass(frozen=True, slots=True)
class OldPassword:
    """The password so far, which may be none: up to 256 bytes, not held to any rule for new ones."""

    def parse(self, value: JsonValue) -> str:
        """The password as sent."""
        if not isinstance(value, str) or len(value.encode()) > 256:
            raise Invalid("Value must be a valid string of at most 256 characters")
        return value

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "maxLength": 256, "format": "password"}


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number within bounds, as JSON or as the text of one."""

    least: int
    most: int

    def parse(self, value: JsonValue) -> int:
        """The number."""
        if isinstance(value, str) and _DIGITS.match(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            raise Invalid(f"Value must be a valid range between {self.least} and {self.most}")
        return value

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Power(Number):
    """A whole number within bounds that is a power of two."""

    def parse(self, value: JsonValue) -> int:
        """The number."""
        number = Number.parse(self, value)
        if number & (number - 1):
            raise Invalid("Value must be a power of two")
        return number


@dataclass(frozen=True, slots=True)
class Base64:
    """Bytes in base64, 1 to ``longest`` characters; kept as the text."""

    longest: int

    def parse(self, value: JsonValue) -> str:
        """The text as sent."""
        text = Text(self.longest).parse(value)
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise Invalid("Value must be valid base64") from None
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "contentEncoding": "base64", "minLength": 1, "maxLength": self.longest}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these words; where ``folded``, in any case (the SDKs disagree on some)."""

    words: tuple[str, ...]
    folded: bool = False

    def parse(self, value: JsonValue) -> str:
        """The word as listed."""
        if isinstance(value, str):
            for word in self.words:
                if value == word or (self.folded and value.lower() == word.lower()):
                    return word
        raise Invalid(f"Value must be one of ({', '.join(self.words)})")

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute URL. Whether the project sends people there is `accounts_es.http.redirects`' business."""

    def parse(self, value: JsonValue) -> str:
        """The URL as sent."""
        text = _text(value)
        try:
            parts = urlsplit(text)
        except ValueError:
            raise Invalid("Value must be a valid URL") from None
        if len(text) > MAX_URL or not parts.scheme or not (parts.netloc or parts.path) or _NOT_IN_URLS.search(text):
            raise Invalid("Value must be a valid URL")
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "format": "uri", "maxLength": MAX_URL}


@dataclass(frozen=True, slots=True)
class Flag:
    """A JSON boolean; with ``loose`` also the texts true, false, 1 and 0, as query strings carry them."""

    loose: bool = False

    def parse(self, value: JsonValue) -> bool:
        """True or false."""
        if isinstance(value, bool):
            return value
        if self.loose and value in ("true", "1", 1):
            return True
        if self.loose and value in ("false", "0", 0):
            return False
        raise Invalid("Value must be a valid boolean")

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Digits:
    """This many ASCII digits."""

    length: int

    def parse(self, value: JsonValue) -> str:
        """The digits as sent."""
        if not isinstance(value, str) or not re.fullmatch(f"[0-9]{{{self.length}}}", value):
            raise Invalid(f"Value must be a valid string of exactly {self.length} digits")
        return value

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "pattern": f"^[0-9]{{{self.length}}}$"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and time of ISO 8601; without an offset it is UTC."""

    def parse(self, value: JsonValue) -> datetime:
        """The moment, in UTC."""
        try:
            moment = datetime.fromisoformat(_text(value))
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Invalid("Value must be a valid date in the ISO 8601 format") from None

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "format": "date-time"}


_LOCALE: Final = re.compile(r"[a-z]{2,3}(-[a-z]{2})?\Z")


@dataclass(frozen=True, slots=True)
class Locale:
    """A language, or one with its region, in lower case: ``pt-br``."""

    def parse(self, value: JsonValue) -> str:
        """The locale as sent."""
        text = _text(value)
        if not _LOCALE.match(text):
            raise Invalid("Value must be a valid locale, such as en or pt-br")
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "pattern": _LOCALE.pattern.removesuffix("\\Z")}


_HOST: Final = re.compile(
    r"(\*|(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\])\Z"
)


@dataclass(frozen=True, slots=True)
class Hostname:
    """A host without scheme and port, ``*.`` in front for any below it, or ``*``; read in lower case."""

    def parse(self, value: JsonValue) -> str:
        """The host in lower case."""
        text = _text(value).strip().lower()
        if len(text) > 253 or not _HOST.match(text):
            raise Invalid("Value must be a valid hostname, without scheme, port and path")
        return text

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "format": "hostname", "maxLength": 253}


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of at most ``most`` values of one rule."""

    each: Rule
    most: int

    def parse(self, value: JsonValue) -> list[Any]:
        """The values, in order."""
        if not isinstance(value, list):
            raise Invalid("Value must be a valid array")
        if len(value) > self.most:
            raise Invalid(f"Value must be a valid array of at most {self.most} items")
        return [self.each.parse(item) for item in value]

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "array", "maxItems": self.most, "items": dict(self.each.schema())}


_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_LABEL: Final = re.compile(r"[A-Za-z0-9]{1,36}\Z")


@dataclass(frozen=True, slots=True)
class Label:
    """1 to 36 ASCII letters and digits (contract: users, 1.10)."""

    def parse(self, value: JsonValue) -> str:
        """The label as sent."""
        if not isinstance(value, str) or not _LABEL.match(value):
            raise Invalid("Value must be a valid string of at most 36 chars containing only alphanumeric chars")
        return value

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "pattern": "^[A-Za-z0-9]{1,36}$"}


@dataclass(frozen=True, slots=True)
class Key:
    """A word such as a role: characters as in an id, at most ``longest`` of them (contract: users-teams, 2.1)."""

    longest: int

    def parse(self, value: JsonValue) -> str:
        """The word as sent."""
        if not isinstance(value, str) or len(value) > self.longest or not _KEY.match(value):
            raise Invalid(
                f"Parameter must contain at most {self.longest} chars. Valid chars are a-z, A-Z, 0-9, period, hyphen, "
                "and underscore. Can't start with a special char"
            )
        return value

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "maxLength": self.longest, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"}


@dataclass(frozen=True, slots=True)
class Prefs:
    """A JSON object of at most 65,535 bytes, counted with everything but ASCII escaped and ``/`` as two bytes.

    That is how the contract counts (account, 2.1); an empty list is an empty object there.
    """

    def parse(self, value: JsonValue) -> JSONObject:
        """The object."""
        if value == [] and isinstance(value, list):
            return {}
        if not isinstance(value, dict):
            raise Invalid("Value must be a valid object")
        plain = to_json(value)
        # One byte of UTF-8 becomes six at the most: small ones need no exact count.
        if len(plain) * 6 > MAX_PREFS_BYTES:
            escaped = json.dumps(value, separators=(",", ":"))
            if len(escaped) + escaped.count("/") > MAX_PREFS_BYTES:
                raise Invalid("Value must be a valid object")
        return value

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        return {"type": "object", "additionalProperties": True}
