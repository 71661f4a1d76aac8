"""One environment in a process of its own: it can crash, or be killed when its time is up, and hurts nobody.

python -m infra.local.isolated <handler> <file descriptor>   (started by `Environment` alone)
"""

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from infra import template_map
from infra.local.environment import Context

START_SECONDS = 30
_LOOK_SECONDS = 0.25


class InvocationFailed(Exception):
    """The handler raised; the text is its traceback's."""


class EnvironmentCrashed(InvocationFailed):
    """The process ended in the middle."""


class TimedOut(InvocationFailed):
    """The handler took longer than the function's Timeout; its process was killed."""


class Returned(msgspec.Struct, frozen=True, tag=True):
    """What a handler gave."""

    value: Any


class Failed(msgspec.Struct, frozen=True, tag=True):
    """What a handler raised."""

    traceback: str


class Environment:
    """Takes one event at a time; starts its process at first use and again after a crash."""

    def __init__(self, handler: str) -> None:
        self._handler = handler
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection[bytes, bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def invoke(self, event: Mapping[str, Any], *, timeout_seconds: float) -> Any:
        """What the handler returns for the event, by way of JSON; raises `InvocationFailed`."""
        self.start()
        assert self._pipe  # noqa: S101 (for the type checker)
        try:
            self._pipe.send_bytes(msgspec.json.encode(event))
        except OSError as error:
            self.kill()
            raise EnvironmentCrashed from error
        outcome = msgspec.json.decode(self._answer(timeout_seconds), type=Returned | Failed)
        if isinstance(outcome, Failed):
            raise InvocationFailed(outcome.traceback)
        return outcome.value

    def kill(self) -> None:
        """End the process and all that it started."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._pipe:
            self._pipe.close()
        self._process = self._pipe = None

    def start(self) -> None:
        """Start the process unless it runs; raises `InvocationFailed` when the handler cannot be imported."""
        if self.pid is not None:
            return
        self.kill()
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "infra.local.isolated", self._handler, str(theirs.fileno())]
            # A session of its own: a terminal's or supervisor's signal to the group must not cut a batch.
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        self._pipe = Connection(ours.detach())
        self._answer(START_SECONDS)  # Lambda does not count the start as the handler's time either

    def _answer(self, seconds: float) -> bytes:
        assert self._process  # noqa: S101
        assert self._pipe  # noqa: S101
        ends_at = time.monotonic() + seconds
        try:
            while not self._pipe.poll(max(0.0, min(_LOOK_SECONDS, ends_at - time.monotonic()))):
                if self._process.poll() is not None and not self._pipe.poll():
                    self.kill()  # without waiting for the pipe's end: a child of its may still hold it
                    raise EnvironmentCrashed("its process ended")
                if time.monotonic() >= ends_at:
                    self.kill()
                    raise TimedOut(f"no answer after {seconds} s")
            return self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            self.kill()
            raise EnvironmentCrashed("its process ended") from error


def main() -> None:
    """Take events until whoever sends them has gone."""
    module, _, name = sys.argv[1].rpartition(".")
    descriptor = int(sys.argv[2])
    os.set_inheritable(descriptor, False)
    pipe: Connection[bytes, bytes] = Connection(descriptor)
    handler = getattr(importlib.import_module(module), name)
    function = next((each for each in template_map.functions() if each.handler == sys.argv[1]), None)
    pipe.send_bytes(b"ready")
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            event = msgspec.json.decode(pipe.recv_bytes())
            outcome: Returned | Failed
            try:
                outcome = Returned(handler(event, Context(function) if function else None))
            except Exception:  # noqa: BLE001 (the handler's, whatever it is)
                outcome = Failed(traceback.format_exc())
            pipe.send_bytes(msgspec.json.encode(outcome, enc_hook=str))


if __name__ == "__main__":
    main()
