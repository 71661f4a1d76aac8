"""Bans: the account and all that is its is out of every answer at once, and back as soon as it is unbanned."""

import secrets
import threading
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from functions.admin import remove_user, unban_user
from functions.auth import get_me, login, register
from functions.comments import create_comment, list_comments, list_replies
from functions.feed import explore_posts, get_feed
from functions.posts import get_post, like_post, list_likes, save_post
from functions.stories import get_story, get_tray, list_user_stories, list_viewers, view_story
from functions.users import (
    follow_user,
    get_profile,
    list_followers,
    list_following,
    list_saved_posts,
    list_user_posts,
    search_users,
    update_profile,
)
from layers.core.ids import new_id
from layers.core.models import Revocation, Session
from layers.postgres import sessions
from layers.postgres.connection import autocommit, transaction
from layers.postgres.sessions import FoundSession
from layers.valkey import admission, copies
from tests.support.calls import Reply, call
from tests.support.feed_posts import feed_ids, forget_feed, publish_post, publish_to
from tests.support.people import Person, follow, new_person
from tests.support.proxies import Proxies, stores_answer
from tests.support.stores import somebody_waits_for_a_lock, valkey
from tests.support.stories import new_story
from tests.support.together import together
from tests.support.trail import trail_of
from tests.support.waiting import until

PASSWORD = "correct horse battery"


def _ban(admin: Person, user: Person) -> Reply:
    return call(remove_user, session_id=admin.session_id, path={"user": user.id})


def _unban(admin: Person, user: Person) -> Reply:
    return call(unban_user, session_id=admin.session_id, path={"user": user.id})


def _me(person: Person) -> int:
    return call(get_me, session_id=person.session_id).status


class Traces(msgspec.Struct, frozen=True):
    """An author with content in every list, and a reader."""

    author: Person
    reader: Person
    post_id: UUID
    story_id: UUID
    readers_post: UUID
    readers_story: UUID
    comment_id: str

    def read(self, module: ModuleType, viewer: Person | None = None, **path: object) -> Reply:
        """An answer to the reader, or to this viewer."""
        return call(module, session_id=(viewer or self.reader).session_id, path=path)

    def seen(self) -> set[str]:
        """Where the reader meets the author or what is the author's."""
        lists: dict[str, tuple[Reply, str, Any]] = {
            "feed": (self.read(get_feed), "posts", self.post_id),
            "saved": (self.read(list_saved_posts), "posts", self.post_id),
            "tray": (self.read(get_tray), "users", self.author.id),
            "likes": (self.read(list_likes, post_id=self.readers_post), "likes", self.author.id),
            "comments": (self.read(list_comments, post_id=self.readers_post), "comments", self.comment_id),
            "viewers": (self.read(list_viewers, story_id=self.readers_story), "viewers", self.author.id),
            "followers": (self.read(list_followers, user=self.reader.username), "followers", self.author.id),
            "following": (self.read(list_following, user=self.reader.username), "following", self.author.id),
            "search": (call(search_users, query={"q": self.author.username}), "users", self.author.id),
        }
        return {
            place
            for place, (reply, items, wanted) in lists.items()
            if str(wanted) in [item["id"] for item in reply.json[items]]
        }

    def statuses(self, viewer: Person | None = None) -> dict[str, int]:
        """The answers about the author, asked by name and by id, and about single things."""
        author = self.author
        post: dict[str, object] = {"post_id": self.post_id}
        story: dict[str, object] = {"story_id": self.story_id}
        asked: tuple[tuple[str, ModuleType, dict[str, object]], ...] = (
            ("profile by name", get_profile, {"user": author.username}),
            ("profile by id", get_profile, {"user": author.id}),
            ("grid", list_user_posts, {"user": author.username}),
            ("followers", list_followers, {"user": author.username}),
            ("following", list_following, {"user": author.id}),
            ("post", get_post, post),
            ("likes", list_likes, post),
            ("comments", list_comments, post),
            ("replies", list_replies, {"comment_id": self.comment_id}),
            ("stories", list_user_stories, {"user": author.id}),
            ("story", get_story, story),
        )
        session_id = (viewer or self.reader).session_id
        return {name: call(module, session_id=session_id, path=path).status for name, module, path in asked}

    def actions(self) -> dict[str, int]:
        """What the reader may not do with things that are not there."""
        return {
            "like": self.read(like_post, post_id=self.post_id).status,
            "save": self.read(save_post, post_id=self.post_id).status,
            "view": self.read(view_story, story_id=self.story_id).status,
            "follow": self.read(follow_user, user=self.author.id).status,
        }


EVERYWHERE = {"feed", "saved", "tray", "likes", "comments", "viewers", "followers", "following", "search"}


@pytest.fixture
def traces(ada: Person, grace: Person) -> Traces:
    """Ada reads; Grace is all over the place. Every cache that there is has been filled."""
    follow(ada, grace)
    follow(grace, ada)
    readers_post, readers_story = publish_post(ada), new_story(ada)
    post_id, story_id = publish_post(grace), new_story(grace)
    for module, path in ((like_post, {"post_id": readers_post}), (view_story, {"story_id": readers_story})):
        assert call(module, session_id=grace.session_id, path=path).status == 200
    said = call(
        create_comment, session_id=grace.session_id, path={"post_id": readers_post}, body={"content": "Lovely"}
    ).json
    call(save_post, session_id=ada.session_id, path={"post_id": post_id})
    traces = Traces(grace, ada, post_id, story_id, readers_post, readers_story, said["comment"]["id"])
    assert traces.seen() == EVERYWHERE
    assert set(traces.statuses().values()) == {200}
    return traces


@pytest.mark.rule("R-A3")
def test_a_ban_ends_every_session_of_the_user(admin: Person, ada: Person) -> None:
    with transaction() as db:
        second = sessions.start(db, user_id=ada.id)
        unused = sessions.start(db, user_id=ada.id)
    everywhere = [ada.session_id, second, unused]
    assert [call(get_me, session_id=session_id).status for session_id in everywhere[:2]] == [200, 200]

    reply = _ban(admin, ada)

    assert reply.status == 200
    assert reply.json["user"] == {"id": str(ada.id), "username": ada.username, "status": "banned"}
    assert reply.json["idempotent"] is False
    assert [call(get_me, session_id=session_id).status for session_id in everywhere] == [401] * 3
    assert together(lambda session_id: call(get_me, session_id=session_id).status, everywhere) == [401] * 3
    with transaction() as db:
        assert db.execute("SELECT FROM sessions WHERE user_id = %s", [ada.id]).fetchone() is None
        assert db.execute("SELECT FROM revocations WHERE user_id = %s", [ada.id]).fetchone() is None


def test_a_banned_user_cannot_log_in_and_an_unbanned_one_can(admin: Person) -> None:
    name = f"l_{secrets.token_hex(5)}"
    given = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
    user = call(register, body=given).json["user"]
    person = Person(id=UUID(user["id"]), username=name, session_id="")

    def log_in(password: str = PASSWORD) -> Reply:
        return call(login, body={"username": name, "password": password}, address=f"test-{name}")

    _ban(admin, person)
    assert [log_in().status, log_in("wrong one").status] == [403, 401]
    assert "set-cookie" not in log_in().headers
    _unban(admin, person)
    reply = log_in()
    assert reply.status == 200
    session_id = reply.headers["set-cookie"].split(";")[0].removeprefix("session_id=")
    assert call(get_me, session_id=session_id).status == 200


@pytest.mark.rule("R-P1")
def test_a_banned_account_is_out_of_the_next_answer_everywhere(admin: Person, traces: Traces) -> None:
    _ban(admin, traces.author)

    assert traces.seen() == set()
    assert set(traces.statuses().values()) == {404}
    assert set(traces.actions().values()) == {404}
    assert call(get_profile, path={"user": traces.author.username}).status == 404
    forget_feed(traces.reader)
    assert feed_ids(traces.reader) == [traces.readers_post]


@pytest.mark.rule("R-P1")
def test_admins_see_a_banned_account_as_before(admin: Person, traces: Traces) -> None:
    _ban(admin, traces.author)

    assert set(traces.statuses(admin).values()) == {200}


@pytest.mark.rule("R-P5")
def test_explore_lacks_a_banned_account(admin: Person, ada: Person) -> None:
    post_id = publish_post(ada)
    with transaction() as db:
        db.execute("UPDATE posts SET like_count = 2000000000 WHERE id = %s", [post_id])

    def explored() -> list[str]:
        return [post["id"] for post in call(explore_posts).json["posts"]]

    try:
        assert str(post_id) in explored()
        _ban(admin, ada)
        assert str(post_id) not in explored()
    finally:
        with transaction() as db:
            db.execute("UPDATE posts SET like_count = 0 WHERE id = %s", [post_id])


def test_after_unbanning_all_shows_again_in_the_next_answer(admin: Person, traces: Traces) -> None:
    _ban(admin, traces.author)
    assert traces.seen() == set()

    reply = _unban(admin, traces.author)

    assert (reply.status, reply.json["idempotent"]) == (200, False)
    assert traces.seen() == EVERYWHERE
    assert set(traces.statuses().values()) == {200}
    assert _me(traces.author) == 401  # sessions stay ended
    newer = publish_to(traces.author, traces.reader)
    assert newer in feed_ids(traces.reader)


def test_a_feed_that_was_built_during_the_ban_holds_the_posts_again(admin: Person, traces: Traces) -> None:
    _ban(admin, traces.author)
    forget_feed(traces.reader)
    assert feed_ids(traces.reader) == [traces.readers_post]
    _unban(admin, traces.author)

    assert set(feed_ids(traces.reader)) == {traces.post_id, traces.readers_post}


def test_banning_and_unbanning_twice_changes_nothing(admin: Person, ada: Person) -> None:
    assert [_ban(admin, ada).json["idempotent"] for _ in range(2)] == [False, True]
    with transaction() as db:
        row = db.execute("SELECT banned_at FROM users WHERE id = %s", [ada.id]).fetchone()
    _ban(admin, ada)
    with transaction() as db:
        assert db.execute("SELECT banned_at FROM users WHERE id = %s", [ada.id]).fetchone() == row
    assert [_unban(admin, ada).json["idempotent"] for _ in range(2)] == [False, True]
    actions = [entry.action for entry in trail_of(admin)]
    assert actions == ["ban_user"] * 3 + ["unban_user"] * 2


def test_oneself_admins_and_unknown_accounts_cannot_be_banned(admin: Person, ada: Person) -> None:
    boss = new_person("boss", role="admin")

    assert _ban(admin, admin).status == 400
    assert _ban(admin, boss).status == 403
    assert call(remove_user, session_id=admin.session_id, path={"user": uuid4()}).status == 404
    for path, query in (
        ({"user": "x"}, {}),
        ({"user": ada.username}, {}),
        ({"user": ada.id}, {"mode": "burn"}),
        ({"user": ada.id}, {"mode": ""}),
    ):
        assert call(remove_user, session_id=admin.session_id, path=path, query=query).status == 400
    assert call(unban_user, session_id=admin.session_id, path={"user": uuid4()}).status == 404
    assert call(unban_user, session_id=admin.session_id, path={"user": "x"}).status == 400
    assert [_me(who) for who in (admin, boss, ada)] == [200] * 3


def test_parallel_bans_count_once(admin: Person, ada: Person) -> None:
    replies = together(lambda _: _ban(admin, ada), range(8))

    assert [reply.status for reply in replies] == [200] * 8
    assert sorted(reply.json["idempotent"] for reply in replies) == [False] + [True] * 7


@pytest.mark.rule("R-A3")
def test_a_lookup_during_the_ban_does_not_restore_the_session(admin: Person, ada: Person) -> None:
    assert _me(ada) == 200
    found = find_session(ada)
    assert found
    _ban(admin, ada)
    admission.remember(found[0], seconds=found[1])

    assert _me(ada) == 401
    assert valkey().hget(f"session:{ada.session_id}", "user_id") is None


@pytest.mark.rule("R-A3")
def test_a_session_started_during_the_ban_ends_too(admin: Person, ada: Person) -> None:
    begun, banning = threading.Event(), threading.Event()

    def log_in() -> None:
        with transaction() as db:
            sessions.start(db, user_id=ada.id)
            begun.set()
            banning.wait(10)
            until(somebody_waits_for_a_lock)

    def ban() -> None:
        begun.wait(10)
        banning.set()
        assert _ban(admin, ada).status == 200

    together(lambda work: work(), [log_in, ban])
    with transaction() as db:
        assert db.execute("SELECT FROM sessions WHERE user_id = %s", [ada.id]).fetchone() is None


@pytest.mark.rule("R-A3")
def test_a_ban_while_valkey_was_down_holds_when_it_is_back(
    admin: Person, ada: Person, grace: Person, proxies: Proxies
) -> None:
    follow(ada, grace)
    post_id = publish_post(grace)
    assert feed_ids(ada) == [post_id]
    assert [_me(who) for who in (admin, ada, grace)] == [200] * 3
    proxies.valkey.close()

    assert _ban(admin, grace).status == 200
    assert _me(grace) == 401
    assert feed_ids(ada) == []
    proxies.valkey.open()
    until(stores_answer)
    assert valkey().hget(f"session:{grace.session_id}", "user_id") is not None  # Valkey itself knows nothing yet
    assert _me(grace) == 401
    assert feed_ids(ada) == []


def test_an_unban_while_valkey_was_down_holds_when_it_is_back(
    admin: Person, ada: Person, grace: Person, proxies: Proxies
) -> None:
    follow(ada, grace)
    post_id = publish_post(grace)
    assert feed_ids(ada) == [post_id]
    _ban(admin, grace)
    assert feed_ids(ada) == []
    proxies.valkey.close()
    assert _unban(admin, grace).status == 200
    proxies.valkey.open()
    until(stores_answer)

    assert feed_ids(ada) == [post_id]


@pytest.mark.rule("R-D1")
def test_no_copy_shows_a_banned_account_while_the_database_is_down(
    admin: Person, ada: Person, grace: Person, proxies: Proxies
) -> None:
    def profiles() -> list[int]:
        refs = (grace.username, grace.id)
        return [
            call(get_profile, session_id=session_id, path={"user": ref}).status
            for ref in refs
            for session_id in (ada.session_id, None)
        ]

    assert profiles() == [200] * 4
    assert _me(ada) == 200
    _ban(admin, grace)
    proxies.database.close()

    assert profiles() == [503] * 4
    assert _me(ada) == 200


@pytest.mark.rule("R-D1")
def test_a_copy_that_was_being_made_during_the_ban_is_not_shown(ada: Person) -> None:
    name = f"user:{ada.username}:anybody"
    copies.save(name, b"{}", about=ada.id)
    assert copies.read(name) == b"{}"
    admission.apply_revocation(Revocation(id=new_id(), user_id=ada.id, is_banned=True))
    copies.save(name, b"{}", about=ada.id)
    assert copies.read(name) is None
    admission.apply_revocation(Revocation(id=new_id(), user_id=ada.id))

    assert copies.read(name) == b"{}"


def test_a_changed_role_hides_nothing(ada: Person, grace: Person) -> None:
    follow(ada, grace)
    post_id = publish_post(grace)
    assert feed_ids(ada) == [post_id]
    with transaction() as db:
        revocation = sessions.reload_all(db, user_id=grace.id)
    assert admission.apply_revocation(revocation)

    assert feed_ids(ada) == [post_id]
    assert _me(grace) == 200


def test_a_private_account_stays_private_after_unbanning(admin: Person, ada: Person, grace: Person) -> None:
    call(update_profile, session_id=grace.session_id, body={"isPrivate": True})
    _ban(admin, grace)
    _unban(admin, grace)

    assert call(list_user_posts, session_id=ada.session_id, path={"user": grace.username}).status == 403


def test_valkey_gets_the_present_state_of_an_account_whatever_was_written_then(ada: Person) -> None:
    """A revocation that waited says what holds when it is applied."""
    with transaction() as db:
        written = sessions.end_all(db, user_id=ada.id)

    def waiting() -> bool:
        return next(each.is_banned for each in read_revocations() if each.id == written.id)

    assert waiting() is False
    with transaction() as db:
        db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [ada.id])
    assert waiting() is True
    with transaction() as db:
        db.execute("DELETE FROM users WHERE id = %s", [ada.id])
    assert waiting() is True
    with autocommit() as db:
        sessions.delete_revocation(db, revocation=written)


def test_the_session_of_a_banned_user_is_not_found(admin: Person, ada: Person) -> None:
    found = find_session(ada)
    assert found
    assert isinstance(found.session, Session)
    _ban(admin, ada)

    assert find_session(ada) is None


def find_session(person: Person) -> FoundSession | None:
    with autocommit() as db:
        return sessions.find(db, session_id=person.session_id)


def read_revocations() -> list[Revocation]:
    with autocommit() as db:
        return sessions.read_revocations(db)
