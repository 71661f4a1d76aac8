"""Copies of what was read from PostgreSQL: the port that core names `Copies`. Keys: `user:{whose}:{for whom}`."""

import contextlib
from typing import Final

from layers.core.errors import StoreUnavailable
from layers.valkey.connection import Script

SECONDS: Final = 300

KEEP: Final = Script("keep")


def keep(name: str, copy: bytes) -> None:
    """Keep a copy for 5 min; with Valkey away there is none."""
    with contextlib.suppress(StoreUnavailable):
        KEEP(name, copy, SECONDS)


KEPT: Final = Script("kept")


def kept(name: str) -> bytes | None:
    """A copy not older than 5 min. Raises `StoreUnavailable`."""
    copy: bytes | None = KEPT(name)
    return copy
