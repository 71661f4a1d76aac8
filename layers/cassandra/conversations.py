"""Conversations: their participants, and how far each of them has read."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from layers.cassandra import connection, inboxes, message_ids, messages
from layers.cassandra.connection import Statement
from layers.core.clock import format_time
from layers.core.errors import ConversationNotFound
from layers.core.ids import time_of
from layers.core.models import Time

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """A participant of a conversation, also one who has left a group."""

    user_id: UUID
    is_member: bool
    last_read_id: UUID | None
    last_read_at: datetime | None
    last_sent_id: UUID | None
    """The last message that they have sent. In this table only those sent before there was the table `last_sent`."""

    def with_sent(self, message_id: UUID | None) -> "Participant":
        """The same participant, who has also sent this message."""
        sent = [each for each in (self.last_sent_id, message_id) if each is not None]
        return msgspec.structs.replace(self, last_sent_id=max(sent, key=message_ids.sort_key, default=None))

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


READ: Final = """
    SELECT conversation_id, is_group, name, created_at, user_id, is_member, last_read_id, last_read_at, last_sent_id
      FROM conversations WHERE conversation_id = :conversation_id
"""


def read(conversation_id: UUID) -> StoredConversation:
    """A conversation, without a check of who asks; raises `ConversationNotFound` if there is none."""
    found = _parse_rows(connection.execute(READ, {"conversation_id": conversation_id}))
    if found is None:
        raise ConversationNotFound
    return found


READ_BUCKETS: Final = "SELECT starts_at FROM buckets WHERE conversation_id = :conversation_id LIMIT 2"


def read_with_buckets(conversation_id: UUID) -> tuple[StoredConversation, list[datetime]]:
    """A conversation and the starts of its two newest buckets, newest first; raises `ConversationNotFound`."""
    key = {"conversation_id": conversation_id}
    rows, buckets = connection.execute_all((READ, key), (READ_BUCKETS, key))
    found = _parse_rows(rows)
    if found is None:
        raise ConversationNotFound
    return found, [row["starts_at"].replace(tzinfo=UTC) for row in buckets]


READ_ALL: Final = """
    SELECT conversation_id, is_group, name, created_at, user_id, is_member, last_read_id, last_read_at, last_sent_id
      FROM conversations WHERE conversation_id IN :conversation_ids
"""


def read_all(conversation_ids: Sequence[UUID]) -> dict[UUID, StoredConversation]:
    """Those of the conversations that exist, without a check of the participants; one statement."""
    values = {"conversation_ids": list(conversation_ids)}
    rows = connection.execute(READ_ALL, values) if conversation_ids else []
    found = (_parse_rows(list(group)) for _, group in groupby(rows, key=lambda row: row["conversation_id"]))
    return {each.id: each for each in found if each is not None}


FIND_PAIR: Final = "SELECT conversation_id FROM pairs WHERE lower_id = :lower_id AND higher_id = :higher_id"

READ_OPENED: Final = "SELECT opened_at FROM inboxes WHERE user_id = :user_id AND conversation_id = :conversation_id"

CLAIM_PAIR: Final = """
    INSERT INTO pairs (lower_id, higher_id, conversation_id) VALUES (:lower_id, :higher_id, :conversation_id)
        IF NOT EXISTS
"""


class PairResult(msgspec.Struct, frozen=True):
    """The conversation of two users."""

    id: UUID
    is_new: bool
    """Whether it was created now."""
    opened_at: datetime
    """When this user opened it first."""


def open_pair(user_id: UUID, other_id: UUID, *, claim: Callable[[UUID], bool | None] = lambda _: None) -> PairResult:
    """The conversation of these two users, which is created if there is none; puts it into this user's inbox.

    Its id follows from theirs, so concurrent calls of both get the same conversation (R-DM6). `claim` decides which of
    them has created it; None leaves that to a compare-and-set.
    """
    lower, higher = sorted((user_id, other_id))
    pair = {"lower_id": lower, "higher_id": higher}
    conversation_id = uuid5(lower, str(higher))
    found, created, opened = connection.execute_all((FIND_PAIR, pair), *_read_statements(conversation_id, user_id))
    if found and found[0]["conversation_id"] != conversation_id:  # it was created when ids did not follow from theirs
        conversation_id = found[0]["conversation_id"]
        created, opened = connection.execute_all(*_read_statements(conversation_id, user_id))
    opened_at = opened[0]["opened_at"] if opened else None
    if created and opened_at is not None:
        return PairResult(conversation_id, is_new=False, opened_at=opened_at.replace(tzinfo=UTC))
    now = datetime.now(UTC)
    listed = _opened_statement(conversation_id, user_id, other_id, at=now)
    if created:
        connection.execute(*listed)
        return PairResult(conversation_id, is_new=False, opened_at=now)
    is_new = not found and _claim(pair, conversation_id, claim(conversation_id))
    others = (
        inboxes.pair_statement(conversation_id, other_id, user_id),
        messages.first_bucket_statement(conversation_id),
    )
    connection.write_together([*_creation_statements(conversation_id, (lower, higher), at=now), listed, *others])
    return PairResult(conversation_id, is_new, opened_at=now)


def _read_statements(conversation_id: UUID, user_id: UUID) -> tuple[Statement, Statement]:
    """The statements that read whether a conversation exists, and when this user opened it."""
    key = {"conversation_id": conversation_id}
    return (READ, key), (READ_OPENED, {**key, "user_id": user_id})


def _claim(pair: Mapping[str, object], conversation_id: UUID, decision: bool | None) -> bool:  # noqa: FBT001
    """Whether this call creates the conversation; a compare-and-set decides it if that was not decided before."""
    if decision is not None:
        return decision
    [claim] = connection.execute(CLAIM_PAIR, {**pair, "conversation_id": conversation_id})
    return bool(claim["[applied]"])


def open_group(group_id: UUID, *, name: str, user_ids: Sequence[UUID]) -> None:
    """Create a group and put it into the inboxes of its members; may be repeated with the same id."""
    at = time_of(group_id)
    opened = [_opened_statement(group_id, user_id, None, at=at) for user_id in user_ids]
    connection.write_together([*_creation_statements(group_id, user_ids, at=at, name=name), *opened])


CREATE: Final = """
    INSERT INTO conversations (conversation_id, is_group, name, created_at)
    VALUES (:conversation_id, :is_group, :name, :at) USING TIMESTAMP :created
"""

ADD_PARTICIPANT: Final = """
    INSERT INTO conversations (conversation_id, user_id, is_member)
    VALUES (:conversation_id, :user_id, true) USING TIMESTAMP :created
"""


def _creation_statements(
    conversation_id: UUID, user_ids: Sequence[UUID], *, at: datetime, name: str | None = None
) -> list[Statement]:
    """The writes of one partition that create a conversation; of two without a name.

    They have the time of the creation, so what was changed since is not undone if they are repeated.
    """
    shared = {"conversation_id": conversation_id, "created": _microseconds(at)}
    named = {"name": name} if name is not None else {}
    return [
        (CREATE, {**shared, **named, "is_group": name is not None, "at": at}),
        *((ADD_PARTICIPANT, {**shared, "user_id": user_id}) for user_id in user_ids),
    ]


ADD_OPENED: Final = """
    INSERT INTO inboxes (user_id, conversation_id, other_user_id, opened_at)
    VALUES (:user_id, :conversation_id, :other_user_id, :at) USING TIMESTAMP :created
"""


def _opened_statement(conversation_id: UUID, user_id: UUID, other_id: UUID | None, *, at: datetime) -> Statement:
    """The statement that puts a conversation into the inbox of a user who has opened it."""
    other = {} if other_id is None else {"other_user_id": other_id}
    values = {"user_id": user_id, "conversation_id": conversation_id, "at": at, "created": _microseconds(at)}
    return ADD_OPENED, {**values, **other}


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


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
