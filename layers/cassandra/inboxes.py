"""The inbox of each user, one partition whose entries are updated in place. Its order is in Valkey."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.cassandra import connection, message_ids
from layers.cassandra.connection import RowDict, Statement
from layers.cassandra.conversations import StoredConversation
from layers.cassandra.messages import StoredMessage
from layers.core import limits
from layers.core.settings import settings

_DAY: Final = 24 * 60 * 60


class InboxEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in the inbox of a user."""

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
        """The time of the last message, or when the conversation was opened."""
        if self.last_message_id is not None:
            return message_ids.time_of(self.last_message_id)
        return self.opened_at or datetime.fromtimestamp(0, UTC)

    @property
    def has_unread(self) -> bool:
        """Whether a message of another participant is newer than the read mark of this user."""
        if self.last_received_id is None:
            return False
        return self.last_read_id is None or (
            message_ids.sort_key(self.last_read_id) < message_ids.sort_key(self.last_received_id)
        )


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


def read_all(user_id: UUID) -> list[InboxEntry]:
    """All entries of the inbox, in no order."""
    return list(_parse_entries(connection.execute(READ_ALL, {"user_id": user_id})))


def read_some(user_id: UUID, conversation_ids: Sequence[UUID]) -> dict[UUID, InboxEntry]:
    """The entries of these conversations, by id, as far as they are in the inbox; one statement."""
    values = {"user_id": user_id, "conversation_ids": list(conversation_ids)}
    rows = connection.execute(READ_SOME, values) if conversation_ids else []
    return {entry.conversation_id: entry for entry in _parse_entries(rows)}


UPDATE_RECEIVED: Final = """
    UPDATE inboxes USING TTL :seconds AND TIMESTAMP :sent
       SET last_message_id = :message_id, last_sender_id = :sender_id, last_preview = :preview,
           last_received_id = :message_id, other_user_id = :other_user_id
     WHERE user_id = :user_id AND conversation_id = :conversation_id
"""
UPDATE_SENT: Final = """
    UPDATE inboxes USING TTL :seconds AND TIMESTAMP :sent
       SET last_message_id = :message_id, last_sender_id = :sender_id, last_preview = :preview,
           other_user_id = :other_user_id
     WHERE user_id = :user_id AND conversation_id = :conversation_id
"""


def update_statements(conversation: StoredConversation, message: StoredMessage) -> list[Statement]:
    """The statements that put a message into the inboxes of all members; a later message is never replaced."""
    return [_update_statement(conversation, message, user_id) for user_id in conversation.member_ids]


def _update_statement(conversation: StoredConversation, message: StoredMessage, user_id: UUID) -> Statement:
    values: dict[str, Any] = {
        "user_id": user_id,
        "conversation_id": conversation.id,
        "message_id": message.message_id,
        "sender_id": message.sender_id,
        "preview": message.content[: limits.MESSAGE_PREVIEW_LENGTH],
        "seconds": settings().message_retention_days * _DAY,
        "sent": message_ids.microseconds(message.message_id),
    }
    other = conversation.other_than(user_id)
    if other is not None:
        values["other_user_id"] = other
    return (UPDATE_SENT if user_id == message.sender_id else UPDATE_RECEIVED), values


SET_MUTED: Final = """
    UPDATE inboxes SET is_muted = :is_muted WHERE user_id = :user_id AND conversation_id = :conversation_id
"""


def set_muted(user_id: UUID, conversation_id: UUID, *, is_muted: bool) -> None:
    """Mute or unmute a conversation for this user (R-N1)."""
    connection.execute(SET_MUTED, {"user_id": user_id, "conversation_id": conversation_id, "is_muted": is_muted})


def _parse_entries(rows: Sequence[RowDict]) -> Iterator[InboxEntry]:
    for row in rows:
        if row.pop("has_left") or (row["last_message_id"] is None and row["opened_at"] is None):
            continue
        row["opened_at"] = row["opened_at"] and row["opened_at"].replace(tzinfo=UTC)
        yield InboxEntry(**row | {"is_muted": bool(row["is_muted"]), "last_preview": row["last_preview"] or ""})
