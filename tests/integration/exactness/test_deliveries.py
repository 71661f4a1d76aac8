"""Any event, delivered one to five times and in any order, leaves the state of once and in order.

Two differences are not states that a client can rely on, and are left out: a repeated delivery sends its live event
again, and of a post with several pictures that fails, those that come after the bad one are not rendered any more.
"""

import hashlib
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any
from uuid import UUID

import msgspec
import pytest

from functions.feed import fan_out_post
from functions.images import resize_photo
from functions.live import list_events
from functions.messages import remove_messages
from functions.users import copy_profile
from layers.core.events import AccountRemoved, PostPublished, ProfileUpdated
from layers.core.models import Time
from layers.media import connection, photos
from layers.postgres.connection import transaction
from tests.integration.exactness.counters import wrong_counters
from tests.support.calls import call
from tests.support.deliveries import deliver
from tests.support.feed_posts import feed, feed_ids, publish_post
from tests.support.messages import open_pair, read, send_text
from tests.support.people import Person, follow, new_person
from tests.support.soak import EXAMPLES
from tests.support.stores import read_profile, valkey
from tests.support.uploads import begin, picture

SEEDS = range(EXAMPLES // 12)
MOST = 5
LAST_TRY = 3
TIMES = [Time(f"2026-11-23T10:00:0{second}.000Z") for second in range(4)]

POSTS = "SELECT id, status, caption, version FROM posts WHERE user_id = ANY(%s) ORDER BY id"
PICTURES = """
    SELECT order_index, status, width, height, failure FROM post_media WHERE post_id = %s ORDER BY order_index
"""
COUNTS = "SELECT post_count, follower_count, following_count FROM users WHERE id = ANY(%s) ORDER BY id"

type Act = Callable[[], None]


class World:
    """Accounts, posts on their way and a conversation, and the events that are about to arrive."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self.author, self.reader, self.leaver = (new_person(name) for name in ("author", "reader", "leaver"))
        self._people = [self.author, self.reader, self.leaver]
        follow(self.reader, self.author)
        for person in self._people:
            feed(person)
        self._talk = open_pair(self.leaver, self.reader)
        for person in (self.leaver, self.reader, self.leaver):
            send_text(person, self._talk, f"of {person.username.partition('_')[0]}")
        self._ready = [publish_post(self.author) for _ in range(3)]
        self._begun = [
            begin(self.author, picture(), picture(), is_notified=True),
            begin(self.author, b"no picture", is_notified=True),
        ]
        self._last_event: str = self._live()["lastId"]

    def events(self) -> list[Act]:
        """All deliveries, in the order of their causes."""
        pictures = [
            self._delivery(resize_photo, post.event(number), attempt=LAST_TRY)
            for post in self._begun
            for number in range(len(post.keys))
        ]
        published = [self._delivery(fan_out_post, self._published(post_id)) for post_id in self._ready]
        profiles = [
            self._delivery(copy_profile, self._profile(person, number))
            for person in (self.author, self.leaver)
            for number in range(3)
        ]
        removed = AccountRemoved(user_id=self.leaver.id, removed_at=TIMES[-1])
        return [*pictures, *published, *profiles, self._delivery(remove_messages, removed)]

    def follow_up(self) -> None:
        """The event of the post that was published by the deliveries."""
        deliver(fan_out_post, self._published(self._begun[0].id), queue=self._queue)

    def state(self) -> dict[str, Any]:
        """All that the events can change; with names in place of ids, so that two worlds can be compared."""
        ids = [person.id for person in self._people]
        with transaction() as db:
            posts = db.execute(POSTS, [ids]).fetchall()
            names = {row[0]: f"post {number}" for number, row in enumerate(posts)}
            media = {names[row[0]]: db.execute(PICTURES, [row[0]]).fetchall() for row in posts}
            counts = db.execute(COUNTS, [ids]).fetchall()
        return {
            "posts": [row[1:2] for row in posts],
            "versions": [row[3] for row in posts],
            "pictures": media,
            "counts": counts,
            "wrong counters": wrong_counters(ids),
            "objects": {names[post.id]: _objects(post.id, post.keys) for post in self._begun},
            "timelines": [[names[each] for each in _timeline(person)] for person in self._people],
            "feeds": [[names[each] for each in feed_ids(person)] for person in self._people],
            "profiles": [self._copy(person) for person in self._people],
            "messages": [message["content"] for message in read(self.reader, self._talk)],
            "live events": sorted({(event["status"], names[UUID(event["postId"])]) for event in self._events()}),
        }

    def _delivery(self, module: ModuleType, event: object, *, attempt: int = 0) -> Act:
        return lambda: deliver(module, event, queue=self._queue, attempt=attempt)

    def _published(self, post_id: UUID) -> PostPublished:
        return PostPublished(post_id=post_id, author_id=self.author.id)

    def _profile(self, person: Person, number: int) -> ProfileUpdated:
        return ProfileUpdated(
            user_id=person.id,
            username="name",
            display_name=f"Name {number}",
            profile_picture_url=None,
            updated_at=TIMES[number],
        )

    def _copy(self, person: Person) -> tuple[object, ...] | None:
        copy = read_profile(person.id)
        return (copy.username, copy.display_name, copy.is_hidden, copy.version) if copy else None

    def _events(self) -> list[dict[str, Any]]:
        """The author's live events; a repeated delivery sends one again."""
        found: list[dict[str, Any]] = self._live(after=self._last_event)["events"]
        return found

    def _live(self, **query: object) -> dict[str, Any]:
        reply = call(list_events, session_id=self.author.session_id, query=query)
        assert reply.status == 200, reply.body
        answer: dict[str, Any] = reply.json
        return answer


def _objects(post_id: UUID, originals: list[str]) -> dict[str, str]:
    """The hash of each object of a post."""
    contents = {
        key.replace(str(post_id), ""): connection.get(key)
        for key in photos.all_keys(post_id, originals)[len(originals) :]
    }
    return {key: hashlib.sha256(data).hexdigest() for key, data in contents.items() if data is not None}


def _timeline(person: Person) -> list[UUID]:
    entries: list[bytes] = valkey().lrange(b"timeline:" + person.id.bytes, 0, -1)  # type: ignore[assignment]
    return [UUID(bytes=entry) for entry in entries if not entry.startswith(b"\0\0")]


def _hash(state: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(state, order="deterministic")).hexdigest()


@pytest.mark.parametrize("seed", SEEDS)
def test_repeated_and_shuffled_events_leave_the_state_of_once_and_in_order(seed: int, queue: str) -> None:
    chance = random.Random(seed)
    once, often = World(queue), World(queue)
    for act in once.events():
        act()
    repeated = [act for act in often.events() for _ in range(chance.randint(1, MOST))]
    chance.shuffle(repeated)
    for act in repeated:
        act()
    once.follow_up()
    for _ in range(chance.randint(1, MOST)):
        often.follow_up()

    expected, found = once.state(), often.state()
    differing = {name: (expected[name], found[name]) for name in expected if expected[name] != found[name]}
    assert _hash(found) == _hash(expected), differing
    assert expected["messages"] == ["of reader"]
    assert not expected["wrong counters"]
