"""One Lambda environment: a runtime's process that takes one event at a time, with its limits."""

import contextlib
import dataclasses
import select
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from . import shapes
from .logs import LogPipe
from .runtime_api import Answered, AnsweredTooMuch, Event, InitFailed, Message, Raised, Ready, RuntimeApi
from .sandbox import Function, Sandbox

INIT_SECONDS = 10.0  # AWS's limit
_FREEZE_SECONDS = 1.0
_STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Exited:
    """All processes have ended."""

    failure: shapes.Failure


@dataclass(frozen=True)
class Frozen:
    """All processes are stopped until the next event."""


@dataclass(frozen=True)
class Result:
    """What the Invoke API answers, and the log."""

    payload: bytes
    is_error: bool
    log: str


class Environment:
    """From its start to its end; starts reserved for whoever made it.

    After a failure that ends the process it stays ended: a new environment takes its place.
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
        self._init_failure: bytes | shapes.Failure | None = None
        threading.Thread(target=self._watch, name="lambda-environment", daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether its processes are gone."""
        return self._ended.is_set()

    @property
    def age_seconds(self) -> float:
        """The time since its start."""
        return time.monotonic() - self._started

    @property
    def init_timed_out(self) -> bool:
        """Whether `initialise` waited in vain."""
        return isinstance(self._init_failure, shapes.Failure) and self._init_failure.status == "timeout"

    def reserve(self) -> bool:
        """Whether it is the caller's now, until `release`; also with a failed init that nobody was told yet."""
        if not self._in_use.acquire(blocking=False):
            return False
        if self._is_retired or (self.has_ended and not self._init_failure):
            self._in_use.release()
            return False
        return True

    def release(self) -> None:
        """Give it back."""
        self.idle_since = time.monotonic()
        self._in_use.release()
        if self._is_retired:  # looked at last, as `retire` looks at it first: one of them stops it
            self.stop()

    def retire(self) -> None:
        """Stop as soon as nobody uses it: at once, or when the running invocation is done."""
        self._is_retired = True
        if not self._in_use.locked():
            self.stop()

    def stop(self) -> None:
        """End all its processes; an invocation under way fails."""
        with contextlib.suppress(OSError):  # ended already
            self._control.shutdown(socket.SHUT_RDWR)
        self._ended.wait(_STOP_SECONDS)

    def initialise(self, seconds: float = INIT_SECONDS) -> None:
        """Wait until the function's code is loaded; `invoke` tells what went wrong."""
        message = self._await((Ready, InitFailed, Exited), self._started + seconds)
        match message:
            case InitFailed(payload):
                self._init_failure = payload
            case Exited(failure):
                self._init_failure = failure
            case None:
                self._init_failure = shapes.timed_out(seconds)
        if self._init_failure:
            self._freeze()
            self.stop()
        self._init_ms = _milliseconds_since(self._started)
        self._init_log = self._log.take()

    def invoke(self, event: Event, seconds: float | None = None) -> Result:
        """What the handler makes of the event within `seconds` (the function's timeout unless given)."""
        if self._init_failure:
            return self._failed_init(event)
        seconds = self._function.timeout_seconds if seconds is None else seconds
        began = time.monotonic()
        with contextlib.suppress(OSError):  # ended: the message says so
            self._control.send(b"thaw")
        self._api.give(dataclasses.replace(event, deadline_ms=int((time.time() + seconds) * 1000)))
        outcome = self._await((Answered, Raised, AnsweredTooMuch, Exited), began + seconds)
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
            case AnsweredTooMuch():
                return self._fail(event, shapes.response_too_large(), duration_ms)
        return self._fail(event, shapes.timed_out(self._function.timeout_seconds), duration_ms)

    def _failed_init(self, event: Event) -> Result:
        failure, self._init_failure = self._init_failure, None
        duration_ms, self._init_ms = self._init_ms or 0, None  # as AWS, where a failed init runs in the invocation
        if isinstance(failure, shapes.Failure):
            return self._fail(event, failure, duration_ms)
        return self._result(event, failure or b"", duration_ms, is_error=True)

    def _fail(self, event: Event, failure: shapes.Failure, duration_ms: float) -> Result:
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
        failure: shapes.Failure | None = None,
        is_error: bool = False,
    ) -> Result:
        report = shapes.Report(
            request_id=event.request_id,
            version=self._function.version,
            duration_ms=duration_ms,
            memory_megabytes=self._function.memory_megabytes,
            peak_bytes=self._peak_bytes,
            init_ms=self._init_ms,
            failure=failure,
        )
        log = shapes.log(report, self._init_log, self._log.take())
        self._init_ms, self._init_log = None, ""
        return Result(payload, is_error, log)

    def _freeze(self) -> None:
        """Stop all its processes until the next event; they tell the memory used, unless they have ended."""
        with contextlib.suppress(OSError):
            self._control.send(b"freeze")
            self._await((Frozen, Exited), time.monotonic() + _FREEZE_SECONDS)

    def _await[Kind](self, kinds: tuple[type[Kind], ...], ends_at: float) -> Kind | None:
        """The next message of these kinds; None when the time is over."""
        with contextlib.suppress(Empty):
            while True:
                message = self._messages.get(timeout=max(0.0, ends_at - time.monotonic()))
                if isinstance(message, kinds):
                    return message
        return None

    def _watch(self) -> None:
        """Collect what it logs and what its first process tells, until that one has ended."""
        poll = select.poll()
        poll.register(self._log, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._log.fileno() in ready and not self._log.collect():
                poll.unregister(self._log)
            if self._control.fileno() not in ready:
                continue
            kind, status = self._told()
            if kind != "frozen":
                break
            self._messages.put(Frozen())
        self._end(shapes.out_of_memory() if kind == "out-of-memory" else shapes.exited(status))

    def _told(self) -> tuple[str, int]:
        """What the first process tells, and the exit status if it is that; keeps the peak of the memory."""
        with contextlib.suppress(OSError):
            if message := self._control.recv(64):
                kind, status, peak = message.decode().split()
                self._peak_bytes = int(peak)
                return kind, int(status)
        return "closed", 0

    def _end(self, failure: shapes.Failure) -> None:
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
