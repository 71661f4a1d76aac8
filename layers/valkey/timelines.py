"""Timelines: the ids of the posts that a viewer's home feed shows (docs/decisions/0018-timelines-live-one-hour.md).

`timeline:{viewer}` is a list of post ids, newest first and each once, that ends with a sentinel. `following:{viewer}`
is the set of authors whose posts it may show, including the viewer. Ids are their 16 bytes, also in keys. Both expire
an hour after they were built, whether they are read or not. So the effect of a lost message or a missed write lasts at
most an hour, and posts are not pushed to inactive users. Building them again takes one statement in PostgreSQL.

Posts may be pushed while a timeline is being built. Therefore the list is created with a mark before PostgreSQL is
read: it receives pushes, which are merged with the posts that were read. If the viewer follows or unfollows an account
meanwhile, the mark is removed and the build is discarded.

Posts of authors with many followers are not pushed: `author:{id}` has their recent posts, and reads merge them
(docs/decisions/0019-many-followers-are-merged.md). It keeps them for two hours, longer than any timeline lives.
"""

import secrets
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.core.feed_posts import FeedEntry, FeedSources
from layers.valkey import connection, fragments
from layers.valkey.connection import Call, Script, Value, mark_stale

MAX_ENTRIES: Final = 500
_TRIM_ENTRIES: Final = MAX_ENTRIES + 50
"""The length at which a list is cut to `MAX_ENTRIES`. Cutting it at each push would cost three more commands."""

_SECONDS: Final = 60 * 60
_BUILD_SECONDS: Final = 12
"""How long a build may take: longer than any statement."""

_POPULAR_SECONDS: Final = 2 * _SECONDS
_POPULAR_ENTRIES: Final = 100
_TOKEN_BYTES: Final = 13
_BATCH: Final = 1000


class TimelineState(Enum):
    """The state of a timeline when a page is read."""

    PAGE = "page"
    ABSENT = "absent"
    """There is no timeline; this reader must build it."""
    BUSY = "busy"
    """Another reader is building it."""
    BEYOND = "beyond"
    """The page reaches beyond the end of the timeline, so it must be read from PostgreSQL."""


class TimelinePage(msgspec.Struct, frozen=True):
    """A page of a timeline."""

    state: TimelineState
    token: bytes
    """Identifies the build of the timeline."""
    records: bytes = b""
    """What Valkey has of each post, for `fragments`; at most one more than the limit, which shows that there is a next
    page."""


READ: Final = Script("order", "deadlines", "read_page")


def read(viewer_id: UUID, *, before: bytes | None, limit: int) -> TimelinePage:
    """A page with what Valkey has of its posts, in one round trip. Raises `StoreUnavailable`.

    If there is no timeline, this call marks it as being built, and the caller must call `build`; if it does not, the
    timeline is busy until the mark expires.
    """
    call = read_call(viewer_id, before=before, limit=limit)
    return parse_page(call, connection.run(call)[0])


def read_call(viewer_id: UUID, *, before: bytes | None, limit: int) -> Call:
    """The call of `read`, to be made together with others; `parse_page` reads its reply."""
    token = secrets.token_bytes(_TOKEN_BYTES)
    return Call(READ, (viewer_id.bytes, before or b"", limit, token, _BUILD_SECONDS))


def parse_page(call: Call, reply: Sequence[Any]) -> TimelinePage:
    """The page for the reply to a call of `read_call`."""
    match reply:
        case [b"page", bytes(built_by), bytes(records)]:
            return TimelinePage(TimelineState.PAGE, built_by, records)
        case [bytes(state)]:
            return TimelinePage(TimelineState(state.decode()), cast("bytes", call.values[3]))
        case _:
            raise ValueError(reply)


BUILD: Final = Script("order", "versions", "deadlines", "merge", "read_page")


def build(
    viewer_id: UUID, page: TimelinePage, sources: FeedSources, *, before: bytes | None, limit: int
) -> TimelinePage:
    """Store the timeline that `page` has marked as being built, and read the page. Raises `StoreUnavailable`.

    The state is busy if the viewer has followed or unfollowed an account meanwhile.
    """
    page_values = (viewer_id.bytes, before or b"", limit, page.token, _BUILD_SECONDS)
    build_values: list[Value] = [sources.posts, sources.followed, int(sources.has_older), _SECONDS]
    build_values.append(fragments.BITS_SECONDS)
    for mark in sources.marks:
        build_values += (mark.post_id, f"{mark.is_liked:d}{mark.version}", f"{mark.is_saved:d}")
    call = Call(BUILD, (*page_values, *build_values))
    return parse_page(call, connection.run(call)[0])


REPAIR: Final = Script("order", "versions", "repair")


def repair(viewer_id: UUID, page: TimelinePage, *, found: Sequence[FeedEntry], deleted: Sequence[bytes]) -> None:
    """Store what was read from PostgreSQL for a page, and remove deleted posts from the timeline ("read repair").

    Raises `StoreUnavailable`.
    """
    values: list[Value] = [viewer_id.bytes, page.token, fragments.SECONDS, fragments.BITS_SECONDS, len(found)]
    for entry in found:
        liked = f"{entry.is_liked or False:d}{entry.version}"
        values += (entry.post_id, fragments.pack(entry), liked, f"{entry.is_saved or False:d}")
    REPAIR(*values, *deleted)


PUSH: Final = Script("order", "push")


def push(user_ids: Sequence[UUID], post_id: UUID) -> None:
    """Insert a post, in order, into those of the users' timelines that exist; at most about 1,000 users per call.

    Raises `StoreUnavailable`.
    """
    PUSH(post_id.bytes, b"".join([user_id.bytes for user_id in user_ids]), MAX_ENTRIES, _TRIM_ENTRIES)


PUSH_POPULAR: Final = Script("deadlines", "push_popular")


def push_popular(author_id: UUID, post_id: UUID) -> None:
    """Store a post of an author with many followers, to be merged when they read. Raises `StoreUnavailable`."""
    PUSH_POPULAR(post_id.bytes, author_id.bytes, _POPULAR_ENTRIES, _POPULAR_SECONDS)


ADD_FOLLOWED: Final = Script("add_followed")


def add_followed(user_id: UUID, target_id: UUID) -> bool:
    """Show the target's posts in the user's next feed. Call it after the commit; False without Valkey."""
    return add_followed_for_all([user_id], target_id)


def add_followed_for_all(user_ids: Sequence[UUID], target_id: UUID) -> bool:
    """Show the target's posts in the next feeds of these users. Call it after the commit; False without Valkey."""
    for start in range(0, len(user_ids), _BATCH):
        batch = user_ids[start : start + _BATCH]
        try:
            ADD_FOLLOWED(target_id.bytes, *(user_id.bytes for user_id in batch))
        except StoreUnavailable:
            mark_stale(key for user_id in user_ids[start:] for key in _keys(user_id))
            return False
    return True


REMOVE_FOLLOWED: Final = Script("order", "remove_followed")


def remove_followed(user_id: UUID, target_id: UUID) -> bool:
    """Hide the target's posts in the user's next feed. Call it after the commit; False without Valkey."""
    try:
        REMOVE_FOLLOWED(user_id.bytes, target_id.bytes)
    except StoreUnavailable:
        mark_stale(_keys(user_id))
        return False
    return True


SET_BANNED: Final = Script("deadlines", "set_banned")


def set_banned(author_id: UUID, *, is_banned: bool = True) -> None:
    """Hide the author's posts in all feeds, or show them in feeds that are built later. Raises `StoreUnavailable`."""
    SET_BANNED(author_id.bytes, int(is_banned), _POPULAR_SECONDS)


def _keys(user_id: UUID) -> tuple[bytes, bytes]:
    return b"timeline:" + user_id.bytes, b"following:" + user_id.bytes
