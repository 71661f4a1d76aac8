"""Time-ordered ids (UUIDv7): their order is the order of creation, to the millisecond."""

import re
from datetime import UTC, datetime
from typing import Final, NewType
from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

from layers.core.errors import Invalid

_RANDOM_BITS: Final = 80
_FORM: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

NewId = NewType("NewId", UUID)
"""The id of what a handler creates. A handler with such a parameter accepts an `Idempotency-Key`.

When a request that was interrupted is sent again with its key, the handler gets the same id again.
"""


def new_id() -> UUID:
    """A new id, greater than all ids created before in this process. Source: RFC 9562, UUID version 7."""
    created: UUID = uuid7()
    return created


def parse(text: str, field: str) -> UUID:
    """Read an id of a request: 8-4-4-4-12 hexadecimal digits in either case (R-V1).

    Raises `Invalid` naming the field for any other form; `UUID()` would also accept braces, prefixes and underscores.
    """
    if not _FORM.fullmatch(text):
        raise Invalid.field(field, "must be a UUID")
    return UUID(text)


def derive(base_id: UUID, number: int) -> UUID:
    """The id of the n-th of several things that are created together under `base_id`: the same each time."""
    return uuid5(base_id, str(number))


def time_of(id_: UUID) -> datetime:
    """When the id was created, in UTC, to the millisecond."""
    return datetime.fromtimestamp((id_.int >> _RANDOM_BITS) / 1000, tz=UTC)


def floor_of(moment: datetime) -> UUID:
    """The smallest id of that millisecond: all ids of earlier milliseconds are less."""
    return UUID(int=int(moment.timestamp() * 1000) << _RANDOM_BITS)
