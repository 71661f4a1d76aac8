"""Processes that are forked from this one: each is replaced when it ends, and when it hangs."""

import contextlib
import ctypes
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from layers.core.logging import logger

type Work = Callable[[Callable[[], None]], object]
"""What a process does until SIGTERM. It calls its argument at least every second, as a sign that it runs."""

_MIN_SECONDS: Final = 1
"""A process that ends sooner than this is replaced only after this time."""
_HUNG_SECONDS: Final = 10
"""A process that has given no sign for this time, because it is stopped or holds the interpreter's lock, is killed."""
_END_SECONDS: Final = 35
"""A process that was asked to end is killed after this time, in which every request ends."""
_CHECK_SECONDS: Final = 1
_START_SECONDS: Final = 0.02
"""How often it looks whether the first processes run."""
_PR_SET_PDEATHSIG: Final = 1
_SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)


class ForkedHosts:
    """One process for each name. `is_ready` is called when each has given a sign.

    SIGINT ends all. SIGTERM, which says that others have taken over, ends one after the other, so many seconds apart: a
    client that keeps connections must not lose those of all hosts at the same moment.
    """

    def __init__(self, works: Mapping[str, Work], *, is_ready: Callable[[], None], seconds_apart: float) -> None:
        self._works = works
        self._seconds_apart = seconds_apart
        self._next_ends_at = 0.0
        self._call_when_ready: Callable[[], None] | None = is_ready
        self._running: dict[int, str] = {}
        self._started_at = {name: -float(_MIN_SECONDS) for name in works}
        self._ends_at: dict[int, float] = {}
        """When a process that was asked to end is killed."""
        self._signs = _Signs(list(works))
        self._is_stopping = False
        self._checked_at = self._watches_since = time.monotonic()

    def run(self) -> None:
        """Start the processes and replace them; returns when all have ended. This process must have no threads."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._start_missing()
        while self._running or not self._is_stopping:
            received = signal.sigtimedwait(_SIGNALS, self._pause_seconds())
            self._remove_ended()
            if received and received.si_signo in {signal.SIGTERM, signal.SIGINT}:
                self._is_stopping = True
                self._seconds_apart = 0 if received.si_signo == signal.SIGINT else self._seconds_apart
            if self._is_stopping:
                self._end_hosts()
            else:
                self._start_missing()
            self._kill_hung()
            if self._call_when_ready and all(self._signs.age(name) is not None for name in self._works):
                self._call_when_ready()
                self._call_when_ready = None

    def _start_missing(self) -> None:
        now = time.monotonic()
        for name in self._works.keys() - set(self._running.values()):
            if now >= self._started_at[name] + _MIN_SECONDS:
                self._start(name, now)

    def _start(self, name: str, now: float) -> None:
        self._started_at[name] = now
        self._signs.clear(name)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _run_child(parent, lambda: self._works[name](lambda: self._signs.give(name)))
        self._running[pid] = name

    def _remove_ended(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                was_asked = self._ends_at.pop(pid, None) is not None
                name = self._running.pop(pid)
                if not was_asked:
                    logger().error("process ended", host=name, exit_code=os.waitstatus_to_exitcode(status))

    def _pause_seconds(self) -> float:
        if self._is_stopping and len(self._ends_at) < len(self._running):
            return min(_CHECK_SECONDS, max(_START_SECONDS, self._seconds_apart))
        return _START_SECONDS if self._call_when_ready else _CHECK_SECONDS

    def _end_hosts(self) -> None:
        """Ask the hosts that are due to end; the order keeps those of a kind far apart."""
        now = time.monotonic()
        for pid, _ in sorted(self._running.items(), key=lambda host: host[1].rpartition("-")[2]):
            if pid not in self._ends_at and now >= self._next_ends_at:
                self._next_ends_at = now + self._seconds_apart
                self._ends_at[pid] = now + _END_SECONDS
                os.kill(pid, signal.SIGTERM)

    def _kill_hung(self) -> None:
        now = time.monotonic()
        if now > self._checked_at + 2 * _CHECK_SECONDS:  # this process was stopped itself, probably with the others
            self._watches_since = now
        self._checked_at = now
        for pid, name in self._running.items():
            age = self._signs.age(name)
            if age and min(age, now - self._watches_since) > _HUNG_SECONDS and pid not in self._ends_at:
                logger().error("process hangs", host=name, seconds=round(age))
                os.kill(pid, signal.SIGKILL)
        for pid, ends_at in self._ends_at.items():
            if now > ends_at:
                os.kill(pid, signal.SIGKILL)


class _Signs:
    """When each process last showed that it runs, in memory that is shared with the forked processes."""

    def __init__(self, names: list[str]) -> None:
        size = len(names) * ctypes.sizeof(ctypes.c_double)
        self._times = (ctypes.c_double * len(names)).from_buffer(mmap.mmap(-1, size))
        self._positions = {name: position for position, name in enumerate(names)}

    def give(self, name: str) -> None:
        """Say that this process runs."""
        self._times[self._positions[name]] = time.monotonic()

    def clear(self, name: str) -> None:
        """Forget the process before."""
        self._times[self._positions[name]] = 0

    def age(self, name: str) -> float | None:
        """The seconds since the last sign; None if there was none yet."""
        at = self._times[self._positions[name]]
        return time.monotonic() - at if at else None


def _run_child(parent: int, work: Callable[[], object]) -> NoReturn:
    """Run `work` in this process, which was forked just now, and end it."""
    exit_code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # a parent that is killed leaves no process behind
        if os.getppid() == parent:
            work()
            exit_code = 0
    except BaseException:  # noqa: BLE001 (nothing may leave a forked process but its exit)
        logger().exception("process failed")
    finally:
        sys.stdout.flush()
        os._exit(exit_code)
