"""``accounts-es hash``: how much work a password should be on this machine."""

import time
from typing import Annotated, Final

import typer
from argon2 import PasswordHasher, Type

from accounts_es.cli.console import Trouble

hashes = typer.Typer(help="What passwords are hashed with.", no_args_is_help=True)

FLOOR_KIB: Final = 19456
FLOOR_ITERATIONS: Final = 2
"""OWASP ASVS 5.0, appendix C (V11.4.2)."""
_TRIES: Final = 3


@hashes.command("calibrate")
def calibrate(
    target: Annotated[float, typer.Option(min=0.01, max=5.0, help="Seconds that one hash may take.")] = 0.1,
    memory_mib: Annotated[int, typer.Option(min=19, max=4096, help="The most memory of one hash.")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Hashes at the same time in each worker of the server.")] = 2,
) -> None:
    """Measure this machine, and propose Argon2id parameters: as much memory as allowed, then as many passes as fit."""
    memory = FLOOR_KIB
    while memory * 2 <= memory_mib * 1024 and seconds(memory * 2, FLOOR_ITERATIONS) <= target:
        memory *= 2
    wanted = min(memory_mib * 1024, memory * 2)
    if memory < wanted and seconds(wanted, FLOOR_ITERATIONS) <= target:
        memory = wanted
    iterations, taken = FLOOR_ITERATIONS, seconds(memory, FLOOR_ITERATIONS)
    while (longer := seconds(memory, iterations + 1)) <= target:
        iterations, taken = iterations + 1, longer
    print(f"ACCOUNTS_HASH_MEMORY_KIB={memory}")
    print(f"ACCOUNTS_HASH_ITERATIONS={iterations}")
    print("ACCOUNTS_HASH_LANES=1")
    print(f"ACCOUNTS_HASH_WORKERS={workers}")
    print(f"# one hash takes {taken * 1000:.0f} ms here; each worker needs {memory * workers // 1024} MiB for them")
    if taken > target:
        raise Trouble(f"even the least that is safe takes longer than {target} s on this machine")


def seconds(memory_kib: int, iterations: int) -> float:
    """How long one hash takes: the best of some, since others use the machine as well."""
    hasher = PasswordHasher(iterations, memory_kib, 1, type=Type.ID)
    best = float("inf")
    for _ in range(_TRIES):
        begun = time.perf_counter()
        hasher.hash("correct horse battery staple")
        best = min(best, time.perf_counter() - begun)
    return best
