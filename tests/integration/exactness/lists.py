"""Every list endpoint, with rows that a test adds and removes at the times it wants."""

import functools
import importlib
import itertools
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import msgspec

from functions.admin import list_all_posts, list_all_users
from functions.comments import list_comments, list_replies
from functions.feed import explore_posts, get_feed
from functions.posts import list_likes
from functions.stories import list_viewers
from functions.users import (
    list_follow_requests,
    list_followers,
    list_following,
    list_saved_posts,
    list_user_posts,
)
from infra import template_map
from layers.core.models import Page
from layers.postgres.connection import transaction
from layers.valkey import fragments
from tests.support.calls import Reply, call
from tests.support.feed_posts import aged_id, deliver, publish_post
from tests.support.people import Person, follow, new_person
from tests.support.stories import new_story

CROWD = 110
START_MS = int(time.time() * 1000) - 86_400_000
"""Rows begin here: one slot is one millisecond, and rows of one slot have equal timestamps."""

POST = """
    WITH post AS (
        INSERT INTO posts (id, user_id, status, like_count, created_at)
        VALUES (%(id)s, %(owner)s, 'published', %(likes)s, %(at)s) RETURNING id
    )
    INSERT INTO post_media (post_id, order_index, id, original_key, status, width, height)
    SELECT id, 0, gen_random_uuid(), 'originals/' || id, 'published', 40, 30 FROM post
"""
MOST_LIKED = 1_000_000 + int(time.time()) % 2_000_000 * 1000
"""So many likes bring a post before all that other tests, and earlier runs, have made."""


OF_MESSAGES = {
    "messages/list_conversations",
    "messages/list_messages",
    "messages/list_receipts",
    "messages/list_typing",
}
"""Lists of another store: tests/integration/functions/messages pages and measures them."""


class Ground(msgspec.Struct, frozen=True):
    """What rows of a list hang on, and who reads it."""

    reader: Person
    other: Person
    """Another account that may read the list, or has one of the same kind."""
    path: dict[str, object] = {}
    query: dict[str, object] = {}
    values: dict[str, object] = {}


class Kind(msgspec.Struct, frozen=True):
    """One list endpoint."""

    module: ModuleType
    items: str
    default: int
    """Rows where the query says no limit."""
    ground: Callable[[], Ground]
    insert: str
    delete: str
    order: Callable[[int, UUID], tuple[int, ...]]
    """A row's place, from its slot and id."""
    id_of: Callable[[int], UUID] | None = None
    """A row's id; without this, rows are those of people who are there already."""
    slot_of: Callable[[Mapping[str, Any]], int] | None = None
    """Where others' rows stand around, the slot of one."""
    added: Callable[[Ground, UUID], object] = lambda _ground, _id: None
    removed: Callable[[UUID], object] = lambda _id: None

    @property
    def is_shared(self) -> bool:
        """Whether others' rows stand around."""
        return self.slot_of is not None


@functools.cache
def crowd() -> list[UUID]:
    """People without more ado."""
    ids = [uuid4() for _ in range(CROWD)]
    word = secrets.token_hex(6)
    rows = [(id_, f"{word}{number:03}", f"{word}{number}@example.org") for number, id_ in enumerate(ids)]
    with transaction() as db, db.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO users (id, username, email, password_hash, display_name) VALUES (%s, %s, %s, '!', 'Crowd')",
            rows,
        )
    return ids


class Listed:
    """A list with the rows that a test gave it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.ground = kind.ground()
        self.keys: dict[UUID, tuple[int, ...]] = {}
        """Of all rows that ever were."""
        self.others: dict[UUID, tuple[int, ...]] = {}
        """Of rows that are not the test's, as they were last seen."""
        self.rows: set[UUID] = set()
        self._people = itertools.cycle(crowd())

    def add(self, *slots: int) -> None:
        """Rows in these slots."""
        made = [(slot, self._new_id(slot)) for slot in slots]
        values = [
            {
                **self.ground.values,
                "id": id_,
                "at": datetime.fromtimestamp((START_MS + slot) / 1000, UTC),
                "likes": MOST_LIKED + slot,
            }
            for slot, id_ in made
        ]
        with transaction() as db, db.cursor() as cursor:
            cursor.executemany(self.kind.insert, values)
        for slot, id_ in made:
            self.keys[id_] = self.kind.order(slot, id_)
            self.rows.add(id_)
            self.kind.added(self.ground, id_)

    def remove(self, *ids: UUID) -> None:
        """These rows are gone."""
        with transaction() as db, db.cursor() as cursor:
            cursor.executemany(self.kind.delete, [{**self.ground.values, "id": id_} for id_ in ids])
        for id_ in ids:
            self.rows.discard(id_)
            self.kind.removed(id_)

    def clear(self) -> None:
        """No rows."""
        self.remove(*self.rows)
        self.keys.clear()

    def expected(self, *, after: tuple[int, ...] | None = None) -> list[UUID]:
        """The rows in order, from a place on."""
        rest = [id_ for id_ in self.rows if after is None or self.keys[id_] > after]
        return sorted(rest, key=lambda id_: self.keys[id_])

    def ask(self, *, reader: Person | None = None, path: Mapping[str, object] | None = None, **query: object) -> Reply:
        """One request."""
        session_id = (reader or self.ground.reader).session_id
        query = {**self.ground.query, **{name: value for name, value in query.items() if value is not None}}
        return call(self.kind.module, session_id=session_id, path={**(path or self.ground.path)}, query=query)

    def page(self, **query: Any) -> tuple[list[UUID], str | None]:
        """The ids of one page, and the next cursor."""
        reply = self.ask(**query)
        assert reply.status == 200, reply.body
        answer: dict[str, Any] = reply.json
        assert "fallback" not in answer
        ids = [UUID(row["id"]) for row in answer[self.kind.items]]
        if self.kind.slot_of:
            slots = map(self.kind.slot_of, answer[self.kind.items])
            self.others = {id_: self.kind.order(slot, id_) for slot, id_ in zip(slots, ids, strict=True)}
        return ids, answer["nextCursor"]

    def place(self, id_: UUID) -> tuple[int, ...]:
        """Where a row of the last page stands."""
        return self.keys[id_] if id_ in self.keys else self.others[id_]

    def own(self, shown: list[UUID]) -> list[UUID]:
        """Without the rows of others."""
        return [id_ for id_ in shown if not self.kind.is_shared or id_ in self.keys]

    def _new_id(self, slot: int) -> UUID:
        if self.kind.id_of:
            return self.kind.id_of(slot)
        return next(id_ for id_ in self._people if id_ not in self.rows)


def _latest(slot: int, id_: UUID) -> tuple[int, ...]:
    return -slot, id_.int


def _newest(_slot: int, id_: UUID) -> tuple[int, ...]:
    return (-id_.int,)


def _oldest(_slot: int, id_: UUID) -> tuple[int, ...]:
    return (id_.int,)


def _most_liked(slot: int, id_: UUID) -> tuple[int, ...]:
    return -slot, -id_.int


def _in_slot(slot: int) -> UUID:
    return aged_id(START_MS + slot)


def _of_account() -> Ground:
    owner = new_person("owner")
    return Ground(new_person("reader"), new_person("other"), {"user": owner.username}, values={"owner": owner.id})


def _of_self() -> Ground:
    reader = new_person("reader")
    return Ground(reader, new_person("other"), values={"owner": reader.id})


def _of_author() -> Ground:
    reader, author = new_person("reader"), new_person("author")
    other = new_person("other")
    follow(reader, author)
    follow(other, author)
    return Ground(reader, other, values={"owner": author.id})


def _strangers() -> Ground:
    return Ground(new_person("reader"), new_person("other"), values={"owner": new_person("author").id})


def _of_post() -> Ground:
    post_id, owner = publish_post(new_person("author")), new_person("owner")
    ground: dict[str, object] = {"post": post_id, "owner": owner.id}
    return Ground(new_person("reader"), new_person("other"), {"post_id": post_id}, values=ground)


def _of_comment() -> Ground:
    ground = _of_post()
    comment_id = aged_id(START_MS)
    with transaction() as db:
        db.execute(COMMENT, {**ground.values, "id": comment_id, "at": datetime.fromtimestamp(START_MS / 1000, UTC)})
    values = {**ground.values, "parent": comment_id}
    return Ground(ground.reader, ground.other, {"comment_id": comment_id}, values=values)


def _of_story() -> Ground:
    author = new_person("author")
    story_id = new_story(author)
    return Ground(author, new_person("admin", role="admin"), {"story_id": story_id}, values={"story": story_id})


def _saved() -> Ground:
    ground = _of_self()
    return Ground(ground.reader, ground.other, values={**ground.values, "author": new_person("author").id})


def _all_users() -> Ground:
    word = secrets.token_hex(4)
    return Ground(*_admins(), query={"q": word}, values={"word": word})


def _all_posts() -> Ground:
    owner = new_person("owner")
    return Ground(*_admins(), query={"userId": owner.id}, values={"owner": owner.id})


def _admins() -> tuple[Person, Person]:
    return new_person("reader", role="admin"), new_person("other", role="admin")


USER = """
    INSERT INTO users (id, username, email, password_hash, display_name, created_at)
    VALUES (%(id)s, %(word)s || right(%(id)s::text, 12), %(word)s || %(id)s::text, '!', 'One', %(at)s)
"""
COMMENT = """
    INSERT INTO comments (id, post_id, user_id, content, created_at)
    VALUES (%(id)s, %(post)s, %(owner)s, 'said', %(at)s)
"""
REPLY = """
    INSERT INTO comments (id, post_id, user_id, parent_id, content, created_at)
    VALUES (%(id)s, %(post)s, %(owner)s, %(parent)s, 'said', %(at)s)
"""
SAVED = """
    WITH post AS (
        INSERT INTO posts (id, user_id, status) VALUES (%(id)s, %(author)s, 'published') RETURNING id
    ), media AS (
        INSERT INTO post_media (post_id, order_index, id, original_key, status)
        SELECT id, 0, gen_random_uuid(), 'originals/' || id, 'published' FROM post
    )
    INSERT INTO saves (user_id, post_id, created_at) SELECT %(owner)s, id, %(at)s FROM post
"""
DELETE_POST = "DELETE FROM posts WHERE id = %(id)s"
HIDE_POST = "UPDATE posts SET status = 'deleted', version = version + 1 WHERE id = %(id)s"
DELETE_COMMENT = "DELETE FROM comments WHERE id = %(id)s"


def _delivered(ground: Ground, post_id: UUID) -> None:
    author = ground.values["owner"]
    assert isinstance(author, UUID)
    deliver(post_id, author, [ground.reader.id, ground.other.id])


KINDS = [
    Kind(
        module=get_feed,
        items="posts",
        default=20,
        ground=_of_author,
        insert=POST,
        delete=HIDE_POST,
        order=_newest,
        id_of=_in_slot,
        added=_delivered,
        removed=fragments.mark_deleted,
    ),
    Kind(
        module=explore_posts,
        items="posts",
        default=24,
        ground=_strangers,
        insert=POST,
        delete=DELETE_POST,
        order=_most_liked,
        id_of=_in_slot,
        slot_of=lambda row: row["likeCount"] + 2 * row["commentCount"] - MOST_LIKED,
    ),
    Kind(
        module=list_user_posts,
        items="posts",
        default=12,
        ground=_of_account,
        insert=POST,
        delete=DELETE_POST,
        order=_newest,
        id_of=_in_slot,
    ),
    Kind(
        module=list_saved_posts,
        items="posts",
        default=12,
        ground=_saved,
        insert=SAVED,
        delete=DELETE_POST,
        order=_latest,
        id_of=lambda _slot: uuid4(),
    ),
    Kind(
        module=list_followers,
        items="followers",
        default=20,
        ground=_of_account,
        insert="INSERT INTO follows (follower_id, following_id, created_at) VALUES (%(id)s, %(owner)s, %(at)s)",
        delete="DELETE FROM follows WHERE follower_id = %(id)s AND following_id = %(owner)s",
        order=_latest,
    ),
    Kind(
        module=list_following,
        items="following",
        default=20,
        ground=_of_account,
        insert="INSERT INTO follows (follower_id, following_id, created_at) VALUES (%(owner)s, %(id)s, %(at)s)",
        delete="DELETE FROM follows WHERE follower_id = %(owner)s AND following_id = %(id)s",
        order=_latest,
    ),
    Kind(
        module=list_follow_requests,
        items="requests",
        default=20,
        ground=_of_self,
        insert="INSERT INTO follow_requests (requester_id, target_id, created_at) VALUES (%(id)s, %(owner)s, %(at)s)",
        delete="DELETE FROM follow_requests WHERE requester_id = %(id)s AND target_id = %(owner)s",
        order=_latest,
    ),
    Kind(
        module=list_likes,
        items="likes",
        default=20,
        ground=_of_post,
        insert="INSERT INTO likes (user_id, post_id, created_at) VALUES (%(id)s, %(post)s, %(at)s)",
        delete="DELETE FROM likes WHERE user_id = %(id)s AND post_id = %(post)s",
        order=_latest,
    ),
    Kind(
        module=list_comments,
        items="comments",
        default=20,
        ground=_of_post,
        insert=COMMENT,
        delete=DELETE_COMMENT,
        order=_newest,
        id_of=_in_slot,
    ),
    Kind(
        module=list_replies,
        items="replies",
        default=10,
        ground=_of_comment,
        insert=REPLY,
        delete=DELETE_COMMENT,
        order=_oldest,
        id_of=_in_slot,
    ),
    Kind(
        module=list_viewers,
        items="viewers",
        default=20,
        ground=_of_story,
        insert="INSERT INTO story_views (viewer_id, story_id, viewed_at) VALUES (%(id)s, %(story)s, %(at)s)",
        delete="DELETE FROM story_views WHERE viewer_id = %(id)s AND story_id = %(story)s",
        order=_latest,
    ),
    Kind(
        module=list_all_users,
        items="users",
        default=20,
        ground=_all_users,
        insert=USER,
        delete="DELETE FROM users WHERE id = %(id)s",
        order=_newest,
        id_of=_in_slot,
    ),
    Kind(
        module=list_all_posts,
        items="posts",
        default=20,
        ground=_all_posts,
        insert=POST,
        delete=DELETE_POST,
        order=_newest,
        id_of=_in_slot,
    ),
]


def name_of(module: ModuleType) -> str:
    """As the template calls it."""
    return module.__name__.removeprefix("functions.").replace(".", "/")


LISTS = {name_of(kind.module): kind for kind in KINDS}


def paged_functions() -> set[str]:
    """All functions whose query is a page's."""
    found = set()
    for route in template_map.routes():
        module = importlib.import_module(route.function.handler.rpartition(".")[0])
        query = module.handler.signature.query
        if query is not None and issubclass(query, Page):
            found.add(route.function.name)
    return found


@functools.cache
def listed(name: str) -> Listed:
    """A list, with its ground prepared once."""
    return Listed(LISTS[name])
