"""The stores of a run from inside: rows, counters, objects and queues."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from uuid import UUID

import msgspec
import redis

from functions.posts import sweep_posts
from infra.template_map import queues
from layers.core import story_files
from layers.core.settings import settings
from layers.media import connection, photos
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
       SET created_at = created_at - interval '20 min', kept_until = kept_until - interval '20 min'
"""
_POSTS: Final = """
    SELECT p.id, p.status = 'published', array_agg(m.original_key ORDER BY m.order_index)
      FROM posts p JOIN post_media m ON m.post_id = p.id
     WHERE p.status <> 'deleted' AND (%(ids)s::uuid[] IS NULL OR p.user_id = ANY(%(ids)s)) GROUP BY p.id
"""
_STORIES: Final = """
    SELECT id, expires_at > created_at FROM stories WHERE %(ids)s::uuid[] IS NULL OR user_id = ANY(%(ids)s)
"""
"""A story whose files are not stored yet has ended already."""


def unpublished(account_ids: Iterable[str]) -> dict[str, str]:
    """The posts of these accounts that are being processed or have failed, with their status."""
    with transaction() as db:
        return dict(db.execute(_UNPUBLISHED, [[*account_ids]]).fetchall())


class Before(msgspec.Struct, frozen=True):
    """What the stack held before the run."""

    objects: set[str]
    dead_letters: dict[str, int]


def look() -> Before:
    """What the stack holds now."""
    return Before(_stored(), _dead_letters())


def empty_valkey() -> None:
    """Forget all copies, so that the rows are read."""
    with redis.Redis.from_url(settings().valkey_url) as valkey:
        valkey.flushall()


def problems(account_ids: Iterable[str], before: Before) -> list[str]:
    """Wrong counters, objects without rows, rows without objects, dead letters and events that were never sent.

    Waits at most 60 s for what schedules still have to do. Rows are made older, so that the sweeper need not wait.
    """
    ids = [*account_ids]
    found = [f"counter: {each}" for each in wrong_counters(UUID(each) for each in ids)]

    def differing() -> tuple[set[str], set[str]]:
        """Objects that are missing, and objects without a row."""
        _sweep(ids)
        stored = _stored()
        return _named(ids, stored) - stored, stored - before.objects - _named(None, stored)

    with suppress(AssertionError):
        until(lambda: differing() == (set(), set()), seconds=_SETTLE_SECONDS, every=3)
    missing, orphans = differing()
    found += [*(f"object {key} is missing" for key in missing), *(f"object {key} has no row" for key in orphans)]
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


def _sweep(account_ids: list[str]) -> None:
    with transaction() as db:
        db.execute(_OLDER, [account_ids])
    sweep_posts.handler({"id": "history"}, None)


def _named(account_ids: list[str] | None, stored: set[str]) -> set[str]:
    """The keys of all objects that rows of these or all accounts name; of what is not published, those stored."""
    keys: set[str] = set()
    with transaction() as db:
        for post_id, is_published, originals in db.execute(_POSTS, {"ids": account_ids}):
            own = set(photos.all_keys(post_id, originals))
            keys |= own if is_published else own & stored
        for story_id, is_published in db.execute(_STORIES, {"ids": account_ids}):
            own = set(story_files.keys(story_id))
            keys |= own if is_published else own & stored
    return keys


def _stored() -> set[str]:
    """The keys of all objects."""
    pages = connection._client().get_paginator("list_objects_v2").paginate(Bucket=settings().s3_bucket)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}
