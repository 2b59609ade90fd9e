"""How commands talk to people."""

import sys

from pydantic import ValidationError

from accounts_es.settings import Settings


class Trouble(Exception):  # noqa: N818
    """Something the operator can put right; the message says what, in one sentence."""


def read_settings(**given: object) -> Settings:
    """The settings, some of them given as options. Raises `Trouble` for what they cannot be."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise Trouble("; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())) from None


def complain(message: str) -> None:
    """Say on standard error what is wrong."""
    print(f"accounts-es: {message}", file=sys.stderr)
