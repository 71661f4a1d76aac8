"""Each person's list of conversations, a partition updated in place; its order is kept in Valkey."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.cassandra import connection
from layers.cassandra.connection import Row, Statement
from layers.cassandra.conversations import Conversation
from layers.cassandra.messages import Message
from layers.core import limits, message_ids
from layers.core.settings import settings

_DAY: Final = 24 * 60 * 60


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in somebody's list."""

    conversation_id: UUID
    other_user_id: UUID | None
    """None in a group."""
    opened_at: datetime | None
    is_muted: bool
    last_message_id: UUID | None
    last_sender_id: UUID | None
    last_preview: str
    last_received_id: UUID | None
    last_read_id: UUID | None

    @property
    def active_at(self) -> datetime:
        """The last message's time, or when the conversation was opened."""
        if self.last_message_id is not None:
            return message_ids.time_of(self.last_message_id)
        return self.opened_at or datetime.fromtimestamp(0, UTC)

    @property
    def has_unread(self) -> bool:
        """Whether somebody else has written since this person read."""
        if self.last_received_id is None:
            return False
        return self.last_read_id is None or (
            message_ids.order(self.last_read_id) < message_ids.order(self.last_received_id)
        )


READ: Final = """
    SELECT conversation_id, other_user_id, opened_at, is_muted, has_left, last_message_id, last_sender_id,
           last_preview, last_received_id, last_read_id
      FROM inboxes WHERE user_id = :user_id AND conversation_id = :conversation_id
"""
READ_ALL: Final = """
    SELECT conversation_id, other_user_id, opened_at, is_muted, has_left, last_message_id, last_sender_id,
           last_preview, last_received_id, last_read_id
      FROM inboxes WHERE user_id = :user_id
"""
READ_SOME: Final = """
    SELECT conversation_id, other_user_id, opened_at, is_muted, has_left, last_message_id, last_sender_id,
           last_preview, last_received_id, last_read_id
      FROM inboxes WHERE user_id = :user_id AND conversation_id IN :conversation_ids
"""


def reading(user_id: UUID, conversation_id: UUID) -> Statement:
    """The statement whose rows `entry_from` understands, to be run beside others."""
    return READ, {"user_id": user_id, "conversation_id": conversation_id}


def entry_from(rows: Sequence[Row]) -> Entry | None:
    """The entry in these rows; None for one that is not listed."""
    return next(_listed(rows), None)


def read_all(user_id: UUID) -> list[Entry]:
    """The whole list, in no order."""
    return list(_listed(connection.execute(READ_ALL, {"user_id": user_id})))


def read_some(user_id: UUID, conversation_ids: Sequence[UUID]) -> dict[UUID, Entry]:
    """Those of these conversations that are listed: one read."""
    values = {"user_id": user_id, "conversation_ids": list(conversation_ids)}
    rows = connection.execute(READ_SOME, values) if conversation_ids else []
    return {entry.conversation_id: entry for entry in _listed(rows)}


ARRIVED: Final = """
    UPDATE inboxes USING TTL :seconds AND TIMESTAMP :sent
       SET last_message_id = :message_id, last_sender_id = :sender_id, last_preview = :preview,
           last_received_id = :message_id, other_user_id = :other_user_id
     WHERE user_id = :user_id AND conversation_id = :conversation_id
"""
LEFT_FOR: Final = """
    UPDATE inboxes USING TTL :seconds AND TIMESTAMP :sent
       SET last_message_id = :message_id, last_sender_id = :sender_id, last_preview = :preview,
           other_user_id = :other_user_id
     WHERE user_id = :user_id AND conversation_id = :conversation_id
"""


def telling(conversation: Conversation, message: Message) -> list[Statement]:
    """The statements by which every participant's list tells of a message; a later one's stay as they are."""
    return [_telling(conversation, message, user_id) for user_id in conversation.member_ids]


def _telling(conversation: Conversation, message: Message, user_id: UUID) -> Statement:
    values: dict[str, Any] = {
        "user_id": user_id,
        "conversation_id": conversation.id,
        "message_id": message.message_id,
        "sender_id": message.sender_id,
        "preview": message.content[: limits.MESSAGE_PREVIEW],
        "seconds": settings().message_retention_days * _DAY,
        "sent": message_ids.microseconds(message.message_id),
    }
    other = conversation.other_than(user_id)
    if other is not None:
        values["other_user_id"] = other
    return (LEFT_FOR if user_id == message.sender_id else ARRIVED), values


MUTE: Final = """
    UPDATE inboxes SET is_muted = :is_muted WHERE user_id = :user_id AND conversation_id = :conversation_id
"""


def mute(user_id: UUID, conversation_id: UUID, *, is_muted: bool) -> None:
    """Mute a conversation for this person, or not any more."""
    connection.execute(MUTE, {"user_id": user_id, "conversation_id": conversation_id, "is_muted": is_muted})


def _listed(rows: Sequence[Row]) -> Any:
    for row in rows:
        if row.pop("has_left") or (row["last_message_id"] is None and row["opened_at"] is None):
            continue
        row["opened_at"] = row["opened_at"] and row["opened_at"].replace(tzinfo=UTC)
        yield Entry(**row | {"is_muted": bool(row["is_muted"]), "last_preview": row["last_preview"] or ""})
