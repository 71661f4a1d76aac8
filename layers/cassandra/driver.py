"""What the driver's own classes lack; imported at first use, because the driver takes long to load."""

import contextlib
import select
import threading
import time
from typing import Any

from cassandra import OperationTimedOut
from cassandra.cluster import ResponseFuture
from cassandra.io.libevreactor import LibevConnection


class Connection(LibevConnection):  # type: ignore[misc]  # the driver is untyped
    """A connection that sends from the calling thread, and that can be asked whether it is open, without a request."""

    def push(self, data: bytes) -> None:
        """Send; what the socket does not take at once is left to the thread of the event loop.

        Waking that thread for each request would cost a fifth of the request. With TLS it sends everything: OpenSSL
        does not allow that one thread writes while another one reads.
        """
        if self.ssl_context is not None:
            super().push(data)
            return
        with self._deque_lock:
            sent = 0
            if not self.deque:
                with contextlib.suppress(OSError):  # the event loop gets the same error, and handles it
                    sent = self._socket.send(data)
            if sent == len(data):
                return
            self.deque.append(data[sent:])
        super().push(b"")  # wakes the event loop

    def is_open(self) -> bool:
        """Whether neither side has closed the connection, also if the driver has not noticed it yet."""
        if self.is_closed or self.is_defunct:
            return False
        ended = select.poll()
        try:
            ended.register(self._socket, select.POLLRDHUP)
        except (OSError, ValueError):
            return False  # it was closed meanwhile
        return not ended.poll(0)


class Answer:
    """The answer to a request that was sent without a timeout of the driver.

    A timeout of the driver is a timer in the thread of its event loop, which costs a fifth of a request.
    """

    def __init__(self, future: ResponseFuture) -> None:
        self._future = future
        self._rows: list[Any] = []
        self._error: Exception | None = None
        self._arrived = threading.Lock()
        self._arrived.acquire()
        future.add_callbacks(self._receive, self._fail)

    def rows(self, *, ends_at: float) -> list[Any]:
        """All rows; waits for them until `ends_at`, by the monotonic clock. Raises the driver's errors."""
        rows: list[Any] = []
        while True:
            if not self._arrived.acquire(timeout=max(0.0, ends_at - time.monotonic())):
                raise OperationTimedOut
            if self._error is not None:
                raise self._error
            rows += self._rows
            if not self._future.has_more_pages:
                return rows
            self._future.start_fetching_next_page()

    def _receive(self, rows: list[Any] | None) -> None:
        self._rows = rows or []
        self._arrived.release()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._arrived.release()
