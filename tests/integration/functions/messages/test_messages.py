"""Sending and reading messages."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from cassandra.query import BatchStatement, BatchType

from functions.messages import (
    add_reaction,
    list_messages,
    list_receipts,
    list_typing,
    remove_reaction,
    send_message,
    start_typing,
)
from layers.cassandra import connection, message_ids, messages
from layers.cassandra.messages import StoredMessage
from layers.core import limits
from layers.core.ids import new_id
from layers.valkey import conversations as kept
from tests import pictures
from tests.support.calls import Upload
from tests.support.feed_posts import count_trips
from tests.support.messages import (
    ask,
    cassandra_requests,
    create_group,
    entry,
    open_pair,
    read,
    read_as_far_as,
    send_text,
    store,
)
from tests.support.people import Person, new_person
from tests.support.proxies import Proxies
from tests.support.together import together

_LAST_62_BITS = (1 << 62) - 1
"""The random part of a UUIDv7: what stands before it is the time, which message ids keep."""
TYPING_SECONDS = 5
CLOCK_ERROR = 0.01
"""Seconds: Valkey's clock counts whole milliseconds, and is not this process's."""


def test_a_message_is_read_as_it_was_sent(ada: Person, grace: Person, talk: UUID) -> None:
    said = send_text(ada, talk, "  a <b>bold</b> & \r\n word\x01\n")

    assert said["content"] == "  a <b>bold</b> & \n word\n"
    assert (said["senderId"], said["contentType"], said["mediaUrl"]) == (str(ada.id), "text", None)
    assert UUID(said["messageId"]).version == 1
    assert read(grace, talk) == read(ada, talk) == [said]


def test_a_message_is_three_round_trips_to_valkey_and_one_write_of_one_partition(
    ada: Person, grace: Person, talk: UUID
) -> None:
    send_text(ada, talk), send_text(grace, talk)

    with count_trips() as trips, cassandra_requests() as requests:
        send_text(ada, talk)
    assert (trips.valkey, trips.statements, len(requests)) == (3, 0, 1)
    assert requests[0].batch_type is BatchType.UNLOGGED


def test_the_first_message_after_the_opening_is_one_write_too(ada: Person) -> None:
    send_text(ada, open_pair(ada, new_person()))
    talk = open_pair(ada, new_person())

    with cassandra_requests() as requests:
        send_text(ada, talk)
    assert [request.batch_type for request in requests if isinstance(request, BatchStatement)] == [BatchType.UNLOGGED]
    assert len(requests) == 3  # who takes part, and the buckets


@pytest.mark.rule("R-DM2")
@pytest.mark.parametrize("limit", [1, 2, 3, 20])
def test_paging_has_no_gaps_or_repeats(ada: Person, grace: Person, talk: UUID, limit: int) -> None:
    said = together(lambda number: send_text(ada if number % 2 else grace, talk, str(number)), range(20))
    found, before = [], None
    while True:
        query = {"limit": limit} | ({"before": before} if before else {})
        reply = ask(list_messages, ada, talk, query=query)
        found += reply.json["messages"]
        before = reply.json["nextCursor"]
        if before is None:
            break

    assert sorted(one["messageId"] for one in found) == sorted(one["messageId"] for one in said)
    assert found == read(grace, talk, limit=100)


@pytest.mark.rule("R-DM2")
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_paging_has_no_gaps_or_repeats_within_one_millisecond(
    ada: Person, grace: Person, talk: UUID, limit: int
) -> None:
    made = new_id()
    ids = {message_ids.from_id(UUID(int=made.int & ~_LAST_62_BITS | secrets.randbits(62))) for _ in range(12)}
    assert len({message_id.time for message_id in ids}) == 1
    for message_id in ids:
        store(talk, _kept(message_id, ada))
    in_order = [str(each) for each in sorted(ids, key=message_ids.sort_key, reverse=True)]

    assert _paged(grace, talk, limit=limit) == in_order
    for place, before in enumerate(in_order):
        assert [one["messageId"] for one in read(grace, talk, before=before)] == in_order[place + 1 :]


def _kept(message_id: UUID, sender: Person) -> StoredMessage:
    return StoredMessage(
        message_id=message_id,
        sender_id=sender.id,
        content="at once",
        content_type="text",
        media_url=None,
        reply_to_id=None,
    )


def _paged(reader: Person, talk: UUID, *, limit: int) -> list[str]:
    """The ids of all messages, page by page, the newest first."""
    found: list[str] = []
    query: dict[str, object] = {"limit": limit}
    while True:
        page = ask(list_messages, reader, talk, query=query).json
        found += [message["messageId"] for message in page["messages"]]
        if page["nextCursor"] is None:
            return found
        query["before"] = page["nextCursor"]


@pytest.mark.rule("R-DM1")
def test_an_acknowledged_message_is_in_the_next_read_and_first(ada: Person, grace: Person, talk: UUID) -> None:
    for number in range(30):
        said = send_text(ada if number % 3 else grace, talk, str(number))
        assert read(grace, talk, limit=1) == [said]


def test_sent_again_under_the_clients_own_id_it_is_one_message(ada: Person, grace: Person, talk: UUID) -> None:
    mine = {"clientMessageId": str(uuid4())}
    replies = together(lambda _: send_text(ada, talk, "once", **mine), range(8))

    assert len({reply["messageId"] for reply in replies}) == 1
    assert len(read(grace, talk)) == 1
    assert send_text(ada, talk, "other words", **mine)["content"] == "once"
    assert send_text(grace, talk, "mine", **mine)["messageId"] != replies[0]["messageId"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": "  "},
        {"content": "x" * (limits.MESSAGE_LENGTH + 1)},
        {"content": "x", "contentType": "file"},
        {"mediaUrl": "javascript:alert(1)"},
        {"mediaUrl": "http://x/" + "x" * 500},
        {"content": "x", "replyToMessageId": str(uuid4())},
        {"content": "x", "replyToMessageId": "1f0d2c3e-4b5a-11f1-8000-0242ac120002"},
        {"content": "x", "clientMessageId": "me"},
    ],
)
def test_an_invalid_message_is_400(ada: Person, talk: UUID, body: dict[str, object]) -> None:
    assert ask(send_message, ada, talk, body=body).status == 400


def test_a_reply_names_a_message_of_this_conversation(ada: Person, grace: Person, talk: UUID) -> None:
    first = send_text(ada, talk)
    assert send_text(grace, talk, "yes", replyToMessageId=first["messageId"])["replyToMessageId"] == first["messageId"]


def test_a_picture_message_is_processed_like_a_photo(ada: Person, grace: Person, talk: UUID) -> None:
    form = ([Upload(pictures.jpeg(2000, 1000))], {"content": "look"})
    said = ask(send_message, ada, talk, form=form).json["message"]

    assert (said["contentType"], said["content"]) == ("image", "look")
    assert "/messages/" in said["mediaUrl"]
    assert read(grace, talk) == [said]
    assert ask(send_message, ada, talk, form=([Upload(b"GIF89a")], {})).status == 415


@pytest.mark.rule("R-P7")
def test_only_participants_read_or_write(ada: Person, admin: Person, talk: UUID) -> None:
    said = send_text(ada, talk)
    for person in (new_person(), admin):
        for module, given in (
            (list_messages, {}),
            (send_message, {"body": {"content": "x"}}),
            (list_receipts, {}),
            (start_typing, {}),
            (list_typing, {}),
            (add_reaction, {"path": {"message_id": said["messageId"]}, "body": {"reaction": "heart"}}),
            (remove_reaction, {"path": {"message_id": said["messageId"]}}),
        ):
            assert ask(module, person, talk, **given).status == 404


def test_reactions_are_one_per_person_and_can_be_removed(ada: Person, grace: Person, talk: UUID) -> None:
    said = send_text(ada, talk)
    path = {"message_id": said["messageId"]}
    for reaction in ("heart", "laugh"):
        assert ask(add_reaction, grace, talk, path=path, body={"reaction": reaction}).status == 201
    assert read(ada, talk)[0]["reactions"] == [{"userId": str(grace.id), "reaction": "laugh"}]
    assert ask(add_reaction, grace, talk, path=path, body={"reaction": "meh"}).status == 400
    for _ in range(2):
        assert ask(remove_reaction, grace, talk, path=path).status == 200
    assert read(ada, talk)[0]["reactions"] == []


def test_receipts_have_the_last_read_message_of_each_participant(ada: Person, grace: Person, talk: UUID) -> None:
    said = [send_text(ada, talk, str(number)) for number in range(3)]
    read_as_far_as(grace, talk, said[1])
    read_as_far_as(grace, talk, said[0])
    receipts = {one["userId"]: one["lastReadMessageId"] for one in ask(list_receipts, ada, talk).json["receipts"]}

    assert receipts == {str(grace.id): said[1]["messageId"], str(ada.id): said[2]["messageId"]}


@pytest.mark.rule("R-DM4")
def test_a_typing_mark_is_visible_at_once_and_ends_5_s_after_the_last_request(
    ada: Person, grace: Person, talk: UUID
) -> None:
    def typing() -> list[str]:
        users: list[str] = ask(list_typing, ada, talk).json["typingUsers"]
        return users

    def start() -> float:
        """The moment just before the request."""
        began = time.monotonic()
        assert ask(start_typing, grace, talk).status == 200
        return began

    def seconds_visible(began: float, *, at_most: float) -> float:
        """How long the mark has been seen without a break."""
        while (seconds := time.monotonic() - began) < at_most and typing() == [str(grace.id)]:
            pass
        return seconds

    assert typing() == []
    assert seconds_visible(start(), at_most=3) >= 3
    assert TYPING_SECONDS - CLOCK_ERROR < seconds_visible(start(), at_most=10) < TYPING_SECONDS + 1
    assert typing() == []


def test_all_members_of_a_group_read_a_message(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    group = create_group(ada, grace, linus)
    said = send_text(linus, group, "hi all")

    assert read(ada, group) == read(grace, group) == [said]


def test_a_conversation_with_many_messages_goes_on_in_the_next_bucket(
    ada: Person, grace: Person, talk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The senders learn of a bucket from Valkey, which forgets the earlier ones when it is announced."""
    monkeypatch.setattr(messages, "_FULL", 10)
    monkeypatch.setattr(messages, "_CHECK_EVERY", 1)
    monkeypatch.setattr(messages, "_AHEAD", timedelta(milliseconds=40))
    said = [send_text((ada, grace)[number % 2], talk, str(number)) for number in range(60)]

    placed = list(messages.read_newest_first(talk, before=None, at_once=9))
    assert [each.message.content for each in placed] == [message["content"] for message in reversed(said)]
    assert 2 < len({each.bucket for each in placed}) <= 6
    for message in said:
        assert messages.read(talk, UUID(message["messageId"])).message.content == message["content"]
    assert read(ada, talk, limit=100) == said[::-1]
    assert entry(grace, talk)["unreadCount"] == 30
    assert {receipt["userId"] for receipt in ask(list_receipts, ada, talk).json["receipts"]} == set()


def test_without_valkey_a_bucket_is_announced_long_before_it_begins(
    ada: Person, talk: UUID, proxies: Proxies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other processes may go on with the buckets that Valkey has told them."""
    send_text(ada, talk)
    monkeypatch.setattr(messages, "_FULL", 1)
    monkeypatch.setattr(messages, "_CHECK_EVERY", 1)
    proxies.valkey.close()
    send_text(ada, talk)

    [newest, *_] = connection.execute(messages.READ_LAST_BUCKET, {"conversation_id": talk})
    begins_in = newest["starts_at"].replace(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(seconds=kept.SECONDS) < begins_in
