"""Typing marks (R-DM4): `typing:{conversation}`, a sorted set of users by the millisecond at which the mark ends."""

import contextlib
from typing import Final
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.core.limits import TYPING_SECONDS
from layers.valkey.connection import Script

START: Final = Script("deadlines", "start_typing")


def start(conversation_id: UUID, *, user_id: UUID) -> None:
    """Set the typing mark of this user, for 5 s; does nothing without Valkey."""
    with contextlib.suppress(StoreUnavailable):
        START(conversation_id.bytes, user_id.bytes, TYPING_SECONDS * 1000)


READ_USERS: Final = Script("read_typing")


def read_users(conversation_id: UUID) -> list[UUID]:
    """The users that are typing now; none without Valkey."""
    try:
        return [UUID(bytes=user_id) for user_id in READ_USERS(conversation_id.bytes)]
    except StoreUnavailable:
        return []
