"""Read marks: sending never covers a message of the other side that the sender has not read (R-DM3)."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from functions.messages import list_receipts
from layers.cassandra import message_ids, messages
from layers.cassandra.messages import StoredMessage
from layers.core.ids import new_id
from tests.support.messages import ask, create_group, entry, open_pair, read_as_far_as, send_text, store
from tests.support.people import Person


def mark_of(person: Person, conversation_id: UUID) -> str | None:
    """The message up to which the person has read, as the receipts show it."""
    reply = ask(list_receipts, person, conversation_id)
    assert reply.status == 200, reply.body
    marks = {receipt["userId"]: receipt["lastReadMessageId"] for receipt in reply.json["receipts"]}
    return marks.get(str(person.id))


def arrive(sender: Person, conversation_id: UUID, message_id: UUID) -> str:
    """A message whose id was made before, and which is written only now: its request was slow."""
    message = StoredMessage(
        message_id=message_id,
        sender_id=sender.id,
        content="late",
        content_type="text",
        media_url=None,
        reply_to_id=None,
    )
    store(conversation_id, message)
    return str(message_id)


@pytest.mark.rule("R-DM3")
def test_sending_moves_the_mark_if_nothing_is_unread(ada: Person, grace: Person) -> None:
    talk = open_pair(ada, grace)
    assert mark_of(ada, talk) is None

    first = send_text(ada, talk)
    assert mark_of(ada, talk) == first["messageId"]
    reply = send_text(grace, talk)
    read_as_far_as(ada, talk, reply)
    second = send_text(ada, talk)

    assert mark_of(ada, talk) == second["messageId"]
    assert entry(ada, talk)["unreadCount"] == 0


@pytest.mark.rule("R-DM3")
def test_sending_leaves_the_mark_if_something_is_unread(ada: Person, grace: Person) -> None:
    talk = open_pair(ada, grace)
    read_one = send_text(grace, talk)
    read_as_far_as(ada, talk, read_one)
    send_text(grace, talk)
    send_text(ada, talk)

    assert mark_of(ada, talk) == read_one["messageId"]
    assert entry(ada, talk)["unreadCount"] == 1


@pytest.mark.rule("R-DM3")
@pytest.mark.parametrize("arrives", ["while it is sent", "after it was sent"])
def test_a_message_with_an_earlier_id_that_arrives_late_is_never_covered(
    ada: Person, grace: Person, arrives: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every interleaving: the other side's message has its id, the sender looks, the other's is written."""
    talk = open_pair(ada, grace)
    seen = send_text(grace, talk)
    read_as_far_as(ada, talk, seen)
    earlier = message_ids.from_id(new_id())
    time.sleep(0.002)
    late: list[str] = []
    if arrives == "while it is sent":
        add = messages.add

        def add_after_the_other(*given: Any) -> None:
            if not late:
                late.append("begun")
                late[0] = arrive(grace, talk, earlier)
            add(*given)

        with monkeypatch.context() as patched:
            patched.setattr(messages, "add", add_after_the_other)
            own = send_text(ada, talk)
    else:
        own = send_text(ada, talk)
        late.append(arrive(grace, talk, earlier))

    assert message_ids.sort_key(UUID(late[0])) < message_ids.sort_key(UUID(own["messageId"]))
    assert entry(ada, talk)["unreadCount"] == 1
    assert mark_of(ada, talk) == seen["messageId"]
    read_as_far_as(ada, talk, {"messageId": late[0]})
    assert entry(ada, talk)["unreadCount"] == 0
    assert mark_of(ada, talk) == own["messageId"]


@pytest.mark.rule("R-DM3")
def test_the_mark_is_that_of_each_member_in_a_group(ada: Person, grace: Person, admin: Person) -> None:
    talk = create_group(ada, grace, admin)
    first = send_text(ada, talk)
    read_as_far_as(grace, talk, first)
    second = send_text(grace, talk)
    send_text(admin, talk)

    assert mark_of(grace, talk) == second["messageId"]
    assert mark_of(ada, talk) == first["messageId"]
    assert mark_of(admin, talk) is None


def test_the_time_of_a_mark_by_sending_is_that_of_the_message(ada: Person, grace: Person) -> None:
    talk = open_pair(ada, grace)
    own = send_text(ada, talk)
    [receipt] = ask(list_receipts, grace, talk).json["receipts"]

    assert receipt["lastReadAt"] == own["createdAt"]
    assert abs((datetime.fromisoformat(own["createdAt"]) - datetime.now(UTC)).total_seconds()) < 60
