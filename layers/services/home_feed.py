"""The home feed: pages come from Valkey, and what Valkey does not have is read from PostgreSQL.

docs/architecture.md#home-feed describes the algorithm.
"""

import functools
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from layers.core import cursors, media_links, metrics
from layers.core.breaker import Breaker
from layers.core.errors import Invalid, StoreUnavailable
from layers.core.feed_posts import FeedEntry
from layers.core.ids import floor_of
from layers.core.models import Viewer, links_of
from layers.core.prefetched import Prefetched
from layers.postgres import feeds
from layers.postgres.connection import autocommit
from layers.valkey import timelines
from layers.valkey.connection import Call
from layers.valkey.timelines import TimelinePage, TimelineState

FALLBACK: Final = b'{"posts":[],"nextCursor":null,"fallback":true}'
_QUERY: Final = "feed"
_ISO_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
_ID_BYTES: Final = 16
_EARLIEST: Final = datetime(1971, 1, 1, tzinfo=UTC)
"""Earlier than any post. Ids of earlier times would sort among the sentinels of timelines."""

_ROUNDS: Final = 3
"""How often a page is read again when posts on it turn out to be deleted."""

_ID_SLICE: Final = slice(7, 43)
_AUTHOR_SLICE: Final = slice(55, 91)
"""The two ids in the JSON of a fragment, `{"id":"…","userId":"…",…`, which are the scopes of its links."""

_FILES: Final = b'"files":"\\u0001'
_AVATAR: Final = b'"\\u0002avatars/'
_MARK: Final = b"\\u0001"
_INDEX_LENGTH: Final = len('0"')

_breaker = Breaker("feed_generation", failure_ratio=0.5, volume=3, reset_seconds=5)


def prefetch(viewer_id: UUID, *, cursor: str | None, limit: int) -> Call:
    """The call to Valkey that `read` begins with, to be made together with the admission. Raises `Invalid`."""
    return timelines.read_call(viewer_id, before=_parse_cursor(cursor, viewer_id), limit=limit)


def read(viewer: Viewer, *, cursor: str | None, limit: int, prefetched: Prefetched | None = None) -> bytes:
    """One page, `{posts, nextCursor}`, as JSON; `fallback` and no posts if neither Valkey nor PostgreSQL can answer.

    `prefetched` is the reply to the call of `prefetch`, for the same viewer and page.
    """
    started = time.perf_counter()
    before = _parse_cursor(cursor, viewer.id)
    try:
        with _breaker.guard():
            outcome, entries = _read_page(viewer, before, limit, prefetched)
    except StoreUnavailable:
        outcome, answer = "fallback", FALLBACK
    else:
        answer = _encode_page(entries[:limit], viewer.id, has_more=len(entries) > limit)
        (metrics.FEED_HITS if outcome == "hit" else metrics.FEED_MISSES).inc()
    metrics.FEED_SECONDS.labels(outcome).observe(time.perf_counter() - started)
    return answer


def _read_page(
    viewer: Viewer, before: bytes | None, limit: int, prefetched: Prefetched | None
) -> tuple[str, Sequence[FeedEntry]]:
    """The outcome (hit or miss) and the entries of the page: one more than `limit` if there is a next page."""
    try:
        if prefetched is None:
            page = timelines.read(viewer.id, before=before, limit=limit)
        else:
            page = timelines.parse_page(*prefetched)
        if page.state is TimelineState.PAGE and all(entry.is_complete for entry in page.entries):
            return "hit", page.entries
        if page.state is TimelineState.ABSENT:
            with autocommit() as db:
                sources = feeds.read_sources(db, viewer_id=viewer.id)
            page = timelines.build(viewer.id, page, sources, before=before, limit=limit)
        for _ in range(_ROUNDS):
            if page.state is not TimelineState.PAGE:
                break
            if _complete_page(viewer, page, limit):
                return "miss", page.entries
            page = timelines.read(viewer.id, before=before, limit=limit)
    except StoreUnavailable as error:
        if error.store != "valkey":
            raise
    with autocommit() as db:
        return "miss", feeds.read_page(db, viewer=viewer, before=before, at_most=limit + 1)


def _complete_page(viewer: Viewer, page: TimelinePage, limit: int) -> bool:
    """Read from PostgreSQL what Valkey does not have; False if some of the posts turned out to be deleted."""
    incomplete = {entry.post_id: entry for entry in page.entries if not entry.is_complete}
    if not incomplete:
        return True
    try:
        with autocommit() as db:
            found = feeds.read_posts(db, viewer=viewer, post_ids=list(incomplete))
    except StoreUnavailable:
        if any(entry.body is None for entry in page.entries[:limit]):
            raise
        return True  # every post is there; only some of `isLiked` and `isSaved` are unknown
    for row in found:
        entry = incomplete.pop(row.post_id)
        if entry.body is None:
            entry.body, entry.like_count, entry.comment_count = row.body, row.like_count, row.comment_count
        entry.is_liked, entry.is_saved = row.is_liked, row.is_saved
    timelines.repair(viewer.id, page, found=found, deleted=list(incomplete))
    return not incomplete


def _parse_cursor(cursor: str | None, viewer_id: UUID) -> bytes | None:
    """The id before which the page starts; a cursor may also be a time (F1). Raises `Invalid`."""
    if cursor is None:
        return None
    if _ISO_TIME.match(cursor):
        try:
            moment = datetime.fromisoformat(cursor)
            moment = moment.replace(tzinfo=moment.tzinfo or UTC)
            return floor_of(max(moment, _EARLIEST)).bytes
        except (ValueError, OverflowError):
            raise Invalid.field("cursor", "must be a time in ISO 8601") from None
    (before,) = cursors.decode(cursor, _QUERY, viewer_id, tuple[bytes])
    if len(before) != _ID_BYTES:
        raise Invalid.field("cursor", "not a cursor of this list; use `nextCursor` of the previous page")
    return before


def _encode_page(entries: Sequence[FeedEntry], viewer_id: UUID, *, has_more: bool) -> bytes:
    cursor = b"null"
    if has_more:
        cursor = b'"%b"' % cursors.encode(_QUERY, viewer_id, (entries[-1].post_id,)).encode()
    return b'{"posts":[%b],"nextCursor":%b}' % (b",".join(map(_encode_entry, entries)), cursor)


def _encode_entry(entry: FeedEntry) -> bytes:
    body = entry.body or b""
    return b'%b,"likeCount":%d,"commentCount":%d,"isLiked":%b,"isSaved":%b}' % (
        _add_links(body, media_links.prefix(body[_ID_SLICE].decode())),
        entry.like_count,
        entry.comment_count,
        b"true" if entry.is_liked else b"false",
        b"true" if entry.is_saved else b"false",
    )


@functools.lru_cache(maxsize=2048)
def _add_links(body: bytes, prefix: str) -> bytes:
    """A body with its links. It is cached until links get a later expiry, which changes the prefix."""
    head, *pictures = body.split(_FILES)
    if _AVATAR in head:
        head = head.replace(_AVATAR, b'"' + media_links.prefix(head[_AUTHOR_SLICE].decode()).encode())
    parts = [head]
    for order_index, picture in enumerate(pictures):
        files, urls = _files_format(order_index)
        parts += (files % ((prefix.encode(), head[_ID_SLICE]) * urls), picture[_INDEX_LENGTH:])
    return b"".join(parts)


@functools.cache
def _files_format(order_index: int) -> tuple[bytes, int]:
    """The JSON members with the URLs of a picture, as a format with prefix and post id per URL; the number of URLs."""
    post_id = UUID(int=0)
    files = msgspec.json.encode(links_of(post_id, order_index))[1:-1].replace(b"%", b"%%")
    urls = files.count(_MARK)
    return files.replace(_MARK, b"%b").replace(str(post_id).encode(), b"%b"), urls
