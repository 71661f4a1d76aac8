"""The process that decodes pictures: warm, bounded, and killed without hurting its host.

What strangers upload is decoded by large C libraries. So that happens in a child process with limits of memory and
CPU time; a picture that takes it down takes nothing else with it. They talk over a socket pair (AWS Lambda has no
shared memory); when the host dies, the socket closes and the child ends.
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
from pathlib import Path
from typing import Final

import msgspec

from layers.core.errors import StoreUnavailable, UnreadableImage
from layers.core.logging import logger
from layers.media.render_jobs import FRAME, Failed, Outcome, RenderedPhoto, RenderJob, Unreadable

SECONDS: Final = 25
"""For one order, the second try included; less than what any of our functions may take."""

_START: Final = "import sys; sys.path[:] = sys.argv[1:]; from layers.media import decoder; decoder.serve()"
_BUFFER_BYTES: Final = 1024 * 1024

_lock = threading.Lock()
_answers: Final[msgspec.msgpack.Decoder[Outcome]] = msgspec.msgpack.Decoder(Outcome)


class _ChildDied(Exception):
    """The child went in the middle of an order."""

    def __init__(self, by: int | None) -> None:
        super().__init__(by)
        self.by = by
        """The signal that ended it, if one did."""


class _ChildProcess:
    """A process that develops one picture at a time."""

    def __init__(self) -> None:
        self.host = os.getpid()
        self._line, theirs = socket.socketpair()
        with theirs:
            path = [str(Path(folder).resolve()) for folder in sys.path]
            command = [sys.executable, "-SE", "-c", _START, *path]
            self._process = subprocess.Popen(command, stdin=theirs.fileno())  # noqa: S603 (our own command)
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)

    @property
    def pid(self) -> int:
        return self._process.pid

    def develop(self, order: RenderJob, data: bytes, *, deadline: float) -> Outcome:
        """The child's answer; raises `_ChildDied`, or `TimeoutError` at the deadline (of the monotonic clock)."""
        said = msgspec.msgpack.encode(order)
        try:
            for part in (FRAME.pack(len(said), len(data)) + said, data):
                self._line.settimeout(max(0.001, deadline - time.monotonic()))
                self._line.sendall(part)
            length, _ = FRAME.unpack(self._received(FRAME.size, deadline))
            return _answers.decode(self._received(length, deadline))
        except ConnectionError:
            code = self._process.wait()
            raise _ChildDied(-code if code < 0 else None) from None

    def _received(self, length: int, deadline: float) -> bytearray:
        received = bytearray(length)
        rest = memoryview(received)
        while rest:
            self._line.settimeout(max(0.001, deadline - time.monotonic()))
            count = self._line.recv_into(rest)
            if not count:
                raise ConnectionResetError
            rest = rest[count:]
        return received

    def end(self) -> None:
        self._line.close()
        if self.host == os.getpid():
            self._process.kill()
            self._process.wait()


_current: _ChildProcess | None = None


def render(order: RenderJob, data: bytes) -> RenderedPhoto:
    """The picture in the sizes ordered.

    Raises `UnreadableImage` for a picture that is damaged, or made to take more work or memory than any honest one;
    `StoreUnavailable` when the child could not do it for another reason, so that trying later makes sense. A child
    that dies in the middle is replaced, and the order tried once more.
    """
    with _lock:
        deadline = time.monotonic() + SECONDS
        try:
            answer = _render_once(order, data, deadline)
        except _ChildDied as lost:
            _report(lost)
            try:
                answer = _render_once(order, data, deadline)
            except _ChildDied as again:
                _report(again)
                if again.by in (None, signal.SIGKILL):
                    raise StoreUnavailable("image_processing") from again
                raise UnreadableImage from again
    match answer:
        case Unreadable(reason):
            raise UnreadableImage(reason)
        case Failed(error):
            raise RuntimeError(error)
    return answer


def child_pid() -> int | None:
    """The child's process id, if it was started."""
    return _current.pid if _current else None


def close() -> None:
    """End the child; the next order starts another."""
    with _lock:
        _end()


def _render_once(order: RenderJob, data: bytes, deadline: float) -> Outcome:
    """Any exception ends the child: a late answer must never meet another picture's order."""
    try:
        return _open().develop(order, data, deadline=deadline)
    except TimeoutError:
        _end()
        raise StoreUnavailable("image_processing", "The picture took too long; please try again.") from None
    except BaseException:
        _end()
        raise


def _report(lost: _ChildDied) -> None:
    logger().warning("decoder_process lost", signal=lost.by)
    if lost.by == signal.SIGXCPU:
        raise UnreadableImage("The picture takes too much work to decode.")


def _open() -> _ChildProcess:
    global _current  # noqa: PLW0603 (one child per process)
    if _current is not None and _current.host != os.getpid():  # a fork must not share it
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
