"""An account with a full home feed, for benchmarks: it follows 100 authors with 30 posts each."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from layers.postgres.connection import transaction
from tests.support.feed_posts import aged_id, publish_post
from tests.support.people import Person, follow, new_person

AUTHORS: Final = 100
POSTS_PER_AUTHOR: Final = 30
_MONTH_MS: Final = 30 * 24 * 60 * 60 * 1000


@contextmanager
def full_feed() -> Iterator[Person]:
    """The account that reads the feed; all rows are removed in the end."""
    viewer, authors = new_person("viewer"), [new_person(f"author{number}") for number in range(AUTHORS)]
    try:
        now = int(time.time() * 1000)
        for author in authors:
            follow(viewer, author)
            for _ in range(POSTS_PER_AUTHOR):
                publish_post(author, aged_id(now - random.randrange(_MONTH_MS)))
        with transaction() as db:
            db.execute("ANALYZE posts, post_media, follows, users")
        yield viewer
    finally:
        with transaction() as db:
            db.execute("DELETE FROM users WHERE id = ANY(%s)", [[person.id for person in (viewer, *authors)]])
