"""Removing an account: nothing of it is left, and what others count is exact."""

import secrets
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import ModuleType
from uuid import UUID

import msgspec
import pytest

from functions.admin import remove_user, unban_user
from functions.auth import get_me
from functions.comments import create_comment, delete_comment, like_comment, unlike_comment
from functions.posts import delete_post, get_post, like_post, save_post, sweep_posts, unlike_post
from functions.stories import view_story
from functions.users import follow_user, get_profile, list_followers, unfollow_user
from layers.core import story_files
from layers.core.ids import new_id
from layers.media import avatars, photos
from layers.media import connection as storage
from layers.media import uploads as upload_files
from layers.media.connection import StoredFile
from layers.postgres import uploads
from layers.postgres.connection import transaction
from tests.support import abandoned, services
from tests.support.calls import Reply, call
from tests.support.feed_posts import deliver, feed, feed_ids, publish_post
from tests.support.people import Person, follow, new_person
from tests.support.proxies import Proxies, Proxy, stores_answer
from tests.support.stores import somebody_waits_for_a_lock
from tests.support.stories import new_story
from tests.support.together import together
from tests.support.trail import trail_of
from tests.support.uploads import begin, picture
from tests.support.waiting import until


def _remove(admin: Person, user: Person) -> Reply:
    return call(remove_user, session_id=admin.session_id, path={"user": user.id}, query={"mode": "delete"})


def _do(who: Person, module: ModuleType, body: object = None, **path: object) -> Reply:
    return call(module, session_id=who.session_id, path=path, body=body)


def _say(who: Person, post_id: UUID, parent: str | None = None) -> str:
    body = {"content": "Lovely", "parentCommentId": parent}
    comment_id: str = _do(who, create_comment, body, post_id=post_id).json["comment"]["id"]
    return comment_id


MISCOUNTS = """
    SELECT 'likes of ' || p.id FROM posts p
     WHERE p.user_id = ANY(%(ids)s) AND p.like_count <> (SELECT count(*) FROM likes WHERE post_id = p.id)
     UNION ALL
    SELECT 'comments of ' || p.id FROM posts p
     WHERE p.user_id = ANY(%(ids)s) AND p.comment_count <> (SELECT count(*) FROM comments WHERE post_id = p.id)
     UNION ALL
    SELECT 'likes of comment ' || c.id FROM comments c JOIN posts p ON p.id = c.post_id
     WHERE p.user_id = ANY(%(ids)s) AND c.like_count <> (SELECT count(*) FROM comment_likes WHERE comment_id = c.id)
     UNION ALL
    SELECT 'replies of ' || c.id FROM comments c JOIN posts p ON p.id = c.post_id
     WHERE p.user_id = ANY(%(ids)s) AND c.reply_count <> (SELECT count(*) FROM comments WHERE parent_id = c.id)
     UNION ALL
    SELECT 'views of ' || s.id FROM stories s
     WHERE s.user_id = ANY(%(ids)s) AND s.view_count <> (SELECT count(*) FROM story_views WHERE story_id = s.id)
     UNION ALL
    SELECT 'followers of ' || u.username FROM users u
     WHERE u.id = ANY(%(ids)s) AND u.follower_count <> (SELECT count(*) FROM follows WHERE following_id = u.id)
     UNION ALL
    SELECT 'followed by ' || u.username FROM users u
     WHERE u.id = ANY(%(ids)s) AND u.following_count <> (SELECT count(*) FROM follows WHERE follower_id = u.id)
     UNION ALL
    SELECT 'posts of ' || u.username FROM users u
     WHERE u.id = ANY(%(ids)s)
       AND u.post_count <> (SELECT count(*) FROM posts WHERE user_id = u.id AND status = 'published')
"""


def _miscounts(people: Iterable[Person]) -> list[str]:
    """Counters of these people and of what is theirs that differ from the rows behind them."""
    with transaction() as db:
        return [row[0] for row in db.execute(MISCOUNTS, {"ids": [person.id for person in people]})]


LEFT = """
    SELECT table_name, column_name FROM information_schema.columns
     WHERE table_schema = 'public' AND data_type = 'uuid' AND table_name NOT LIKE %(trail)s
"""


def _left(*ids: UUID) -> set[str]:
    """Tables that still name one of these, except the audit trail and pending revocations."""
    with transaction() as db:
        columns = db.execute(LEFT, {"trail": "audit"}).fetchall()
        return {
            table
            for table, column in columns
            if db.execute(
                f'SELECT FROM "{table}" WHERE "{column}" = ANY(%s) LIMIT 1',
                [list(ids)],
            ).fetchone()
        }


class Owner(msgspec.Struct, frozen=True):
    """An account with files of every kind."""

    person: Person
    post_ids: list[UUID]
    story_id: UUID
    upload_id: UUID
    keys: list[str]

    @property
    def stored(self) -> set[str]:
        """Those of the files that are there."""
        return {key for key in self.keys if storage.exists(key)}

    def store(self) -> None:
        """Store all of them."""
        storage.put_all([StoredFile(key, b"x", "image/jpeg") for key in self.keys])

    def abandoned(self) -> list[UUID]:
        """The rows that name files which are to be removed once more."""
        with transaction() as db:
            rows = db.execute("SELECT id FROM abandoned_files WHERE keys && %s", [self.keys])
            return [row[0] for row in rows]

    def grow_older(self, *, seconds: float) -> None:
        """Let so much time pass since it was abandoned."""
        abandoned.let_pass(seconds, self.keys)


@pytest.fixture
def owner(grace: Person) -> Owner:
    """Grace with posts in every state, a story, a profile picture and a file that waits for a post."""
    begun = [begin(grace, picture(), picture()), begin(grace, picture()), begin(grace, picture())]
    call(delete_post, session_id=grace.session_id, path={"post_id": begun[1].id})
    story_id, upload_id, avatar_id = new_story(grace), new_id(), new_id()
    with transaction() as db:
        db.execute("UPDATE posts SET status = 'failed' WHERE id = %s", [begun[2].id])
        db.execute("UPDATE users SET avatar_id = %s WHERE id = %s", [avatar_id, grace.id])
    ends = datetime.now(UTC) + timedelta(minutes=15)
    with transaction() as db:
        new_upload = uploads.NewUpload(id=upload_id, size=1, media_type="image/jpeg")
        uploads.begin(db, user_id=grace.id, uploads=[new_upload], expires_at=ends)
    keys = [key for post in begun for key in photos.all_keys(post.id, post.keys)]
    keys += [*story_files.keys(story_id), avatars.key(avatar_id), upload_files.key(upload_id)]
    owner = Owner(grace, [post.id for post in begun], story_id, upload_id, keys)
    owner.store()
    assert owner.stored == set(owner.keys)
    return owner


@pytest.fixture
def no_other_sweeper() -> Iterable[None]:
    """What is not done yet would be done by the stack's own."""
    with services.stop_if_running("triggers"):
        yield


def test_an_account_is_gone_with_all_rows_and_files(admin: Person, ada: Person, owner: Owner) -> None:
    grace = owner.person
    follow(ada, grace)
    post_id = publish_post(grace)
    comment_id = _say(ada, post_id)
    for module, path in ((like_post, {"post_id": post_id}), (save_post, {"post_id": post_id})):
        assert _do(ada, module, **path).status == 200
    assert feed_ids(ada) == [post_id]

    reply = _remove(admin, grace)

    assert reply.status == 200
    assert reply.json["user"] == {"id": str(grace.id), "username": grace.username, "status": "deleted"}
    assert reply.json["idempotent"] is False
    assert owner.stored == set()
    assert _left(grace.id, post_id, UUID(comment_id), *owner.post_ids, owner.story_id, owner.upload_id) == set()
    assert feed_ids(ada) == []
    assert _do(grace, get_me).status == 401
    assert _do(ada, get_post, post_id=post_id).status == 404
    assert [_do(ada, get_profile, user=ref).status for ref in (grace.id, grace.username)] == [404, 404]
    assert _miscounts([ada]) == []
    assert [entry.action for entry in trail_of(admin)] == ["ban_user", "delete_user"]
    assert _remove(admin, grace).status == 404


@pytest.mark.rule("R-I3")
def test_what_others_count_is_exact_afterwards(admin: Person, ada: Person, grace: Person) -> None:
    lou = new_person("lou")
    for one, other in ((ada, grace), (grace, ada), (lou, grace), (ada, lou)):
        follow(one, other)
    of_ada, of_lou, story_id = publish_post(ada), publish_post(lou), new_story(ada)
    for who in (grace, lou):
        assert _do(who, like_post, post_id=of_ada).status == 200
        assert _do(who, view_story, story_id=story_id).status == 200
    first = _say(grace, of_ada)
    second = _say(lou, of_ada)
    under_first = _say(lou, of_ada, first)
    _say(grace, of_ada, under_first)
    _say(lou, of_ada, _say(grace, of_ada, second))
    _say(grace, of_lou)
    for who in (ada, grace):
        assert _do(who, like_comment, comment_id=second).status == 200
    assert _miscounts([ada, lou]) == []
    before = call(get_post, path={"post_id": of_ada}).json["post"]
    assert (before["likeCount"], before["commentCount"]) == (2, 6)

    assert _remove(admin, grace).status == 200

    assert _miscounts([ada, lou]) == []
    after = call(get_post, path={"post_id": of_ada}).json["post"]
    assert (after["likeCount"], after["commentCount"]) == (1, 1)
    assert call(get_post, path={"post_id": of_lou}).json["post"]["commentCount"] == 0
    profile = call(get_profile, path={"user": ada.username}).json["user"]
    assert (profile["followerCount"], profile["followingCount"]) == (0, 1)
    assert call(list_followers, path={"user": ada.username}).json["followers"] == []


@pytest.mark.rule("R-I4")
def test_the_next_feed_shows_the_counts_without_the_account(admin: Person, ada: Person, grace: Person) -> None:
    post_id = publish_post(ada)
    feed(ada)
    _do(grace, like_post, post_id=post_id)
    _say(grace, post_id)

    def counts() -> tuple[int, int]:
        [post] = feed(ada)["posts"]
        return post["likeCount"], post["commentCount"]

    assert counts() == (1, 1)
    _remove(admin, grace)
    assert counts() == (0, 0)


def test_an_account_that_is_banned_already_is_removed(admin: Person, owner: Owner) -> None:
    call(remove_user, session_id=admin.session_id, path={"user": owner.person.id})

    assert _remove(admin, owner.person).json["user"]["status"] == "deleted"
    assert owner.stored == set()


def test_what_cannot_be_removed_stays_and_is_not_banned_either(admin: Person) -> None:
    boss = new_person("boss", role="admin")

    assert [_remove(admin, who).status for who in (boss, admin)] == [403, 400]
    assert [_do(who, get_me).status for who in (boss, admin)] == [200, 200]


def test_a_removed_account_cannot_be_unbanned_and_its_name_is_free(admin: Person, ada: Person) -> None:
    _remove(admin, ada)
    assert _do(admin, unban_user, user=ada.id).status == 404
    with transaction() as db:
        db.execute(
            "INSERT INTO users (id, username, email, password_hash, display_name) VALUES (%s, %s, %s, '!', 'New')",
            [new_id(), ada.username, f"{ada.username}@example.org"],
        )

    assert call(get_profile, path={"user": ada.username}).json["user"]["displayName"] == "New"
    assert _do(ada, get_me).status == 401


def test_files_that_arrive_late_are_removed_by_the_sweeper(admin: Person, owner: Owner, no_other_sweeper: None) -> None:
    """A request that was under way stores what it has after the account is gone."""
    _remove(admin, owner.person)
    owner.store()
    sweep_posts.handler({"id": "sweep"}, None)
    assert owner.stored == set(owner.keys)
    assert len(owner.abandoned()) == 2

    owner.grow_older(seconds=sweep_posts.STORED_SECONDS + 1)
    sweep_posts.handler({"id": "sweep"}, None)
    assert owner.stored == {upload_files.key(owner.upload_id)}  # its URL still works
    assert len(owner.abandoned()) == 1

    owner.grow_older(seconds=15 * 60)
    sweep_posts.handler({"id": "sweep"}, None)
    assert owner.stored == set()
    assert owner.abandoned() == []


def test_with_the_store_down_the_account_goes_and_its_files_follow(
    admin: Person, owner: Owner, store_proxy: Proxy, no_other_sweeper: None
) -> None:
    store_proxy.close()
    assert _remove(admin, owner.person).status == 200
    assert _do(owner.person, get_me).status == 401
    owner.grow_older(seconds=3600)
    assert sweep_posts.handler({"id": "sweep"}, None)["abandoned"] == "storage is unavailable"
    assert len(owner.abandoned()) == 2

    store_proxy.open()
    until(lambda: isinstance(sweep_posts.handler({"id": "sweep"}, None)["abandoned"], int), every=0.5)
    assert owner.stored == set()
    assert owner.abandoned() == []


def test_with_valkey_down_an_account_is_removed_and_stays_so_when_it_is_back(
    admin: Person, ada: Person, grace: Person, proxies: Proxies
) -> None:
    follow(ada, grace)
    own, gone = publish_post(ada), publish_post(grace)
    assert _do(grace, like_post, post_id=own).status == 200
    assert set(feed_ids(ada)) == {own, gone}
    proxies.valkey.close()
    assert _remove(admin, grace).status == 200
    proxies.valkey.open()
    until(stores_answer)

    assert _do(grace, get_me).status == 401
    [post] = feed(ada)["posts"]
    assert (post["id"], post["likeCount"]) == (str(own), 0)


def test_events_of_a_removed_account_restore_nothing(admin: Person, ada: Person, grace: Person) -> None:
    follow(ada, grace)
    post_id = publish_post(grace)
    feed(ada)
    _remove(admin, grace)
    deliver(post_id, grace.id, [ada.id])

    assert feed_ids(ada) == []


def _crowd(victim: Person) -> tuple[list[Person], dict[str, list[UUID]]]:
    """Six people entangled with the victim, and what there is to like, to see and to reply to."""
    crowd = [new_person(f"c{number}") for number in range(6)]
    things: dict[str, list[UUID]] = {"posts": [], "comments": [], "stories": []}
    of_victim = publish_post(victim)
    for person in crowd:
        follow(person, victim)
        follow(victim, person)
        post_id, story_id = publish_post(person), new_story(person)
        said = UUID(_say(person, post_id))
        things["posts"].append(post_id)
        things["stories"].append(story_id)
        things["comments"] += [said, UUID(_say(victim, post_id)), UUID(_say(victim, post_id, str(said)))]
        things["comments"].append(UUID(_say(person, of_victim)))
        for module, path in (
            (like_post, {"post_id": post_id}),
            (like_comment, {"comment_id": said}),
            (view_story, {"story_id": story_id}),
        ):
            assert _do(victim, module, **path).status == 200
    things["posts"].append(of_victim)
    things["stories"].append(new_story(victim))
    return crowd, things


def _busy(who: Person, others: list[Person], things: dict[str, list[UUID]], in_the_midst: threading.Event) -> set[int]:
    """Perform every action on everything, in a random order; all statuses."""
    say = {"content": "And yet"}
    acts: list[Callable[[], Reply]] = []
    for post_id in things["posts"]:
        acts += [
            partial(_do, who, like_post, post_id=post_id),
            partial(_do, who, create_comment, say, post_id=post_id),
            partial(_do, who, unlike_post, post_id=post_id),
            partial(_do, who, save_post, post_id=post_id),
        ]
    for comment_id in things["comments"]:
        acts += [
            partial(_do, who, like_comment, comment_id=comment_id),
            partial(_do, who, unlike_comment, comment_id=comment_id),
            partial(_do, who, delete_comment, comment_id=comment_id),
        ]
    acts += [partial(_do, who, view_story, story_id=story_id) for story_id in things["stories"]]
    for other in others:
        if other.id != who.id:
            acts += [
                partial(_do, who, unfollow_user, user=other.id),
                partial(_do, who, follow_user, user=other.id),
            ]
    acts.sort(key=lambda _: secrets.randbits(32))
    statuses = set()
    for number, act in enumerate(acts):
        statuses.add(act().status)
        if number == len(acts) // 3:
            in_the_midst.set()
    return statuses


@pytest.mark.rule("R-I3")
def test_counters_are_exact_when_an_account_goes_in_the_midst_of_everything(admin: Person) -> None:
    victim = new_person("victim")
    crowd, things = _crowd(victim)
    assert _miscounts([*crowd, victim]) == []
    everybody = [*crowd, victim]
    statuses_of: dict[UUID, set[int]] = {}
    in_the_midst = threading.Event()

    def work(who: Person) -> int:
        if who.id == admin.id:
            in_the_midst.wait(30)
            return _remove(admin, victim).status
        statuses_of[who.id] = _busy(who, everybody, things, in_the_midst)
        return 200

    outcomes = together(work, [*everybody, admin])

    assert outcomes == [200] * len(outcomes)
    assert _miscounts(crowd) == []
    assert _left(victim.id) == set()
    assert set().union(*(statuses_of[person.id] for person in crowd)) <= {200, 201, 403, 404}
    assert statuses_of[victim.id] <= {200, 201, 401, 403, 404, 503}


def test_a_removal_that_is_a_deadlock_victim_is_repeated(admin: Person, ada: Person, grace: Person) -> None:
    follow(grace, ada)
    post_id = publish_post(ada)
    assert _do(grace, like_post, post_id=post_id).status == 200
    holding = threading.Event()

    def hold() -> int:
        with transaction() as db:
            db.execute("SELECT FROM users WHERE id = %s FOR NO KEY UPDATE", [ada.id])
            holding.set()
            until(somebody_waits_for_a_lock)
            db.execute("SELECT FROM posts WHERE id = %s FOR NO KEY UPDATE", [post_id])
        return 200

    def remove() -> int:
        holding.wait(10)
        return _remove(admin, grace).status

    assert together(lambda work: work(), [hold, remove]) == [200, 200]
    assert _miscounts([ada]) == []
    assert [entry.action for entry in trail_of(admin)] == ["ban_user", "delete_user"]


def test_two_admins_remove_the_same_account_once(admin: Person, ada: Person) -> None:
    boss = new_person("boss", role="admin")
    statuses = together(lambda who: _remove(who, ada).status, [admin, boss])

    assert sorted(statuses) == [200, 404]
    assert _left(ada.id) == set()


def test_friends_removed_at_the_same_moment_leave_exact_counters(admin: Person) -> None:
    people = [new_person(f"f{number}") for number in range(5)]
    posts = [publish_post(person) for person in people]
    for one in people:
        for other, post_id in zip(people, posts, strict=True):
            if one.id != other.id:
                follow(one, other)
            assert _do(one, like_post, post_id=post_id).status == 200
            _say(one, post_id)
    statuses = together(lambda who: _remove(admin, who).status, people[:3])

    assert statuses == [200] * 3
    assert _miscounts(people) == []
    assert call(get_post, path={"post_id": posts[4]}).json["post"]["likeCount"] == 2
