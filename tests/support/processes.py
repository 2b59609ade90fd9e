"""What the kernel says of processes, which may end while it is asked."""

from pathlib import Path


def alive(pid: int) -> bool:
    """Whether there is such a process, other than one that has ended and only waits for its parent."""
    stat = told(pid, "stat")
    return stat != "" and stat.rpartition(")")[2].split()[0] != "Z"


def children(pid: int) -> list[int]:
    """The processes it has started that have not ended."""
    try:
        threads = [each.name for each in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for thread in threads for child in told(pid, f"task/{thread}/children").split()]


def told(pid: int, file: str) -> str:
    """A file below ``/proc/PID``, and nothing where process or thread has gone since it was found."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
