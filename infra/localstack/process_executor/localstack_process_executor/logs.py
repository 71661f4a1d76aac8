"""Collects what an environment writes to stdout and stderr."""

import contextlib
import os
import threading
from collections.abc import Iterator

_CHUNK = 65536
_MAX_BYTES = 16 * 1024 * 1024  # for one invocation, so that a loop that prints does not fill LocalStack's memory
_TRUNCATED = b"\n[the rest of this invocation's log was dropped]\n"


class LogPipe:
    """A pipe; one thread reads it with `collect`, another one gets the text with `take`."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._lock = threading.Lock()
        self._text = bytearray()

    @contextlib.contextmanager
    def writer(self) -> Iterator[int]:
        """The descriptor to write to, to be inherited by a process; closed at the end of the context."""
        try:
            yield self._writer
        finally:
            os.close(self._writer)

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._reader

    def collect(self) -> bool:
        """Read what is available without waiting; False at the end of the pipe."""
        with self._lock:
            return self._read()

    def take(self) -> str:
        """The text that was written since the last call; it is removed."""
        with self._lock:
            self._read()
            text = self._text.decode(errors="replace")
            self._text.clear()
        return text

    def close(self) -> None:
        """Read what is available, for `take`, and close the pipe."""
        with self._lock:
            self._read()
            os.close(self._reader)
            self._reader = -1

    def _read(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            while self._reader >= 0 and (chunk := os.read(self._reader, _CHUNK)):
                if len(self._text) < _MAX_BYTES:
                    self._text += chunk
                    if len(self._text) >= _MAX_BYTES:
                        self._text += _TRUNCATED
            return False
        return True
