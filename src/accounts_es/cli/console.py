"""How commands talk to people."""

import sys


class Trouble(Exception):  # noqa: N818
    """Something the operator can put right; the message says what, in one sentence."""


def complain(message: str) -> None:
    """Say on standard error what is wrong."""
    print(f"accounts-es: {message}", file=sys.stderr)
