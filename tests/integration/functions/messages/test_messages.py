"""Sending and reading messages."""

from uuid import UUID, uuid4

import pytest

from functions.messages import (
    add_reaction,
    list_messages,
    list_receipts,
    list_typing,
    remove_reaction,
    send_message,
    start_typing,
)
from layers.core import limits
from tests import pictures
from tests.support.calls import Upload
from tests.support.messages import ask, opened_group, read, read_as_far_as, sent
from tests.support.people import Person, new_person
from tests.support.together import together
from tests.support.waiting import until


def test_a_message_is_read_as_it_was_sent(ada: Person, grace: Person, talk: UUID) -> None:
    said = sent(ada, talk, "  a <b>bold</b> & \r\n word\x01\n")

    assert said["content"] == "  a <b>bold</b> & \n word\n"
    assert (said["senderId"], said["contentType"], said["mediaUrl"]) == (str(ada.id), "text", None)
    assert UUID(said["messageId"]).version == 1
    assert read(grace, talk) == read(ada, talk) == [said]


@pytest.mark.parametrize("limit", [1, 2, 3, 20])
def test_r_dm2_paging_has_no_gaps_or_repeats(ada: Person, grace: Person, talk: UUID, limit: int) -> None:
    said = together(lambda number: sent(ada if number % 2 else grace, talk, str(number)), range(20))
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


def test_r_dm1_an_acknowledged_message_is_in_the_next_read_and_first(ada: Person, grace: Person, talk: UUID) -> None:
    for number in range(30):
        said = sent(ada if number % 3 else grace, talk, str(number))
        assert read(grace, talk, limit=1) == [said]


def test_sent_again_under_the_clients_own_id_it_is_one_message(ada: Person, grace: Person, talk: UUID) -> None:
    mine = {"clientMessageId": str(uuid4())}
    replies = together(lambda _: sent(ada, talk, "once", **mine), range(8))

    assert len({reply["messageId"] for reply in replies}) == 1
    assert len(read(grace, talk)) == 1
    assert sent(ada, talk, "other words", **mine)["content"] == "once"
    assert sent(grace, talk, "mine", **mine)["messageId"] != replies[0]["messageId"]


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
def test_a_message_that_cannot_be_is_400(ada: Person, talk: UUID, body: dict[str, object]) -> None:
    assert ask(send_message, ada, talk, body=body).status == 400


def test_a_reply_names_a_message_of_this_conversation(ada: Person, grace: Person, talk: UUID) -> None:
    first = sent(ada, talk)
    assert sent(grace, talk, "yes", replyToMessageId=first["messageId"])["replyToMessageId"] == first["messageId"]


def test_a_picture_goes_the_photos_way(ada: Person, grace: Person, talk: UUID) -> None:
    form = ([Upload(pictures.jpeg(2000, 1000))], {"content": "look"})
    said = ask(send_message, ada, talk, form=form).json["message"]

    assert (said["contentType"], said["content"]) == ("image", "look")
    assert "/messages/" in said["mediaUrl"]
    assert read(grace, talk) == [said]
    assert ask(send_message, ada, talk, form=([Upload(b"GIF89a")], {})).status == 415


def test_r_p7_only_participants_read_or_write(ada: Person, admin: Person, talk: UUID) -> None:
    said = sent(ada, talk)
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


def test_reactions_are_one_per_person_and_can_be_taken_back(ada: Person, grace: Person, talk: UUID) -> None:
    said = sent(ada, talk)
    path = {"message_id": said["messageId"]}
    for reaction in ("heart", "laugh"):
        assert ask(add_reaction, grace, talk, path=path, body={"reaction": reaction}).status == 201
    assert read(ada, talk)[0]["reactions"] == [{"userId": str(grace.id), "reaction": "laugh"}]
    assert ask(add_reaction, grace, talk, path=path, body={"reaction": "meh"}).status == 400
    for _ in range(2):
        assert ask(remove_reaction, grace, talk, path=path).status == 200
    assert read(ada, talk)[0]["reactions"] == []


def test_receipts_tell_how_far_each_has_read(ada: Person, grace: Person, talk: UUID) -> None:
    said = [sent(ada, talk, str(number)) for number in range(3)]
    read_as_far_as(grace, talk, said[1])
    read_as_far_as(grace, talk, said[0])
    receipts = {one["userId"]: one["lastReadMessageId"] for one in ask(list_receipts, ada, talk).json["receipts"]}

    assert receipts == {str(grace.id): said[1]["messageId"], str(ada.id): said[2]["messageId"]}


def test_r_dm4_typing_shows_at_once_and_ends(ada: Person, grace: Person, talk: UUID) -> None:
    def typing() -> list[str]:
        users: list[str] = ask(list_typing, ada, talk).json["typingUsers"]
        return users

    assert typing() == []
    ask(start_typing, grace, talk)
    assert typing() == [str(grace.id)]
    until(lambda: typing() == [], seconds=6.5)


def test_a_group_talks_and_is_left(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    group = opened_group(ada, grace, linus)
    said = sent(linus, group, "hi all")

    assert read(ada, group) == read(grace, group) == [said]
