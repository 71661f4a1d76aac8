"""One Lambda environment: a runtime's process that handles one event at a time, within the function's limits."""

import contextlib
import dataclasses
import select
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from . import reports
from .logs import LogPipe
from .runtime_api import Answered, AnswerTooLarge, Event, InitFailed, Message, Raised, Ready, RuntimeApi
from .sandbox import Function, Sandbox

INIT_SECONDS = 10.0  # AWS's limit
_FREEZE_SECONDS = 1.0
_STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Exited:
    """All processes have ended."""

    failure: reports.Failure


@dataclass(frozen=True)
class Frozen:
    """All processes are stopped until the next event."""


@dataclass(frozen=True)
class Result:
    """The answer of the Invoke API, and the log."""

    payload: bytes
    is_error: bool
    log: str


class Environment:
    """An environment from its start to its end; when created, it is reserved for the caller.

    After a failure that ends its process, it is not started again; the caller creates a new environment.
    """

    def __init__(self, function: Function, sandbox: Sandbox) -> None:
        self.idle_since = 0.0
        self._function = function
        self._started = time.monotonic()
        self._messages: SimpleQueue[Message | Exited | Frozen] = SimpleQueue()
        self._api = RuntimeApi(self._messages.put)
        self._log = LogPipe()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._log.writer() as log:
            self._process = sandbox.start(function, self._api.address, theirs, log)
        self._in_use = threading.Lock()
        self._in_use.acquire()
        self._is_retired = False
        self._ended = threading.Event()
        self._peak_bytes = 0
        self._init_ms: float | None = None
        self._init_log = ""
        self._init_failure: bytes | reports.Failure | None = None
        threading.Thread(target=self._watch, name="lambda-environment", daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether its processes have ended."""
        return self._ended.is_set()

    @property
    def age_seconds(self) -> float:
        """The time since its start."""
        return time.monotonic() - self._started

    @property
    def init_failed(self) -> bool:
        """Whether the code could not be loaded, and no invocation has reported it."""
        return self._init_failure is not None

    @property
    def init_timed_out(self) -> bool:
        """Whether the init did not end within the time given to `initialise`."""
        return isinstance(self._init_failure, reports.Failure) and self._init_failure.status == "timeout"

    def reserve(self) -> bool:
        """Reserve it until `release`; False if it is in use, retired or ended.

        One whose init failed can be reserved once more, so that an invocation reports the failure.
        """
        if not self._in_use.acquire(blocking=False):
            return False
        if self._is_retired or (self.has_ended and not self._init_failure):
            self._in_use.release()
            return False
        return True

    def release(self) -> None:
        """End the reservation."""
        self.idle_since = time.monotonic()
        self._in_use.release()
        if self._is_retired:  # checked after the release, as `retire` sets it before its check: one of them stops it
            self.stop()

    def retire(self) -> None:
        """Stop it at once, or when the running invocation has ended."""
        self._is_retired = True
        if not self._in_use.locked():
            self.stop()

    def stop(self) -> None:
        """End all its processes; a running invocation fails."""
        with contextlib.suppress(OSError):  # it has ended already
            self._control.shutdown(socket.SHUT_RDWR)
        self._ended.wait(_STOP_SECONDS)

    def initialise(self, seconds: float = INIT_SECONDS) -> None:
        """Wait until the function's code is loaded; `invoke` reports a failure."""
        message = self._wait_for((Ready, InitFailed, Exited), self._started + seconds)
        match message:
            case InitFailed(payload):
                self._init_failure = payload
            case Exited(failure):
                self._init_failure = failure
            case None:
                self._init_failure = reports.timed_out(seconds)
        if self._init_failure:
            self._freeze()
            self.stop()
        self._init_ms = _milliseconds_since(self._started)
        self._init_log = self._log.take()

    def invoke(self, event: Event, seconds: float | None = None) -> Result:
        """The handler's answer to the event within `seconds` (default: the function's timeout)."""
        if self._init_failure:
            return self._failed_init(event)
        seconds = self._function.timeout_seconds if seconds is None else seconds
        began = time.monotonic()
        with contextlib.suppress(OSError):  # it has ended: an `Exited` message follows
            self._control.send(b"thaw")
        self._api.send(dataclasses.replace(event, deadline_ms=int((time.time() + seconds) * 1000)))
        outcome = self._wait_for((Answered, Raised, AnswerTooLarge, Exited), began + seconds)
        duration_ms = _milliseconds_since(began)
        match outcome:
            case Answered(payload):
                self._freeze()
                return self._result(event, payload, duration_ms)
            case Raised(payload):
                self._freeze()
                return self._result(event, payload, duration_ms, is_error=True)
            case Exited(failure):
                return self._fail(event, failure, duration_ms)
            case AnswerTooLarge():
                return self._fail(event, reports.response_too_large(), duration_ms)
        return self._fail(event, reports.timed_out(self._function.timeout_seconds), duration_ms)

    def _failed_init(self, event: Event) -> Result:
        failure, self._init_failure = self._init_failure, None
        duration_ms, self._init_ms = self._init_ms or 0, None  # as on AWS, where a failed init runs in the invocation
        if isinstance(failure, reports.Failure):
            return self._fail(event, failure, duration_ms)
        return self._result(event, failure or b"", duration_ms, is_error=True)

    def _fail(self, event: Event, failure: reports.Failure, duration_ms: float) -> Result:
        self._freeze()
        self.stop()
        payload = failure.payload(event.request_id)
        return self._result(event, payload, duration_ms, failure=failure, is_error=True)

    def _result(
        self,
        event: Event,
        payload: bytes,
        duration_ms: float,
        *,
        failure: reports.Failure | None = None,
        is_error: bool = False,
    ) -> Result:
        report = reports.Report(
            request_id=event.request_id,
            version=self._function.version,
            duration_ms=duration_ms,
            memory_megabytes=self._function.memory_megabytes,
            peak_bytes=self._peak_bytes,
            init_ms=self._init_ms,
            failure=failure,
        )
        log = reports.log(report, self._init_log, self._log.take())
        self._init_ms, self._init_log = None, ""
        return Result(payload, is_error, log)

    def _freeze(self) -> None:
        """Pause all its processes until the next event, and update the peak memory unless they have ended."""
        with contextlib.suppress(OSError):
            self._control.send(b"freeze")
            self._wait_for((Frozen, Exited), time.monotonic() + _FREEZE_SECONDS)

    def _wait_for[Kind](self, kinds: tuple[type[Kind], ...], ends_at: float) -> Kind | None:
        """The next message of these kinds; None after `ends_at`."""
        with contextlib.suppress(Empty):
            while True:
                message = self._messages.get(timeout=max(0.0, ends_at - time.monotonic()))
                if isinstance(message, kinds):
                    return message
        return None

    def _watch(self) -> None:
        """Read the log and the messages of the first process, until that process has ended."""
        poll = select.poll()
        poll.register(self._log, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._log.fileno() in ready and not self._log.collect():
                poll.unregister(self._log)
            if self._control.fileno() not in ready:
                continue
            kind, status = self._receive()
            if kind != "frozen":
                break
            self._messages.put(Frozen())
        self._end(reports.out_of_memory() if kind == "out-of-memory" else reports.exited(status))

    def _receive(self) -> tuple[str, int]:
        """The kind of the next message of the first process, and its exit status; stores the peak memory."""
        with contextlib.suppress(OSError):
            if message := self._control.recv(64):
                kind, status, peak = message.decode().split()
                self._peak_bytes = int(peak)
                return kind, int(status)
        return "closed", 0

    def _end(self, failure: reports.Failure) -> None:
        self._control.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._api.close()
        self._ended.set()
        self._messages.put(Exited(failure))


def _milliseconds_since(moment: float) -> float:
    return (time.monotonic() - moment) * 1000
