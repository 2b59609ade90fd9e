"""Waiting for a condition instead of for a time."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], bool], *, limit: float = 20.0) -> None:
    """Returns when the condition holds; fails when it does not within the limit."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        await asyncio.sleep(0.005)
