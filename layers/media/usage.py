"""How much the object store holds."""

import threading
import time
from typing import Final

from layers.media import connection

_SECONDS: Final = 2


class ByteCounter:
    """Counts a bucket's bytes, however many objects it has: each call goes on where the last one ran out of time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0
        self._after: str | None = None
        self._whole: int | None = None

    def stored_bytes(self, *, seconds: float = _SECONDS) -> int | None:
        """Bytes of all objects when they were last counted to the end; None until that is done.

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
    """As this process knows it; see `Count.stored_bytes`."""
    return _count.stored_bytes()
