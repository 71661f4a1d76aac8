"""Conversations: their participants, and how far each of them has read."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.cassandra import connection, message_ids
from layers.cassandra.connection import Statement
from layers.core.clock import format_time
from layers.core.errors import ConversationNotFound
from layers.core.ids import new_id
from layers.core.models import Time


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """A participant of a conversation, also one who has left a group."""

    user_id: UUID
    is_member: bool
    last_read_id: UUID | None
    last_read_at: datetime | None
    last_sent_id: UUID | None

    @property
    def has_sent_since_read(self) -> bool:
        """Whether the last message that they have sent is newer than the last one that they have read."""
        if self.last_sent_id is None:
            return False
        return self.last_read_id is None or message_ids.sort_key(self.last_read_id) < message_ids.sort_key(
            self.last_sent_id
        )

    def read_mark(self, *, has_unread: bool) -> tuple[UUID, UUID, Time] | None:
        """User, message and time of their read mark; None if there is none (R-DM3).

        The mark is at the last message that they have sent, unless `has_unread`: a message of others between the stored
        mark and that message is unread.
        """
        if self.last_sent_id is not None and self.has_sent_since_read and not has_unread:
            return self.user_id, self.last_sent_id, format_time(message_ids.time_of(self.last_sent_id))
        if self.last_read_id is None or self.last_read_at is None:
            return None
        return self.user_id, self.last_read_id, format_time(self.last_read_at)


class StoredConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with its participants."""

    id: UUID
    is_group: bool
    name: str | None
    created_at: datetime
    participants: tuple[Participant, ...]
    """Including those who have left a group."""

    @property
    def member_ids(self) -> list[UUID]:
        """The participants who have not left."""
        return [each.user_id for each in self.participants if each.is_member]

    def other_than(self, user_id: UUID) -> UUID | None:
        """The other participant of a conversation of two; None in a group."""
        if self.is_group:
            return None
        return next((each.user_id for each in self.participants if each.user_id != user_id), None)


READ: Final = """
    SELECT conversation_id, is_group, name, created_at, user_id, is_member, last_read_id, last_read_at,
           last_sent_id
      FROM conversations WHERE conversation_id = :conversation_id
"""


def read(conversation_id: UUID, *, user_id: UUID) -> StoredConversation:
    """A conversation in which this user takes part; raises `ConversationNotFound` for any other."""
    found = _parse_rows(connection.execute(*_read_statement(conversation_id)))
    if found is None or user_id not in found.member_ids:
        raise ConversationNotFound
    return found


def read_all(conversation_ids: Sequence[UUID]) -> dict[UUID, StoredConversation]:
    """Those of the conversations that exist, without a check of the participants."""
    found = map(_parse_rows, connection.execute_all(*map(_read_statement, conversation_ids)))
    return {each.id: each for each in found if each is not None}


def _read_statement(conversation_id: UUID) -> Statement:
    return READ, {"conversation_id": conversation_id}


FIND_PAIR: Final = "SELECT conversation_id FROM pairs WHERE lower_id = :lower_id AND higher_id = :higher_id"

CLAIM_PAIR: Final = """
    INSERT INTO pairs (lower_id, higher_id, conversation_id) VALUES (:lower_id, :higher_id, :conversation_id)
        IF NOT EXISTS
"""


class PairResult(msgspec.Struct, frozen=True):
    """The conversation of two users."""

    id: UUID
    is_new: bool
    """Whether it was created now."""


def open_pair(user_id: UUID, other_id: UUID) -> PairResult:
    """The conversation of these two users, which is created if there is none; puts it into this user's inbox.

    Concurrent calls of both users get the same conversation (R-DM6), by a compare-and-set.
    """
    lower, higher = sorted((user_id, other_id))
    pair = {"lower_id": lower, "higher_id": higher}
    rows = connection.execute(FIND_PAIR, pair)
    if rows:
        opened = PairResult(rows[0]["conversation_id"], is_new=False)
    else:
        new = new_id()
        [claim] = connection.execute(CLAIM_PAIR, {**pair, "conversation_id": new})
        opened = PairResult(new if claim["[applied]"] else claim["conversation_id"], is_new=claim["[applied]"])
    # Also for an existing conversation: the process that claimed it may have failed before this write.
    connection.write_together(_creation_statements(opened.id, (lower, higher), opened_by=(user_id,), is_group=False))
    return opened


def open_group(group_id: UUID, *, name: str, user_ids: Sequence[UUID]) -> None:
    """Create a group and put it into the inboxes of its members; may be repeated with the same id."""
    connection.write_together(_creation_statements(group_id, user_ids, opened_by=user_ids, is_group=True, name=name))


CREATE: Final = """
    INSERT INTO conversations (conversation_id, is_group, name, created_at)
    VALUES (:conversation_id, :is_group, :name, :at) USING TIMESTAMP :created
"""

ADD_PARTICIPANT: Final = """
    INSERT INTO conversations (conversation_id, user_id, is_member)
    VALUES (:conversation_id, :user_id, true) USING TIMESTAMP :created
"""

ADD_TO_INBOX: Final = """
    INSERT INTO inboxes (user_id, conversation_id, other_user_id, opened_at)
    VALUES (:user_id, :conversation_id, :other_user_id, :at) USING TIMESTAMP :created
"""


def _creation_statements(
    conversation_id: UUID,
    user_ids: Sequence[UUID],
    *,
    opened_by: Sequence[UUID],
    is_group: bool,
    name: str | None = None,
) -> list[Statement]:
    """The writes that create a conversation. All have the time of its id, so a repetition changes nothing."""
    created = message_ids.microseconds(message_ids.from_id(conversation_id))
    shared: dict[str, object] = {
        "conversation_id": conversation_id,
        "created": created,
        "at": message_ids.time_of(message_ids.from_id(conversation_id)),
    }
    named = {"name": name} if name is not None else {}
    statements: list[Statement] = [(CREATE, {**shared, **named, "is_group": is_group})]
    statements += [(ADD_PARTICIPANT, {**shared, "user_id": user_id}) for user_id in user_ids]
    for user_id in opened_by:
        other = {} if is_group else {"other_user_id": next(each for each in user_ids if each != user_id)}
        statements.append((ADD_TO_INBOX, {**shared, **other, "user_id": user_id}))
    return statements


RENAME: Final = "UPDATE conversations SET name = :name WHERE conversation_id = :conversation_id"


def rename(group_id: UUID, *, name: str) -> None:
    """Change the name of a group."""
    connection.execute(RENAME, {"conversation_id": group_id, "name": name})


LEAVE: Final = """
    UPDATE conversations SET is_member = false WHERE conversation_id = :conversation_id AND user_id = :user_id
"""
LEAVE_IN_INBOX: Final = (
    "UPDATE inboxes SET has_left = true WHERE user_id = :user_id AND conversation_id = :conversation_id"
)


def leave(group_id: UUID, *, user_id: UUID) -> None:
    """Remove this user from the members of a group, and the group from the user's inbox (R-G6)."""
    values = {"conversation_id": group_id, "user_id": user_id}
    connection.write_together([(LEAVE, values), (LEAVE_IN_INBOX, values)])


MARK_READ: Final = """
    UPDATE conversations USING TIMESTAMP :sent SET last_read_id = :message_id, last_read_at = :now
     WHERE conversation_id = :conversation_id AND user_id = :user_id
"""
MARK_READ_IN_INBOX: Final = """
    UPDATE inboxes USING TIMESTAMP :sent SET last_read_id = :message_id
     WHERE user_id = :user_id AND conversation_id = :conversation_id
"""


def mark_read_statements(conversation_id: UUID, user_id: UUID, message_id: UUID) -> list[Statement]:
    """The statements that move this user's read mark to this message, but never back.

    The cells have the timestamp of the message, and Cassandra keeps the cell with the latest timestamp.
    """
    values = {
        "conversation_id": conversation_id,
        "user_id": user_id,
        "message_id": message_id,
        "sent": message_ids.microseconds(message_id),
        "now": datetime.now(UTC),
    }
    return [(MARK_READ, values), (MARK_READ_IN_INBOX, values)]


RECORD_SENT: Final = """
    UPDATE conversations USING TIMESTAMP :sent SET last_sent_id = :message_id
     WHERE conversation_id = :conversation_id AND user_id = :user_id
"""


def record_sent_statement(conversation_id: UUID, user_id: UUID, message_id: UUID) -> Statement:
    """The statement that records the last message that this user has sent; an earlier one never replaces a later."""
    values = {
        "conversation_id": conversation_id,
        "user_id": user_id,
        "message_id": message_id,
        "sent": message_ids.microseconds(message_id),
    }
    return RECORD_SENT, values


def _parse_rows(rows: Sequence[dict[str, Any]]) -> StoredConversation | None:
    members = [row for row in rows if row["user_id"] is not None and row["is_member"] is not None]
    if not members or members[0]["is_group"] is None:
        return None
    first = members[0]
    return StoredConversation(
        id=first["conversation_id"],
        is_group=first["is_group"],
        name=first["name"],
        created_at=first["created_at"].replace(tzinfo=UTC),
        participants=tuple(
            Participant(
                user_id=row["user_id"],
                is_member=row["is_member"],
                last_read_id=row["last_read_id"],
                last_read_at=row["last_read_at"] and row["last_read_at"].replace(tzinfo=UTC),
                last_sent_id=row["last_sent_id"],
            )
            for row in members
        ),
    )
