"""What banned and removed accounts leave in conversations: nothing that others see."""

from uuid import UUID

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
from tests import pictures
from tests.support.calls import Upload, call
from tests.support.deliveries import deliver
from tests.support.messages import ask, entry, inbox, opened, opened_group, read, sent
from tests.support.people import Person, new_person
from tests.support.pipes import Pipes


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


def test_the_conversation_with_a_banned_account_is_as_if_there_were_none_until_it_is_open_again(
    ada: Person, grace: Person, admin: Person, talk: UUID
) -> None:
    said = sent(grace, talk, "hi")
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


def test_a_banned_accounts_messages_name_and_reactions_are_gone_from_a_group(ada: Person, admin: Person) -> None:
    grace, linus = new_person("grace"), new_person("linus")
    group = opened_group(ada, grace, linus)
    first, _ = sent(linus, group, "first"), sent(grace, group, "bad words")
    path = {"message_id": first["messageId"]}
    assert ask(add_reaction, grace, group, path=path, body={"reaction": "laugh"}).status == 201
    _ban(admin, grace)

    assert read(ada, group) == [first]
    listed = entry(ada, group)
    assert {member["id"] for member in listed["members"]} == {str(ada.id), str(linus.id)}
    assert (listed["lastMessagePreview"], listed["lastMessageSenderId"], listed["unreadCount"]) == ("", None, 1)
    assert grace.username not in str(inbox(ada))


def test_paging_goes_on_over_a_banned_accounts_messages(ada: Person, admin: Person) -> None:
    grace, linus = new_person("grace"), new_person("linus")
    group = opened_group(ada, grace, linus)
    shown = []
    for number in range(20):
        message = sent(grace if number % 4 else linus, group, str(number))
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


def test_what_a_removed_account_wrote_is_deleted_with_its_pictures_and_name(
    ada: Person, grace: Person, admin: Person
) -> None:
    linus = new_person("linus")
    group = opened_group(ada, grace, linus)
    mine = sent(ada, group, "mine")
    picture = ask(send_message, grace, group, form=([Upload(pictures.jpeg(40, 30))], {"content": "gone"})).json[
        "message"
    ]
    _ban(admin, grace, mode="delete")
    deliver(remove_messages, AccountRemoved(user_id=grace.id, removed_at=now()))

    assert read(ada, group) == [mine]
    assert kept.kept(group, UUID(picture["messageId"])) is None
    assert grace.username not in str(inbox(ada))


def test_while_the_rows_are_away_the_copies_tell_who_is_hidden(
    ada: Person, grace: Person, admin: Person, pipes: Pipes, talk: UUID
) -> None:
    other = new_person("linus")
    open_talk = opened(ada, other)
    sent(grace, talk), sent(other, open_talk)
    _ban(admin, grace)
    deliver(copy_profile, _hidden(grace), _hidden(other, is_hidden=False))
    assert len(inbox(ada)) == 1
    pipes.database.close()
    try:
        listed = call(list_conversations, session_id=ada.session_id)
        assert listed.status == 200
        assert [one["conversationId"] for one in listed.json["conversations"]] == [str(open_talk)]
        assert ask(list_messages, ada, talk).status == 404
    finally:
        pipes.database.open()
