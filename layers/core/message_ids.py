"""Ids of messages: UUIDs of version 1, whose order, as Cassandra has it, is the order of sending."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_GREGORIAN = 0x01B21DD213814000
"""The Unix epoch in version 1's units of 100 ns since 1582."""
_PER_MILLISECOND = 10_000
_EPOCH = datetime.fromtimestamp(0, UTC)
_SIGNS = 0x0080_8080_8080_8080
"""Cassandra compares the last eight bytes as signed ones: with these bits turned, that is the order of the numbers."""
_LAST = (1 << 64) - 1

FIRST = UUID("00000000-0000-1000-8080-808080808080")
LAST = UUID("ffffffff-ffff-1fff-bf7f-7f7f7f7f7f7f")
"""Before and after every other, in Cassandra's order."""


def of(made: UUID) -> UUID:
    """The message id of a new id (UUIDv7): as unique, as ordered, the same each time."""
    milliseconds, within = made.int >> 80, (made.int >> 64) & 0xFFF
    ticks = milliseconds * _PER_MILLISECOND + within * _PER_MILLISECOND // 4096 + _GREGORIAN
    low, middle, high = ticks & 0xFFFF_FFFF, (ticks >> 32) & 0xFFFF, ticks >> 48
    return UUID(int=(low << 96) | (middle << 80) | (0x1000 | high) << 64 | ((made.int & _LAST) ^ _SIGNS))


def is_one(given: UUID) -> bool:
    """Whether this can be a message's id at all."""
    return given.version == 1


def order(message_id: UUID) -> tuple[int, int]:
    """A key that sorts as Cassandra does."""
    return message_id.time, (message_id.int & _LAST) ^ _SIGNS


def microseconds(message_id: UUID) -> int:
    """When it was sent, as Cassandra tells the time of cells."""
    return (message_id.time - _GREGORIAN) // 10


def time_of(message_id: UUID) -> datetime:
    """When it was sent, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds(message_id))


def now_microseconds() -> int:
    """The present, as Cassandra tells the time of cells."""
    return time.time_ns() // 1000
