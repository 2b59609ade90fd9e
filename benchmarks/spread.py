"""Work in this process by many tasks or threads at once, for a while."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

from benchmarks.measure import Result


def _result(latencies: list[list[float]], elapsed: float) -> Result:
    merged = sorted(latency for mine in latencies for latency in mine)
    count = len(merged)
    return {
        "rate": count / elapsed,
        "answers": count,
        "p50_ms": merged[count // 2] * 1000 if count else 0.0,
        "p99_ms": merged[count * 99 // 100] * 1000 if count else 0.0,
        "errors": 0,
    }


async def in_tasks(concurrency: int, seconds: float, work: Callable[[int, int], Awaitable[object]]) -> Result:
    """``work(task, count)`` again and again; what fails ends the measurement."""
    latencies: list[list[float]] = [[] for _ in range(concurrency)]
    began = time.perf_counter()
    end = began + seconds

    async def worker(nth: int) -> None:
        while (sent := time.perf_counter()) < end:
            await work(nth, len(latencies[nth]) + 1)
            latencies[nth].append(time.perf_counter() - sent)

    await asyncio.gather(*(worker(nth) for nth in range(concurrency)))
    return _result(latencies, time.perf_counter() - began)


def in_threads(concurrency: int, seconds: float, work: Callable[[int, int], object]) -> Result:
    """``work(thread, count)`` again and again; what fails ends the measurement."""
    latencies: list[list[float]] = [[] for _ in range(concurrency)]
    failures: list[BaseException] = []
    began = time.perf_counter()
    end = began + seconds

    def worker(nth: int) -> None:
        try:
            while (sent := time.perf_counter()) < end:
                work(nth, len(latencies[nth]) + 1)
                latencies[nth].append(time.perf_counter() - sent)
        except Exception as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=worker, args=(nth,)) for nth in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return _result(latencies, time.perf_counter() - began)
