"""The order of each person's conversations, the latest activity first: `inbox:{user}`, a sorted set by milliseconds.

Cassandra holds the lists and Valkey their order, for an hour from when it was read there: what a write that Valkey
missed made of it heals then. Filling races with messages, so a set is marked before the lists are read: a set that is
there takes what happens, and of two times of one conversation the later one stays.
"""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.valkey.connection import Script

_SECONDS: Final = 60 * 60
_FILL_SECONDS: Final = 12

PAGE: Final = Script("order", "inbox_page")


def page(user_id: UUID, *, after: tuple[int, UUID] | None, at_most: int) -> list[tuple[int, UUID]] | None:
    """Milliseconds and ids of conversations, the latest activity first, below `after`.

    None where the order is not known (then `fill` it), or Valkey is away.
    """
    milliseconds, conversation_id = after or (0, None)
    try:
        found = PAGE(
            user_id.bytes, milliseconds, conversation_id.bytes if conversation_id else b"", at_most, _FILL_SECONDS
        )
    except StoreUnavailable:
        return None
    if found is None:
        return None
    return [(int(time), UUID(bytes=id_)) for id_, time in zip(found[::2], found[1::2], strict=True)]


FILL: Final = Script("inbox_fill")


def fill(user_id: UUID, times: Mapping[UUID, datetime]) -> None:
    """Keep the whole order, read after `page` gave None; without Valkey nothing is kept."""
    values = [value for id_, moment in times.items() for value in (milliseconds(moment), id_.bytes)]
    with contextlib.suppress(StoreUnavailable):
        FILL(user_id.bytes, _SECONDS, *values)


ACTIVE: Final = Script("inbox_active")


def active(conversation_id: UUID, at: datetime, user_ids: Sequence[UUID]) -> None:
    """Something happened in this conversation. Call after it was written; without Valkey the order heals later."""
    with contextlib.suppress(StoreUnavailable):
        ACTIVE(conversation_id.bytes, milliseconds(at), b"".join(user_id.bytes for user_id in user_ids))


def milliseconds(moment: datetime) -> int:
    """The time by which conversations are ordered."""
    return round(moment.timestamp() * 1000)
