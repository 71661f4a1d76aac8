"""The memory of a tree of processes, from /proc."""

import os

_PAGE = os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    """Ids of all processes below `pid`, nearest first."""
    found = _children(pid)
    for child in found:  # grows while it is walked
        found += _children(child)
    return found


def resident(pids: list[int]) -> int:
    """Bytes of RAM in use; pages that several processes share count in each of them."""
    return sum(_PAGE * int(text.split()[1]) for pid in pids if (text := _read(f"/proc/{pid}/statm")))


def proportional(pids: list[int]) -> int:
    """Bytes of RAM in use, each shared page counted once among its owners; slower than `resident`."""
    return sum(_field(_read(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in pids)


def peak(pids: list[int]) -> int:
    """The most bytes of RAM that one of the processes has used so far."""
    return max((_field(_read(f"/proc/{pid}/status"), "VmHWM:") for pid in pids), default=0)


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 (pathlib, again)
    except OSError:  # it has ended
        return []
    return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def _field(text: str, name: str) -> int:
    """A line's number of kB, in bytes."""
    return next((1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)


def _read(path: str) -> str:
    """The file's text; empty when the process has ended."""
    try:
        with open(path) as file:  # noqa: PTH123 (the import of pathlib would cost every cold start 5 ms)
            return file.read()
    except OSError:
        return ""
