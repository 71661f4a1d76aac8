"""Groups of up to 32 people with names and leaving, and muting."""

from uuid import UUID, uuid4

import pytest

from functions.admin import remove_user
from functions.messages import (
    leave_group,
    list_messages,
    mute_conversation,
    open_group,
    rename_group,
    send_message,
    unmute_conversation,
)
from tests.support.calls import call
from tests.support.messages import ask, create_group, entry, inbox, read, send_text
from tests.support.people import Person, new_person


@pytest.mark.rule("R-G3")
def test_a_group_is_in_everybodys_list_under_its_name(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    group = create_group(ada, grace, linus, name="<b>Hikers</b>")

    for person in (ada, grace, linus):
        listed = entry(person, group)
        assert (listed["isGroup"], listed["name"], listed["otherUsername"]) == (True, "Hikers", "Hikers")
        assert listed["otherUserId"] is None
        assert {member["username"] for member in listed["members"]} == {ada.username, grace.username, linus.username}


@pytest.mark.rule("R-G4")
def test_all_members_count_the_messages_of_the_others(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    group = create_group(ada, grace, linus)
    send_text(ada, group), send_text(grace, group), send_text(grace, group)

    assert [entry(person, group)["unreadCount"] for person in (ada, grace, linus)] == [2, 1, 3]


@pytest.mark.rule("R-G1")
def test_a_group_of_32_members_exchanges_messages(ada: Person) -> None:
    others = [new_person() for _ in range(31)]
    group = create_group(ada, *others)
    said = send_text(ada, group, "x" * 2200)

    assert read(others[-1], group) == [said]
    assert len(entry(ada, group)["members"]) == 32


@pytest.mark.rule("R-G1")
@pytest.mark.parametrize("people", [0, 1, 32])
def test_a_group_has_3_to_32_people(ada: Person, people: int) -> None:
    others = [str(new_person().id) for _ in range(people)]
    assert call(open_group, session_id=ada.session_id, body={"name": "x", "userIds": others}).status == 400


@pytest.mark.rule("R-G1", "R-G2")
def test_a_group_needs_a_name_and_people_that_exist(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    known = [str(grace.id), str(linus.id)]
    for name in ("", "<b></b>", "x" * 101):
        assert call(open_group, session_id=ada.session_id, body={"name": name, "userIds": known}).status == 400
    unknown = {"name": "x", "userIds": [*known, str(uuid4())]}
    assert call(open_group, session_id=ada.session_id, body=unknown).status == 404
    assert inbox(grace) == []


@pytest.mark.rule("R-G1")
def test_a_banned_account_cannot_be_put_into_a_group(ada: Person, grace: Person, admin: Person) -> None:
    banned = new_person("banned")
    assert call(remove_user, session_id=admin.session_id, path={"user": banned.id}).status == 200
    body = {"name": "x", "userIds": [str(grace.id), str(banned.id)]}

    assert call(open_group, session_id=ada.session_id, body=body).status == 404
    assert inbox(grace) == []


@pytest.mark.rule("R-G1")
def test_an_account_that_is_named_twice_counts_once(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    twice = [str(person.id) for person in (grace, grace)]
    assert call(open_group, session_id=ada.session_id, body={"name": "x", "userIds": twice}).status == 400
    group = create_group(ada, ada, grace, linus, grace)

    members = [member["id"] for member in entry(grace, group)["members"]]
    assert sorted(members) == sorted(str(person.id) for person in (ada, grace, linus))


@pytest.mark.rule("R-G2")
def test_a_name_has_1_to_100_characters_without_markup_and_white_space_around(ada: Person, grace: Person) -> None:
    others = [grace, new_person("linus")]
    longest = "é" * 100
    body = {"name": f" <b>{longest}</b> ", "userIds": [str(other.id) for other in others]}
    group = UUID(call(open_group, session_id=ada.session_id, body=body).json["conversationId"])
    assert entry(grace, group)["name"] == longest
    assert ask(rename_group, grace, group, body={"name": " <i>x</i>\n"}).status == 200
    assert entry(ada, group)["name"] == "x"
    for name in ("", " ", "<b></b>", longest + "é"):
        assert call(open_group, session_id=ada.session_id, body=body | {"name": name}).status == 400
        assert ask(rename_group, grace, group, body={"name": name}).status == 400
    assert entry(ada, group)["name"] == "x"


@pytest.mark.rule("R-G6")
def test_a_member_who_left_neither_reads_nor_writes_nor_lists_the_group(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    group = create_group(ada, grace, linus)
    first = send_text(linus, group, "bye")
    assert ask(leave_group, linus, group).status == 200
    second = send_text(ada, group, "pity")

    assert inbox(linus) == []
    assert ask(list_messages, linus, group).status == 404
    assert ask(send_message, linus, group, body={"content": "x"}).status == 404
    assert ask(leave_group, linus, group).status == 404
    assert read(grace, group) == [second, first]
    assert {member["id"] for member in entry(ada, group)["members"]} == {str(ada.id), str(grace.id)}


@pytest.mark.rule("R-G5")
def test_any_member_renames_a_group_and_a_pair_cannot_be_renamed_or_left(
    ada: Person, grace: Person, talk: UUID
) -> None:
    linus = new_person("linus")
    group = create_group(ada, grace, linus)
    assert ask(rename_group, grace, group, body={"name": "Climbers"}).status == 200
    assert {entry(person, group)["name"] for person in (ada, grace, linus)} == {"Climbers"}
    assert ask(rename_group, new_person(), group, body={"name": "Mine"}).status == 404
    assert ask(rename_group, ada, talk, body={"name": "Us"}).status == 404
    assert ask(leave_group, ada, talk).status == 404


@pytest.mark.rule("R-N1")
def test_muting_changes_the_callers_list_alone_and_can_be_undone(ada: Person, grace: Person, talk: UUID) -> None:
    send_text(grace, talk)
    assert [ask(mute_conversation, ada, talk).status for _ in range(2)] == [200, 200]
    send_text(grace, talk)
    assert (entry(ada, talk)["isMuted"], entry(grace, talk)["isMuted"]) == (True, False)
    assert [ask(unmute_conversation, ada, talk).status for _ in range(2)] == [200, 200]
    assert entry(ada, talk)["isMuted"] is False
    for module in (mute_conversation, unmute_conversation):
        assert ask(module, new_person(), talk).status == 404
