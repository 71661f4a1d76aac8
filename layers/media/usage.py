"""The number of bytes in the object store."""

import threading
import time
from typing import Final

from layers.media import connection

_COUNT_SECONDS: Final = 2


class ByteCounter:
    """Counts the bytes of a bucket of any size: each call continues where the previous one ran out of time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0
        self._after: str | None = None
        self._whole: int | None = None

    def stored_bytes(self, *, seconds: float = _COUNT_SECONDS) -> int | None:
        """The bytes of all objects at the last complete count; None before the first one is complete.

        Raises `StoreUnavailable`.
        """
        ends_at = time.monotonic() + seconds
        with self._lock:
            while time.monotonic() < ends_at:
                listed = connection.list_objects(after=self._after)
                self._total += sum(listed.sizes)
                self._after = listed.last
                if self._after is None:
                    self._whole, self._total = self._total, 0
                    break
            return self._whole


_count: Final = ByteCounter()


def stored_bytes() -> int | None:
    """The number of bytes, as counted by this process; see `ByteCounter.stored_bytes`."""
    return _count.stored_bytes()
