"""Ids of messages: UUIDs of version 1 (RFC 9562), which Cassandra sorts in the order of sending."""

import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

_GREGORIAN = 0x01B21DD213814000
"""The Unix epoch in the units of version 1: 100 ns since 15 October 1582."""
_PER_MILLISECOND = 10_000
_EPOCH = datetime.fromtimestamp(0, UTC)
_SIGNS = 0x0080_8080_8080_8080
"""Cassandra compares the last eight bytes as signed bytes. With these bits inverted, that is the order of numbers."""
_LAST = (1 << 64) - 1
_SORT_KEY = struct.Struct(">QQ")

FIRST = UUID("00000000-0000-1000-8080-808080808080")
LAST = UUID("ffffffff-ffff-1fff-bf7f-7f7f7f7f7f7f")
"""The first and the last id in the order of Cassandra."""


def from_id(id_: UUID) -> UUID:
    """The message id of an id of version 7; it keeps uniqueness and order, and is the same each time."""
    milliseconds, fraction = id_.int >> 80, (id_.int >> 64) & 0xFFF
    ticks = milliseconds * _PER_MILLISECOND + fraction * _PER_MILLISECOND // 4096 + _GREGORIAN
    return _from_parts(ticks, (id_.int & _LAST) ^ _SIGNS)


def is_message_id(id_: UUID) -> bool:
    """Whether the id has the version of message ids."""
    return id_.version == 1


def sort_key(message_id: UUID) -> tuple[int, int]:
    """A key that sorts ids in the order of Cassandra."""
    return message_id.time, (message_id.int & _LAST) ^ _SIGNS


def packed_sort_key(message_id: UUID) -> bytes:
    """The sort key as 16 bytes, which have the same order."""
    return _SORT_KEY.pack(*sort_key(message_id))


def from_packed_sort_key(key: bytes) -> UUID:
    """The message id of a packed sort key."""
    ticks, low = _SORT_KEY.unpack(key)
    return _from_parts(ticks, low ^ _SIGNS)


def microseconds(message_id: UUID) -> int:
    """When the message was sent, in microseconds since 1970: the unit of the timestamps of cells."""
    return (message_id.time - _GREGORIAN) // 10


def time_of(message_id: UUID) -> datetime:
    """When the message was sent, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds(message_id))


def _from_parts(ticks: int, last_bytes: int) -> UUID:
    low, middle, high = ticks & 0xFFFF_FFFF, (ticks >> 32) & 0xFFFF, ticks >> 48
    return UUID(int=(low << 96) | (middle << 80) | (0x1000 | high) << 64 | last_bytes)
