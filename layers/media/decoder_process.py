"""The child process that decodes pictures (docs/decisions/0029-decoding-in-a-child-process.md).

Large C libraries decode files from unknown sources. That happens in a child process with limits of memory and CPU time,
so that a picture which crashes it does not end its host. The process stays running between pictures. Host and child
communicate over a socket pair, as AWS Lambda has no shared memory; when the host ends, the socket closes and the child
ends too.
"""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from layers.core.errors import StoreUnavailable, UnreadableImage
from layers.core.logging import logger
from layers.core.settings import bare_environment
from layers.media.render_jobs import (
    FRAME,
    Encoding,
    Failed,
    Outcome,
    RenderedPhoto,
    RenderJob,
    Rendition,
    Unreadable,
)

SECONDS: Final = 25
"""For one picture, including the second try; less than the timeout of any function."""

_START_CODE: Final = "import sys; sys.path[:] = sys.argv[1:]; from layers.media import decoder; decoder.serve()"
_BUFFER_BYTES: Final = 1024 * 1024

_lock = threading.Lock()
_messages: Final[msgspec.msgpack.Decoder[Rendition | Outcome]] = msgspec.msgpack.Decoder(Rendition | Outcome)

type Receive = Callable[[Rendition], object]
"""Gets each rendition when it is ready, in any order; if the child process ends, the job begins again."""


class _ChildDied(Exception):
    """The child process ended while it was processing a picture."""

    def __init__(self, signal_number: int | None) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
        """The signal that ended it; None if it exited."""


class _ChildProcess:
    """A child process, which renders one picture at a time."""

    def __init__(self) -> None:
        self.host_pid = os.getpid()
        self._socket, child_socket = socket.socketpair()
        with child_socket:
            path = [str(Path(folder).resolve()) for folder in sys.path]
            command = [sys.executable, "-SE", "-c", _START_CODE, *path]
            self._process = subprocess.Popen(  # noqa: S603 (a constant command)
                command, stdin=child_socket.fileno(), env=bare_environment()
            )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)

    @property
    def pid(self) -> int:
        return self._process.pid

    def render(self, job: RenderJob, data: bytes, receive: Receive, *, deadline: float) -> Outcome:
        """The child's answer; raises `_ChildDied`, or `TimeoutError` at the deadline (of the monotonic clock)."""
        message = msgspec.msgpack.encode(job)
        try:
            for part in (FRAME.pack(len(message), len(data)) + message, data):
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                self._socket.sendall(part)
            while True:
                length, _ = FRAME.unpack(self._receive(FRAME.size, deadline))
                answer = _messages.decode(self._receive(length, deadline))
                if not isinstance(answer, Rendition):
                    return answer
                receive(answer)
        except ConnectionError:
            code = self._process.wait()
            raise _ChildDied(-code if code < 0 else None) from None

    def _receive(self, length: int, deadline: float) -> bytearray:
        received = bytearray(length)
        remaining = memoryview(received)
        while remaining:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            count = self._socket.recv_into(remaining)
            if not count:
                raise ConnectionResetError
            remaining = remaining[count:]
        return received

    def end(self) -> None:
        self._socket.close()
        if self.host_pid == os.getpid():
            self._process.kill()
            self._process.wait()


_current: _ChildProcess | None = None


def render(job: RenderJob, data: bytes, receive: Receive = lambda _: None) -> RenderedPhoto:
    """The picture in all sizes of the job; `receive` gets each rendition while the others are still being made.

    Raises `UnreadableImage` for a picture that is damaged or needs too much memory or CPU time, and `StoreUnavailable`
    if the child failed for another reason, so that a later try may succeed. If the child process ends while it renders,
    it is replaced and the job is tried once more.
    """
    made: dict[tuple[str, Encoding], Rendition] = {}

    def add(rendition: Rendition) -> None:
        made[rendition.size, rendition.encoding] = rendition
        receive(rendition)

    with _lock:
        deadline = time.monotonic() + SECONDS
        try:
            answer = _render_once(job, data, add, deadline)
        except _ChildDied as first:
            _report(first)
            try:
                answer = _render_once(job, data, add, deadline)
            except _ChildDied as second:
                _report(second)
                if second.signal_number in (None, signal.SIGKILL):
                    raise StoreUnavailable("image_processing") from second
                raise UnreadableImage from second
    match answer:
        case Unreadable(reason):
            raise UnreadableImage(reason)
        case Failed(error):
            raise RuntimeError(error)
    ordered = [made[size.name, encoding] for size in job.sizes for encoding in size.encodings]
    return RenderedPhoto(answer.width, answer.height, tuple(ordered))


def child_pid() -> int | None:
    """The process id of the child; None if it does not run."""
    return _current.pid if _current else None


def close() -> None:
    """End the child process; the next job starts another."""
    with _lock:
        _end()


def _render_once(job: RenderJob, data: bytes, receive: Receive, deadline: float) -> Outcome:
    """Any exception ends the child, so that a late answer is never taken for the answer to the next job."""
    try:
        return _open().render(job, data, receive, deadline=deadline)
    except TimeoutError:
        _end()
        raise StoreUnavailable("image_processing", "Processing the picture took too long; please try again.") from None
    except BaseException:
        _end()
        raise


def _report(death: _ChildDied) -> None:
    """Log it; raises `UnreadableImage` if the limit of CPU time was exceeded."""
    logger().warning("decoder process ended", signal=death.signal_number)
    if death.signal_number == signal.SIGXCPU:
        raise UnreadableImage("Decoding the picture takes too much time.")


def _open() -> _ChildProcess:
    global _current  # noqa: PLW0603 (one child per process)
    if _current is not None and _current.host_pid != os.getpid():  # after a fork, two processes must not share a child
        _end()
    if _current is None:
        _current = _ChildProcess()
        atexit.register(_end)
    return _current


def _end() -> None:
    global _current
    atexit.unregister(_end)
    child, _current = _current, None
    if child is not None:
        with contextlib.suppress(OSError):
            child.end()
