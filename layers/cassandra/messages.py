"""Messages: sent once, read newest first, bucket by bucket.

A bucket begins every 30 days of the calendar, and earlier where one has grown large: its size is looked at once in
some hundred messages, and the next bucket is announced to begin a while after, so that whoever sends meanwhile
knows of it. So the bucket of a message follows from its id and the announced ones, without a lock.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from layers.cassandra import connection
from layers.cassandra.connection import Row, Statement
from layers.core import limits, message_ids, models
from layers.core.clock import written
from layers.core.errors import MessageNotFound
from layers.core.models import MessageType, Reaction, ReactionName
from layers.core.settings import settings

_DAY: Final = 24 * 60 * 60
_BUCKET: Final = timedelta(days=30)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_FULL: Final = 4000
"""Messages in a bucket; the largest possible ones are 10 KiB, and 100 MB is what Cassandra handles well."""
_LOOKED_AT: Final = 64
"""Once in so many messages a bucket's size is looked at."""
_ANNOUNCED: Final = timedelta(seconds=5)
"""Longer than a statement takes, and clocks differ: 32 people at the general limit send some 2,700 messages then."""
_CHUNK: Final = 128
_SIDE_BY_SIDE: Final = 4
_AT_WORK: Final = timedelta(seconds=35)
"""Longer than a request can take."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is kept."""

    message_id: UUID
    sender_id: UUID
    content: str
    content_type: MessageType
    media_url: str | None
    reply_to_id: UUID | None

    def shown(self, conversation_id: UUID, reactions: Sequence[Reaction] = ()) -> models.Message:
        """The message as its readers see it."""
        return models.Message(
            message_id=self.message_id,
            conversation_id=conversation_id,
            sender_id=self.sender_id,
            content=self.content,
            content_type=self.content_type,
            media_url=self.media_url,
            reply_to_message_id=self.reply_to_id,
            created_at=written(message_ids.time_of(self.message_id)),
            reactions=list(reactions),
        )


NEWEST_BUCKET: Final = """
    SELECT starts_at FROM buckets WHERE conversation_id = :conversation_id AND starts_at <= :at LIMIT 1
"""


class _Bucket(msgspec.Struct, frozen=True):
    """Where a message belongs."""

    starts_at: datetime
    is_announced: bool


def _bucket_of(conversation_id: UUID, message_id: UUID) -> _Bucket:
    sent_at = message_ids.time_of(message_id)
    rows = connection.execute(NEWEST_BUCKET, {"conversation_id": conversation_id, "at": sent_at})
    announced = rows[0]["starts_at"].replace(tzinfo=UTC) if rows else _EPOCH
    of_calendar = _EPOCH + (sent_at - _EPOCH) // _BUCKET * _BUCKET
    return _Bucket(max(announced, of_calendar), is_announced=announced >= of_calendar)


CLAIM: Final = """
    INSERT INTO sent (conversation_id, sender_id, client_message_id, message_id)
    VALUES (:conversation_id, :sender_id, :client_message_id, :message_id)
        IF NOT EXISTS USING TTL :seconds
"""


MOVE: Final = """
    UPDATE sent USING TTL :seconds SET message_id = :message_id
     WHERE conversation_id = :conversation_id AND sender_id = :sender_id AND client_message_id = :client_message_id
        IF message_id = :first
"""


def claimed(conversation_id: UUID, *, sender_id: UUID, client_message_id: UUID, message_id: UUID) -> UUID:
    """The id of the message that the client calls so: this one, or the one it became when it was sent before.

    Where the one before was cut off and never kept, it is this one too, as long as nobody can still be at work on it.
    """
    values = {
        "conversation_id": conversation_id,
        "sender_id": sender_id,
        "client_message_id": client_message_id,
        "message_id": message_id,
        "seconds": _retention(),
    }
    [row] = connection.execute(CLAIM, values)
    if row["[applied]"]:
        return message_id
    first: UUID = row["message_id"]
    age = message_ids.time_of(message_id) - message_ids.time_of(first)
    if age < _AT_WORK or kept(conversation_id, first):
        return first
    [row] = connection.execute(MOVE, {**values, "first": first})
    moved: UUID = message_id if row["[applied]"] else row["message_id"]
    return moved


ANNOUNCE: Final = """
    INSERT INTO buckets (conversation_id, starts_at) VALUES (:conversation_id, :starts_at) USING TTL :seconds
"""

ADD: Final = """
    INSERT INTO messages (conversation_id, bucket, message_id, sender_id, content, content_type, media_url, reply_to_id)
    VALUES (:conversation_id, :bucket, :message_id, :sender_id, :content, :content_type, :media_url, :reply_to_id)
     USING TTL :seconds AND TIMESTAMP :sent
"""


def send(conversation_id: UUID, message: Message, *, beside: Sequence[Statement]) -> None:
    """Keep a message with what is written beside it, all or nothing; sent again it changes nothing."""
    bucket = _bucket_of(conversation_id, message.message_id)
    if not bucket.is_announced:
        _announce(conversation_id, bucket.starts_at)  # before anything lies there
    values = {
        "conversation_id": conversation_id,
        "bucket": bucket.starts_at,
        "message_id": message.message_id,
        "sender_id": message.sender_id,
        "content": message.content,
        "content_type": message.content_type,
        "seconds": _retention(),
        "sent": message_ids.microseconds(message.message_id),
    }
    optional = {"media_url": message.media_url, "reply_to_id": message.reply_to_id}
    given = {name: value for name, value in optional.items() if value is not None}
    connection.write_together([(ADD, values | given), *beside])
    if message.message_id.time % _LOOKED_AT == 0:
        _divide(conversation_id, bucket.starts_at)


COUNT: Final = "SELECT count(*) FROM messages WHERE conversation_id = :conversation_id AND bucket = :bucket"
LAST_BUCKET: Final = "SELECT starts_at FROM buckets WHERE conversation_id = :conversation_id LIMIT 1"


def _divide(conversation_id: UUID, bucket: datetime) -> None:
    """Announce the next bucket if this one is full, and none is announced yet."""
    place = {"conversation_id": conversation_id, "bucket": bucket}
    [row], [last] = connection.execute_all((COUNT, place), (LAST_BUCKET, {"conversation_id": conversation_id}))
    if row["count"] >= _FULL and last["starts_at"].replace(tzinfo=UTC) == bucket:
        _announce(conversation_id, datetime.now(UTC) + _ANNOUNCED)


BUCKETS: Final = """
    SELECT starts_at FROM buckets WHERE conversation_id = :conversation_id AND starts_at <= :at
"""

BEFORE: Final = """
    SELECT message_id, sender_id, content, content_type, media_url, reply_to_id FROM messages
     WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id < :before LIMIT :at_most
"""


class Found(msgspec.Struct, frozen=True):
    """A message and the bucket it lies in."""

    bucket: datetime
    message: Message


def newest_first(conversation_id: UUID, *, before: UUID | None, at_once: int) -> Iterator[Found]:
    """All messages, the newest first, or those older than `before`; read `at_once` at a time, as they are taken.

    A conversation of few messages a month lies in many small buckets: one is read, then two side by side, then four.
    """
    before = before or message_ids.LAST
    buckets = _spanned(connection.execute(*_buckets(conversation_id, before)), after=message_ids.FIRST)
    side_by_side = 1
    while buckets:
        some, buckets = buckets[:side_by_side], buckets[side_by_side:]
        beginnings = connection.execute_all(*(_older(conversation_id, bucket, before, at_once) for bucket in some))
        for bucket, beginning in zip(some, beginnings, strict=True):
            rows = beginning
            yield from (Found(bucket, Message(**row)) for row in rows)
            while len(rows) == at_once:
                rows = connection.execute(*_older(conversation_id, bucket, rows[-1]["message_id"], at_once))
                yield from (Found(bucket, Message(**row)) for row in rows)
        side_by_side = min(2 * side_by_side, _SIDE_BY_SIDE)


def _older(conversation_id: UUID, bucket: datetime, before: UUID, at_most: int) -> Statement:
    return BEFORE, {"conversation_id": conversation_id, "bucket": bucket, "before": before, "at_most": at_most}


ONE: Final = """
    SELECT message_id, sender_id, content, content_type, media_url, reply_to_id FROM messages
     WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id = :message_id
"""


def kept(conversation_id: UUID, message_id: UUID) -> Found | None:
    """A message of this conversation, if it is there."""
    if not message_ids.is_one(message_id):
        return None
    bucket = _bucket_of(conversation_id, message_id).starts_at
    place = {"conversation_id": conversation_id, "bucket": bucket, "message_id": message_id}
    rows = connection.execute(ONE, place)
    return Found(bucket, Message(**rows[0])) if rows else None


def find(conversation_id: UUID, message_id: UUID) -> Found:
    """A message of this conversation; raises `MessageNotFound`."""
    found = kept(conversation_id, message_id)
    if found is None:
        raise MessageNotFound
    return found


SENDERS: Final = """
    SELECT message_id, sender_id FROM messages
     WHERE conversation_id = :conversation_id AND bucket = :bucket AND message_id > :after AND message_id < :before
     LIMIT :at_most
"""


class Stretch(msgspec.Struct, frozen=True):
    """What of a conversation is newer than a message of it; than none: all of it."""

    conversation_id: UUID
    after: UUID | None


def unread(stretches: Sequence[Stretch], *, passed_over: frozenset[UUID]) -> list[int]:
    """How many messages of each stretch are from none of these senders: exact to 100, and 101 for more.

    All stretches are read side by side.
    """
    counts = [0] * len(stretches)
    indexes = connection.execute_all(*(_buckets(each.conversation_id, message_ids.LAST) for each in stretches))
    left = [
        _Scan(number, each.conversation_id, after, _spanned(rows, after=after))
        for number, (each, rows) in enumerate(zip(stretches, indexes, strict=True))
        for after in [each.after or message_ids.FIRST]
    ]
    while left := [scan for scan in left if scan.buckets and counts[scan.number] <= limits.UNREAD_COUNTED]:
        for scan, rows in zip(left, connection.execute_all(*(scan.statement for scan in left)), strict=True):
            counts[scan.number] += sum(row["sender_id"] not in passed_over for row in rows)
            scan.went_over(rows)
    return [min(count, limits.UNREAD_COUNTED + 1) for count in counts]


class _Scan:
    """How far a stretch was read, the newest first."""

    def __init__(self, number: int, conversation_id: UUID, after: UUID, buckets: list[datetime]) -> None:
        self.number = number
        self.buckets = buckets
        self._place = {"conversation_id": conversation_id, "after": after, "at_most": _CHUNK}
        self._before = message_ids.LAST

    @property
    def statement(self) -> Statement:
        return SENDERS, {**self._place, "bucket": self.buckets[0], "before": self._before}

    def went_over(self, rows: Sequence[Row]) -> None:
        if len(rows) < _CHUNK:
            del self.buckets[0]
        else:
            self._before = rows[-1]["message_id"]


REACT: Final = """
    INSERT INTO reactions (conversation_id, bucket, message_id, user_id, reaction)
    VALUES (:conversation_id, :bucket, :message_id, :user_id, :reaction) USING TTL :seconds
"""


def react(conversation_id: UUID, found: Found, *, user_id: UUID, reaction: ReactionName) -> None:
    """This user's one reaction to a message, in place of an earlier one."""
    _react(conversation_id, found, user_id, reaction)


def take_back(conversation_id: UUID, found: Found, *, user_id: UUID) -> None:
    """No reaction of this user any more. It is overwritten: a deletion would leave a tombstone to be read over."""
    _react(conversation_id, found, user_id, "")


def _react(conversation_id: UUID, found: Found, user_id: UUID, reaction: str) -> None:
    values = {
        "conversation_id": conversation_id,
        "bucket": found.bucket,
        "message_id": found.message.message_id,
        "user_id": user_id,
        "reaction": reaction,
        "seconds": _retention(),
    }
    connection.execute(REACT, values)


REACTIONS: Final = """
    SELECT message_id, user_id, reaction FROM reactions
     WHERE conversation_id = :conversation_id AND bucket = :bucket
       AND message_id >= :first AND message_id <= :last
"""


def reactions(conversation_id: UUID, found: Sequence[Found]) -> dict[UUID, list[Reaction]]:
    """Who said what of these messages, given newest first; one read per bucket that they lie in."""
    spans: dict[datetime, tuple[UUID, UUID]] = {}
    for each in found:
        _, last = spans.get(each.bucket, (None, each.message.message_id))
        spans[each.bucket] = (each.message.message_id, last)
    said: dict[UUID, list[Reaction]] = {}
    for rows in connection.execute_all(
        *(
            (REACTIONS, {"conversation_id": conversation_id, "bucket": bucket, "first": first, "last": last})
            for bucket, (first, last) in spans.items()
        )
    ):
        for row in rows:
            if row["reaction"]:
                said.setdefault(row["message_id"], []).append(
                    Reaction(user_id=row["user_id"], reaction=row["reaction"])
                )
    return said


def _buckets(conversation_id: UUID, before: UUID) -> Statement:
    """The statement for the buckets that may hold messages before that one, the newest first."""
    at = datetime.now(UTC) + _BUCKET if before == message_ids.LAST else message_ids.time_of(before)
    return BUCKETS, {"conversation_id": conversation_id, "at": at}


def _spanned(rows: Sequence[Row], *, after: UUID) -> list[datetime]:
    """The buckets, the newest first, down to the one that holds messages just after that one."""
    spanned = []
    for row in rows:
        starts_at = row["starts_at"].replace(tzinfo=UTC)
        spanned.append(starts_at)
        if after != message_ids.FIRST and starts_at <= message_ids.time_of(after):
            break
    return spanned


def _announce(conversation_id: UUID, starts_at: datetime) -> None:
    lives = _retention() + int((_BUCKET + _ANNOUNCED).total_seconds()) + _DAY
    connection.execute(ANNOUNCE, {"conversation_id": conversation_id, "starts_at": starts_at, "seconds": lives})


def _retention() -> int:
    return settings().message_retention_days * _DAY
