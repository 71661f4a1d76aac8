"""The newest messages come from Valkey: exactly those that Cassandra has, whatever happens in between."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import pytest

from functions.admin import remove_user, unban_user
from functions.messages import add_reaction, leave_group, list_messages, remove_messages, remove_reaction
from layers.cassandra import connection, message_ids, messages
from layers.cassandra.messages import MessageContent, StoredMessage
from layers.core.clock import now
from layers.core.events import AccountRemoved
from layers.core.ids import floor_of, new_id
from layers.services import messaging
from layers.services.messaging import MessageDraft
from layers.valkey import changes
from layers.valkey import conversations as kept
from tests.support.calls import call
from tests.support.deliveries import deliver
from tests.support.feed_posts import count_trips
from tests.support.messages import ask, cassandra_requests, create_group, open_pair, read, send_text, store
from tests.support.people import Person, new_person
from tests.support.proxies import Proxies, stores_answer
from tests.support.stores import valkey
from tests.support.together import together
from tests.support.waiting import until


def forget(conversation_id: UUID) -> None:
    """As after Valkey has restarted."""
    valkey().delete(b"conversation:" + conversation_id.bytes)


def page(reader: Person, conversation_id: UUID, limit: int) -> Any:
    reply = ask(list_messages, reader, conversation_id, query={"limit": limit})
    assert reply.status == 200, reply.body
    return reply.json


def page_of_cassandra(reader: Person, conversation_id: UUID, limit: int) -> Any:
    """The page as it is read when Valkey has nothing; what Valkey has is the same afterwards."""
    key = b"conversation:" + conversation_id.bytes
    dump = valkey().dump(key)
    forget(conversation_id)
    found = page(reader, conversation_id, limit)
    forget(conversation_id)
    if dump:
        valkey().restore(key, 60_000, dump)
    return found


def send_with_id(sender: Person, conversation_id: UUID, new: UUID, content: str = "hi") -> str:
    """A message of a request that began when this id was made."""
    draft = MessageDraft(
        id=new, content=MessageContent(text=content, type="text"), reply_to_id=None, client_message_id=None
    )
    return str(messaging.send(conversation_id, sender.viewer, draft).message_id)


def ids_of(reader: Person, conversation_id: UUID) -> list[str]:
    return [message["messageId"] for message in read(reader, conversation_id)]


def test_a_warm_page_is_one_round_trip_with_the_admission_and_nothing_else(ada: Person, talk: UUID) -> None:
    for number in range(60):
        send_text(ada, talk, str(number))
    read(ada, talk)

    with count_trips() as trips, cassandra_requests() as requests:
        assert len(read(ada, talk)) == 50
    assert (trips.valkey, trips.statements, requests) == (1, 0, [])


def test_a_page_after_a_message_is_warm_too(ada: Person, grace: Person, talk: UUID) -> None:
    read(ada, talk), read(grace, talk)
    said = [send_text(ada, talk, str(number)) for number in range(3)]

    with cassandra_requests() as requests:
        assert read(grace, talk) == read(ada, talk) == said[::-1]
    assert requests == []


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 52])
def test_every_page_is_the_one_of_cassandra(ada: Person, talk: UUID, count: int) -> None:
    for number in range(count):
        send_text(ada, talk, f'{number}, "ü" \\')
    expected = {limit: page_of_cassandra(ada, talk, limit) for limit in (1, 2, 7, 49, 50, 51)}
    page(ada, talk, 3)

    assert {limit: page(ada, talk, limit) for limit in expected} == expected
    assert (expected[50]["nextCursor"] is None) == (count <= 50)


def test_a_page_that_grew_by_many_messages_is_the_one_of_cassandra(ada: Person, grace: Person, talk: UUID) -> None:
    page(ada, talk, 50)
    for number in range(130):
        send_text(ada if number % 3 else grace, talk, "x" * (number % 11 + 1))
        if number % 13 == 0:
            limit = number % 50 + 1
            grown = page(ada, talk, limit)
            with cassandra_requests() as requests:
                assert page(grace, talk, limit) == grown
            assert requests == []
            assert page_of_cassandra(ada, talk, limit) == grown


def test_messages_that_arrive_in_another_order_are_sorted_by_id(ada: Person, grace: Person, talk: UUID) -> None:
    first = send_text(ada, talk)
    made = [new_id() for _ in range(12)]
    page(ada, talk, 50)
    for new in random.sample(made, k=len(made)):
        send_with_id(random.choice((ada, grace)), talk, new)
        with cassandra_requests() as requests:
            warm = page(ada, talk, 50)
        assert requests == []
        assert page_of_cassandra(ada, talk, 50) == warm

    in_order = [str(message_ids.from_id(new)) for new in sorted(made, reverse=True)]
    assert ids_of(ada, talk) == [*in_order, first["messageId"]]


def test_a_late_message_that_is_older_than_a_page_does_not_appear_on_it(ada: Person, talk: UUID) -> None:
    late = new_id()
    for number in range(55):
        send_text(ada, talk, str(number))
    expected = page(ada, talk, 50)
    send_with_id(ada, talk, late)

    assert page(ada, talk, 50) == expected
    assert ids_of(ada, talk) == [message["messageId"] for message in expected["messages"]]
    older = ask(list_messages, ada, talk, query={"before": expected["nextCursor"], "limit": 50}).json["messages"]
    assert older[-1]["messageId"] == str(message_ids.from_id(late))


def _while_reading(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Let the next reader of Cassandra find what is there now, and do this before the reader stores it."""
    read_newest_first = messages.read_newest_first
    done: list[object] = []

    def read_and_act(*args: Any, **kwargs: Any) -> Any:
        found = list(read_newest_first(*args, **kwargs))
        if not done:
            done.append(action())
        return iter(found)

    monkeypatch.setattr(messages, "read_newest_first", read_and_act)


def test_what_was_read_before_a_message_is_not_stored_after_it(
    ada: Person, grace: Person, talk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = send_text(ada, talk, "first")
    forget(talk)
    _while_reading(monkeypatch, lambda: send_text(grace, talk, "second"))

    assert read(ada, talk) == [first]
    assert [message["content"] for message in read(ada, talk)] == ["second", "first"]


def test_what_is_read_while_a_message_is_being_written_is_not_stored(
    ada: Person, grace: Person, talk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both readers begin after the sender; one ends before the message is in Cassandra, one after the answer."""
    first = send_text(ada, talk, "first")
    write, seen = messages.add, []

    def write_slowly(*args: Any, **kwargs: Any) -> None:
        seen.append(read(grace, talk))
        _while_reading(monkeypatch, lambda: write(*args, **kwargs))
        seen.append(read(grace, talk))

    monkeypatch.setattr(messages, "add", write_slowly)
    second = send_text(ada, talk, "second")

    assert seen == [[first], [first]]
    assert read(grace, talk) == [second, first]


def test_a_reaction_shows_in_the_next_page(ada: Person, grace: Person, talk: UUID) -> None:
    said = send_text(ada, talk)
    path = {"message_id": said["messageId"]}
    for reaction in ("heart", "laugh"):
        read(ada, talk)
        assert ask(add_reaction, grace, talk, path=path, body={"reaction": reaction}).status == 201
        assert read(ada, talk)[0]["reactions"] == [{"userId": str(grace.id), "reaction": reaction}]
    assert ask(remove_reaction, grace, talk, path=path).status == 200
    assert read(ada, talk) == [said]


class Killed(BaseException):
    """The process of a request ends."""


def _kill_while_writing(
    monkeypatch: pytest.MonkeyPatch, send: Callable[[], object], *, when: Literal["before it", "after it"]
) -> None:
    """Send a message in a process that is killed before or after the message is in Cassandra."""
    write = messages.add

    def write_and_end(*args: Any, **kwargs: Any) -> None:
        if when == "after it":
            write(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(messages, "add", write_and_end)
        with pytest.raises(Killed):
            send()


@pytest.mark.parametrize("when", ["before it", "after it"])
def test_a_request_that_is_killed_while_it_writes_leaves_no_wrong_page(
    ada: Person, grace: Person, talk: UUID, when: Literal["before it", "after it"], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = send_text(ada, talk, "first")
    read(grace, talk)
    monkeypatch.setattr(changes, "CHANGE_SECONDS", 2)
    _kill_while_writing(monkeypatch, lambda: send_text(ada, talk, "second"), when=when)
    expected = ["second", "first"] if when == "after it" else ["first"]

    for _ in range(2):
        assert [message["content"] for message in read(grace, talk)] == expected
    third = send_text(grace, talk, "third")
    assert read(ada, talk)[0] == third
    assert [message["content"] for message in read(ada, talk)][1:] == expected
    time.sleep(2.1)
    fourth = send_text(grace, talk, "fourth")
    read(ada, talk)
    with cassandra_requests() as requests:
        assert [message["content"] for message in read(ada, talk)] == ["fourth", "third", *expected]
    assert requests == []
    assert (read(ada, talk)[0], read(ada, talk)[-1]) == (fourth, first)


def test_a_message_that_takes_too_long_is_in_the_next_page_all_the_same(
    ada: Person, grace: Person, talk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, write = send_text(ada, talk, "first"), messages.add
    monkeypatch.setattr(changes, "CHANGE_SECONDS", 1)

    def write_late(*args: Any, **kwargs: Any) -> None:
        time.sleep(1.1)
        for _ in range(2):
            assert read(grace, talk) == [first]
        write(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(messages, "add", write_late)
        second = send_text(ada, talk, "second")

    assert read(grace, talk) == [second, first]


def test_sending_again_with_the_clients_id_shows_a_message_that_a_killed_request_has_written(
    ada: Person, grace: Person, talk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(grace, talk)
    client_id = str(new_id())
    monkeypatch.setattr(changes, "CHANGE_SECONDS", 1)
    _kill_while_writing(monkeypatch, lambda: send_text(ada, talk, "once", clientMessageId=client_id), when="after it")
    again = send_text(ada, talk, "once", clientMessageId=client_id)

    assert read(grace, talk) == [again]


@pytest.mark.rule("R-D1")
def test_a_message_sent_without_valkey_is_in_the_next_page(
    ada: Person, grace: Person, talk: UUID, proxies: Proxies
) -> None:
    first = send_text(ada, talk, "first")
    assert read(grace, talk) == [first]
    proxies.valkey.close()
    second = send_text(ada, talk, "second")
    assert read(grace, talk) == [second, first]
    proxies.valkey.open()
    until(stores_answer)

    assert read(grace, talk) == [second, first]


@pytest.mark.rule("R-D1")
@pytest.mark.parametrize("reads", ["this process", "another process"])
def test_a_message_whose_end_valkey_has_missed_is_in_the_next_page(
    proxies: Proxies, reads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process has nothing to forget, and reads before the sender's process calls Valkey again."""
    ada, grace = new_person("ada"), new_person("grace")
    talk = open_pair(ada, grace)
    first = send_text(ada, talk, "first")
    assert read(grace, talk) == [first]
    write = messages.add

    def close_and_write(*args: Any, **kwargs: Any) -> None:
        proxies.valkey.close()
        write(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(messages, "add", close_and_write)
        if reads == "another process":
            patched.setattr(changes, "mark_stale", lambda _: None)
        second = send_text(ada, talk, "second")
    proxies.valkey.open()
    until(stores_answer)

    assert read(grace, talk) == [second, first]


@pytest.mark.rule("R-G6")
def test_who_has_left_does_not_get_a_page_that_was_kept_before(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    group = create_group(ada, grace, linus)
    said = send_text(ada, group)
    assert read(linus, group) == read(grace, group) == [said]
    assert ask(leave_group, linus, group).status == 200

    assert ask(list_messages, linus, group).status == 404
    assert read(grace, group) == [said]


@pytest.mark.rule("R-P7")
def test_a_page_that_is_kept_is_only_for_participants(ada: Person, admin: Person, talk: UUID) -> None:
    send_text(ada, talk)
    read(ada, talk)

    assert [ask(list_messages, person, talk).status for person in (new_person(), admin)] == [404, 404]


@pytest.mark.rule("R-B1")
def test_a_ban_and_its_end_take_effect_on_a_page_that_is_kept(
    ada: Person, grace: Person, admin: Person, talk: UUID
) -> None:
    said = send_text(grace, talk)
    for _ in range(2):
        assert read(ada, talk) == [said]
        assert call(remove_user, session_id=admin.session_id, path={"user": grace.id}).status == 200
        assert ask(list_messages, ada, talk).status == 404
        assert call(unban_user, session_id=admin.session_id, path={"user": grace.id}).status == 200
    assert read(ada, talk) == [said]


@pytest.mark.rule("R-B1")
def test_who_was_not_banned_when_it_was_read_is_not_shown_as_such_after_a_ban(
    ada: Person, grace: Person, admin: Person, talk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ban is committed after a reader has asked PostgreSQL, and before the reader stores the answer."""
    send_text(grace, talk)
    forget(talk)
    store_members = kept.store_members

    def ban_and_store(*args: Any, **kwargs: Any) -> None:
        assert call(remove_user, session_id=admin.session_id, path={"user": grace.id}).status == 200
        store_members(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(kept, "store_members", ban_and_store)
        ask(list_messages, ada, talk)
    assert ask(list_messages, ada, talk).status == 404


@pytest.mark.rule("R-B2")
def test_a_group_with_a_banned_member_shows_each_viewer_what_they_may_see(ada: Person, admin: Person) -> None:
    grace, linus = new_person("grace"), new_person("linus")
    group = create_group(ada, grace, linus, admin)
    shown, hidden = send_text(linus, group, "shown"), send_text(grace, group, "hidden")
    assert read(ada, group) == read(admin, group) == [hidden, shown]
    assert call(remove_user, session_id=admin.session_id, path={"user": grace.id}).status == 200

    for _ in range(2):
        assert read(ada, group) == [shown]
        assert read(admin, group) == [hidden, shown]
    last = send_text(linus, group, "last")
    assert (read(ada, group), read(admin, group)) == ([last, shown], [last, hidden, shown])


@pytest.mark.rule("R-B3")
def test_a_page_that_is_kept_loses_the_messages_of_a_removed_account(ada: Person, admin: Person) -> None:
    grace = new_person("grace")
    group = create_group(ada, grace, admin)
    mine, theirs = send_text(ada, group, "mine"), send_text(grace, group, "theirs")
    assert read(admin, group) == [theirs, mine]
    deliver(remove_messages, AccountRemoved(user_id=grace.id, removed_at=now()))

    assert read(admin, group) == [mine]


def test_a_page_is_not_kept_longer_than_its_oldest_message(ada: Person, talk: UUID) -> None:
    left = timedelta(seconds=3)
    made = datetime.now(UTC) - timedelta(days=365) + left
    old = message_ids.from_id(UUID(int=floor_of(made).int | (new_id().int & ((1 << 64) - 1)) | (0x7 << 76)))
    store(talk, _stored(old, ada))
    send_text(ada, talk)
    assert len(read(ada, talk)) == 2
    with cassandra_requests() as requests:
        read(ada, talk)
    assert requests == []
    time.sleep(left.total_seconds())

    with cassandra_requests() as requests:
        read(ada, talk)
    assert requests != []


def _stored(message_id: UUID, sender: Person) -> StoredMessage:
    return StoredMessage(
        message_id=message_id, sender_id=sender.id, content="old", content_type="text", media_url=None, reply_to_id=None
    )


@pytest.mark.rule("R-DM1")
def test_every_reader_sees_all_messages_acknowledged_before_while_many_send_and_valkey_forgets(
    ada: Person, grace: Person
) -> None:
    talk = open_pair(ada, grace)
    acknowledged: list[str] = []
    sent = 12

    def act(number: int) -> None:
        for turn in range(sent):
            if number % 3 == 0:
                before = list(acknowledged)
                found = set(ids_of(ada, talk))
                assert set(before) <= found or len(found) == 50
            elif number == 1 and turn % 4 == 0:
                forget(talk)
            else:
                acknowledged.append(send_text((ada, grace)[number % 2], talk)["messageId"])

    together(act, range(6))

    assert page(ada, talk, 50) == page_of_cassandra(ada, talk, 50)
    connection.check()
