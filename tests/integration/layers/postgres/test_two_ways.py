"""Reads that go another way for an account that follows many give the same rows either way."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from psycopg import Rollback

from layers.core.feed_posts import FeedMark
from layers.core.ids import new_id
from layers.postgres import feeds, stories
from layers.postgres.connection import Connection, transaction
from tests.support.feed_posts import PUBLISH, aged_id
from tests.support.people import Person, follow, new_person
from tests.support.stories import new_story

MANY = 100_000
AUTHORS, STRANGERS = 6, 3
SET_FOLLOWING = "UPDATE users SET following_count = %s WHERE id = %s"


class Ways:
    """A transaction that is rolled back, a reader, and authors some of whom the reader follows."""

    def __init__(self, db: Connection, reader: Person, followed: list[Person], strangers: list[Person]) -> None:
        self.db = db
        self.reader = reader
        self.followed = followed
        self.strangers = strangers

    def choose(self, following_count: int) -> None:
        """Let the statements see this number of followed accounts."""
        self.db.execute(SET_FOLLOWING, [following_count, self.reader.id])

    def publish(self, author: Person, number: int, status: str = "published") -> UUID:
        """A post that is newer than all that other tests have made; the higher the number the newer."""
        base = datetime.now(UTC) + timedelta(days=365)
        post_id = aged_id(int(base.timestamp() * 1000) + number)
        values = {"post_id": post_id, "author_id": author.id, "caption": "", "created_at": base, "pictures": 1}
        self.db.execute(PUBLISH, values | {"status": status})
        return post_id


@pytest.fixture
def ways() -> Iterator[Ways]:
    reader = new_person("reader")
    followed = [new_person("followed") for _ in range(AUTHORS)]
    strangers = [new_person("stranger") for _ in range(STRANGERS)]
    for person in followed:
        follow(reader, person)
    with transaction() as db:
        yield Ways(db, reader, followed, strangers)
        raise Rollback


def _publish_by_turns(ways: Ways, count: int) -> list[UUID]:
    """Posts of followed accounts, of the reader and of strangers; those of the reader's feed, newest first."""
    authors = [*ways.followed, ways.reader, *ways.strangers]
    shown = []
    for number in range(count):
        author = authors[number % len(authors)]
        status = "failed" if number % 17 == 0 else "published"
        post_id = ways.publish(author, number, status)
        if author not in ways.strangers and status == "published":
            shown.append(post_id)
    return shown[::-1]


@pytest.mark.parametrize("following_count", [AUTHORS, MANY])
@pytest.mark.parametrize("count", [0, 30, 120, 200])
def test_a_timeline_has_the_newest_posts(ways: Ways, following_count: int, count: int) -> None:
    shown = _publish_by_turns(ways, count)
    ways.choose(following_count)
    sources = feeds.read_sources(ways.db, viewer_id=ways.reader.id)
    ids = [UUID(bytes=sources.posts[at : at + 16]) for at in range(0, len(sources.posts), 16)]
    followed = {sources.followed[at : at + 16] for at in range(0, len(sources.followed), 16)}

    assert ids == shown[: len(ids)]
    assert len(ids) == min(len(shown), 100) or (following_count == AUTHORS and len(ids) >= 21 and sources.has_older)
    assert sources.has_older or len(ids) == len(shown)
    assert followed == {person.id.bytes for person in (*ways.followed, ways.reader)}


@pytest.mark.parametrize("following_count", [AUTHORS, MANY])
def test_an_author_with_more_posts_than_a_page_ends_the_timeline(ways: Ways, following_count: int) -> None:
    posts = [ways.publish(ways.followed[0], number) for number in range(40)][::-1]
    ways.choose(following_count)
    sources = feeds.read_sources(ways.db, viewer_id=ways.reader.id)
    ids = [UUID(bytes=sources.posts[at : at + 16]) for at in range(0, len(sources.posts), 16)]

    assert ids == posts[: len(ids)]
    assert len(ids) >= 21
    assert sources.has_older or len(ids) == len(posts)


@pytest.mark.parametrize("following_count", [AUTHORS, MANY])
@pytest.mark.parametrize("at_most", [1, 21, 101])
def test_pages_follow_each_other(ways: Ways, following_count: int, at_most: int) -> None:
    shown = _publish_by_turns(ways, 150)
    ways.choose(following_count)
    read: list[UUID] = []
    before: bytes | None = None
    while len(read) < len(shown):
        page = feeds.read_page(ways.db, viewer=ways.reader.viewer, before=before, at_most=at_most)
        read += [UUID(bytes=entry.post_id) for entry in page]
        assert len(page) == min(at_most, len(shown) - len(read) + len(page))
        before = page[-1].post_id

    assert read == shown
    assert feeds.read_page(ways.db, viewer=ways.reader.viewer, before=before, at_most=at_most) == []


@pytest.mark.parametrize("following_count", [AUTHORS, MANY])
def test_banned_authors_are_left_out(ways: Ways, following_count: int) -> None:
    banned = ways.followed[0]
    shown = _publish_by_turns(ways, 200)
    of_banned = {row[0] for row in ways.db.execute("SELECT id FROM posts WHERE user_id = %s", [banned.id])}
    ways.db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [banned.id])
    ways.choose(following_count)
    sources = feeds.read_sources(ways.db, viewer_id=ways.reader.id)
    page = feeds.read_page(ways.db, viewer=ways.reader.viewer, before=None, at_most=101)
    expected = [post_id for post_id in shown if post_id not in of_banned]

    assert banned.id.bytes not in sources.followed
    assert sources.posts == b"".join(post_id.bytes for post_id in expected)[: len(sources.posts)]
    assert [entry.post_id for entry in page] == [post_id.bytes for post_id in expected[:101]]


@pytest.mark.parametrize("following_count", [AUTHORS, MANY])
@pytest.mark.parametrize("count", [10, 200])
def test_the_first_page_comes_with_the_readers_marks(ways: Ways, following_count: int, count: int) -> None:
    shown = _publish_by_turns(ways, count)
    liked, saved = shown[0], shown[1]
    ways.db.execute("INSERT INTO likes (user_id, post_id) VALUES (%s, %s)", [ways.reader.id, liked])
    ways.db.execute("INSERT INTO likes (user_id, post_id) VALUES (%s, %s)", [ways.followed[0].id, shown[2]])
    ways.db.execute("INSERT INTO saves (user_id, post_id) VALUES (%s, %s)", [ways.reader.id, saved])
    ways.db.execute("UPDATE posts SET version = 5000000000 WHERE id = %s", [saved])
    ways.choose(following_count)
    sources = feeds.read_sources(ways.db, viewer_id=ways.reader.id)

    assert {mark.post_id for mark in sources.marks} == {post_id.bytes for post_id in shown[:21]}
    assert {mark for mark in sources.marks if mark.is_liked} == {
        FeedMark(liked.bytes, 1, is_liked=True, is_saved=False)
    }
    assert [mark for mark in sources.marks if mark.is_saved] == [
        FeedMark(saved.bytes, 5_000_000_000, is_liked=False, is_saved=True)
    ]


@pytest.mark.parametrize("following_count", [AUTHORS, MANY])
@pytest.mark.rule("R-S1", "R-S5", "R-P4")
def test_the_tray_has_the_followed_with_active_stories(following_count: int) -> None:
    reader, seen, unseen, ended, none, stranger, private = (new_person("tray") for _ in range(7))
    for person in (seen, unseen, ended, none, private):
        follow(reader, person)
    for person in (reader, seen, unseen, unseen, stranger, private):
        new_story(person)
    new_story(ended, age_seconds=24 * 3600)
    with transaction() as db:
        db.execute("UPDATE users SET is_private = true WHERE id = %s", [private.id])
        story_id = db.execute("SELECT id FROM stories WHERE user_id = %s", [seen.id]).fetchone()
        assert story_id
        stories.record_view(db, story_id=story_id[0], viewer=reader.viewer)
        db.execute(SET_FOLLOWING, [following_count, reader.id])
        tray = stories.read_tray(db, viewer=reader.viewer)
        db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [private.id])
        without = stories.read_tray(db, viewer=reader.viewer)
        raise Rollback

    assert [(user.id, user.has_seen, user.story_count) for user in tray] == [
        (reader.id, True, 1),
        (private.id, False, 1),
        (unseen.id, False, 2),
        (seen.id, True, 1),
    ]
    assert [user.id for user in without] == [reader.id, unseen.id, seen.id]


def test_new_ids_are_older_than_those_of_these_tests(ways: Ways) -> None:
    """Posts of other tests that run meanwhile are not among the newest."""
    assert new_id() < ways.publish(ways.reader, 0)
