"""Passwords: Argon2id in a bounded pool of threads, so that a storm of sign-ins queues instead of growing memory."""

import asyncio
import contextlib
import ctypes
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from accounts_es.adapters.imported_hashes import imported_hash
from accounts_es.domain.errors import GeneralServiceUnavailable

T = TypeVar("T")

_M_MMAP_THRESHOLD: Final = -3
"""mallopt(3)"""


class Passwords:
    """Hash and check passwords as the bytes they were sent as (ASVS V6.2.8)."""

    def __init__(self, *, memory_kib: int, iterations: int, lanes: int, workers: int, patience: float) -> None:
        self._hasher = PasswordHasher(iterations, memory_kib, lanes, type=Type.ID)
        _give_back_large_blocks()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="password")
        self._turns = asyncio.Semaphore(workers)
        self._patience = patience
        # Unknown people are checked against a hash nobody can meet, so that they cost what known people cost.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        """The Argon2id hash in PHC form. Raises `GeneralServiceUnavailable` when the queue is too long."""
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one behind the hash; without a hash never, after the same work.

        Raises `GeneralServiceUnavailable` when the queue is too long.
        """
        return await self._in_turn(lambda: self._verify(stored or self._nobody, password)) and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's, or elsewhere."""
        return imported_hash(stored) is not None or self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Let running hashes finish and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        imported = imported_hash(stored)
        if imported is not None:
            # Some take no time to check: without this, that would tell who exists.
            self._verify(self._nobody, password)
            return imported.matches(password)
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._patience):
                await self._turns.acquire()
        except TimeoutError:
            raise GeneralServiceUnavailable from None
        # The turn ends with the work, not with the caller: one who hangs up leaves a hash that still runs.
        job = asyncio.get_running_loop().run_in_executor(self._pool, work)
        job.add_done_callback(lambda _: self._turns.release())
        return await asyncio.shield(job)


def _give_back_large_blocks() -> None:
    """Make glibc map the megabytes of a hash separately and return them, instead of keeping them for each thread."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)
