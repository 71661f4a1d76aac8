"""The order of the conversations in each inbox: `inbox:{user}`, a sorted set by the milliseconds of the last activity.

Cassandra holds the entries and Valkey their order, for an hour after it was read from Cassandra; so the effect of a
write that Valkey missed lasts at most an hour. Messages may arrive while an inbox is read from Cassandra. Therefore the
set is created with a mark before the reading: a set that exists gets new activities, and of two times of a conversation
the later one stays.
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

READ_PAGE: Final = Script("order", "inbox_page")


def read_page(user_id: UUID, *, after: tuple[int, UUID] | None, at_most: int) -> list[tuple[int, UUID]] | None:
    """Milliseconds and ids of conversations that sort after `after`, latest activity first.

    None if Valkey does not have the order (then read it and call `fill`) or is unavailable.
    """
    milliseconds, conversation_id = after or (0, None)
    try:
        found = READ_PAGE(
            user_id.bytes, milliseconds, conversation_id.bytes if conversation_id else b"", at_most, _FILL_SECONDS
        )
    except StoreUnavailable:
        return None
    if found is None:
        return None
    return [(int(time), UUID(bytes=id_)) for id_, time in zip(found[::2], found[1::2], strict=True)]


FILL: Final = Script("inbox_fill")


def fill(user_id: UUID, times: Mapping[UUID, datetime]) -> None:
    """Store the whole order, which must be read after `read_page` returned None; does nothing without Valkey."""
    values = [value for id_, moment in times.items() for value in (milliseconds(moment), id_.bytes)]
    with contextlib.suppress(StoreUnavailable):
        FILL(user_id.bytes, _SECONDS, *values)


RECORD_ACTIVITY: Final = Script("inbox_record")


def record_activity(conversation_id: UUID, at: datetime, user_ids: Sequence[UUID]) -> None:
    """Move a conversation to the top of these users' inboxes. Call it after the write; does nothing without Valkey."""
    with contextlib.suppress(StoreUnavailable):
        RECORD_ACTIVITY(conversation_id.bytes, milliseconds(at), b"".join(user_id.bytes for user_id in user_ids))


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, the unit by which conversations are ordered."""
    return round(moment.timestamp() * 1000)
