"""Whether this process is ending: it finishes the requests that it has, and takes no other ones."""

import threading
from typing import Final

_has_begun: Final = threading.Event()


def begin() -> None:
    """Record that the process is ending."""
    _has_begun.set()


def has_begun() -> bool:
    """Whether the process is ending."""
    return _has_begun.is_set()
