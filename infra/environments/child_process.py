"""An execution environment in a child process: the function can crash or be killed without harm to its host."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Self

import msgspec

from infra import template_map
from infra.environments import handlers, shared_memory
from infra.environments.context import Context
from infra.environments.handlers import HandlerNotLoaded
from infra.environments.invocation import EnvironmentCrashed, InvocationFailed, TimedOut
from infra.template_map import Function

START_SECONDS = 30
_POLL_SECONDS = 0.25


class Returned(msgspec.Struct, frozen=True, tag=True):
    """What the handler returned."""

    value: Any


class Raised(msgspec.Struct, frozen=True, tag=True):
    """What the handler raised."""

    traceback: str


class ChildProcessEnvironment:
    """Takes one event at a time; starts its process at first use, and again after a crash.

    A process that is started before its host has threads is forked, and shares the host's memory. Later ones are new
    processes, because a process with threads must not be forked.
    """

    def __init__(self, handler: str) -> None:
        self._handler = handler
        self._process: BaseProcess | None = None
        self._pipe: Connection[bytes, bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The id of the running process; None if there is none."""
        return self._process.pid if self._process and self._process.is_alive() else None

    def invoke(self, event: Mapping[str, Any], *, timeout_seconds: float) -> Any:
        """What the handler returns, after a round trip through JSON; raises `InvocationFailed`."""
        self.start()
        assert self._pipe  # noqa: S101 (for the type checker)
        try:
            self._pipe.send_bytes(msgspec.json.encode(event))
        except OSError as error:
            self.kill()
            raise EnvironmentCrashed from error
        outcome = msgspec.json.decode(self._receive(timeout_seconds), type=Returned | Raised)
        if isinstance(outcome, Raised):
            raise InvocationFailed(outcome.traceback)
        return outcome.value

    @classmethod
    def started(cls, handler: str) -> Self:
        """An environment whose process runs; a handler that cannot be imported is tried again at its first event."""
        environment = cls(handler)
        with contextlib.suppress(InvocationFailed):
            environment.start()
        return environment

    def kill(self) -> None:
        """End the process and all that it started."""
        if self._process and self._process.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()  # it may not lead its group yet
            self._process.join()
        if self._pipe:
            self._pipe.close()
        self._process = self._pipe = None

    def start(self) -> None:
        """Start the process unless it runs; raises `InvocationFailed` if the handler cannot be imported."""
        if self.pid is not None:
            return
        self.kill()
        is_forked = threading.active_count() == 1
        if is_forked:
            self._load_to_share()
        context = multiprocessing.get_context("fork") if is_forked else multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = [self._handler, theirs, ours if is_forked else None]
        self._process = context.Process(target=_run, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._pipe = ours
        self._receive(START_SECONDS)  # as in Lambda, the start does not count towards the function's timeout

    def _load_to_share(self) -> None:
        """Import the handler in this process, so that the forked one shares the memory of its modules."""
        with contextlib.suppress(HandlerNotLoaded):  # the forked process reports it
            handlers.load(self._handler)
        handlers.load_drivers(layer for each in _functions(self._handler) for layer in each.layers)
        shared_memory.share_with_forks()

    def _receive(self, seconds: float) -> bytes:
        assert self._process  # noqa: S101
        assert self._pipe  # noqa: S101
        ends_at = time.monotonic() + seconds
        try:
            while not self._pipe.poll(max(0.0, min(_POLL_SECONDS, ends_at - time.monotonic()))):
                if not self._process.is_alive() and not self._pipe.poll():
                    self.kill()  # do not wait for the end of the pipe: a child of the process may still hold it open
                    raise EnvironmentCrashed("its process ended")
                if time.monotonic() >= ends_at:
                    self.kill()
                    raise TimedOut(f"no answer after {seconds} s")
            return self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            self.kill()
            raise EnvironmentCrashed("its process ended") from error


def _functions(handler: str) -> list[Function]:
    """The function of the template that has this handler, if there is one."""
    return [each for each in template_map.functions() if each.handler == handler]


def _run(name: str, pipe: "Connection[bytes, bytes]", inherited: "Connection[bytes, bytes] | None") -> None:
    """Process events until the parent closes the pipe; `inherited` is the parent's end, in a forked process."""
    if inherited:
        inherited.close()
    # A signal from a terminal or supervisor to the host's group must not cut a batch. Not a session: Linux gives all
    # sessions the same share of the CPU, whatever the niceness of their processes (`sched(7)`, autogroups).
    os.setpgid(0, 0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    handler = handlers.load(name)
    function = next(iter(_functions(name)), None)
    pipe.send_bytes(b"ready")
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            event = msgspec.json.decode(pipe.recv_bytes())
            outcome: Returned | Raised
            try:
                outcome = Returned(handler(event, Context(function) if function else None))
            except Exception:  # noqa: BLE001 (a handler may raise anything)
                outcome = Raised(traceback.format_exc())
            pipe.send_bytes(msgspec.json.encode(outcome, enc_hook=str))
