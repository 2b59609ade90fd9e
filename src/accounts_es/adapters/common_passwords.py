"""Passwords that everybody tries first, from the lists that zxcvbn keeps (by how often they were leaked)."""

from functools import cache
from typing import Final

DICTIONARY_SIZE: Final = 10_000
"""Contract: account, 1.6: the dictionary's length."""


@cache
def _dictionary() -> frozenset[str]:
    # Read when first asked for: the lists are some megabytes, and the policy is off unless a project wants it.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    return frozenset(FREQUENCY_LISTS["passwords"][:DICTIONARY_SIZE])


def is_common(password: str) -> bool:
    """Whether it is one of the ten thousand most common passwords."""
    return password in _dictionary()
