"""What an environment writes to stdout and stderr."""

import contextlib
import os
import threading
from collections.abc import Iterator

_CHUNK = 65536
_MAX_BYTES = 16 * 1024 * 1024  # of one invocation: a loop that prints must not fill LocalStack's memory
_CUT = b"\n[the rest of this invocation's log was dropped]\n"


class LogPipe:
    """A pipe whose text is collected by one thread and taken by another."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._lock = threading.Lock()
        self._text = bytearray()

    @contextlib.contextmanager
    def writer(self) -> Iterator[int]:
        """The descriptor to write to; closed at the end, when a process has inherited it."""
        try:
            yield self._writer
        finally:
            os.close(self._writer)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._reader

    def collect(self) -> bool:
        """Read what is there without waiting; False at the pipe's end."""
        with self._lock:
            return self._read()

    def take(self) -> str:
        """All that was written before the call and not taken yet."""
        with self._lock:
            self._read()
            text = self._text.decode(errors="replace")
            self._text.clear()
        return text

    def close(self) -> None:
        """Keep what is there for `take`, read no more."""
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
                        self._text += _CUT
            return False
        return True
