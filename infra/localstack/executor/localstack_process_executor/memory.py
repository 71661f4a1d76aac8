"""The memory that a tree of processes holds, read from /proc: where no cgroup can be written, it is watched."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOK_SECONDS = 0.05


def resident(pid: int) -> int:
    """Bytes that a process and all below it hold; 0 once it has ended."""
    total, left = 0, [pid]
    while left:
        each = left.pop()
        folder = Path(f"/proc/{each}")
        try:
            total += int((folder / "statm").read_text().split()[1]) * _PAGE
            for task in (folder / "task").iterdir():
                left += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):
            continue
    return total


class Watch:
    """Looks at a tree every 50 ms; calls `exceeded` once when it holds more than its limit."""

    def __init__(self, pid: int, *, limit_bytes: int, exceeded: Callable[[], None]) -> None:
        self.peak_bytes = 0
        self._pid, self._limit, self._exceeded = pid, limit_bytes, exceeded
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> int:
        """Look a last time and stop; the most bytes that were seen."""
        self._over.set()
        self.peak_bytes = max(self.peak_bytes, resident(self._pid))
        return self.peak_bytes

    def _look(self) -> None:
        while not self._over.is_set():
            self.peak_bytes = max(self.peak_bytes, resident(self._pid))
            if self.peak_bytes > self._limit:
                self._exceeded()
                return
            self._over.wait(_LOOK_SECONDS)
