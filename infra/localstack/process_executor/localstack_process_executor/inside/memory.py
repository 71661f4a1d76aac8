"""The memory of a process tree, read from /proc."""

import os

_PAGE = os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    """The ids of all descendants of `pid`, nearest first."""
    pids = _children(pid)
    for child in pids:  # the list grows during the iteration
        pids += _children(child)
    return pids


def resident(pids: list[int]) -> int:
    """Bytes of RAM in use; shared pages are counted for each process."""
    return sum(_PAGE * int(text.split()[1]) for pid in pids if (text := _read(f"/proc/{pid}/statm")))


def proportional(pids: list[int]) -> int:
    """Bytes of RAM in use, with each shared page divided among its processes; slower than `resident`."""
    return sum(_field(_read(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in pids)


def peak(pids: list[int]) -> int:
    """The highest peak, in bytes of RAM, of a single process so far."""
    return max((_field(_read(f"/proc/{pid}/status"), "VmHWM:") for pid in pids), default=0)


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 (the import of pathlib takes 5 ms)
    except OSError:  # it has ended
        return []
    return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def _field(text: str, name: str) -> int:
    """The value of a line in kB, converted to bytes."""
    return next((1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)


def _read(path: str) -> str:
    """The file's text; empty if the process has ended."""
    try:
        with open(path) as file:  # noqa: PTH123 (the import of pathlib takes 5 ms of every cold start)
            return file.read()
    except OSError:
        return ""
