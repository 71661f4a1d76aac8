"""Messages: written once and read newest first, bucket by bucket (docs/decisions/0025-message-buckets.md).

A message is one write of one partition, which happens whole or not at all; what lists show of it is read from there
(docs/decisions/0039-a-message-is-one-write.md). A bucket begins every 30 days. When a bucket has become large, the next
one begins earlier: its size is checked about once in 64 messages, and the next bucket is announced some seconds before
it begins, so that every sender reads the announcement before it applies. So the bucket of a message follows from its id
and the announced buckets, without locks.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Final
from uuid import UUID

import msgspec

from layers.cassandra import connection, message_ids
from layers.cassandra.connection import PartitionWrite, RowDict, Statement
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
_AHEAD: Final = timedelta(seconds=5)
"""How long before its beginning a bucket is announced: longer than a statement takes, with room for clock differences.

In that time, 32 members at the `general` limit send about 2,700 messages.
"""
_AHEAD_UNTOLD: Final = timedelta(minutes=6)
"""The same if the buckets known before may still be used, which is at most for 5 min."""
_CHUNK: Final = 128
"""Messages that the first statement reads while counting unread ones; each further one reads twice as many."""
_MAX_CHUNK: Final = 1024
_PARALLEL_BUCKETS: Final = 4
_MARK_BUCKETS: Final = 8
"""Buckets that one statement reads while looking for the last message of each member."""
_CONVERSATIONS: Final = 100
"""Conversations whose newest messages one statement reads."""
_PARALLEL_STATEMENTS: Final = 8
_NEWEST_BUCKETS: Final = 2
"""Buckets that are looked at first for the newest message; the LIMIT of `READ_NEWEST_BUCKETS`."""
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


class MessageBucket(msgspec.Struct, frozen=True):
    """The bucket of a message."""

    starts_at: datetime
    is_announced: bool
    """If not, `announce` must be called before the first message is added."""


READ_NEWEST_BUCKET: Final = """
    SELECT starts_at FROM buckets WHERE conversation_id = :conversation_id AND starts_at <= :at LIMIT 1
"""


def find_bucket(conversation_id: UUID, message_id: UUID, *, newest: Sequence[datetime] = ()) -> MessageBucket:
    """The bucket of a message. `newest` are the newest buckets that are known to be announced, newest first.

    One statement if the message is older than those.
    """
    sent_at = message_ids.time_of(message_id)
    announced = next((starts_at for starts_at in newest if starts_at <= sent_at), None)
    if announced is None:
        rows = connection.execute(READ_NEWEST_BUCKET, {"conversation_id": conversation_id, "at": sent_at})
        announced = _start(rows[0]) if rows else _EPOCH
    regular = _regular_bucket(sent_at)
    return MessageBucket(max(announced, regular), is_announced=announced >= regular)


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


class Claim(msgspec.Struct, frozen=True):
    """The id of the message with a client's id."""

    message_id: UUID
    is_new: bool
    """Whether this claim is the first one; otherwise the message may have been sent."""


def claim_id(conversation_id: UUID, *, sender_id: UUID, client_message_id: UUID, message_id: UUID) -> Claim:
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
        return Claim(message_id, is_new=True)
    first: UUID = row["message_id"]
    age = message_ids.time_of(message_id) - message_ids.time_of(first)
    if age < _REQUEST_TIME or find(conversation_id, first):
        return Claim(first, is_new=False)
    [row] = connection.execute(MOVE_CLAIM, {**values, "first": first})
    return Claim(message_id if row["[applied]"] else row["message_id"], is_new=False)


ANNOUNCE: Final = """
    INSERT INTO buckets (conversation_id, starts_at) VALUES (:conversation_id, :starts_at) USING TTL :seconds
"""


def announce(conversation_id: UUID, starts_at: datetime) -> None:
    """Announce a bucket, before it begins or before it has a message; may be repeated."""
    connection.execute(*_announce_statement(conversation_id, starts_at))


def first_bucket_statement(conversation_id: UUID) -> Statement:
    """The statement that announces the bucket of messages that are sent now, for a new conversation."""
    return _announce_statement(conversation_id, _regular_bucket(datetime.now(UTC)))


def _announce_statement(conversation_id: UUID, starts_at: datetime) -> Statement:
    seconds = _retention_seconds() + int((_BUCKET + _AHEAD_UNTOLD).total_seconds()) + _DAY
    return ANNOUNCE, {"conversation_id": conversation_id, "starts_at": starts_at, "seconds": seconds}


def announce_next(conversation_id: UUID, *, is_told: bool) -> None:
    """Announce a bucket that will begin soon. `is_told` says that nobody goes on using the buckets known before."""
    announce(conversation_id, datetime.now(UTC) + (_AHEAD if is_told else _AHEAD_UNTOLD))


ADD: Final = """
    INSERT INTO messages (conversation_id, bucket, message_id, sender_id, content, content_type, media_url, reply_to_id)
    VALUES (:conversation_id, :bucket, :message_id, :sender_id, :content, :content_type, :media_url, :reply_to_id)
     USING TTL :seconds AND TIMESTAMP :sent
"""
RECORD_SENT: Final = """
    INSERT INTO last_sent (conversation_id, bucket, sender_id, message_id)
    VALUES (:conversation_id, :bucket, :sender_id, :message_id)
     USING TTL :seconds AND TIMESTAMP :sent
"""


def add(conversation_id: UUID, bucket: datetime, message: StoredMessage) -> None:
    """Store a message; may be repeated. Raises `StoreUnavailable`, and then it may have been stored or not."""
    values: dict[str, object] = {
        "conversation_id": conversation_id,
        "bucket": bucket,
        "message_id": message.message_id,
        "sender_id": message.sender_id,
        "seconds": _retention_seconds(),
        "sent": message_ids.microseconds(message.message_id),
    }
    optional = {"media_url": message.media_url, "reply_to_id": message.reply_to_id}
    content: dict[str, object] = {"content": message.content, "content_type": message.content_type}
    content |= {name: value for name, value in optional.items() if value is not None}
    connection.execute_all(PartitionWrite([(ADD, values | content), (RECORD_SENT, values)]))


COUNT_MESSAGES: Final = "SELECT count(*) FROM messages WHERE conversation_id = :conversation_id AND bucket = :bucket"
READ_LAST_BUCKET: Final = "SELECT starts_at FROM buckets WHERE conversation_id = :conversation_id LIMIT 1"


def is_full(conversation_id: UUID, bucket: datetime, message_id: UUID) -> bool:
    """Whether another bucket must be announced, after this message was added; looks about once in 64 messages."""
    if message_id.time % _CHECK_EVERY:
        return False
    key = {"conversation_id": conversation_id, "bucket": bucket}
    [row], [last] = connection.execute_all(
        (COUNT_MESSAGES, key), (READ_LAST_BUCKET, {"conversation_id": conversation_id})
    )
    return bool(row["count"] >= _FULL and _start(last) == bucket)


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


READ_NEWEST_BUCKETS: Final = """
    SELECT conversation_id, starts_at FROM buckets WHERE conversation_id IN :conversation_ids PER PARTITION LIMIT 2
"""

READ_NEWEST: Final = """
    SELECT conversation_id, message_id, sender_id, content, content_type, media_url, reply_to_id FROM messages
     WHERE conversation_id IN :conversation_ids AND bucket = :bucket PER PARTITION LIMIT 1
"""


def read_newest(conversation_ids: Sequence[UUID]) -> dict[UUID, PlacedMessage]:
    """The newest message of each of these conversations that has any, by the conversation's id.

    Two rounds of statements, each for `_CONVERSATIONS` conversations; a third round for those whose newest bucket is
    announced and has no message yet. The few whose two newest buckets are empty are read one by one.
    """
    newest: dict[UUID, PlacedMessage] = {}
    for some in batched(conversation_ids, _CONVERSATIONS * _PARALLEL_STATEMENTS, strict=False):
        chunks = batched(some, _CONVERSATIONS, strict=False)
        indexes = connection.execute_all(
            *((READ_NEWEST_BUCKETS, {"conversation_ids": list(chunk)}) for chunk in chunks)
        )
        left: dict[UUID, list[datetime]] = {}
        for row in (row for rows in indexes for row in rows):
            left.setdefault(row["conversation_id"], []).append(_start(row))
        for place in range(_NEWEST_BUCKETS):
            newest |= _read_newest_in(
                {id_: starts[place] for id_, starts in left.items() if place < len(starts) and id_ not in newest}
            )
        for conversation_id, starts in left.items():
            if conversation_id not in newest and len(starts) == _NEWEST_BUCKETS:
                found = next(read_newest_first(conversation_id, before=None, at_once=1), None)
                newest |= {conversation_id: found} if found else {}
    return newest


def _read_newest_in(buckets: Mapping[UUID, datetime]) -> dict[UUID, PlacedMessage]:
    """The newest message of each conversation in its bucket."""
    grouped: dict[datetime, list[UUID]] = {}
    for conversation_id, bucket in buckets.items():
        grouped.setdefault(bucket, []).append(conversation_id)
    chunks = [
        (bucket, list(chunk))
        for bucket, conversation_ids in grouped.items()
        for chunk in batched(conversation_ids, _CONVERSATIONS, strict=False)
    ]
    found = connection.execute_all(
        *((READ_NEWEST, {"conversation_ids": chunk, "bucket": bucket}) for bucket, chunk in chunks)
    )
    return {
        row.pop("conversation_id"): PlacedMessage(bucket, StoredMessage(**row))
        for (bucket, _), rows in zip(chunks, found, strict=True)
        for row in rows
    }


FIND: Final = """
    SELECT message_id, sender_id, content, content_type, media_url, reply_to_id FROM messages
     WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id = :message_id
"""


def find(conversation_id: UUID, message_id: UUID) -> PlacedMessage | None:
    """A message of this conversation; None if there is no such message."""
    if not message_ids.is_message_id(message_id):
        return None
    bucket = find_bucket(conversation_id, message_id).starts_at
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
    newest_bucket: datetime | None = None
    """The bucket of the newest message, if it is known."""
    except_of: frozenset[UUID]
    """Senders whose messages do not count."""

    @property
    def only_bucket(self) -> datetime | None:
        """The bucket that has all the messages, if that is known."""
        newest = self.newest_bucket
        is_after = newest is not None and self.after is not None and message_ids.time_of(self.after) >= newest
        return newest if is_after else None


def count_unread(ranges: Sequence[UnreadRange]) -> list[int]:
    """The number of messages in each range: exact up to 100, and 101 for more. The ranges are read in parallel."""
    counts = [0] * len(ranges)
    spread = [each for each in ranges if each.only_bucket is None]
    indexes = connection.execute_all(
        *(_buckets_statement(each.conversation_id, each.before or message_ids.LAST) for each in spread)
    )
    buckets = iter(
        _spanned_buckets(rows, after=each.after or message_ids.FIRST)
        for each, rows in zip(spread, indexes, strict=True)
    )
    scans = [
        _Scan(number, each, [each.only_bucket] if each.only_bucket else next(buckets))
        for number, each in enumerate(ranges)
    ]
    while scans := [scan for scan in scans if scan.buckets and counts[scan.number] <= limits.UNREAD_MAX]:
        for scan, rows in zip(scans, connection.execute_all(*(scan.statement for scan in scans)), strict=True):
            counts[scan.number] += sum(row["sender_id"] not in scan.except_of for row in rows)
            scan.advance(rows)
    return [min(count, limits.UNREAD_MAX + 1) for count in counts]


class _Scan:
    """The progress of counting a range, newest message first."""

    def __init__(self, number: int, unread: UnreadRange, buckets: list[datetime]) -> None:
        self.number = number
        self.except_of = unread.except_of
        self.buckets = buckets
        self._range = {"conversation_id": unread.conversation_id, "after": unread.after or message_ids.FIRST}
        self._before = unread.before or message_ids.LAST
        self._at_most = _CHUNK

    @property
    def statement(self) -> Statement:
        """The statement that reads the next chunk."""
        values = {"bucket": self.buckets[0], "before": self._before, "at_most": self._at_most}
        return READ_SENDERS, self._range | values

    def advance(self, rows: Sequence[RowDict]) -> None:
        """Continue after the rows of a chunk."""
        if len(rows) < self._at_most:
            del self.buckets[0]
        else:
            self._before = rows[-1]["message_id"]
            self._at_most = min(2 * self._at_most, _MAX_CHUNK)


READ_LAST_SENT: Final = """
    SELECT sender_id, message_id FROM last_sent WHERE conversation_id = :conversation_id AND bucket IN :buckets
"""


def read_last_sent(conversation_id: UUID, marks: Mapping[UUID, UUID | None]) -> dict[UUID, UUID]:
    """The last message that each of these members has sent, by member, as far as it may be newer than their mark.

    `marks` has the last message that each member has read; None if none.
    """
    rows = connection.execute(*_buckets_statement(conversation_id, message_ids.LAST))
    buckets = _spanned_buckets(rows, after=message_ids.FIRST)
    left, last_sent = dict(marks), {}
    while left and buckets:
        some, buckets = buckets[:_MARK_BUCKETS], buckets[_MARK_BUCKETS:]
        found = connection.execute(READ_LAST_SENT, {"conversation_id": conversation_id, "buckets": some})
        for row in sorted(found, key=lambda row: message_ids.sort_key(row["message_id"])):
            if row["sender_id"] in left:
                last_sent[row["sender_id"]] = row["message_id"]
        left = {
            user_id: mark
            for user_id, mark in left.items()
            if user_id not in last_sent and (mark is None or message_ids.time_of(mark) < some[-1])
        }
    return last_sent


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


def seconds_left(message_id: UUID) -> int:
    """The seconds until a message ends, at least."""
    return _retention_seconds() - math.ceil((datetime.now(UTC) - message_ids.time_of(message_id)).total_seconds())


def _buckets_statement(conversation_id: UUID, before: UUID) -> Statement:
    """The statement for the buckets that may have messages before that id, newest first."""
    at = datetime.now(UTC) + _BUCKET if before == message_ids.LAST else message_ids.time_of(before)
    return READ_BUCKETS, {"conversation_id": conversation_id, "at": at}


def _spanned_buckets(rows: Sequence[RowDict], *, after: UUID) -> list[datetime]:
    """The start of each bucket, newest first, down to the bucket of `after`."""
    spanned = []
    for row in rows:
        starts_at = _start(row)
        spanned.append(starts_at)
        if after != message_ids.FIRST and starts_at <= message_ids.time_of(after):
            break
    return spanned


def _regular_bucket(sent_at: datetime) -> datetime:
    """The start of the calendar's bucket of a time."""
    return _EPOCH + (sent_at - _EPOCH) // _BUCKET * _BUCKET


def _start(row: RowDict) -> datetime:
    starts_at: datetime = row["starts_at"]
    return starts_at.replace(tzinfo=UTC)


def _retention_seconds() -> int:
    return settings().message_retention_days * _DAY
