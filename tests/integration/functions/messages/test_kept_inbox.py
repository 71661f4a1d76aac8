"""The list of conversations comes from Valkey: exactly as Cassandra has it, whatever happens in between."""

import random
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.admin import remove_user, unban_user
from functions.messages import (
    leave_group,
    list_conversations,
    mark_read,
    mute_conversation,
    remove_messages,
    rename_group,
    unmute_conversation,
)
from functions.users import copy_profile
from layers.cassandra import message_ids, messages
from layers.cassandra.messages import MessageContent
from layers.core import media_links
from layers.core.clock import now
from layers.core.events import AccountRemoved, ProfileUpdated
from layers.core.ids import new_id
from layers.core.models import Time
from layers.services import messaging
from layers.services.messaging import MessageDraft
from layers.valkey import changes
from tests.support.calls import call
from tests.support.deliveries import deliver
from tests.support.feed_posts import count_trips
from tests.support.messages import (
    ask,
    cassandra_requests,
    create_group,
    entry,
    inbox,
    open_pair,
    read_as_far_as,
    send_text,
)
from tests.support.people import Person, new_person
from tests.support.proxies import Proxies, stores_answer
from tests.support.stores import valkey
from tests.support.together import together
from tests.support.waiting import until

PREVIEW = 100


def forget(person: Person) -> None:
    """As after Valkey has restarted."""
    valkey().delete(b"inbox:" + person.id.bytes, b"entries:" + person.id.bytes)


def body(person: Person, **query: object) -> bytes:
    reply = call(list_conversations, session_id=person.session_id, query=query)
    assert reply.status == 200, reply.body
    return reply.body


def kept_body(person: Person, **query: object) -> bytes:
    """The answer, which must come from Valkey alone."""
    with cassandra_requests() as requests:
        found = body(person, **query)
    assert requests == []
    return found


def body_of_cassandra(person: Person, **query: object) -> bytes:
    """The answer when Valkey has nothing; what Valkey has is the same afterwards."""
    keys = [name + person.id.bytes for name in (b"inbox:", b"entries:")]
    dumps = [valkey().dump(key) for key in keys]
    forget(person)
    found = body(person, **query)
    forget(person)
    for key, dump in zip(keys, dumps, strict=True):
        if dump:
            valkey().restore(key, 60_000, dump)
    return found


def assert_exact(*people: Person) -> None:
    """What Valkey has is what Cassandra has."""
    for person in people:
        body(person)
        assert kept_body(person) == body_of_cassandra(person)


def test_a_warm_list_is_one_round_trip_with_the_admission_and_nothing_else(ada: Person) -> None:
    for _ in range(5):
        send_text(ada, open_pair(ada, new_person()))
    create_group(ada, new_person(), new_person())
    inbox(ada)

    with count_trips() as trips, cassandra_requests() as requests:
        assert len(inbox(ada)) == 6
    assert (trips.valkey, trips.statements, requests) == (1, 0, [])


def test_every_kind_of_entry_is_shown_as_cassandra_has_it(ada: Person, grace: Person) -> None:
    picture = f"{media_links.AVATAR_MARK}avatars/{grace.id}.jpg?v=1"
    deliver(copy_profile, _profile(grace, 'grace "the" ü\\', picture=picture))
    open_pair(ada, new_person())
    pair, long, shown = (open_pair(ada, other) for other in (grace, new_person(), new_person()))
    group = create_group(grace, ada, new_person(), name='Hikers "of" ü')
    create_group(ada, new_person(), new_person(), name="Empty")
    send_text(grace, pair, 'x\n"\\ü😀' * 40)
    for number in range(103):
        send_text(ada, long, f"{number}")
    send_text(ada, shown, "", mediaUrl="https://example.org/a.jpg", contentType="image")
    send_text(grace, group, "hi")
    assert ask(mute_conversation, ada, group).status == 200

    assert_exact(ada, grace)
    assert kept_body(ada, limit=3) == body_of_cassandra(ada, limit=3)
    pair_entry = entry(ada, pair)
    assert (pair_entry["otherUsername"], len(pair_entry["lastMessagePreview"])) == ('grace "the" ü\\', PREVIEW)
    assert pair_entry["otherProfilePicture"].endswith(f"/{grace.id}.jpg?v=1")


def test_messages_change_what_is_kept_in_place(ada: Person, grace: Person) -> None:
    pair, group = open_pair(ada, grace), create_group(ada, grace, new_person())
    for talk in (pair, group):
        send_text(ada, talk, "first")
    assert_exact(ada, grace)
    for number in range(60):
        send_text(random.choice((ada, grace)), random.choice((pair, group)), f"{number} ü")
        if number % 9 == 0:
            assert kept_body(ada) == body_of_cassandra(ada)
            assert kept_body(grace) == body_of_cassandra(grace)
    assert kept_body(ada) == body_of_cassandra(ada)
    assert kept_body(grace) == body_of_cassandra(grace)


@pytest.mark.rule("R-DM3")
def test_unread_messages_are_counted_in_place_to_a_hundred(ada: Person, grace: Person) -> None:
    talk = open_pair(ada, grace)
    send_text(ada, talk)
    assert entry(grace, talk)["unreadCount"] == 1
    for number in range(2, 103):
        send_text(ada, talk)
        if number > 98:
            with cassandra_requests() as requests:
                listed = entry(grace, talk)
            assert requests == []
            assert (listed["unreadCount"], listed["hasMoreUnread"]) == (min(number, 100), number > 100)


@pytest.mark.rule("R-DM3")
def test_a_read_mark_shows_in_the_next_list_and_what_follows_is_counted_from_it(ada: Person, grace: Person) -> None:
    talk = open_pair(ada, grace)
    said = [send_text(ada, talk, str(number)) for number in range(5)]
    assert entry(grace, talk)["unreadCount"] == 5
    for place, unread in ((1, 3), (0, 3), (3, 1)):
        read_as_far_as(grace, talk, said[place])
        assert entry(grace, talk)["unreadCount"] == unread
    send_text(ada, talk)
    assert entry(grace, talk)["unreadCount"] == 2
    send_text(grace, talk)
    assert (entry(grace, talk)["unreadCount"], entry(ada, talk)["unreadCount"]) == (2, 1)
    assert_exact(ada, grace)


@pytest.mark.rule("R-DM3")
@pytest.mark.parametrize("marks", ["the earlier one", "the later one", "none"])
def test_a_message_that_arrives_after_a_newer_one_is_counted_if_it_is_after_the_mark(
    ada: Person, grace: Person, marks: str
) -> None:
    talk, other = open_pair(ada, grace), open_pair(ada, new_person())
    send_text(ada, talk, "first")
    before, earlier, between = new_id(), new_id(), new_id()
    send_text(ada, other)
    later = send_text(ada, talk, "later")
    if marks == "the later one":
        read_as_far_as(grace, talk, later)
    elif marks == "the earlier one":
        _send_with_id(ada, talk, before)
        read_as_far_as(grace, talk, {"messageId": str(message_ids.from_id(before))})
    assert_exact(ada, grace)
    for late in (between, earlier):
        _send_with_id(ada, talk, late)
        assert_exact(ada, grace)
    expected = {"the later one": 0, "the earlier one": 3, "none": 4}[marks]
    assert (entry(grace, talk)["unreadCount"], entry(grace, talk)["lastMessagePreview"]) == (expected, "later")


def _send_with_id(sender: Person, talk: UUID, new: UUID) -> None:
    draft = MessageDraft(
        id=new, content=MessageContent(text="late", type="text"), reply_to_id=None, client_message_id=None
    )
    messaging.send(talk, sender.viewer, draft)


def test_what_a_user_does_shows_in_the_next_list(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    group, pair = create_group(ada, grace, linus, name="Old"), open_pair(ada, grace)
    everybody = (ada, grace, linus)

    def names() -> list[str]:
        return [entry(person, group)["name"] for person in everybody]

    send_text(ada, pair)
    assert names() == ["Old"] * 3
    assert ask(rename_group, grace, group, body={"name": "New"}).status == 200
    assert names() == ["New"] * 3
    for module, is_muted in ((mute_conversation, True), (unmute_conversation, False)):
        assert ask(module, ada, pair).status == 200
        assert entry(ada, pair)["isMuted"] == is_muted
    third = open_pair(ada, linus)
    assert inbox(ada)[0]["conversationId"] == str(third)
    fourth = create_group(linus, ada, grace)
    assert [inbox(person)[0]["conversationId"] for person in everybody] == [str(fourth)] * 3
    assert ask(leave_group, grace, group).status == 200
    assert str(group) not in {one["conversationId"] for one in inbox(grace)}
    assert [len(entry(person, group)["members"]) for person in (ada, linus)] == [2, 2]
    send_text(ada, group)
    assert str(group) not in {one["conversationId"] for one in inbox(grace)}
    assert_exact(*everybody)
    for limit in (1, 2):
        assert kept_body(grace, limit=limit) == body_of_cassandra(grace, limit=limit)


@pytest.mark.rule("R-DM5")
def test_a_new_name_shows_in_the_lists_that_are_kept_and_an_old_one_never_returns(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    open_pair(ada, grace), create_group(ada, grace, linus)
    for number in range(3):
        time.sleep(0.002)
        deliver(copy_profile, _profile(grace, f"name_{number}"))
        for person in (ada, linus):
            assert f"name_{number}".encode() in body(person)
        kept_body(ada)
        deliver(copy_profile, _profile(grace, "old", at=Time("2026-11-01T00:00:00.000Z")))
        assert b'"old"' not in kept_body(ada)
    assert_exact(ada, linus)


def _profile(person: Person, name: str, *, picture: str | None = None, at: Time | None = None) -> ProfileUpdated:
    return ProfileUpdated(
        user_id=person.id, username=name, display_name="", profile_picture_url=picture, updated_at=at or now()
    )


@pytest.mark.rule("R-B1")
@pytest.mark.rule("R-B2")
def test_a_ban_and_its_end_show_in_the_lists_that_are_kept(ada: Person, grace: Person, admin: Person) -> None:
    linus = new_person("linus")
    for person in (ada, grace, linus, admin):
        deliver(copy_profile, _profile(person, person.username))  # as the queue does after a registration
    pair, group = open_pair(ada, grace), create_group(ada, grace, linus, admin)
    send_text(grace, pair), send_text(linus, group), send_text(grace, group)
    before, for_admin = body(ada), body(admin)
    for shown, unread in (("", 1), ("after", 0)):
        assert call(remove_user, session_id=admin.session_id, path={"user": grace.id}).status == 200
        for _ in range(2):
            assert [one["conversationId"] for one in inbox(ada)] == [str(group)]
            listed = entry(ada, group)
            assert (listed["lastMessagePreview"], listed["unreadCount"], len(listed["members"])) == (shown, unread, 3)
            assert body(admin) == for_admin
        assert_exact(ada, linus)
        send_text(linus, group, "after")
        assert entry(ada, group)["lastMessagePreview"] == "after"
        assert_exact(ada, linus)
        assert call(unban_user, session_id=admin.session_id, path={"user": grace.id}).status == 200
        assert entry(ada, pair)["unreadCount"] == 1
        assert len(entry(ada, group)["members"]) == 4
        assert_exact(ada, linus)
        read_as_far_as(ada, group, newest(group))
        before, for_admin = body(ada), body(admin)
    assert body(ada) == before


def newest(talk: UUID) -> dict[str, Any]:
    placed = next(messages.read_newest_first(talk, before=None, at_once=1))
    return {"messageId": str(placed.message.message_id)}


@pytest.mark.rule("R-B2")
@pytest.mark.parametrize("banned", ["before it begins", "while it is written"])
def test_a_message_of_an_account_that_was_just_banned_is_not_shown_or_counted(
    ada: Person, admin: Person, banned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its request was admitted before the ban."""
    grace = new_person("grace")
    group = create_group(ada, grace, new_person())
    send_text(ada, group, "before"), send_text(grace, group, "theirs")
    add = messages.add

    def ban() -> None:
        assert call(remove_user, session_id=admin.session_id, path={"user": grace.id}).status == 200

    def ban_and_add(*args: Any) -> None:
        ban()
        add(*args)

    body(ada)
    if banned == "while it is written":
        monkeypatch.setattr(messages, "add", ban_and_add)
    else:
        ban()
        body(ada)
    _send_with_id(grace, group, new_id())
    for _ in range(2):
        listed = entry(ada, group)
        assert (listed["lastMessagePreview"], listed["unreadCount"]) == ("", 0)


@pytest.mark.rule("R-B3")
def test_the_lists_that_are_kept_lose_the_messages_of_a_removed_account(ada: Person, admin: Person) -> None:
    grace = new_person("grace")
    group, other = create_group(ada, grace, admin), open_pair(ada, new_person())
    send_text(ada, group, "mine")
    send_text(ada, other)
    send_text(grace, group, "theirs")
    assert [one["lastMessagePreview"] for one in inbox(ada)] == ["theirs", "Hello"]
    deliver(remove_messages, AccountRemoved(user_id=grace.id, removed_at=now()))

    assert [one["lastMessagePreview"] for one in inbox(ada)] == ["Hello", "mine"]
    assert_exact(ada)


@pytest.mark.rule("R-F1")
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_are_the_same_from_valkey_and_from_cassandra(ada: Person, limit: int) -> None:
    for _ in range(7):
        open_pair(ada, new_person())

    def pages(read: Callable[..., bytes]) -> list[bytes]:
        found, query = [], {"limit": str(limit)}
        while True:
            page = read(ada, **query)
            found.append(page)
            cursor = page.rpartition(b'"nextCursor":')[2].strip(b'}"')
            if cursor == b"null":
                return found
            query["cursor"] = cursor.decode()

    expected = pages(body_of_cassandra)
    pages(body)
    assert pages(kept_body) == expected
    assert len(expected) == -(-7 // limit)


def _while_reading(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, action: Callable[[], object]) -> None:
    """Do this after the next reader of Cassandra has read, and before that reader stores what it found."""
    read = getattr(target, name)
    done: list[object] = []

    def read_and_act(*args: Any, **kwargs: Any) -> Any:
        found = read(*args, **kwargs)
        if not done:
            done.append(None)
            action()
        return found

    monkeypatch.setattr(target, name, read_and_act)


@pytest.mark.parametrize("what", ["order", "entry"])
@pytest.mark.parametrize("action", ["message", "mark", "mute"])
def test_what_was_read_before_a_change_is_not_stored_after_it(
    what: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, grace = new_person("ada"), new_person("grace")
    talk, other = open_pair(ada, grace), open_pair(grace, new_person())
    first = send_text(ada, talk, "first")
    send_text(grace, other)
    actions: dict[str, Callable[[], object]] = {
        "message": lambda: send_text(ada, talk, "second"),
        "mark": lambda: ask(mark_read, grace, talk, body={"lastMessageId": first["messageId"]}),
        "mute": lambda: ask(mute_conversation, grace, talk),
    }
    if what == "order":
        forget(grace)
    else:
        body(grace)
        valkey().hdel(b"entries:" + grace.id.bytes, talk.bytes)
    _while_reading(monkeypatch, messages, "count_unread", actions[action])
    body(grace)
    monkeypatch.undo()

    assert_exact(grace)
    listed = entry(grace, talk)
    expected = {"message": ("second", 2, False), "mark": ("first", 0, False), "mute": ("first", 1, True)}[action]
    assert (listed["lastMessagePreview"], listed["unreadCount"], listed["isMuted"]) == expected


def test_a_message_while_the_order_is_read_moves_its_conversation_up(
    ada: Person, grace: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = open_pair(ada, grace), open_pair(ada, new_person())
    send_text(grace, first)
    forget(ada)
    _while_reading(monkeypatch, messages, "read_newest", lambda: send_text(ada, second, "up"))
    body(ada)
    monkeypatch.undo()

    assert [one["conversationId"] for one in inbox(ada)] == [str(second), str(first)]
    assert_exact(ada)


def test_what_is_read_while_a_message_is_being_written_is_not_stored(
    ada: Person, grace: Person, talk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers come before and after the message is in Cassandra, and before its request has ended."""
    send_text(ada, talk, "first")
    write, seen = messages.add, []

    def write_slowly(*args: Any) -> None:
        seen.append(entry(grace, talk)["unreadCount"])
        write(*args)
        seen.append(entry(grace, talk)["unreadCount"])

    for is_known in (True, False):
        forget(grace)
        if is_known:
            body(grace)
        with monkeypatch.context() as patched:
            patched.setattr(messages, "add", write_slowly)
            send_text(ada, talk, "next")
        assert_exact(grace)

    assert seen == [1, 2, 2, 3]
    assert entry(grace, talk)["unreadCount"] == 3


class Killed(BaseException):
    """The process of a request ends."""


def test_a_request_that_is_killed_after_it_wrote_leaves_no_wrong_list(
    ada: Person, grace: Person, talk: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_pair(grace, new_person())
    send_text(ada, talk, "first")
    send_text(grace, other)
    assert_exact(ada, grace)
    monkeypatch.setattr(changes, "CHANGE_SECONDS", 2)
    write = messages.add

    def write_and_end(*args: Any) -> None:
        write(*args)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(messages, "add", write_and_end)
        with pytest.raises(Killed):
            send_text(ada, talk, "second")
    for _ in range(2):
        assert (entry(grace, talk)["unreadCount"], inbox(grace)[0]["lastMessagePreview"]) == (2, "second")
    send_text(ada, talk, "third")
    assert (entry(grace, talk)["unreadCount"], inbox(grace)[0]["lastMessagePreview"]) == (3, "third")
    time.sleep(2.1)
    send_text(ada, talk, "fourth")
    assert_exact(ada, grace)
    assert entry(grace, talk)["unreadCount"] == 4


@pytest.mark.parametrize("waits", ["before it is written", "after it is written"])
def test_a_message_whose_end_is_late_is_shown_and_counted_once(
    ada: Person, grace: Person, talk: UUID, waits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over, and a reader stores what it finds, before the request ends."""
    send_text(ada, talk, "first")
    monkeypatch.setattr(changes, "CHANGE_SECONDS", 1)
    write = messages.add

    def write_slowly(*args: Any) -> None:
        if waits == "after it is written":
            write(*args)
        time.sleep(1.1)
        for _ in range(2):
            assert entry(grace, talk)["unreadCount"] == (2 if waits == "after it is written" else 1)
        if waits == "before it is written":
            write(*args)

    with monkeypatch.context() as patched:
        patched.setattr(messages, "add", write_slowly)
        send_text(ada, talk, "second")
    assert entry(grace, talk)["unreadCount"] == 2
    assert_exact(ada, grace)


@pytest.mark.rule("R-D1")
def test_what_is_done_without_valkey_is_in_the_list_when_valkey_is_back(
    ada: Person, grace: Person, talk: UUID, proxies: Proxies
) -> None:
    send_text(ada, talk, "first")
    assert len(inbox(grace)) == len(inbox(ada)) == 1
    proxies.valkey.close()
    send_text(ada, talk, "second")
    other = open_pair(grace, new_person())
    assert ask(mute_conversation, grace, talk).status == 200

    def check() -> None:
        listed = entry(grace, talk)
        assert (listed["lastMessagePreview"], listed["unreadCount"], listed["isMuted"]) == ("second", 2, True)
        assert [one["conversationId"] for one in inbox(grace)] == [str(other), str(talk)]

    check()
    proxies.valkey.open()
    until(stores_answer)
    check()
    assert_exact(ada, grace)


@pytest.mark.rule("R-D1")
def test_without_postgresql_a_list_that_is_kept_is_shown_and_another_one_is_not_kept(
    ada: Person, grace: Person, talk: UUID, proxies: Proxies
) -> None:
    send_text(ada, talk)
    expected = body(grace)
    proxies.database.close()
    assert kept_body(grace) == expected
    forget(grace)
    assert len(inbox(grace)) == 1
    with cassandra_requests() as requests:
        assert len(inbox(grace)) == 1
    assert requests != []
    proxies.database.open()
    until(stores_answer)
    assert body(grace) == expected


@pytest.mark.rule("R-DM3")
def test_many_who_send_and_read_at_once_leave_exact_lists(ada: Person, grace: Person) -> None:
    linus = new_person("linus")
    talks = [open_pair(ada, grace), open_pair(linus, ada), create_group(ada, grace, linus)]
    members = {talks[0]: (ada, grace), talks[1]: (linus, ada), talks[2]: (ada, grace, linus)}
    for talk in talks:
        send_text(ada, talk)

    def act(number: int) -> None:
        chance = random.Random(number)
        for _ in range(15):
            talk = chance.choice(talks)
            person = chance.choice(members[talk])
            match number:
                case 0 | 1 | 2:
                    send_text(person, talk, str(uuid4()))
                case 3:
                    read_as_far_as(person, talk, newest(talk))
                case 4:
                    forget(person)
                    body(person)
                case _:
                    assert all(one["unreadCount"] >= 0 for one in inbox(person))

    together(act, range(7))
    assert_exact(ada, grace, linus)
