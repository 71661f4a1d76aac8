"""Conversations: who takes part, and how far each of them has read."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.cassandra import connection
from layers.cassandra.connection import Statement
from layers.core import message_ids
from layers.core.errors import ConversationNotFound
from layers.core.ids import new_id


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in a conversation, or who was."""

    user_id: UUID
    is_member: bool
    last_read_id: UUID | None
    last_read_at: datetime | None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as each of its participants has it."""

    id: UUID
    is_group: bool
    name: str | None
    created_at: datetime
    participants: tuple[Participant, ...]
    """Also those who have left a group."""

    @property
    def member_ids(self) -> list[UUID]:
        """Those who read and write here."""
        return [each.user_id for each in self.participants if each.is_member]

    def other_than(self, user_id: UUID) -> UUID | None:
        """The other one of a pair; None in a group."""
        if self.is_group:
            return None
        return next((each.user_id for each in self.participants if each.user_id != user_id), None)


READ: Final = """
    SELECT conversation_id, is_group, name, created_at, user_id, is_member, last_read_id, last_read_at
      FROM conversations WHERE conversation_id = :conversation_id
"""


def reading(conversation_id: UUID) -> Statement:
    """The statement whose rows `read_from` understands, to be run beside others."""
    return READ, {"conversation_id": conversation_id}


def read_from(rows: Sequence[dict[str, Any]], *, user_id: UUID) -> Conversation:
    """The conversation in these rows; raises `ConversationNotFound` unless this user takes part."""
    found = _conversation(rows)
    if found is None or user_id not in found.member_ids:
        raise ConversationNotFound
    return found


def read(conversation_id: UUID, *, user_id: UUID) -> Conversation:
    """A conversation that this user takes part in; else raises `ConversationNotFound`."""
    return read_from(connection.execute(*reading(conversation_id)), user_id=user_id)


def read_all(conversation_ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    """Those of the conversations that exist, whoever takes part."""
    found = map(_conversation, connection.execute_all(*map(reading, conversation_ids)))
    return {each.id: each for each in found if each is not None}


FIND_PAIR: Final = "SELECT conversation_id FROM pairs WHERE lower_id = :lower_id AND higher_id = :higher_id"

CLAIM_PAIR: Final = """
    INSERT INTO pairs (lower_id, higher_id, conversation_id) VALUES (:lower_id, :higher_id, :conversation_id)
        IF NOT EXISTS
"""


class Opened(msgspec.Struct, frozen=True):
    """The conversation of two people."""

    id: UUID
    is_new: bool


def open_pair(user_id: UUID, other_id: UUID) -> Opened:
    """The one conversation of these two, in this user's list from now on; whoever asks at once gets the same one."""
    lower, higher = sorted((user_id, other_id))
    pair = {"lower_id": lower, "higher_id": higher}
    rows = connection.execute(FIND_PAIR, pair)
    if rows:
        opened = Opened(rows[0]["conversation_id"], is_new=False)
    else:
        wanted = new_id()
        [claimed] = connection.execute(CLAIM_PAIR, {**pair, "conversation_id": wanted})
        opened = Opened(wanted if claimed["[applied]"] else claimed["conversation_id"], is_new=claimed["[applied]"])
    # Written for a conversation that exists too: whoever made it may have been cut off here.
    connection.write_together(_begun(opened.id, (lower, higher), opened_by=(user_id,), is_group=False))
    return opened


def open_group(group_id: UUID, *, name: str, user_ids: Sequence[UUID]) -> None:
    """A conversation of these people, in all their lists; again under the same id it is the same one."""
    connection.write_together(_begun(group_id, user_ids, opened_by=user_ids, is_group=True, name=name))


BEGIN: Final = """
    INSERT INTO conversations (conversation_id, is_group, name, created_at)
    VALUES (:conversation_id, :is_group, :name, :at) USING TIMESTAMP :created
"""

JOIN: Final = """
    INSERT INTO conversations (conversation_id, user_id, is_member)
    VALUES (:conversation_id, :user_id, true) USING TIMESTAMP :created
"""

LIST: Final = """
    INSERT INTO inboxes (user_id, conversation_id, other_user_id, opened_at)
    VALUES (:user_id, :conversation_id, :other_user_id, :at) USING TIMESTAMP :created
"""


def _begun(
    conversation_id: UUID,
    user_ids: Sequence[UUID],
    *,
    opened_by: Sequence[UUID],
    is_group: bool,
    name: str | None = None,
) -> list[Statement]:
    """All writes carry the time of the conversation's id: to write them again changes nothing."""
    created = message_ids.microseconds(message_ids.of(conversation_id))
    common: dict[str, object] = {
        "conversation_id": conversation_id,
        "created": created,
        "at": message_ids.time_of(message_ids.of(conversation_id)),
    }
    named = {"name": name} if name is not None else {}
    statements: list[Statement] = [(BEGIN, {**common, **named, "is_group": is_group})]
    statements += [(JOIN, {**common, "user_id": user_id}) for user_id in user_ids]
    for user_id in opened_by:
        other = {} if is_group else {"other_user_id": next(each for each in user_ids if each != user_id)}
        statements.append((LIST, {**common, **other, "user_id": user_id}))
    return statements


RENAME: Final = "UPDATE conversations SET name = :name WHERE conversation_id = :conversation_id"


def rename(group_id: UUID, *, name: str) -> None:
    """Give a group another name."""
    connection.execute(RENAME, {"conversation_id": group_id, "name": name})


LEAVE: Final = """
    UPDATE conversations SET is_member = false WHERE conversation_id = :conversation_id AND user_id = :user_id
"""
UNLIST: Final = "UPDATE inboxes SET has_left = true WHERE user_id = :user_id AND conversation_id = :conversation_id"


def leave(group_id: UUID, *, user_id: UUID) -> None:
    """From now on this user neither reads nor writes there."""
    values = {"conversation_id": group_id, "user_id": user_id}
    connection.write_together([(LEAVE, values), (UNLIST, values)])


MARK: Final = """
    UPDATE conversations USING TIMESTAMP :sent SET last_read_id = :message_id, last_read_at = :now
     WHERE conversation_id = :conversation_id AND user_id = :user_id
"""
MARK_IN_LIST: Final = """
    UPDATE inboxes USING TIMESTAMP :sent SET last_read_id = :message_id
     WHERE user_id = :user_id AND conversation_id = :conversation_id
"""


def marked(conversation_id: UUID, user_id: UUID, message_id: UUID) -> list[Statement]:
    """The statements by which this user has read as far as this message, and never less far than before.

    The cells carry the message's time, and of two cells the later one stays.
    """
    values = {
        "conversation_id": conversation_id,
        "user_id": user_id,
        "message_id": message_id,
        "sent": message_ids.microseconds(message_id),
        "now": datetime.now(UTC),
    }
    return [(MARK, values), (MARK_IN_LIST, values)]


def _conversation(rows: Sequence[dict[str, Any]]) -> Conversation | None:
    members = [row for row in rows if row["user_id"] is not None and row["is_member"] is not None]
    if not members or members[0]["is_group"] is None:
        return None
    first = members[0]
    return Conversation(
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
            )
            for row in members
        ),
    )
