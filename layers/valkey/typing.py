"""Who is typing: `typing:{conversation}`, a sorted set of people by the millisecond at which it ends."""

import contextlib
from typing import Final
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.core.limits import TYPING_SECONDS
from layers.valkey.connection import Script

TYPING: Final = Script("typing")


def begin(conversation_id: UUID, *, user_id: UUID) -> None:
    """This user types, for 5 s; without Valkey nobody is told."""
    with contextlib.suppress(StoreUnavailable):
        TYPING(conversation_id.bytes, user_id.bytes, TYPING_SECONDS * 1000)


USERS: Final = Script("typing_users")


def users(conversation_id: UUID) -> list[UUID]:
    """Who types now; without Valkey nobody."""
    try:
        return [UUID(bytes=user_id) for user_id in USERS(conversation_id.bytes)]
    except StoreUnavailable:
        return []
