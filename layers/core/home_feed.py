"""The home feed: one page, from Valkey alone if it can be, from the rows where it cannot.

Core imports no store. The two that this needs are named here as ports and loaded at first use. Ids are 16 bytes
throughout: their order is that of the posts.
"""

import functools
import importlib
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Literal, Protocol, cast
from uuid import UUID

import msgspec

from layers.core import cursors, media_links, metrics
from layers.core.breaker import Breaker
from layers.core.errors import Invalid, StoreUnavailable
from layers.core.ids import floor_of
from layers.core.models import Filter, PostStatus, Shape, Time, Viewer, renditions_of

FALLBACK: Final = b'{"posts":[],"nextCursor":null,"fallback":true}'
_QUERY: Final = "feed"
_ISO_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
_ID_BYTES: Final = 16
_EARLIEST: Final = datetime(1971, 1, 1, tzinfo=UTC)
"""Older than any post; ids of earlier times would sort among the sentinels of timelines."""

_ROUNDS: Final = 3
"""So many times a page is read again because posts on it turned out to be gone."""

_ID_PLACE: Final = slice(7, 43)
_AUTHOR_PLACE: Final = slice(55, 91)
"""Where a body, `{"id":"…","userId":"…",…`, holds the scopes of its links."""

_FILES: Final = b'"files":"\\u0001'
_AVATAR: Final = b'"\\u0002'
_MARK: Final = b"\\u0001"
_PLACE_LENGTH: Final = len('0"')

_breaker = Breaker("feed_generation", failure_ratio=0.5, volume=3, reset_seconds=5)


class Picture(Shape, frozen=True, kw_only=True):
    """A picture of a published post as caches keep it."""

    id: str
    media_type: Literal["image"] = "image"
    filter_applied: Filter
    width: int | None
    height: int | None
    order_index: int
    status: PostStatus
    failure: None = None
    files: str
    """POST_MARK and the picture's place: stands for its URLs, which follow from that and the post's id."""


class Body(Shape, frozen=True, kw_only=True):
    """A post as caches keep it, the same for every viewer: counts and bits are added while answering."""

    id: UUID
    user_id: UUID
    username: str
    display_name: str
    profile_picture_url: str | None
    caption: str
    location: str | None
    tags: list[str]
    status: PostStatus
    created_at: Time
    media: list[Picture]

    def encoded(self) -> bytes:
        """Its JSON, open at the end."""
        return msgspec.json.encode(self)[:-1]


class Entry(msgspec.Struct):
    """One post of a page."""

    post_id: bytes
    body: bytes | None
    """A `Body`, encoded; None where Valkey lacks it."""
    like_count: int = 0
    comment_count: int = 0
    is_liked: bool | None = False
    is_saved: bool | None = False
    author_id: bytes = b""
    version: int = 0

    @property
    def is_known(self) -> bool:
        """Whether nothing has to be asked of the rows."""
        return self.body is not None and self.is_liked is not None and self.is_saved is not None


class State(Enum):
    """What Valkey has for a page."""

    PAGE = "page"
    ABSENT = "absent"
    """No timeline; this reader builds it now."""
    BUSY = "busy"
    """Another reader builds it."""
    BEYOND = "beyond"
    """Older than what the timeline holds."""


class Reading(msgspec.Struct, frozen=True):
    """What Valkey said."""

    state: State
    token: bytes
    entries: Sequence[Entry] = ()
    """At most one more than was asked for: it shows that there is more."""


class Sources(msgspec.Struct, frozen=True):
    """What a timeline is built of."""

    followed: bytes
    """Ids of the visible authors, the viewer's own included, one after the other."""
    posts: bytes
    """Ids of their newest posts, newest first, one after the other."""
    has_older: bool


class Timelines(Protocol):
    """`layers.valkey.timelines`."""

    def read(self, viewer_id: UUID, *, before: bytes | None, limit: int) -> Reading:
        """A page with what Valkey knows of its posts. Raises `StoreUnavailable`."""

    def build(
        self, viewer_id: UUID, reading: Reading, sources: Sources, *, before: bytes | None, limit: int
    ) -> Reading:
        """End the build that `reading` began, and read the page."""

    def heal(self, viewer_id: UUID, reading: Reading, *, found: Sequence[Entry], gone: Sequence[bytes]) -> None:
        """Keep what the rows said."""


class Feeds(Protocol):
    """`layers.postgres.feeds`; one statement each. All raise `StoreUnavailable`."""

    def sources(self, viewer_id: UUID) -> Sources:
        """Whom the viewer follows, and their newest posts."""

    def posts(self, viewer: Viewer, post_ids: Sequence[bytes]) -> list[Entry]:
        """Those of the posts that belong into the viewer's feed, in no order."""

    def page(self, viewer: Viewer, *, before: bytes | None, at_most: int) -> list[Entry]:
        """The feed's next posts."""


@functools.cache
def timelines() -> Timelines:
    """The timelines in Valkey."""
    return cast("Timelines", importlib.import_module("layers.valkey.timelines"))


@functools.cache
def feeds() -> Feeds:
    """The feed's rows in PostgreSQL."""
    return cast("Feeds", importlib.import_module("layers.postgres.feeds"))


def answer(viewer: Viewer, *, cursor: str | None, limit: int) -> bytes:
    """`{posts, nextCursor}` as JSON; with `fallback` and no posts when no store can answer."""
    started = time.perf_counter()
    before = _start(cursor, viewer.id)
    try:
        with _breaker.guard():
            outcome, entries = _page(viewer, before, limit)
    except StoreUnavailable:
        outcome, told = "fallback", FALLBACK
    else:
        told = _joined(entries[:limit], viewer.id, has_more=len(entries) > limit)
        (metrics.FEED_HITS if outcome == "hit" else metrics.FEED_MISSES).inc()
    metrics.FEED_SECONDS.labels(outcome).observe(time.perf_counter() - started)
    return told


def _page(viewer: Viewer, before: bytes | None, limit: int) -> tuple[str, Sequence[Entry]]:
    """Where the page came from (hit or miss) and its entries, one more than `limit` if there are more."""
    try:
        reading = timelines().read(viewer.id, before=before, limit=limit)
        if reading.state is State.PAGE and all(entry.is_known for entry in reading.entries):
            return "hit", reading.entries
        if reading.state is State.ABSENT:
            sources = feeds().sources(viewer.id)
            reading = timelines().build(viewer.id, reading, sources, before=before, limit=limit)
        for _ in range(_ROUNDS):
            if reading.state is not State.PAGE:
                break
            if _complete(viewer, reading, limit):
                return "miss", reading.entries
            reading = timelines().read(viewer.id, before=before, limit=limit)
    except StoreUnavailable as error:
        if error.store != "valkey":
            raise
    return "miss", feeds().page(viewer, before=before, at_most=limit + 1)


def _complete(viewer: Viewer, reading: Reading, limit: int) -> bool:
    """Ask the rows for what the page lacks; false when posts turned out to be gone."""
    unknown = {entry.post_id: entry for entry in reading.entries if not entry.is_known}
    if not unknown:
        return True
    try:
        found = feeds().posts(viewer, list(unknown))
    except StoreUnavailable:
        if any(entry.body is None for entry in reading.entries[:limit]):
            raise
        return True  # a copy with some bits unknown is better than no page
    for row in found:
        entry = unknown.pop(row.post_id)
        if entry.body is None:
            entry.body, entry.like_count, entry.comment_count = row.body, row.like_count, row.comment_count
        entry.is_liked, entry.is_saved = row.is_liked, row.is_saved
    timelines().heal(viewer.id, reading, found=found, gone=list(unknown))
    return not unknown


def _start(cursor: str | None, viewer_id: UUID) -> bytes | None:
    """The id before which the page starts; a bare time means "strictly older than". Raises `Invalid`."""
    if cursor is None:
        return None
    if _ISO_TIME.match(cursor):
        try:
            moment = datetime.fromisoformat(cursor)
            moment = moment.replace(tzinfo=moment.tzinfo or UTC)
            return floor_of(max(moment, _EARLIEST)).bytes
        except (ValueError, OverflowError):
            raise Invalid.field("cursor", "not a time") from None
    (before,) = cursors.read(cursor, _QUERY, viewer_id, tuple[bytes])
    if len(before) != _ID_BYTES:
        raise Invalid.field("cursor", "not a cursor of this list")
    return before


def _joined(entries: Sequence[Entry], viewer_id: UUID, *, has_more: bool) -> bytes:
    cursor = b"null"
    if has_more:
        cursor = b'"%b"' % cursors.written(_QUERY, viewer_id, (entries[-1].post_id,)).encode()
    return b'{"posts":[%b],"nextCursor":%b}' % (b",".join(map(_shown, entries)), cursor)


def _shown(entry: Entry) -> bytes:
    body = entry.body or b""
    return b'%b,"likeCount":%d,"commentCount":%d,"isLiked":%b,"isSaved":%b}' % (
        _linked(body, media_links.prefix(body[_ID_PLACE].decode())),
        entry.like_count,
        entry.comment_count,
        b"true" if entry.is_liked else b"false",
        b"true" if entry.is_saved else b"false",
    )


@functools.lru_cache(maxsize=2048)
def _linked(body: bytes, prefix: str) -> bytes:
    """A body with its links; the prefix, and with it what is kept, changes when they are to be signed anew."""
    head, *pictures = body.split(_FILES)
    if _AVATAR in head:
        head = head.replace(_AVATAR, b'"' + media_links.prefix(head[_AUTHOR_PLACE].decode()).encode())
    told = [head]
    for order_index, picture in enumerate(pictures):
        files, urls = _files(order_index)
        told += (files % ((prefix.encode(), head[_ID_PLACE]) * urls), picture[_PLACE_LENGTH:])
    return b"".join(told)


@functools.cache
def _files(order_index: int) -> tuple[bytes, int]:
    """The JSON members with a picture's URLs, to be filled with link and post id for each, and their number."""
    post_id = UUID(int=0)
    renditions = renditions_of(post_id, order_index)
    members = {
        "mediaUrl": renditions.large.jpeg,
        "thumbnailUrl": renditions.thumbnail.jpeg,
        "renditions": renditions,
    }
    files = msgspec.json.encode(members)[1:-1].replace(b"%", b"%%")
    urls = files.count(_MARK)
    return files.replace(_MARK, b"%b").replace(str(post_id).encode(), b"%b"), urls
