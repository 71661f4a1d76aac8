"""Copies of data of PostgreSQL, for use while it is unavailable. Keys: `user:{account}:{viewer}`.

A copy begins with the account's id, 16 bytes. While `hidden:{id}` exists, no copy about this account is read. It lives
longer than any copy that was being written when the account was banned or removed, under any name.
"""

from typing import Final
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.valkey.connection import Script

SECONDS: Final = 300

SAVE: Final = Script("save_copy")


def save(name: str, copy: bytes, *, about: UUID) -> bool:
    """Store a copy of data about an account for 5 min; False without Valkey."""
    try:
        SAVE(name, about.bytes + copy, SECONDS)
    except StoreUnavailable:
        return False
    return True


READ: Final = Script("deadlines", "read_copy")


def read(name: str) -> bytes | None:
    """A copy that is at most 5 min old; None if there is none or its account was banned or removed since.

    Raises `StoreUnavailable`.
    """
    copy: bytes | None = READ(name)
    return copy


SET_HIDDEN: Final = Script("deadlines", "set_hidden")


def set_hidden(user_id: UUID, *, is_hidden: bool) -> None:
    """Hide all copies about this account, or show them again. Raises `StoreUnavailable`."""
    SET_HIDDEN(user_id.bytes, int(is_hidden), 2 * SECONDS)
