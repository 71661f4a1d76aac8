"""What banned and removed accounts leave in conversations: nothing that others see."""

import time
from uuid import UUID

import pytest

from functions.admin import remove_user, unban_user
from functions.messages import (
    add_reaction,
    list_conversations,
    list_messages,
    list_receipts,
    list_typing,
    mark_read,
    open_conversation,
    remove_messages,
    send_message,
    start_typing,
)
from functions.users import copy_profile
from layers.cassandra import messages as kept
from layers.core.clock import now
from layers.core.events import AccountRemoved, ProfileUpdated
from layers.postgres import connection as postgres
from tests import pictures
from tests.support.calls import Upload, call
from tests.support.deliveries import deliver
from tests.support.messages import ask, create_group, entry, inbox, open_pair, read, read_as_far_as, send_text
from tests.support.people import Person, new_person
from tests.support.proxies import Proxies
from tests.support.waiting import LATE_SECONDS


def _ban(admin: Person, person: Person, **query: str) -> None:
    reply = call(remove_user, session_id=admin.session_id, path={"user": person.id}, query=dict(query))
    assert reply.status == 200, reply.body


def _hidden(person: Person, *, is_hidden: bool = True) -> ProfileUpdated:
    return ProfileUpdated(
        user_id=person.id,
        username=person.username,
        display_name=person.username,
        profile_picture_url=None,
        updated_at=now(),
        is_hidden=is_hidden,
    )


@pytest.mark.rule("R-B1")
def test_the_conversation_with_a_banned_account_does_not_exist_until_the_ban_ends(
    ada: Person, grace: Person, admin: Person, talk: UUID
) -> None:
    said = send_text(grace, talk, "hi")
    _ban(admin, grace)

    assert inbox(ada) == []
    for module, given in (
        (list_messages, {}),
        (list_receipts, {}),
        (list_typing, {}),
        (start_typing, {}),
        (send_message, {"body": {"content": "x"}}),
        (mark_read, {"body": {"lastMessageId": said["messageId"]}}),
        (add_reaction, {"path": {"message_id": said["messageId"]}, "body": {"reaction": "heart"}}),
    ):
        assert ask(module, ada, talk, **given).status == 404
    assert call(open_conversation, session_id=ada.session_id, body={"recipientId": str(grace.id)}).status == 404

    assert call(unban_user, session_id=admin.session_id, path={"user": grace.id}).status == 200
    assert read(ada, talk) == [said]
    assert entry(ada, talk)["unreadCount"] == 1


@pytest.mark.rule("R-B2")
def test_a_banned_accounts_messages_name_and_reactions_are_gone_from_a_group(ada: Person, admin: Person) -> None:
    grace, linus = new_person("grace"), new_person("linus")
    group = create_group(ada, grace, linus)
    first, _ = send_text(linus, group, "first"), send_text(grace, group, "bad words")
    path = {"message_id": first["messageId"]}
    assert ask(add_reaction, grace, group, path=path, body={"reaction": "laugh"}).status == 201
    _ban(admin, grace)

    assert read(ada, group) == [first]
    listed = entry(ada, group)
    assert {member["id"] for member in listed["members"]} == {str(ada.id), str(linus.id)}
    assert (listed["lastMessagePreview"], listed["lastMessageSenderId"], listed["unreadCount"]) == ("", None, 1)
    assert grace.username not in str(inbox(ada))


@pytest.mark.rule("R-B2")
def test_in_a_group_all_that_a_banned_member_did_is_hidden_but_for_admins_and_back_after_the_ban(
    ada: Person, admin: Person
) -> None:
    grace = new_person("grace")
    group = create_group(ada, grace, admin)
    deliver(copy_profile, _hidden(grace, is_hidden=False))  # as the queue does after a registration
    mine, theirs = send_text(ada, group, "mine"), send_text(grace, group, "theirs")
    path = {"message_id": mine["messageId"]}
    assert ask(add_reaction, grace, group, path=path, body={"reaction": "laugh"}).status == 201
    read_as_far_as(grace, group, theirs)
    before = _all_of(ada, group)
    assert before == {
        "messages": [theirs["messageId"], mine["messageId"]],
        "reactions": [str(grace.id)],
        "receipts": {str(ada.id), str(grace.id)},
        "members": {str(ada.id), str(grace.id), str(admin.id)},
    }
    assert ask(start_typing, grace, group).status == 200
    assert ask(list_typing, ada, group).json["typingUsers"] == [str(grace.id)]
    _ban(admin, grace)

    typing = [ask(list_typing, person, group).json["typingUsers"] for person in (ada, admin)]
    assert typing == [[], [str(grace.id)]]
    assert _all_of(ada, group) == {
        "messages": [mine["messageId"]],
        "reactions": [],
        "receipts": {str(ada.id)},
        "members": {str(ada.id), str(admin.id)},
    }
    assert _all_of(admin, group) == before
    assert call(unban_user, session_id=admin.session_id, path={"user": grace.id}).status == 200
    assert _all_of(ada, group) == before


def _all_of(reader: Person, group: UUID) -> dict[str, object]:
    """What a member sees of a group."""
    messages = read(reader, group)
    return {
        "messages": [message["messageId"] for message in messages],
        "reactions": [reaction["userId"] for message in messages for reaction in message["reactions"]],
        "receipts": {receipt["userId"] for receipt in ask(list_receipts, reader, group).json["receipts"]},
        "members": {member["id"] for member in entry(reader, group)["members"]},
    }


@pytest.mark.rule("R-B2")
def test_paging_goes_on_over_a_banned_accounts_messages(ada: Person, admin: Person) -> None:
    grace, linus = new_person("grace"), new_person("linus")
    group = create_group(ada, grace, linus)
    shown = []
    for number in range(20):
        message = send_text(grace if number % 4 else linus, group, str(number))
        shown += [] if number % 4 else [message]
    _ban(admin, grace)
    found, before = [], None
    while True:
        reply = ask(list_messages, ada, group, query={"limit": 2} | ({"before": before} if before else {}))
        found += reply.json["messages"]
        assert len(reply.json["messages"]) == 2 or reply.json["nextCursor"] is None
        before = reply.json["nextCursor"]
        if before is None:
            break

    assert found == shown[::-1]


@pytest.mark.rule("R-B3")
def test_what_a_removed_account_wrote_is_deleted_with_its_pictures_and_name(
    ada: Person, grace: Person, admin: Person
) -> None:
    linus = new_person("linus")
    group = create_group(ada, grace, linus)
    mine = send_text(ada, group, "mine")
    picture = ask(send_message, grace, group, form=([Upload(pictures.jpeg(40, 30))], {"content": "gone"})).json[
        "message"
    ]
    _ban(admin, grace, mode="delete")
    deliver(remove_messages, AccountRemoved(user_id=grace.id, removed_at=now()))

    assert read(ada, group) == [mine]
    assert kept.find(group, UUID(picture["messageId"])) is None
    assert grace.username not in str(inbox(ada))


@pytest.mark.rule("R-D1")
def test_while_postgresql_is_down_the_copies_decide_who_is_hidden(
    ada: Person, grace: Person, admin: Person, proxies: Proxies, talk: UUID
) -> None:
    other = new_person("linus")
    open_talk = open_pair(ada, other)
    send_text(grace, talk), send_text(other, open_talk)
    _ban(admin, grace)
    deliver(copy_profile, _hidden(grace), _hidden(other, is_hidden=False))
    assert len(inbox(ada)) == 1
    proxies.database.close()
    try:
        listed = call(list_conversations, session_id=ada.session_id)
        assert listed.status == 200
        assert [one["conversationId"] for one in listed.json["conversations"]] == [str(open_talk)]
        assert ask(list_messages, ada, talk).status == 404
    finally:
        proxies.database.open()


@pytest.mark.rule("R-D1", "R-D2")
def test_a_postgresql_that_accepts_connections_and_stays_silent_leaves_time_to_answer_from_the_copies(
    ada: Person, grace: Person, proxies: Proxies, talk: UUID
) -> None:
    deliver(copy_profile, _hidden(grace, is_hidden=False))
    assert ask(list_messages, ada, talk).status == 200
    postgres.close()
    proxies.database.hang()
    try:
        started = time.monotonic()
        opened = call(open_conversation, session_id=ada.session_id, body={"recipientId": grace.id})
        assert time.monotonic() - started < 2 + LATE_SECONDS
    finally:
        proxies.database.pass_on()
    assert (opened.status, opened.json["conversationId"]) == (201, str(talk))
