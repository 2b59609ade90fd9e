"""Dates as the wire writes them."""

from datetime import datetime
from functools import lru_cache


@lru_cache(maxsize=8192)
def date(at: datetime | None) -> str:
    """ISO 8601 with milliseconds and a numeric offset; nothing reads as an empty text (contract 2.2)."""
    return at.isoformat(timespec="milliseconds") if at is not None else ""
