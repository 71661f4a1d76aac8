"""The home feed against a plain model, whatever happens between two reads."""

import os
import time
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from layers.core.feed_posts import FeedSources
from layers.core.ids import new_id
from layers.postgres import feeds, follows, likes, posts
from layers.postgres.connection import autocommit, transaction
from layers.services import home_feed
from layers.valkey import fragments, timelines
from layers.valkey.timelines import TimelinePage, TimelineState
from tests.support.feed_posts import aged_id, deliver, forget_feed, publish_post
from tests.support.people import Person, new_person
from tests.support.stores import valkey

EXAMPLES = int(os.environ.get("PHOTOGRAM_EXAMPLES", "60"))
"""`make soak` asks for more."""
AUTHORS = 3
STAR = 0


class Modelled(msgspec.Struct):
    """A post as it should be shown."""

    author: Person
    delivered: bool = False
    liked: bool = False


class FeedMachine(RuleBasedStateMachine):
    """One viewer and three authors, one of them a star; the caches get what handlers would write."""

    @initialize()
    def people(self) -> None:
        """New accounts."""
        self.viewer = new_person("viewer")
        self.authors = [new_person(f"author{n}") for n in range(AUTHORS)]
        self.following: set[UUID] = set()
        self.posts: dict[UUID, Modelled] = {}
        self.reading: TimelinePage | None = None
        self.sources: FeedSources | None = None
        for author in range(AUTHORS):
            self.follow(author)
        now = int(time.time() * 1000)
        for minutes in range(9):
            by = self.authors[minutes % AUTHORS]
            self.posts[publish_post(by, aged_id(now - minutes * 60_000))] = Modelled(by, delivered=True)

    @rule(author=st.integers(-1, AUTHORS - 1), seconds_late=st.sampled_from([0, 0, 1, 90, 500, 3600]))
    def publish(self, author: int, seconds_late: int) -> None:
        """A post is published, perhaps long after its id was made; its message is on its way."""
        by = self.viewer if author < 0 else self.authors[author]
        post_id = aged_id(int(time.time() * 1000) - seconds_late * 1000) if seconds_late else new_id()
        publish_post(by, post_id)
        self.posts[post_id] = Modelled(by)

    @precondition(lambda self: self.posts)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """A message arrives, in any order, perhaps again."""
        self._deliver(data.draw(st.sampled_from(sorted(self.posts))))

    def _deliver(self, post_id: UUID) -> None:
        post = self.posts[post_id]
        is_star = post.author is self.authors[STAR]
        deliver(post_id, post.author.id, None if is_star else [self.viewer.id])
        post.delivered = True

    @rule(author=st.integers(0, AUTHORS - 1))
    def follow(self, author: int) -> None:
        """The viewer follows."""
        target = self.authors[author].id
        with transaction() as db:
            follows.follow(db, follower_id=self.viewer.id, target_id=target)
        timelines.add_followed(self.viewer.id, target)
        self.following.add(target)

    @rule(author=st.integers(0, AUTHORS - 1))
    def unfollow(self, author: int) -> None:
        """The viewer unfollows."""
        target = self.authors[author].id
        with transaction() as db:
            follows.unfollow(db, follower_id=self.viewer.id, target_id=target)
        timelines.remove_followed(self.viewer.id, target)
        self.following.discard(target)

    @precondition(lambda self: self.posts)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A post is deleted; its message may still be on its way."""
        post_id = data.draw(st.sampled_from(sorted(self.posts)))
        with transaction() as db:
            posts.delete(db, post_id=post_id, viewer=self.posts[post_id].author.viewer)
        fragments.mark_deleted(post_id)
        del self.posts[post_id]

    @precondition(lambda self: self.posts)
    @rule(data=st.data(), liked=st.booleans())
    def like(self, data: st.DataObject, liked: bool) -> None:  # noqa: FBT001
        """The viewer gives or takes back a like."""
        post_id = data.draw(st.sampled_from(sorted(self.posts)))
        with transaction() as db:
            change = (likes.add if liked else likes.remove)(db, post_id=post_id, viewer=self.viewer.viewer)
        fragments.update_like(self.viewer.id, is_liked=liked, counts=change)
        self.posts[post_id].liked = liked

    @rule()
    def expire_timeline(self) -> None:
        """An hour has passed."""
        forget_feed(self.viewer)

    @precondition(lambda self: self.posts)
    @rule(data=st.data())
    def expire_fragments(self, data: st.DataObject) -> None:
        """Some minutes have passed."""
        some = data.draw(st.lists(st.sampled_from(sorted(self.posts)), min_size=1))
        valkey().delete(b"liked:" + self.viewer.id.bytes, *(b"post:" + post_id.bytes for post_id in some))

    @precondition(lambda self: self.reading is None)
    @rule(data=st.data(), rows_first=st.booleans())
    def build_around_something(self, data: st.DataObject, rows_first: bool) -> None:  # noqa: FBT001
        """A build with something else in its middle."""
        self.begin_build()
        if rows_first:
            self.read_rows()
        something = data.draw(st.sampled_from(["follow", "unfollow", "delete", "deliver"]))
        if something in ("follow", "unfollow"):
            getattr(self, something)(data.draw(st.integers(0, AUTHORS - 1)))
        elif something == "deliver":
            self.publish(data.draw(st.integers(0, AUTHORS - 1)), data.draw(st.sampled_from([0, 90])))
            self._deliver(next(reversed(self.posts)))
        elif self.posts:
            self.delete(data)
        if not rows_first:
            self.read_rows()
        self.end_build()

    @precondition(lambda self: self.reading is None)
    @rule()
    def begin_build(self) -> None:
        """Another environment finds no timeline: an hour has passed."""
        forget_feed(self.viewer)
        reading = timelines.read(self.viewer.id, before=None, limit=3)
        assert reading.state is TimelineState.ABSENT
        self.reading = reading

    @precondition(lambda self: self.reading and not self.sources)
    @rule()
    def read_rows(self) -> None:
        """It reads the rows."""
        with autocommit() as db:
            self.sources = feeds.read_sources(db, viewer_id=self.viewer.id)

    @precondition(lambda self: self.sources)
    @rule()
    def end_build(self) -> None:
        """It merges."""
        assert self.reading
        assert self.sources
        timelines.build(self.viewer.id, self.reading, self.sources, before=None, limit=3)
        self.reading = self.sources = None

    @invariant()
    def feed_is_as_modelled(self) -> None:
        """Pages of any size together show each visible post once, newest first, with the viewer's like."""
        if not hasattr(self, "viewer"):
            return
        shown = self._pages(limit=3 + len(self.posts) % 3)
        ids = [UUID(post["id"]) for post in shown]
        visible = {id_: post for id_, post in self.posts.items() if self._is_visible(post)}

        assert ids == sorted(set(ids), reverse=True)
        assert {id_ for id_, post in visible.items() if post.delivered} <= set(ids) <= set(visible)
        for post in shown:
            is_liked = visible[UUID(post["id"])].liked
            assert (post["isLiked"], post["likeCount"]) == (is_liked, int(is_liked))

    def _is_visible(self, post: Modelled) -> bool:
        return post.author is self.viewer or post.author.id in self.following

    def _pages(self, *, limit: int) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = msgspec.json.decode(home_feed.read(self.viewer.viewer, cursor=cursor, limit=limit))
            assert "fallback" not in page
            assert len(page["posts"]) == limit or page["nextCursor"] is None
            shown += page["posts"]
            cursor = page["nextCursor"]
            if cursor is None:
                return shown


@pytest.mark.rule("R-F1", "R-I4", "R-I5")
@pytest.mark.timeout(5 * EXAMPLES)
def test_the_feed_is_as_a_plain_model_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timelines, "MAX_ENTRIES", 8)  # so small that lists are cut and pages reach beyond them
    monkeypatch.setattr(timelines, "_TRIM_ENTRIES", 10)
    monkeypatch.setattr(feeds, "_TIMELINE_POSTS", 6)
    monkeypatch.setattr(feeds, "_AUTHOR_POSTS", 4)
    bounded = settings(
        max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(FeedMachine, settings=bounded)
