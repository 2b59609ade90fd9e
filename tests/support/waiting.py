"""Waiting for a condition instead of for a time."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


async def until(condition: Callable[[], bool], *, limit: float = 20.0) -> None:
    """Returns when the condition holds; fails when it does not within the limit."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        await asyncio.sleep(0.005)


def eventually(find: Callable[[], T], *, limit: float = 20.0) -> T:
    """What is found once there is something; fails when there is nothing within the limit."""
    end = time.monotonic() + limit
    while not (found := find()):
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.01)
    return found


@pytest.fixture
def no_window_ends() -> None:
    """Tests that count within a window of a rate limit do not run into its end."""
    left = 1800 - time.time() % 1800
    if left < 15:
        time.sleep(left)
