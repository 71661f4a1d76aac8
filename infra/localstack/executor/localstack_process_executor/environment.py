"""An execution environment: one process of one function, which takes one event at a time."""

import contextlib
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from localstack_process_executor import failures, sandbox
from localstack_process_executor.memory import Watch
from localstack_process_executor.runtime_api import Answered, Event, Exited, InitFailed, Ready, RuntimeApi, Signal
from localstack_process_executor.sandbox import Folders

INIT_SECONDS = 10
"""Of an import; after that Lambda tries again, within the timeout of the invocation."""

_ENDING_SECONDS = 2
"""How long a process may take between its answer and the next question; a killed one ends within that time."""
_SIGNALLED = 128
_MEGABYTE = 1 << 20
_PATH = "/usr/local/bin:/usr/bin:/bin"

_spawner = ThreadPoolExecutor(1, thread_name_prefix="process-executor-spawner")
"""Processes die with the thread that started them (PR_SET_PDEATHSIG): so one that lives as long as LocalStack does."""


@dataclass(frozen=True)
class Limits:
    """What an environment may use."""

    timeout_seconds: float
    memory_mb: int


@dataclass(frozen=True)
class Invocation:
    """One event for a function."""

    request_id: str
    payload: bytes
    function_arn: str
    trace_id: str


@dataclass(frozen=True)
class Result:
    """What came of it."""

    payload: bytes
    is_error: bool
    log: str


class _Killed(Exception):
    """The process ended before it had answered."""

    def __init__(self, payload: bytes, line: str) -> None:
        super().__init__(line)
        self.payload = payload
        self.line = line


class Environment:
    """Starts its process when it is needed: at first, after a crash, a timeout, `stop`, or a change of its code."""

    def __init__(
        self, *, version: str, folders: Folders, limits: Limits, variables: Mapping[str, str], state: Path
    ) -> None:
        self._version, self._folders, self._limits = version, folders, limits
        self._variables = dict(variables)
        self._state = state
        self._busy = threading.Lock()
        self._process: _Process | None = None
        self._code_seen: object = None
        self._is_closed = False

    @property
    def is_running(self) -> bool:
        """Whether it has a process."""
        return self._process is not None

    def start(self) -> None:
        """Start the process and wait for the function's import; a failure is told by the first invocation."""
        with self._busy:
            self._start(INIT_SECONDS)

    def stop(self) -> None:
        """End the process, also in the middle of an invocation; the next one starts another."""
        process = self._process
        if process:
            process.kill()

    def stop_if_idle(self) -> bool:
        """End the process unless it is at work; whether there was one to end."""
        if not self._busy.acquire(blocking=False):
            return False
        try:
            had_one = self._process is not None
            self._end()
            return had_one
        finally:
            self._busy.release()

    def close(self) -> None:
        """End the process for good, also in the middle of an invocation."""
        self._is_closed = True
        self.stop()
        with self._busy:
            self._end()

    def invoke(self, invocation: Invocation) -> Result:
        """Give the function an event and wait for what comes of it, for as long as its timeout."""
        with self._busy:
            started = time.monotonic()
            if self._process and (not self._process.is_ready() or self._code_seen != self._code_as_it_is()):
                self._end()
            if self._process is None:
                self._start(self._limits.timeout_seconds)
            process = self._process
            assert process  # noqa: S101 (for the type checker)
            log = [*process.log().splitlines(), f"START RequestId: {invocation.request_id} Version: {self._version}"]
            init_ms, process.init_ms = process.init_ms, None
            if init_ms is not None:
                started = time.monotonic()  # an import is not the handler's time
            watch = self._watch(process)
            try:
                answer = self._answer(process, invocation, started + self._limits.timeout_seconds)
                payload, is_error, last_line = answer.payload, answer.is_error, None
            except _Killed as killed:
                payload, is_error, last_line = killed.payload, True, killed.line
            peak = watch.end()
            milliseconds = (time.monotonic() - started) * 1000
            log += process.log().splitlines()
            if last_line is not None:
                log.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {invocation.request_id} {last_line}")
            if last_line is not None or process.init_error is not None:
                self._end()
            log += _report(invocation.request_id, milliseconds, self._limits.memory_mb, peak, init_ms)
            return Result(payload, is_error, "\n".join(log) + "\n")

    def _start(self, seconds: float) -> None:
        self._end()
        self._code_seen = self._code_as_it_is()
        self._process = _Process(self._folders, self._variables, self._state)
        watch = self._watch(self._process)
        self._process.wait_for_import(min(seconds, INIT_SECONDS))
        watch.end()
        if self._is_closed:
            self._end()

    def _watch(self, process: "_Process") -> Watch:
        return Watch(process.pid, limit_bytes=self._limits.memory_mb * _MEGABYTE, exceeded=process.kill_for_memory)

    def _end(self) -> None:
        if self._process:
            self._process.end()
            self._process = None

    def _answer(self, process: "_Process", invocation: Invocation, ends_at: float) -> Answered:
        """What the runtime posts for this event; raises `_Killed`."""
        if process.init_error is not None:
            return Answered(invocation.request_id, process.init_error, is_error=True)
        process.has_taken()
        deadline_ms = int((time.time() + max(0.0, ends_at - time.monotonic())) * 1000)
        process.api.events.put(
            Event(
                request_id=invocation.request_id,
                payload=invocation.payload,
                function_arn=invocation.function_arn,
                trace_id=invocation.trace_id,
                deadline_ms=deadline_ms,
            )
        )
        while True:
            match process.signal(ends_at - time.monotonic()):
                case None:
                    raise _Killed(
                        failures.timed_out(invocation.request_id, self._limits.timeout_seconds),
                        f"Task timed out after {self._limits.timeout_seconds:.2f} seconds",
                    )
                case Answered(request_id=request_id) as answered if request_id == invocation.request_id:
                    return answered
                case InitFailed(payload):
                    return Answered(invocation.request_id, payload, is_error=True)
                case Exited(status):
                    payload = process.death(invocation.request_id, status)
                    raise _Killed(payload, f"Error: Runtime exited {failures.how(status)}")

    def _code_as_it_is(self) -> object:
        """Tells one state of an edited folder from another."""
        if not self._folders.is_edited:
            return None
        return max(
            ((path.stat().st_mtime_ns, path.name) for path in self._folders.code.rglob("*") if path.suffix != ".pyc"),
            default=None,
        )


class _Process:
    """A started process, its Runtime API and its log."""

    def __init__(self, folders: Folders, variables: Mapping[str, str], state: Path) -> None:
        self.api = RuntimeApi()
        self.init_ms: float | None = None
        """Milliseconds of its start, until the first invocation has told them."""
        self.init_error: bytes | None = None
        self.was_out_of_memory = False
        self._has_asked = False
        self._log: IO[bytes] = tempfile.TemporaryFile(dir=state, buffering=0)  # noqa: SIM115 (closed by `end`)
        self._read_to = 0
        self._started = time.monotonic()
        self._command = sandbox.command(["-m", "awslambdaric", variables["_HANDLER"]], folders, state)
        environment = {
            "PATH": _PATH,
            "LANG": "en_US.UTF-8",
            "LD_LIBRARY_PATH": f"{self._command.opt}/lib",
            **self._command.environment,
            **variables,
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "LAMBDA_TASK_ROOT": str(self._command.task),
            "PYTHONPATH": self._python_path(variables),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._popen = _spawner.submit(self._spawn, environment).result()
        threading.Thread(target=self._wait, daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the process that the others are below."""
        return self._popen.pid

    def is_ready(self) -> bool:
        """Whether it asked for another event after the last one, rather than end."""
        if self._has_asked or self.init_error is not None:
            return True
        self._has_asked = isinstance(self.signal(_ENDING_SECONDS), Ready)
        return self._has_asked

    def has_taken(self) -> None:
        """It is given an event; it must ask for the next."""
        self._has_asked = False

    def wait_for_import(self, seconds: float) -> None:
        """Until the runtime asks for an event, or says why it never will."""
        match self.signal(seconds):
            case InitFailed(payload):
                self.init_error = payload
            case Exited(status):
                self.init_error = self.death("", status)
            case Ready():
                self._has_asked = True
            case _:
                pass  # it may still come, within the invocation's time
        self.init_ms = (time.monotonic() - self._started) * 1000

    def signal(self, seconds: float) -> Signal | None:
        """What the process tells next; None if it tells nothing for so long."""
        try:
            return self.api.signals.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None

    def death(self, request_id: str, status: int) -> bytes:
        """What AWS says of how it ended."""
        if self.was_out_of_memory:
            return failures.out_of_memory(request_id)
        return failures.exited(request_id, status)

    def log(self) -> str:
        """What was written since it was asked last. A file's end is known at once; a pipe's never."""
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), size - self._read_to, self._read_to)
        self._read_to = size
        return text.decode(errors="replace")

    def kill_for_memory(self) -> None:
        """It holds too much."""
        self.was_out_of_memory = True
        self.kill()

    def kill(self) -> None:
        """End it and all below it: the namespace's processes go with their first one, a group's together."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it; nothing of it is left."""
        self.kill()
        self._popen.wait()
        self.api.close()
        self._log.close()
        sandbox.remove(self._command.temporary)

    def _spawn(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command.words,
            cwd=self._command.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _wait(self) -> None:
        status = self._popen.wait()
        self.api.signals.put(Exited(status if status >= 0 else _SIGNALLED - status))

    def _python_path(self, variables: Mapping[str, str]) -> str:
        version = variables["AWS_EXECUTION_ENV"].rpartition("python")[2]
        opt = self._command.opt
        found = [str(self._command.task), f"{opt}/python/lib/python{version}/site-packages", f"{opt}/python"]
        return os.pathsep.join(filter(None, [*found, variables.get("PYTHONPATH")]))


def _report(request_id: str, milliseconds: float, memory_mb: int, peak_bytes: int, init_ms: float | None) -> list[str]:
    """The lines that Lambda writes after an invocation."""
    billed = int(milliseconds) + 1
    init = "" if init_ms is None else f"\tInit Duration: {init_ms:.2f} ms"
    return [
        f"END RequestId: {request_id}",
        (
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\tBilled Duration: {billed} ms"
            f"\tMemory Size: {memory_mb} MB\tMax Memory Used: {peak_bytes // _MEGABYTE} MB{init}"
        ),
    ]
