"""An execution environment in a child process: the function can crash or be killed without harm to its host.

python -m infra.environments.child_process <handler> <file descriptor>   (started by `ChildProcessEnvironment` only)
"""

import contextlib
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
from infra.environments import handlers
from infra.environments.context import Context
from infra.environments.invocation import EnvironmentCrashed, InvocationFailed, TimedOut

START_SECONDS = 30
_POLL_SECONDS = 0.25


class Returned(msgspec.Struct, frozen=True, tag=True):
    """What the handler returned."""

    value: Any


class Raised(msgspec.Struct, frozen=True, tag=True):
    """What the handler raised."""

    traceback: str


class ChildProcessEnvironment:
    """Takes one event at a time; starts its process at first use, and again after a crash."""

    def __init__(self, handler: str) -> None:
        self._handler = handler
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection[bytes, bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The id of the running process; None if there is none."""
        return self._process.pid if self._process and self._process.poll() is None else None

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
        """Start the process unless it runs; raises `InvocationFailed` if the handler cannot be imported."""
        if self.pid is not None:
            return
        self.kill()
        ours, theirs = socket.socketpair()
        with theirs:
            module = "infra.environments.child_process"
            command = [sys.executable, "-m", module, self._handler, str(theirs.fileno())]
            # In its own session, so that a signal from a terminal or supervisor to the group does not cut a batch.
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        self._pipe = Connection(ours.detach())
        self._receive(START_SECONDS)  # as in Lambda, the start does not count towards the function's timeout

    def _receive(self, seconds: float) -> bytes:
        assert self._process  # noqa: S101
        assert self._pipe  # noqa: S101
        ends_at = time.monotonic() + seconds
        try:
            while not self._pipe.poll(max(0.0, min(_POLL_SECONDS, ends_at - time.monotonic()))):
                if self._process.poll() is not None and not self._pipe.poll():
                    self.kill()  # do not wait for the end of the pipe: a child of the process may still hold it open
                    raise EnvironmentCrashed("its process ended")
                if time.monotonic() >= ends_at:
                    self.kill()
                    raise TimedOut(f"no answer after {seconds} s")
            return self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            self.kill()
            raise EnvironmentCrashed("its process ended") from error


def main() -> None:
    """Process events until the parent closes the pipe."""
    descriptor = int(sys.argv[2])
    os.set_inheritable(descriptor, False)
    pipe: Connection[bytes, bytes] = Connection(descriptor)
    handler = handlers.load(sys.argv[1])
    function = next((each for each in template_map.functions() if each.handler == sys.argv[1]), None)
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


if __name__ == "__main__":
    main()
