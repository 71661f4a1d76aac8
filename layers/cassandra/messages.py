"""Messages: written once and read newest first, bucket by bucket (docs/decisions/0025-message-buckets.md).

A bucket begins every 30 days. When a bucket has become large, the next one begins earlier: its size is checked about
once in 64 messages, and the next bucket is announced some seconds before it begins, so that every sender reads the
announcement before it applies. So the bucket of a message follows from its id and the announced buckets, without locks.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from layers.cassandra import connection, message_ids
from layers.cassandra.connection import RowDict, Statement
from layers.core import limits, models
from layers.core.clock import format_time
from layers.core.errors import MessageNotFound
from layers.core.models import MessageType, Reaction, ReactionName
from layers.core.settings import settings

_DAY: Final = 24 * 60 * 60
_BUCKET: Final = timedelta(days=30)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_FULL: Final = 4000
"""Messages in a bucket. The largest possible message has 10 KiB, and a partition should not exceed 100 MB."""
_CHECK_EVERY: Final = 64
"""The size of a bucket is checked about once in this number of messages."""
_ANNOUNCE_AHEAD: Final = timedelta(seconds=5)
"""How long before its beginning a bucket is announced: longer than a statement takes, with room for clock differences.

In that time, 32 members at the `general` limit send about 2,700 messages.
"""
_CHUNK: Final = 128
"""Messages that one statement reads while counting unread ones."""
_PARALLEL_BUCKETS: Final = 4
_REQUEST_TIME: Final = timedelta(seconds=35)
"""Longer than a request can take (30 s, R-D2)."""


class MessageContent(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a message that is about to be sent."""

    text: str
    type: MessageType
    media_url: str | None = None


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is stored."""

    message_id: UUID
    sender_id: UUID
    content: str
    content_type: MessageType
    media_url: str | None
    reply_to_id: UUID | None

    def to_model(self, conversation_id: UUID, reactions: Sequence[Reaction] = ()) -> models.Message:
        """The message as answers show it."""
        return models.Message(
            message_id=self.message_id,
            conversation_id=conversation_id,
            sender_id=self.sender_id,
            content=self.content,
            content_type=self.content_type,
            media_url=self.media_url,
            reply_to_message_id=self.reply_to_id,
            created_at=format_time(message_ids.time_of(self.message_id)),
            reactions=list(reactions),
        )


READ_NEWEST_BUCKET: Final = """
    SELECT starts_at FROM buckets WHERE conversation_id = :conversation_id AND starts_at <= :at LIMIT 1
"""


class _MessageBucket(msgspec.Struct, frozen=True):
    """The bucket of a message."""

    starts_at: datetime
    is_announced: bool


def _find_bucket(conversation_id: UUID, message_id: UUID) -> _MessageBucket:
    sent_at = message_ids.time_of(message_id)
    rows = connection.execute(READ_NEWEST_BUCKET, {"conversation_id": conversation_id, "at": sent_at})
    announced = rows[0]["starts_at"].replace(tzinfo=UTC) if rows else _EPOCH
    regular = _EPOCH + (sent_at - _EPOCH) // _BUCKET * _BUCKET
    return _MessageBucket(max(announced, regular), is_announced=announced >= regular)


CLAIM_ID: Final = """
    INSERT INTO sent (conversation_id, sender_id, client_message_id, message_id)
    VALUES (:conversation_id, :sender_id, :client_message_id, :message_id)
        IF NOT EXISTS USING TTL :seconds
"""


MOVE_CLAIM: Final = """
    UPDATE sent USING TTL :seconds SET message_id = :message_id
     WHERE conversation_id = :conversation_id AND sender_id = :sender_id AND client_message_id = :client_message_id
        IF message_id = :first
"""


def claim_id(conversation_id: UUID, *, sender_id: UUID, client_message_id: UUID, message_id: UUID) -> UUID:
    """The id of the message with this client's id: `message_id`, or the id of the message that was sent before with it.

    If an earlier request claimed the client's id but never stored its message, the claim moves to `message_id` after
    the time that a request can take. Claims are made by compare-and-set (`IF`).
    """
    values = {
        "conversation_id": conversation_id,
        "sender_id": sender_id,
        "client_message_id": client_message_id,
        "message_id": message_id,
        "seconds": _retention_seconds(),
    }
    [row] = connection.execute(CLAIM_ID, values)
    if row["[applied]"]:
        return message_id
    first: UUID = row["message_id"]
    age = message_ids.time_of(message_id) - message_ids.time_of(first)
    if age < _REQUEST_TIME or find(conversation_id, first):
        return first
    [row] = connection.execute(MOVE_CLAIM, {**values, "first": first})
    moved: UUID = message_id if row["[applied]"] else row["message_id"]
    return moved


ANNOUNCE_BUCKET: Final = """
    INSERT INTO buckets (conversation_id, starts_at) VALUES (:conversation_id, :starts_at) USING TTL :seconds
"""

ADD: Final = """
    INSERT INTO messages (conversation_id, bucket, message_id, sender_id, content, content_type, media_url, reply_to_id)
    VALUES (:conversation_id, :bucket, :message_id, :sender_id, :content, :content_type, :media_url, :reply_to_id)
     USING TTL :seconds AND TIMESTAMP :sent
"""


def send(conversation_id: UUID, message: StoredMessage, *, other_writes: Sequence[Statement]) -> None:
    """Store a message in one batch with `other_writes`; may be repeated. Raises `StoreUnavailable`."""
    bucket = _find_bucket(conversation_id, message.message_id)
    if not bucket.is_announced:
        _announce_bucket(conversation_id, bucket.starts_at)  # before the bucket has a message
    values: dict[str, object] = {
        "conversation_id": conversation_id,
        "bucket": bucket.starts_at,
        "message_id": message.message_id,
        "sender_id": message.sender_id,
        "content": message.content,
        "content_type": message.content_type,
        "seconds": _retention_seconds(),
        "sent": message_ids.microseconds(message.message_id),
    }
    optional = {"media_url": message.media_url, "reply_to_id": message.reply_to_id}
    values |= {name: value for name, value in optional.items() if value is not None}
    connection.write_together([(ADD, values), *other_writes])
    if message.message_id.time % _CHECK_EVERY == 0:
        _divide_if_full(conversation_id, bucket.starts_at)


COUNT_MESSAGES: Final = "SELECT count(*) FROM messages WHERE conversation_id = :conversation_id AND bucket = :bucket"
READ_LAST_BUCKET: Final = "SELECT starts_at FROM buckets WHERE conversation_id = :conversation_id LIMIT 1"


def _divide_if_full(conversation_id: UUID, bucket: datetime) -> None:
    """Announce the next bucket if this one is full and no later one is announced."""
    key = {"conversation_id": conversation_id, "bucket": bucket}
    [row], [last] = connection.execute_all(
        (COUNT_MESSAGES, key), (READ_LAST_BUCKET, {"conversation_id": conversation_id})
    )
    if row["count"] >= _FULL and last["starts_at"].replace(tzinfo=UTC) == bucket:
        _announce_bucket(conversation_id, datetime.now(UTC) + _ANNOUNCE_AHEAD)


READ_BUCKETS: Final = """
    SELECT starts_at FROM buckets WHERE conversation_id = :conversation_id AND starts_at <= :at
"""

READ_OLDER: Final = """
    SELECT message_id, sender_id, content, content_type, media_url, reply_to_id FROM messages
     WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id < :before LIMIT :at_most
"""


class PlacedMessage(msgspec.Struct, frozen=True):
    """A message and the start of its bucket."""

    bucket: datetime
    message: StoredMessage


def read_newest_first(conversation_id: UUID, *, before: UUID | None, at_once: int) -> Iterator[PlacedMessage]:
    """All messages, or those older than `before`, newest first; they are read `at_once` at a time, when needed.

    A conversation with few messages per month has many small buckets: first one is read, then two in parallel, then
    four. Raises `StoreUnavailable`.
    """
    before = before or message_ids.LAST
    buckets = _spanned_buckets(
        connection.execute(*_buckets_statement(conversation_id, before)), after=message_ids.FIRST
    )
    parallel = 1
    while buckets:
        group, buckets = buckets[:parallel], buckets[parallel:]
        first_rows = connection.execute_all(
            *(_older_statement(conversation_id, bucket, before, at_once) for bucket in group)
        )
        for bucket, first in zip(group, first_rows, strict=True):
            rows = first
            yield from (PlacedMessage(bucket, StoredMessage(**row)) for row in rows)
            while len(rows) == at_once:
                rows = connection.execute(*_older_statement(conversation_id, bucket, rows[-1]["message_id"], at_once))
                yield from (PlacedMessage(bucket, StoredMessage(**row)) for row in rows)
        parallel = min(2 * parallel, _PARALLEL_BUCKETS)


def _older_statement(conversation_id: UUID, bucket: datetime, before: UUID, at_most: int) -> Statement:
    return READ_OLDER, {"conversation_id": conversation_id, "bucket": bucket, "before": before, "at_most": at_most}


FIND: Final = """
    SELECT message_id, sender_id, content, content_type, media_url, reply_to_id FROM messages
     WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id = :message_id
"""


def find(conversation_id: UUID, message_id: UUID) -> PlacedMessage | None:
    """A message of this conversation; None if there is no such message."""
    if not message_ids.is_message_id(message_id):
        return None
    bucket = _find_bucket(conversation_id, message_id).starts_at
    key = {"conversation_id": conversation_id, "bucket": bucket, "message_id": message_id}
    rows = connection.execute(FIND, key)
    return PlacedMessage(bucket, StoredMessage(**rows[0])) if rows else None


def read(conversation_id: UUID, message_id: UUID) -> PlacedMessage:
    """A message of this conversation; raises `MessageNotFound`."""
    found = find(conversation_id, message_id)
    if found is None:
        raise MessageNotFound
    return found


READ_SENDERS: Final = """
    SELECT message_id, sender_id FROM messages
     WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id > :after AND message_id < :before
     LIMIT :at_most
"""


class UnreadRange(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of a conversation between two ids, except those of some senders."""

    conversation_id: UUID
    after: UUID | None
    """The last message that was read; None if none was read."""
    before: UUID | None = None
    """None: up to the newest message."""
    except_of: frozenset[UUID]
    """Senders whose messages do not count."""


def count_unread(ranges: Sequence[UnreadRange]) -> list[int]:
    """The number of messages in each range: exact up to 100, and 101 for more. The ranges are read in parallel."""
    counts = [0] * len(ranges)
    indexes = connection.execute_all(
        *(_buckets_statement(each.conversation_id, each.before or message_ids.LAST) for each in ranges)
    )
    scans = [_Scan(number, each, rows) for number, (each, rows) in enumerate(zip(ranges, indexes, strict=True))]
    while scans := [scan for scan in scans if scan.buckets and counts[scan.number] <= limits.UNREAD_MAX]:
        for scan, rows in zip(scans, connection.execute_all(*(scan.statement for scan in scans)), strict=True):
            counts[scan.number] += sum(row["sender_id"] not in scan.except_of for row in rows)
            scan.advance(rows)
    return [min(count, limits.UNREAD_MAX + 1) for count in counts]


class _Scan:
    """The progress of counting a range, newest message first."""

    def __init__(self, number: int, unread: UnreadRange, buckets: Sequence[RowDict]) -> None:
        after = unread.after or message_ids.FIRST
        self.number = number
        self.except_of = unread.except_of
        self.buckets = _spanned_buckets(buckets, after=after)
        self._range = {"conversation_id": unread.conversation_id, "after": after, "at_most": _CHUNK}
        self._before = unread.before or message_ids.LAST

    @property
    def statement(self) -> Statement:
        """The statement that reads the next chunk."""
        return READ_SENDERS, {**self._range, "bucket": self.buckets[0], "before": self._before}

    def advance(self, rows: Sequence[RowDict]) -> None:
        """Continue after the rows of a chunk."""
        if len(rows) < _CHUNK:
            del self.buckets[0]
        else:
            self._before = rows[-1]["message_id"]


SET_REACTION: Final = """
    INSERT INTO reactions (conversation_id, bucket, message_id, user_id, reaction)
    VALUES (:conversation_id, :bucket, :message_id, :user_id, :reaction) USING TTL :seconds
"""


def set_reaction(conversation_id: UUID, found: PlacedMessage, *, user_id: UUID, reaction: ReactionName) -> None:
    """Set this user's reaction to a message, in place of an earlier one."""
    _save_reaction(conversation_id, found, user_id, reaction)


def clear_reaction(conversation_id: UUID, found: PlacedMessage, *, user_id: UUID) -> None:
    """Clear this user's reaction to a message. It is overwritten, as a deletion would leave a tombstone."""
    _save_reaction(conversation_id, found, user_id, "")


def _save_reaction(conversation_id: UUID, found: PlacedMessage, user_id: UUID, reaction: str) -> None:
    values = {
        "conversation_id": conversation_id,
        "bucket": found.bucket,
        "message_id": found.message.message_id,
        "user_id": user_id,
        "reaction": reaction,
        "seconds": _retention_seconds(),
    }
    connection.execute(SET_REACTION, values)


READ_REACTIONS: Final = """
    SELECT message_id, user_id, reaction FROM reactions
     WHERE conversation_id = :conversation_id AND bucket = :bucket
       AND message_id >= :first AND message_id <= :last
"""


def read_reactions(conversation_id: UUID, found: Sequence[PlacedMessage]) -> dict[UUID, list[Reaction]]:
    """The reactions to these messages, which must be given newest first, by message id; one statement per bucket."""
    spans: dict[datetime, tuple[UUID, UUID]] = {}
    for each in found:
        _, last = spans.get(each.bucket, (None, each.message.message_id))
        spans[each.bucket] = (each.message.message_id, last)
    reactions: dict[UUID, list[Reaction]] = {}
    for rows in connection.execute_all(
        *(
            (READ_REACTIONS, {"conversation_id": conversation_id, "bucket": bucket, "first": first, "last": last})
            for bucket, (first, last) in spans.items()
        )
    ):
        for row in rows:
            if row["reaction"]:
                reactions.setdefault(row["message_id"], []).append(
                    Reaction(user_id=row["user_id"], reaction=row["reaction"])
                )
    return reactions


def _buckets_statement(conversation_id: UUID, before: UUID) -> Statement:
    """The statement for the buckets that may have messages before that id, newest first."""
    at = datetime.now(UTC) + _BUCKET if before == message_ids.LAST else message_ids.time_of(before)
    return READ_BUCKETS, {"conversation_id": conversation_id, "at": at}


def _spanned_buckets(rows: Sequence[RowDict], *, after: UUID) -> list[datetime]:
    """The start of each bucket, newest first, down to the bucket of `after`."""
    spanned = []
    for row in rows:
        starts_at = row["starts_at"].replace(tzinfo=UTC)
        spanned.append(starts_at)
        if after != message_ids.FIRST and starts_at <= message_ids.time_of(after):
            break
    return spanned


def _announce_bucket(conversation_id: UUID, starts_at: datetime) -> None:
    seconds = _retention_seconds() + int((_BUCKET + _ANNOUNCE_AHEAD).total_seconds()) + _DAY
    connection.execute(
        ANNOUNCE_BUCKET, {"conversation_id": conversation_id, "starts_at": starts_at, "seconds": seconds}
    )


def _retention_seconds() -> int:
    return settings().message_retention_days * _DAY
