"""How long the current request may still wait for stores (R-D2): all its waits together, not each of them.

Only waiting counts, not the time that the request computes. Where no request has begun, as in functions of queues and
schedules, a store may take as long as it is allowed each time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from layers.core.errors import StoreUnavailable

REQUEST_SECONDS: Final = 1.9
"""For an ordinary request: 2 s, less what it takes to notice the end of the time and to answer."""
UPLOAD_SECONDS: Final = 9.5
"""For a request that may carry files: 10 s, less the same."""

_LEAST_SECONDS: Final = 0.001
_USEFUL_SECONDS: Final = 0.05
"""A request that has less left does not begin to wait for a store."""

_left: ContextVar[float | None] = ContextVar("seconds_left", default=None)


def begin(seconds: float) -> None:
    """Begin a request that may wait so long."""
    _left.set(seconds)


def end() -> None:
    """End the request: waits are not bounded any more."""
    _left.set(None)


def limit(seconds: float) -> float:
    """How long to wait now: `seconds`, or what the request has left, and a millisecond at least."""
    left = _left.get()
    return seconds if left is None else max(_LEAST_SECONDS, min(seconds, left))


def spend(seconds: float) -> None:
    """Count a wait."""
    left = _left.get()
    if left is not None:
        _left.set(left - seconds)


def check(store: str) -> None:
    """Raises `StoreUnavailable` if the request has no time left for this store.

    Call it before the store's circuit breaker counts, as that is no failure of the store.
    """
    left = _left.get()
    if left is not None and left < _USEFUL_SECONDS:
        raise StoreUnavailable(store)


@contextmanager
def half() -> Iterator[None]:
    """Let the block wait for half of the time that the request has left, as what follows needs some too."""
    left = _left.get()
    if left is None:
        yield
        return
    _left.set(left / 2)
    try:
        yield
    finally:
        spent = left / 2 - (_left.get() or 0)
        _left.set(left - spent)


@contextmanager
def measured() -> Iterator[None]:
    """Count the time of the block as waiting."""
    started = time.monotonic()
    try:
        yield
    finally:
        spend(time.monotonic() - started)
