"""Published posts of any age, and how many round trips a call makes to the stores."""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import redis

from functions.feed import get_feed
from layers.core.ids import new_id, time_of
from layers.core.settings import settings
from layers.postgres import connection as postgres_connection
from layers.postgres.connection import transaction
from layers.valkey import connection as valkey_connection
from layers.valkey import timelines
from tests.support.calls import call
from tests.support.people import Person

PUBLISH = """
    WITH post AS (
        INSERT INTO posts (id, user_id, caption, status, created_at)
        VALUES (%(post_id)s, %(author_id)s, %(caption)s, %(status)s, %(created_at)s)
        RETURNING id
    ), counted AS (
        UPDATE users SET post_count = post_count + 1 WHERE id = %(author_id)s AND %(status)s = 'published'
    )
    INSERT INTO post_media (post_id, order_index, id, original_key, status, width, height)
    SELECT id, n, gen_random_uuid(), 'originals/' || id || n, %(status)s, 40, 30
      FROM post, generate_series(0, %(pictures)s - 1) AS n
"""


def aged_id(milliseconds: int) -> UUID:
    """The id of a post made at this time (milliseconds since 1970)."""
    return UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62) | secrets.randbits(62))


def publish_post(author: Person, post_id: UUID | None = None, *, pictures: int = 1, status: str = "published") -> UUID:
    """Write a post's rows, and nothing to Valkey."""
    post_id = post_id or new_id()
    values = {
        "post_id": post_id,
        "author_id": author.id,
        "caption": f"Post of {author.username}",
        "created_at": time_of(post_id),
        "pictures": pictures,
        "status": status,
    }
    with transaction() as db:
        db.execute(PUBLISH, values)
    return post_id


def deliver(post_id: UUID, author_id: UUID, follower_ids: Sequence[UUID] | None) -> None:
    """Push a post to the timelines; without followers as one of an author with very many of them."""
    timelines.push([author_id], post_id)
    if follower_ids is None:
        timelines.push_popular(author_id, post_id)
    else:
        timelines.push(follower_ids, post_id)


def publish_to(author: Person, *readers: Person, post_id: UUID | None = None) -> UUID:
    """A post's rows, and its id in the author's and the readers' timelines."""
    made = publish_post(author, post_id)
    deliver(made, author.id, [reader.id for reader in readers])
    return made


def feed(viewer: Person, **query: object) -> dict[str, Any]:
    """The answer of the home feed, which must be 200."""
    reply = call(get_feed, session_id=viewer.session_id, query=query)
    assert reply.status == 200, reply.body
    answer: dict[str, Any] = reply.json
    return answer


def feed_ids(viewer: Person, **query: object) -> list[UUID]:
    """Ids of one page."""
    return [UUID(post["id"]) for post in feed(viewer, **query)["posts"]]


def all_pages(viewer: Person, *, limit: int) -> list[UUID]:
    """Ids of all pages, one after the other."""
    page = feed(viewer, limit=limit)
    ids = [UUID(post["id"]) for post in page["posts"]]
    while page["nextCursor"] is not None:
        assert len(page["posts"]) == limit
        page = feed(viewer, limit=limit, cursor=page["nextCursor"])
        ids += [UUID(post["id"]) for post in page["posts"]]
    return ids


class Trips(msgspec.Struct):
    """What a call asked of the stores."""

    valkey: int = 0
    statements: int = 0


@contextmanager
def count_trips() -> Iterator[Trips]:
    """Round trips of this thread's connections in the block: sends to Valkey, and statements."""
    trips = Trips()
    _run_something()
    valkey_client = valkey_connection._local.connection
    send = valkey_client.send

    def count_and_send(*args: Any, **kwargs: Any) -> Any:
        trips.valkey += 1
        return send(*args, **kwargs)

    connection = postgres_connection._local.connection
    plain = connection.cursor_factory

    class Counting(psycopg.Cursor[Any]):
        def execute(self, *args: Any, **kwargs: Any) -> Any:
            trips.statements += 1
            return super().execute(*args, **kwargs)

    connection.cursor_factory = Counting
    valkey_client.send = count_and_send
    try:
        yield trips
    finally:
        connection.cursor_factory = plain
        del valkey_client.send


def _run_something() -> None:
    """Both connections are open afterwards."""
    timelines.push([], new_id())
    with transaction() as db:
        db.execute("SELECT 1")


def forget_feed(viewer: Person) -> None:
    """As after an hour: timeline and following set have expired."""
    with contextlib.closing(redis.Redis.from_url(settings().valkey_url)) as client:
        client.delete(b"timeline:" + viewer.id.bytes, b"following:" + viewer.id.bytes)
