"""Turns of accounts: one whose pictures have taken long waits, so that the pictures of others are processed.

Each execution environment counts by itself; there are two.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from layers.core.errors import Postponed

WINDOW_SECONDS: Final = 60
MOST_SECONDS: Final = 10
"""What the pictures of one account may take in a window: some 60 photos of 12 megapixels."""

_used: Final[dict[UUID, deque[tuple[float, float]]]] = {}
"""By account: when each of its turns ended, and the seconds that it took."""


@contextlib.contextmanager
def take(account_id: UUID) -> Iterator[None]:
    """Process a picture of this account in the context. Raises `Postponed` if it must wait for others."""
    _forget(before=time.monotonic() - WINDOW_SECONDS)
    if sum(seconds for _, seconds in _used.get(account_id, ())) >= MOST_SECONDS:
        raise Postponed
    started = time.monotonic()
    try:
        yield
    finally:
        ended = time.monotonic()
        _used.setdefault(account_id, deque()).append((ended, ended - started))


def _forget(*, before: float) -> None:
    for account_id, turns in list(_used.items()):
        while turns and turns[0][0] < before:
            turns.popleft()
        if not turns:
            del _used[account_id]
