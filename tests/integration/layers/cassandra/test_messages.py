"""How messages are stored in Cassandra: in buckets, with an expiry, without nulls."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from layers.cassandra import connection, conversations, inboxes, message_ids, messages
from layers.cassandra.messages import StoredMessage, UnreadRange
from layers.core.ids import floor_of, new_id
from layers.core.settings import settings
from tests.support.messages import store


@pytest.fixture
def talk() -> UUID:
    """The conversation of two people."""
    return conversations.open_pair(new_id(), new_id()).id


def message(at: datetime | None = None, *, content: str = "Hello", sender_id: UUID | None = None) -> StoredMessage:
    made = new_id()
    if at is not None:
        made = UUID(int=floor_of(at).int | (made.int & ((1 << 64) - 1)) | (0x7 << 76))
    return StoredMessage(
        message_id=message_ids.from_id(made),
        sender_id=sender_id or new_id(),
        content=content,
        content_type="text",
        media_url=None,
        reply_to_id=None,
    )


def keep(talk: UUID, *given: StoredMessage) -> None:
    for each in given:
        store(talk, each)


def read(talk: UUID, *, before: UUID | None = None, at_once: int = 7) -> list[str]:
    return [found.message.content for found in messages.read_newest_first(talk, before=before, at_once=at_once)]


def buckets(talk: UUID) -> list[datetime]:
    rows = connection.execute("SELECT starts_at FROM buckets WHERE conversation_id = :id", {"id": talk})
    return [row["starts_at"].replace(tzinfo=UTC) for row in rows]


def test_ids_sort_in_cassandra_as_they_were_made_and_as_we_sort_them(talk: UUID) -> None:
    made = [message(content=str(number)) for number in range(300)]
    keep(talk, *made)

    assert read(talk) == [str(number) for number in reversed(range(300))]
    assert sorted((each.message_id for each in made), key=message_ids.sort_key) == [each.message_id for each in made]


def test_messages_of_years_lie_in_buckets_and_empty_ones_are_never_read(talk: UUID) -> None:
    now = datetime.now(UTC)
    days = [700, 400, 395, 90, 31, 1]
    keep(talk, *(message(now - timedelta(days=day), content=str(day)) for day in days))

    assert len(buckets(talk)) == len(
        {(now - timedelta(days=day) - messages._EPOCH) // messages._BUCKET for day in days}
    )
    assert read(talk) == ["1", "31", "90", "395", "400", "700"]
    assert count_unread(talk, after=None) == 6


def test_a_full_bucket_is_followed_by_another_and_nothing_is_lost_or_moved(
    talk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_FULL", 20)
    monkeypatch.setattr(messages, "_CHECK_EVERY", 1)
    monkeypatch.setattr(messages, "_AHEAD", timedelta(milliseconds=40))
    made: list[StoredMessage] = []
    for number in range(200):
        made.append(message(content=str(number)))
        keep(talk, made[-1])
        if messages.is_full(talk, messages.read(talk, made[-1].message_id).bucket, made[-1].message_id):
            messages.announce_next(talk, is_told=True)

    assert 3 < len(buckets(talk)) <= 200 // 20
    assert read(talk) == [each.content for each in reversed(made)]
    assert read(talk, before=made[100].message_id) == [each.content for each in reversed(made[:100])]
    assert all(messages.read(talk, each.message_id).message == each for each in made)
    after = made[120].message_id
    assert count_unread(talk, after=after) == 79
    assert count_unread(talk, after=None) == 101


def test_what_is_sent_again_lies_in_the_same_place(talk: UUID) -> None:
    again = message()
    keep(talk, again, again)

    assert read(talk) == ["Hello"]


def test_a_clients_id_is_one_message_also_when_the_first_try_was_cut_off(talk: UUID) -> None:
    sender, client_id = new_id(), uuid4()

    def claimed(one: StoredMessage) -> UUID:
        claim = messages.claim_id(talk, sender_id=sender, client_message_id=client_id, message_id=one.message_id)
        assert claim.is_new == (one is first)
        return claim.message_id

    first, second, late = message(), message(), message(datetime.now(UTC) + timedelta(minutes=2))
    assert claimed(first) == first.message_id
    assert claimed(second) == first.message_id  # the first sender may still be writing it
    assert claimed(late) == late.message_id  # no sender can be any more, and it was never written
    keep(talk, msgspec.structs.replace(first, message_id=late.message_id))
    assert claimed(message(datetime.now(UTC) + timedelta(minutes=9))) == late.message_id


def test_a_message_ends_after_the_retention_that_is_set(talk: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds_left(one: StoredMessage) -> int:
        keep(talk, one)
        place = messages.read(talk, one.message_id)
        [row] = connection.execute(
            "SELECT TTL(content) AS left FROM messages WHERE conversation_id = :id AND bucket = :bucket"
            " AND message_id = :message_id",
            {"id": talk, "bucket": place.bucket, "message_id": one.message_id},
        )
        left: int = row["left"]
        return left

    assert 365 * 86400 - 60 < seconds_left(message()) <= 365 * 86400
    monkeypatch.setenv("MESSAGE_RETENTION_DAYS", "7")
    settings.cache_clear()
    try:
        assert 7 * 86400 - 60 < seconds_left(message()) <= 7 * 86400
    finally:
        monkeypatch.undo()
        settings.cache_clear()


@pytest.fixture
def traced() -> Iterator[Any]:
    """A session that traces its queries."""
    session = connection.connect(settings().cassandra_keyspace)
    yield lambda text, values: session.execute(session.prepare(text), values, trace=True).get_query_trace().events
    session.cluster.shutdown()


def test_no_operation_leaves_a_tombstone(traced: Any) -> None:
    ada, grace = new_id(), new_id()
    talk = conversations.open_pair(ada, grace)
    for number in range(60):
        one = message(content=str(number), sender_id=(ada, grace)[number % 2])
        store(talk.id, one)
        connection.write_together(conversations.mark_read_statements(talk.id, one.sender_id, one.message_id))
        place = messages.read(talk.id, one.message_id)
        messages.set_reaction(talk.id, place, user_id=grace, reaction="heart")
        messages.clear_reaction(talk.id, place, user_id=grace)
        inboxes.set_muted(ada, talk.id, is_muted=bool(number % 2))
    bucket = next(islice(messages.read_newest_first(talk.id, before=None, at_once=1), 1)).bucket
    for text, values in (
        (inboxes.READ_ALL, {"user_id": ada}),
        (messages.READ_NEWEST, {"conversation_ids": [talk.id], "bucket": bucket}),
        (messages.READ_LAST_SENT, {"conversation_id": talk.id, "buckets": [bucket]}),
        (conversations.READ, {"conversation_id": talk.id}),
        ("SELECT * FROM messages WHERE conversation_id = :id AND bucket = :bucket", {"id": talk.id, "bucket": bucket}),
        ("SELECT * FROM reactions WHERE conversation_id = :id AND bucket = :bucket", {"id": talk.id, "bucket": bucket}),
        ("SELECT * FROM buckets WHERE conversation_id = :id", {"id": talk.id}),
    ):
        lines = [event.description for event in traced(text, values) if "tombstone" in event.description]
        assert [each for each in lines if "and 0 tombstone" not in each and "due to tombstones" not in each] == [], text
        assert any("and 0 tombstone" in each for each in lines), lines


def count_unread(talk: UUID, *, after: UUID | None) -> int:
    [count] = messages.count_unread([UnreadRange(conversation_id=talk, after=after, except_of=frozenset())])
    return count


def test_the_newest_message_of_many_conversations_is_found_in_whatever_bucket_it_is() -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    talks = [conversations.open_pair(new_id(), new_id()).id for _ in range(130)]
    expected = {}
    for number, conversation_id in enumerate(talks):
        ages = [] if number % 7 == 0 else sorted(random.sample(range(1, 360), k=1 + number % 3), reverse=True)
        for age in ages:
            one = message(now - age * day, content=f"{number}, {age}")
            keep(conversation_id, one)
            expected[conversation_id] = one
        for ahead in range(number % 4):  # announced, but nothing was written
            messages.announce(conversation_id, now + ahead * timedelta(seconds=5))

    found = messages.read_newest(talks)
    assert {conversation_id: placed.message for conversation_id, placed in found.items()} == expected
    for conversation_id in talks[:20]:
        placed = found.get(conversation_id)
        first = next(messages.read_newest_first(conversation_id, before=None, at_once=1), None)
        assert placed == first


def test_the_last_message_of_each_sender_is_found_as_far_as_it_is_newer_than_the_mark(talk: UUID) -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    ada, grace, linus, silent = (new_id() for _ in range(4))
    sent = [(340, ada), (300, grace), (200, ada), (100, linus), (99, linus), (3, grace), (2, grace)]
    made = [message(now - age * day, sender_id=sender) for age, sender in sent]
    keep(talk, *made)
    last = {ada: made[2].message_id, grace: made[6].message_id, linus: made[4].message_id}

    assert messages.read_last_sent(talk, dict.fromkeys((ada, grace, linus, silent))) == last
    marks: dict[UUID, UUID | None] = {ada: made[0].message_id, grace: made[5].message_id, linus: made[3].message_id}
    assert messages.read_last_sent(talk, marks) == last
    assert messages.read_last_sent(talk, {}) == {}
    late = {ada: made[6].message_id}
    assert messages.read_last_sent(talk, late).get(ada) in (None, last[ada])
