"""Opening conversations and the list of them."""

from uuid import UUID, uuid4

import pytest
from cassandra.query import BatchStatement

from functions.messages import list_conversations, open_conversation
from layers.cassandra import connection, conversations
from layers.core.ids import new_id, time_of
from tests.support.calls import call
from tests.support.feed_posts import count_trips
from tests.support.messages import ask, cassandra_requests, entry, inbox, open_pair, read, read_as_far_as, send_text
from tests.support.people import Person, new_person
from tests.support.proxies import Proxies
from tests.support.stores import valkey
from tests.support.together import together


def test_a_new_conversation_names_its_recipient_and_is_listed_by_who_opened_it(ada: Person, grace: Person) -> None:
    reply = call(open_conversation, session_id=ada.session_id, body={"recipientId": str(grace.id)})

    assert reply.status == 201
    assert reply.json["idempotent"] is False
    assert reply.json["recipient"] == {"id": str(grace.id), "username": grace.username, "profilePicture": None}
    [listed] = inbox(ada)
    assert listed["conversationId"] == reply.json["conversationId"]
    assert (listed["otherUserId"], listed["otherUsername"]) == (str(grace.id), grace.username)
    assert (listed["lastMessagePreview"], listed["lastMessageSenderId"], listed["unreadCount"]) == ("", None, 0)
    assert inbox(grace) == []


@pytest.mark.rule("R-DM6")
def test_both_opening_at_once_get_one_conversation_that_one_of_them_created(ada: Person, grace: Person) -> None:
    pairs = [(ada, grace), (grace, ada)] * 5
    replies = together(
        lambda pair: call(open_conversation, session_id=pair[0].session_id, body={"recipientId": str(pair[1].id)}),
        pairs,
    )

    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["conversationId"] for reply in replies}) == 1
    assert [reply.json["idempotent"] for reply in replies].count(False) == 1


@pytest.mark.rule("R-DM6")
def test_both_opening_at_once_without_valkey_get_one_conversation_too(
    ada: Person, grace: Person, proxies: Proxies
) -> None:
    proxies.valkey.close()
    pairs = [(ada, grace), (grace, ada)] * 3
    replies = together(
        lambda pair: call(open_conversation, session_id=pair[0].session_id, body={"recipientId": str(pair[1].id)}),
        pairs,
    )

    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["conversationId"] for reply in replies}) == 1
    assert [reply.json["idempotent"] for reply in replies].count(False) == 1


def test_a_conversation_that_was_opened_when_ids_did_not_follow_from_the_users_is_found(
    ada: Person, grace: Person
) -> None:
    lower, higher = sorted((ada.id, grace.id))
    old = new_id()
    pair = {"lower_id": lower, "higher_id": higher, "conversation_id": old}
    connection.execute(conversations.CLAIM_PAIR, pair)
    for user_id in (lower, higher):
        values = {"conversation_id": old, "user_id": user_id, "created": 1}
        connection.execute(conversations.ADD_PARTICIPANT, values)
    created = {"conversation_id": old, "is_group": False, "at": time_of(old), "created": 1}
    connection.execute(conversations.CREATE, created)

    for person, other in ((ada, grace), (grace, ada), (ada, grace)):
        reply = call(open_conversation, session_id=person.session_id, body={"recipientId": str(other.id)})
        assert (reply.json["conversationId"], reply.json["idempotent"]) == (str(old), True)
    said = send_text(ada, old)
    assert read(grace, old) == [said]
    assert [one["conversationId"] for one in inbox(grace)] == [str(old)]


def test_opening_takes_one_batch_and_opening_again_writes_nothing(ada: Person, grace: Person) -> None:
    open_pair(ada, new_person())
    for batches in (1, 0):
        with count_trips() as trips, cassandra_requests() as requests:
            open_pair(ada, grace)
        assert len([request for request in requests if isinstance(request, BatchStatement)]) == batches
        assert (trips.valkey, trips.statements, len(requests)) == (3 + batches, 1, 3 + batches)


@pytest.mark.parametrize("body", [{}, {"recipientId": "x"}, {"recipientId": None}])
def test_a_recipient_is_needed(ada: Person, body: dict[str, object]) -> None:
    assert call(open_conversation, session_id=ada.session_id, body=body).status == 400


def test_a_conversation_with_oneself_is_400_and_with_an_unknown_account_404(ada: Person) -> None:
    assert call(open_conversation, session_id=ada.session_id, body={"recipientId": str(ada.id)}).status == 400
    assert call(open_conversation, session_id=ada.session_id, body={"recipientId": str(uuid4())}).status == 404


def test_the_latest_activity_comes_first_and_a_message_moves_its_conversation_up(ada: Person) -> None:
    talks = [open_pair(ada, new_person()) for _ in range(4)]
    assert [one["conversationId"] for one in inbox(ada)] == [str(talk) for talk in reversed(talks)]
    send_text(ada, talks[1])

    order = [talks[1], talks[3], talks[2], talks[0]]
    assert [one["conversationId"] for one in inbox(ada)] == [str(talk) for talk in order]
    valkey().delete(b"inbox:" + ada.id.bytes)
    assert [one["conversationId"] for one in inbox(ada)] == [str(talk) for talk in order]


@pytest.mark.rule("R-F1")
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_paging_gives_each_conversation_once(ada: Person, limit: int) -> None:
    talks = [str(open_pair(ada, new_person())) for _ in range(7)]
    for _ in range(2):  # filled from the rows, and from Valkey
        found, cursor = [], None
        while True:
            query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            reply = call(list_conversations, session_id=ada.session_id, query=query)
            found += [one["conversationId"] for one in reply.json["conversations"]]
            cursor = reply.json["nextCursor"]
            if cursor is None:
                break
        assert found == talks[::-1]


@pytest.mark.rule("R-DM3")
def test_unread_rises_with_the_others_messages_and_falls_with_the_read_mark(
    ada: Person, grace: Person, talk: UUID
) -> None:
    messages = [send_text(ada, talk, f"{number}") for number in range(5)]

    assert entry(grace, talk)["unreadCount"] == 5
    assert entry(ada, talk)["unreadCount"] == 0
    read_as_far_as(grace, talk, messages[2])
    assert entry(grace, talk)["unreadCount"] == 2
    read_as_far_as(grace, talk, messages[0])
    assert entry(grace, talk)["unreadCount"] == 2
    send_text(grace, talk)
    assert (entry(grace, talk)["unreadCount"], entry(ada, talk)["unreadCount"]) == (2, 1)
    read_as_far_as(grace, talk, messages[4])
    assert entry(grace, talk)["unreadCount"] == 0


def test_unread_is_exact_to_a_hundred_and_then_shown_as_such(ada: Person, grace: Person, talk: UUID) -> None:
    for _ in range(99):
        send_text(ada, talk)
        send_text(grace, talk) if _ == 50 else None
    assert (entry(grace, talk)["unreadCount"], entry(grace, talk)["hasMoreUnread"]) == (99, False)
    send_text(ada, talk)
    assert (entry(grace, talk)["unreadCount"], entry(grace, talk)["hasMoreUnread"]) == (100, False)
    send_text(ada, talk)
    assert (entry(grace, talk)["unreadCount"], entry(grace, talk)["hasMoreUnread"]) == (100, True)


def test_a_stranger_a_banned_viewer_and_an_unknown_conversation_get_the_same_404(
    ada: Person, admin: Person, talk: UUID
) -> None:
    from functions.messages import list_messages  # noqa: PLC0415

    replies = [ask(list_messages, person, talk) for person in (new_person(), admin)] + [
        ask(list_messages, ada, new_id())
    ]
    assert [reply.status for reply in replies] == [404] * 3
    assert len({reply.body for reply in replies}) == 1


def test_a_long_list_takes_as_many_statements_as_a_short_one(ada: Person) -> None:
    def cost(limit: int) -> tuple[int, int, int]:
        inbox(ada, limit=limit)
        valkey().delete(b"inbox:" + ada.id.bytes)
        with count_trips() as trips, cassandra_requests() as requests:
            assert len(inbox(ada, limit=limit)) == limit
        return trips.statements, trips.valkey, len(requests)

    for _ in range(12):
        talk = open_pair(ada, new_person())
        read_as_far_as(ada, talk, send_text(ada, talk))
    assert cost(1) == cost(12)
    assert cost(12)[0] <= 2
