"""The inbox of each user: one partition with an entry for each conversation.

What an entry shows of the last message is read from the messages (docs/decisions/0039-a-message-is-one-write.md).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from layers.cassandra import connection
from layers.cassandra.connection import RowDict, Statement


class InboxEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in the inbox of a user."""

    conversation_id: UUID
    other_user_id: UUID | None
    """None in a group."""
    opened_at: datetime | None
    """When the user opened it. If they did not, it is listed from the first message on."""
    is_muted: bool
    last_read_id: UUID | None


READ_ALL: Final = """
    SELECT conversation_id, other_user_id, opened_at, is_muted, has_left, last_read_id
      FROM inboxes WHERE user_id = :user_id
"""
READ_SOME: Final = """
    SELECT conversation_id, other_user_id, opened_at, is_muted, has_left, last_read_id
      FROM inboxes WHERE user_id = :user_id AND conversation_id IN :conversation_ids
"""


def read_all(user_id: UUID) -> dict[UUID, InboxEntry]:
    """All entries of the inbox by the conversation's id, in no order, without groups that the user has left."""
    return _parse_entries(connection.execute(READ_ALL, {"user_id": user_id}))


def read_some(user_id: UUID, conversation_ids: Sequence[UUID]) -> dict[UUID, InboxEntry]:
    """The entries of these conversations, by id, as far as they are in the inbox; one statement."""
    values = {"user_id": user_id, "conversation_ids": list(conversation_ids)}
    return _parse_entries(connection.execute(READ_SOME, values)) if conversation_ids else {}


ADD_PAIR: Final = """
    INSERT INTO inboxes (user_id, conversation_id, other_user_id) VALUES (:user_id, :conversation_id, :other_user_id)
"""


def add_pair(conversation_id: UUID, user_ids: Sequence[UUID]) -> None:
    """Put a conversation of two into the inboxes of both, where it is listed once it has a message; may be repeated."""
    one, other = user_ids
    connection.execute_all(pair_statement(conversation_id, one, other), pair_statement(conversation_id, other, one))


def pair_statement(conversation_id: UUID, user_id: UUID, other_id: UUID) -> Statement:
    """The statement that puts a conversation with another user into the inbox of a user."""
    return ADD_PAIR, {"user_id": user_id, "conversation_id": conversation_id, "other_user_id": other_id}


SET_MUTED: Final = """
    UPDATE inboxes SET is_muted = :is_muted WHERE user_id = :user_id AND conversation_id = :conversation_id
"""


def set_muted(user_id: UUID, conversation_id: UUID, *, is_muted: bool) -> None:
    """Mute or unmute a conversation for this user (R-N1)."""
    connection.execute(SET_MUTED, {"user_id": user_id, "conversation_id": conversation_id, "is_muted": is_muted})


def _parse_entries(rows: Sequence[RowDict]) -> dict[UUID, InboxEntry]:
    return {entry.conversation_id: entry for entry in map(_parse_entry, rows) if entry}


def _parse_entry(row: RowDict) -> InboxEntry | None:
    if row.pop("has_left"):
        return None
    opened_at = row["opened_at"] and row["opened_at"].replace(tzinfo=UTC)
    return InboxEntry(**row | {"opened_at": opened_at, "is_muted": bool(row["is_muted"])})
