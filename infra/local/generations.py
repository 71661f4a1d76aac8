"""Replaces a process by one of the current code: the one before serves until the new one is ready.

This module imports no other module of the project, because the process that uses it keeps what it has imported.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

type Work = Callable[[Callable[[], None]], object]
"""What a process does until SIGTERM, when another one has taken over, or SIGINT, when all ends.

It calls its argument when it is ready.
"""

_MIN_SECONDS: Final = 1
"""After a process that ended by itself, the next one starts this long after its start."""
_CHECK_SECONDS: Final = 1
_PR_SET_PDEATHSIG: Final = 1
_IS_READY: Final = signal.SIGUSR2


class Generations:
    """Processes that do the same work one after the other, forked from this one, until SIGTERM or SIGINT.

    The signal `replace_on` starts the next one. When it is ready, the one before gets SIGTERM; if it ends before that,
    the one before goes on. One that ends by itself is replaced. At the end all get SIGINT. The signals `forwarded` go
    to all. `beside` is another process: it is ready before the first of the others starts, and is also replaced when it
    ends.
    """

    def __init__(
        self,
        work: Work,
        *,
        replace_on: signal.Signals = signal.SIGHUP,
        forwarded: tuple[signal.Signals, ...] = (),
        beside: Work | None = None,
        is_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._replace_on = replace_on
        self._forwarded = forwarded
        self._beside = beside
        self._call_when_ready = is_ready
        self._signals = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, _IS_READY, replace_on, *forwarded}
        self._beside_pid: int | None = None
        self._serving: int | None = None
        self._preparing: int | None = None
        self._ending: set[int] = set()
        self._started_at = -float(_MIN_SECONDS)
        self._is_stopping = False

    def run(self) -> None:
        """Start the first process; returns when all have ended. This process must have no threads."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
        if self._beside:
            self._beside_pid = self._fork(self._beside)
            while signal.sigwait(self._signals) != _IS_READY:
                pass
        self._prepare_next()
        while not self._is_stopping or self._processes():
            received = signal.sigtimedwait(self._signals, _CHECK_SECONDS)
            # When this process was stopped and the time is over, CPython returns bytes that were never written.
            if received and received.si_signo in self._signals:
                self._receive(signal.Signals(received.si_signo), received.si_pid)
            self._remove_ended()
            self._replace_missing()

    def _receive(self, number: signal.Signals, sender: int) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            self._is_stopping = True
            self._end(*self._processes(), number=signal.SIGINT)
        elif number == _IS_READY and sender == self._preparing:
            self._end(*filter(None, [self._serving]))
            self._serving, self._preparing = self._preparing, None
            self._call_when_ready()
        elif number == self._replace_on and not self._is_stopping:
            self._end(*filter(None, [self._preparing]))  # it may have imported what has changed since
            self._prepare_next()
        elif number in self._forwarded:
            for pid in filter(None, [self._serving, self._preparing]):
                os.kill(pid, number)

    def _processes(self) -> list[int]:
        return [*filter(None, [self._serving, self._preparing, self._beside_pid]), *self._ending]

    def _end(self, *processes: int, number: signal.Signals = signal.SIGTERM) -> None:
        for pid in processes:
            os.kill(pid, number)
            self._ending.add(pid)

    def _prepare_next(self) -> None:
        self._started_at = time.monotonic()
        self._preparing = self._fork(self._work)

    def _replace_missing(self) -> None:
        if self._is_stopping or time.monotonic() < self._started_at + _MIN_SECONDS:
            return
        if self._serving is None and self._preparing is None:
            self._prepare_next()
        if self._beside and self._beside_pid is None:
            self._started_at = time.monotonic()
            self._beside_pid = self._fork(self._beside)

    def _remove_ended(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid in self._ending:
                    self._ending.remove(pid)
                else:
                    _log(f"process {pid} ended with exit code {os.waitstatus_to_exitcode(status)}")
                if pid == self._preparing:
                    self._preparing = None
                elif pid == self._serving:
                    self._serving = None
                elif pid == self._beside_pid:
                    self._beside_pid = None

    def _fork(self, work: Work) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _run_child(parent, work)
        return pid


def _run_child(parent: int, work: Work) -> NoReturn:
    """Run `work` in this process, which was forked just now, and end it.

    All signals but SIGTERM and SIGINT stay blocked: those that arrive during the imports wait until they are received.
    """
    exit_code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # a parent that is killed leaves no process behind
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        if os.getppid() == parent:
            work(lambda: os.kill(parent, _IS_READY))
            exit_code = 0
    except BaseException:  # noqa: BLE001 (nothing may leave a forked process but its exit)
        _log(traceback.format_exc())
    finally:
        sys.stdout.flush()
        os._exit(exit_code)


def _log(text: str) -> None:
    print(text, flush=True)
