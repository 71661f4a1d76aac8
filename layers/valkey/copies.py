"""Copies of what was read from PostgreSQL: the port that core names `Copies`. Keys: `user:{whose}:{for whom}`.

A copy begins with the account's id, 16 bytes. `hidden:{id}` says that no copy about this account is shown: it outlives
every copy that was being made when the account was banned or removed, under whatever names they are kept.
"""

import contextlib
from typing import Final
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.valkey.connection import Script

SECONDS: Final = 300

KEEP: Final = Script("keep")


def keep(name: str, copy: bytes, *, about: UUID) -> None:
    """Keep a copy of what is about an account for 5 min; with Valkey away there is none."""
    with contextlib.suppress(StoreUnavailable):
        KEEP(name, about.bytes + copy, SECONDS)


KEPT: Final = Script("kept")


def kept(name: str) -> bytes | None:
    """A copy not older than 5 min, unless its account was banned or removed since. Raises `StoreUnavailable`."""
    copy: bytes | None = KEPT(name)
    return copy


HIDDEN: Final = Script("hidden")


def hidden(user_id: UUID, *, is_hidden: bool) -> None:
    """No copy shows this account from now on, or copies do again. Raises `StoreUnavailable`."""
    HIDDEN(user_id.bytes, int(is_hidden), 2 * SECONDS)
