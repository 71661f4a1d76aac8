"""Waiting for something to become true, with a deadline."""

import threading
import time
from collections.abc import Callable

_PAUSE = threading.Event()


def until[Found](look: Callable[[], Found], *, seconds: float = 10, every: float = 0.05) -> Found:
    """The first true value of `look`; after the deadline the test fails with the last one."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s; last seen: {found!r}"
        _PAUSE.wait(every)
    return found
