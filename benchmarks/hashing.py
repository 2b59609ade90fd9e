"""Argon2 alone, with the server's parameters: what of a sign-in cannot be made faster without making it weaker."""

import time

from argon2 import PasswordHasher, Type

from accounts_es.settings import Settings
from benchmarks.measure import Result
from benchmarks.spread import in_threads


def hashing(connections: int, seconds: float) -> Result:
    """Hashes a second, with as many at a time as one worker allows itself."""
    settings = Settings()
    hasher = PasswordHasher(settings.hash_iterations, settings.hash_memory_kib, settings.hash_lanes, type=Type.ID)
    cpu = time.process_time()
    result = in_threads(
        min(connections, settings.hash_workers), seconds, lambda _, count: hasher.hash(f"correct horse {count}")
    )
    return {**result, "server_cpu_us": (time.process_time() - cpu) / max(result["answers"], 1.0) * 1e6}
