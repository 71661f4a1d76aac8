"""The pictures of all messages, for the check after a restore."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from layers.cassandra import connection
from layers.core.settings import settings

_SECONDS: Final = 60
_AT_ONCE: Final = 500
"""Rows of a page: with its small heap, Cassandra ends when it must hold 5,000 of the largest messages."""

LIST: Final = "SELECT conversation_id, bucket, message_id, media_url FROM messages"
FORGET: Final = """
    DELETE media_url FROM messages
     WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id = :message_id
"""


class MessagePicture(msgspec.Struct, frozen=True):
    """A message with a picture."""

    conversation_id: UUID
    bucket: datetime
    message_id: UUID
    media_url: str


def list_all() -> Iterator[MessagePicture]:
    """The messages that have a picture, of all conversations. Raises the driver's errors."""
    session = connection.connect(settings().cassandra_keyspace)
    session.default_fetch_size = _AT_ONCE
    try:
        for row in session.execute(LIST, timeout=_SECONDS):
            if row["media_url"]:
                yield MessagePicture(**row)
    finally:
        session.cluster.shutdown()


def forget(picture: MessagePicture) -> None:
    """Remove the picture from its message, which stays without one. Raises `StoreUnavailable`."""
    key = {name: getattr(picture, name) for name in ("conversation_id", "bucket", "message_id")}
    connection.execute(FORGET, key)
