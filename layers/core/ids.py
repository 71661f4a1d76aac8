"""Time-ordered ids (UUIDv7): their order is the order of creation, to the millisecond."""

from datetime import UTC, datetime
from typing import NewType
from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

_RANDOM_BITS = 80

NewId = NewType("NewId", UUID)
"""The id of what a handler creates; a handler that takes one takes requests with an `Idempotency-Key`.

A request that was cut off in the middle and is sent again comes with the same one.
"""


def new_id() -> UUID:
    """A new id, later than every id made before it in this process."""
    made: UUID = uuid7()
    return made


def part_of(made: UUID, number: int) -> UUID:
    """The id of one of several things that are created together under that id: the same each time."""
    return uuid5(made, str(number))


def time_of(made: UUID) -> datetime:
    """When the id was made, in UTC, to the millisecond."""
    return datetime.fromtimestamp((made.int >> _RANDOM_BITS) / 1000, tz=UTC)


def floor_of(moment: datetime) -> UUID:
    """The smallest id of that millisecond: every id made strictly earlier is less."""
    return UUID(int=int(moment.timestamp() * 1000) << _RANDOM_BITS)
