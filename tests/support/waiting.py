"""Waiting for something to become true, with a deadline."""

import threading
import time
from collections.abc import Callable
from typing import Literal

_PAUSE = threading.Event()
LATE_SECONDS = 1.0
"""How late a deadline may be noticed on a machine that is busy with other work."""


def until[Found](
    look: Callable[[], Found | Literal[False] | None], *, seconds: float = 10, every: float = 0.05
) -> Found:
    """The first true value of `look`; after the deadline the test fails with the last one."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s; last seen: {found!r}"
        _PAUSE.wait(every)
    return found
