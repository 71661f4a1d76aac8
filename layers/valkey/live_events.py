"""Streams of live events, and the connections over which they are sent (R-E1 to R-E8).

`live:{user}` is a stream of a user's events, which ends an hour after the last one. `connection:{id}` is a hash with
the user and the session of a connection and the id of the last event sent. `connections:{user}` is a sorted set of the
joined connections by the time when they end. Nothing is sent over a connection after its session has ended (R-E5).
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from layers.core.limits import LIVE_CONNECTIONS
from layers.valkey.connection import Call, Script, run

_STREAM_EVENTS: Final = 1000
_STREAM_SECONDS: Final = 60 * 60
_CONNECTION_SECONDS: Final = 2 * 60 * 60
"""API Gateway closes a connection after two hours."""
_SENDER_MS: Final = 5000
"""How long one process has the exclusive right to send over a connection after taking events."""
_BATCH: Final = 100


class StoredEvent(msgspec.Struct, frozen=True):
    """An event in the stream of a user."""

    id: str
    event: bytes
    """The JSON of the event; empty for an entry that only marks a position."""

    @property
    def json(self) -> bytes:
        """The JSON of the event with its id as the first member."""
        return b'{"id":"%b",%b' % (self.id.encode(), self.event[1:])


class Position(msgspec.Struct, frozen=True):
    """The event after which a client gets events."""

    id: str
    has_gap: bool
    """Whether earlier events may be missing: the client must read the current state from the API again."""


APPEND: Final = Script("deadlines", "live_append")


def append_call(event: bytes, user_ids: Sequence[UUID], *, is_transient: bool) -> Call:
    """The call of `append`, to be made together with others; `connections_in` reads its reply."""
    users = b"".join(user_id.bytes for user_id in user_ids)
    return Call(APPEND, (event, _STREAM_EVENTS, _STREAM_SECONDS, users, int(is_transient)))


def connections_in(reply: Sequence[bytes]) -> list[str]:
    """The connections of the users in the reply to a call of `append_call`."""
    return [connection_id.decode() for connection_id in reply]


def append(event: bytes, user_ids: Sequence[UUID], *, is_transient: bool) -> list[str]:
    """Store an event for these users, or a transient one for those who are connected; returns their connections.

    Raises `StoreUnavailable`.
    """
    return connections_in(run(append_call(event, user_ids, is_transient=is_transient))[0])


OPEN_CONNECTION: Final = Script("deadlines", "live_open")


def open_connection(connection_id: str, *, user_id: UUID, session_id: str) -> bool:
    """Register a new connection of a user; False if the user has the maximum number. Raises `StoreUnavailable`."""
    return bool(OPEN_CONNECTION(connection_id, user_id.bytes, session_id, _CONNECTION_SECONDS, LIVE_CONNECTIONS))


IS_OPEN: Final = Script("deadlines", "live_is_open")


def is_open(connection_id: str) -> bool:
    """Whether the connection is registered. Raises `StoreUnavailable`."""
    return bool(IS_OPEN(connection_id))


JOIN: Final = Script("deadlines", "live_join")


def join(connection_id: str, *, after: str | None) -> Position | None:
    """Begin to send events over a connection; returns their start, or None for a connection that is not registered.

    The caller must send the first events (`take`). Raises `StoreUnavailable`.
    """
    found = JOIN(connection_id, after or "", _STREAM_SECONDS, _SENDER_MS)
    return Position(found[0].decode(), has_gap=found[1] == 1) if found else None


TAKE: Final = Script("deadlines", "live_take")


def take(connection_id: str, *, sent: str | None) -> list[StoredEvent] | None:
    """Take the next events to send over a connection; `sent` is the id of the last event that the caller has sent.

    Empty if there are none, or if another process is sending; None if the connection was removed or its session has
    ended. Raises `StoreUnavailable`.
    """
    found = TAKE(connection_id, sent or "", _SENDER_MS, _BATCH)
    return None if found is None else _entries(found)


REMOVE_CONNECTION: Final = Script("deadlines", "live_remove")


def remove_connection(connection_id: str) -> None:
    """Remove a connection that is closed. Raises `StoreUnavailable`."""
    REMOVE_CONNECTION(connection_id)


READ_AFTER: Final = Script("deadlines", "live_read_after")


def read_after(user_id: UUID, *, last: str | None) -> tuple[Position, list[StoredEvent]]:
    """The user's events after `last`, the last one that the client knows; at most 100. Raises `StoreUnavailable`."""
    start, missed, *found = READ_AFTER(user_id.bytes, last or "", _BATCH, _STREAM_SECONDS)
    return Position(start.decode(), has_gap=missed == 1), _entries(found)


def _entries(found: Sequence[bytes]) -> list[StoredEvent]:
    return [StoredEvent(id_.decode(), event) for id_, event in zip(found[::2], found[1::2], strict=True)]
