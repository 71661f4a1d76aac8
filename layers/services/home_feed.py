"""The home feed: pages come from Valkey, and what Valkey does not have is read from PostgreSQL.

docs/architecture.md#home-feed describes the algorithm.
"""

import functools
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
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
from layers.valkey import fragments, timelines
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
"""The id in the JSON of a fragment, `{"id":"…",…`."""
_ID_LENGTH: Final = 36

_FILES: Final = b'"files":"\\u0001'
_AVATAR: Final = b'"\\u0002avatars/'
_MARK: Final = b"\\u0001"
_INDEX_LENGTH: Final = len('0"')
_MAX_ENCODED: Final = 2048
"""Encoded posts that a process keeps: about 2 MB."""

_breaker = Breaker("feed_generation", failure_ratio=0.5, volume=3, reset_seconds=5)


class _Posts(NamedTuple):
    """The posts of a page."""

    encoded: Sequence[bytes]
    """The JSON of each."""
    last_id: bytes | None
    """The id of the last one, if there is a next page."""


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
            outcome, posts = _read_page(viewer, before, limit, prefetched)
    except StoreUnavailable:
        outcome, answer = "fallback", FALLBACK
    else:
        answer = _encode_page(posts, viewer.id)
        (metrics.FEED_HITS if outcome == "hit" else metrics.FEED_MISSES).inc()
    metrics.FEED_SECONDS.labels(outcome).observe(time.perf_counter() - started)
    return answer


def _read_page(viewer: Viewer, before: bytes | None, limit: int, prefetched: Prefetched | None) -> tuple[str, _Posts]:
    """The outcome (hit or miss) and the posts of the page."""
    try:
        if prefetched is None:
            page = timelines.read(viewer.id, before=before, limit=limit)
        else:
            page = timelines.parse_page(*prefetched)
        outcome = "hit"
        if page.state is TimelineState.ABSENT:
            outcome = "miss"
            with autocommit() as db:
                sources = feeds.read_sources(db, viewer_id=viewer.id)
            page = timelines.build(viewer.id, page, sources, before=before, limit=limit)
        for _ in range(_ROUNDS):
            if page.state is not TimelineState.PAGE:
                break
            if posts := _encode_records(page.records, limit):
                return outcome, posts
            entries = _unpack(page, limit)
            if not all(entry.is_complete for entry in entries):
                outcome = "miss"
                if not _complete_entries(viewer, page, entries, limit):
                    page = timelines.read(viewer.id, before=before, limit=limit)
                    continue
            return outcome, _encode_entries(entries, limit)
    except StoreUnavailable as error:
        if error.store != "valkey":
            raise
    with autocommit() as db:
        return "miss", _encode_entries(feeds.read_page(db, viewer=viewer, before=before, at_most=limit + 1), limit)


def _unpack(page: TimelinePage, limit: int) -> Sequence[FeedEntry]:
    """The entries of a page with what Valkey has of each. Raises `StoreUnavailable`."""
    entries = fragments.unpack(page.records)
    for entry in entries[limit:]:  # it only shows that there is a next page
        if entry.author_id != fragments.NO_AUTHOR:
            entry.body, entry.is_liked, entry.is_saved = b"", False, False
    fragments.add_bodies(entries)
    return entries


def _complete_entries(viewer: Viewer, page: TimelinePage, entries: Sequence[FeedEntry], limit: int) -> bool:
    """Read from PostgreSQL what Valkey does not have; False if some of the posts turned out to be deleted."""
    incomplete = {entry.post_id: entry for entry in entries if not entry.is_complete}
    try:
        with autocommit() as db:
            found = feeds.read_posts(db, viewer=viewer, post_ids=list(incomplete))
    except StoreUnavailable:
        if any(entry.body is None for entry in entries[:limit]):
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


def _encode_page(posts: _Posts, viewer_id: UUID) -> bytes:
    cursor = b"null"
    if posts.last_id:
        cursor = b'"%b"' % cursors.encode(_QUERY, viewer_id, (posts.last_id,)).encode()
    return b'{"posts":[%b],"nextCursor":%b}' % (b",".join(posts.encoded), cursor)


def _encode_records(records: bytes, limit: int) -> _Posts | None:
    """The posts of a page that Valkey has whole, if this process has their bodies; None otherwise."""
    expiry, each = media_links.expiry(), fragments.split(records)
    has_more = len(each) > limit
    if has_more and not fragments.is_known(each.pop()):
        return None
    try:
        return _Posts(
            [_encode_record(record, expiry) for record in each], fragments.post_id(each[-1]) if has_more else None
        )
    except LookupError:
        return None


@functools.lru_cache(maxsize=_MAX_ENCODED)
def _encode_record(record: bytes, expiry: int) -> bytes:  # noqa: ARG001 (links with a later expiry are other ones)
    """The JSON of a post. Raises `LookupError`, which is not cached, if something is missing."""
    (entry,) = fragments.unpack(record)
    if not entry.is_complete:
        raise LookupError(record)
    return _encode_entry(entry)


def _encode_entries(entries: Sequence[FeedEntry], limit: int) -> _Posts:
    last_id = entries[limit - 1].post_id if len(entries) > limit else None
    return _Posts([_encode_entry(entry) for entry in entries[:limit]], last_id)


def _encode_entry(entry: FeedEntry) -> bytes:
    return b'%b,"likeCount":%d,"commentCount":%d,"isLiked":%b,"isSaved":%b}' % (
        _add_links(entry.body or b""),
        entry.like_count,
        entry.comment_count,
        b"true" if entry.is_liked else b"false",
        b"true" if entry.is_saved else b"false",
    )


def _add_links(body: bytes) -> bytes:
    """A body with its links."""
    prefix = media_links.prefix(body[_ID_SLICE].decode()).encode()
    head, *pictures = body.split(_FILES)
    before, avatar, after = head.partition(_AVATAR)
    parts = [before, b'"', media_links.prefix(after[:_ID_LENGTH].decode()).encode(), after] if avatar else [head]
    for order_index, picture in enumerate(pictures):
        files, urls = _files_format(order_index)
        parts += (files % ((prefix, head[_ID_SLICE]) * urls), picture[_INDEX_LENGTH:])
    return b"".join(parts)


@functools.cache
def _files_format(order_index: int) -> tuple[bytes, int]:
    """The JSON members with the URLs of a picture, as a format with prefix and post id per URL; the number of URLs."""
    post_id = UUID(int=0)
    files = msgspec.json.encode(links_of(post_id, order_index))[1:-1].replace(b"%", b"%%")
    urls = files.count(_MARK)
    return files.replace(_MARK, b"%b").replace(str(post_id).encode(), b"%b"), urls
