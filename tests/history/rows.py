"""The stores of a run from inside: rows, counters, objects and queues."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import msgspec

from functions.posts import sweep_posts
from infra.template_map import queues
from layers.core import story_files
from layers.core.models import SIZES, rendition_key
from layers.core.settings import settings
from layers.media import connection
from layers.postgres.connection import transaction
from tests.integration.exactness.counters import wrong_counters
from tests.support.queues import channel
from tests.support.waiting import until

_SETTLE_SECONDS: Final = 60
_UNPUBLISHED: Final = """
    SELECT id::text, status FROM posts WHERE user_id = ANY(%s::uuid[]) AND status IN ('processing', 'failed')
"""
_OLDER: Final = """
    WITH older AS (
        UPDATE posts SET updated_at = updated_at - interval '20 min' WHERE user_id = ANY(%s::uuid[])
    )
    UPDATE abandoned_files
       SET created_at = created_at - interval '20 min', writable_until = writable_until - interval '20 min'
"""
_POSTS: Final = """
    SELECT p.id, array_agg(m.original_key ORDER BY m.order_index)
      FROM posts p JOIN post_media m ON m.post_id = p.id
     WHERE p.user_id = ANY(%s::uuid[]) AND p.status = 'published' GROUP BY p.id
"""
_STORIES: Final = "SELECT id FROM stories WHERE user_id = ANY(%s::uuid[])"


def unpublished(account_ids: Iterable[str]) -> list[tuple[str, str]]:
    """The posts of these accounts that are being processed or have failed, with their status."""
    with transaction() as db:
        return [(post_id, status) for post_id, status in db.execute(_UNPUBLISHED, [[*account_ids]])]


class Before(msgspec.Struct, frozen=True):
    """What the stack held before the run."""

    objects: set[str]
    dead_letters: dict[str, int]


def look() -> Before:
    """What the stack holds now."""
    return Before(_stored(), _dead_letters())


def problems(account_ids: Iterable[str], before: Before) -> list[str]:
    """Wrong counters, objects without rows, rows without objects, dead letters and events that were never sent.

    Waits at most 60 s for what schedules still have to do. Rows are made older, so that the sweeper need not wait.
    """
    ids = [*account_ids]
    found = [f"counter: {each}" for each in wrong_counters(UUID(each) for each in ids)]
    try:
        until(lambda: _sweep(ids) and _named(ids) == _stored() - before.objects, seconds=_SETTLE_SECONDS, every=1)
    except AssertionError:
        named, stored = _named(ids), _stored() - before.objects
        found += [f"object {key} is missing" for key in named - stored]
        found += [f"object {key} has no row" for key in stored - named]
    with transaction() as db:
        waiting = db.execute("SELECT count(*) FROM outbox WHERE created_at < now() - interval '2 min'").fetchone()
    if waiting != (0,):
        found.append(f"events that were not sent: {waiting}")
    letters = {name: count - before.dead_letters[name] for name, count in _dead_letters().items()}
    return [*found, *(f"dead letters: {name} has {count}" for name, count in letters.items() if count)]


def _dead_letters() -> dict[str, int]:
    """The number of messages in each queue of dead letters."""
    with channel() as opened:
        return {
            queue.name: opened.queue_declare(f"{queue.name}.dead", passive=True).method.message_count
            for queue in queues()
        }


def _sweep(account_ids: list[str]) -> bool:
    with transaction() as db:
        db.execute(_OLDER, [account_ids])
    sweep_posts.handler({"id": "history"}, None)
    return True


def _named(account_ids: list[str]) -> set[str]:
    """The keys of all objects that rows name."""
    keys: set[str] = set()
    with transaction() as db:
        for post_id, originals in db.execute(_POSTS, [account_ids]):
            keys |= {*originals}
            keys |= {
                rendition_key(post_id, number, size, extension)
                for number in range(len(originals))
                for size in SIZES
                for extension in ("jpg", "webp")
            }
        for (story_id,) in db.execute(_STORIES, [account_ids]):
            keys |= set(story_files.keys(story_id))
    return keys


def _stored() -> set[str]:
    """The keys of all objects."""
    pages = connection._client().get_paginator("list_objects_v2").paginate(Bucket=settings().s3_bucket)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}
