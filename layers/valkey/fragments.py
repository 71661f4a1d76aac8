"""Fragments of posts, and the viewers' likes and saves (docs/decisions/0017-cached-posts-carry-a-version.md).

`post:{id}` (5 min) is a packed header and the JSON of the post without anything that depends on the viewer;
`liked:{viewer}` and `saved:{viewer}` (1 h) are hashes of post id to bit. Ids in keys are their 16 bytes. The newest
version of a post wins in whatever order writes arrive, so a slow reader never overwrites newer data.

Call each function after the commit of the change. It returns False without Valkey; then this process deletes the keys
that missed the change before its next call to Valkey.
"""

import itertools
import struct
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.core.feed_posts import FeedEntry
from layers.core.models import PostCounts
from layers.valkey.connection import Script, Value, mark_stale

SECONDS: Final = 5 * 60
BITS_SECONDS: Final = 60 * 60

_BATCH: Final = 1000
_COUNTS: Final = struct.Struct(">QII")
_HEADER: Final = struct.Struct(">QII16s")


UPDATE_COUNTS: Final = Script("order", "versions", "update_counts")


def update_counts(counts: PostCounts) -> bool:
    """Store the counts of a post after a comment was added or removed."""
    return update_all_counts([counts])


def update_all_counts(posts: Sequence[PostCounts]) -> bool:
    """Store the counts of several posts, after an account was removed with its likes and comments."""
    are_stored = True
    for batch in itertools.batched(posts, _BATCH, strict=False):
        values = (value for counts in batch for value in (counts.post_id.bytes, _pack_counts(counts)))
        are_stored &= _run(UPDATE_COUNTS, (SECONDS, *values), *(b"post:" + counts.post_id.bytes for counts in batch))
    return are_stored


UPDATE_LIKE: Final = Script("order", "versions", "update_like")


def update_like(viewer_id: UUID, *, is_liked: bool, counts: PostCounts) -> bool:
    """Store whether a viewer likes a post, and its counts after the change."""
    post_id = counts.post_id.bytes
    bit = f"{is_liked:d}{counts.version}"
    values = (post_id, _pack_counts(counts), SECONDS, viewer_id.bytes, bit, BITS_SECONDS)
    return _run(UPDATE_LIKE, values, b"post:" + post_id, b"liked:" + viewer_id.bytes)


UPDATE_SAVE: Final = Script("update_save")


def update_save(viewer_id: UUID, post_id: UUID, *, is_saved: bool) -> bool:
    """Store whether a viewer has saved a post."""
    values = (post_id.bytes, viewer_id.bytes, f"{is_saved:d}", BITS_SECONDS)
    return _run(UPDATE_SAVE, values, b"saved:" + viewer_id.bytes)


MARK_DELETED: Final = Script("order", "mark_deleted")


def mark_deleted(post_id: UUID) -> bool:
    """Remove a deleted post from all feeds, from the next read on."""
    return _run(MARK_DELETED, (post_id.bytes, SECONDS), b"post:" + post_id.bytes)


def pack(entry: FeedEntry) -> bytes:
    """The fragment for an entry read from PostgreSQL."""
    header = _HEADER.pack(entry.version, entry.like_count, entry.comment_count, entry.author_id)
    return header + (entry.body or b"")


def unpack(post_id: bytes, fragment: bytes | None, liked_bit: bytes | None, saved_bit: bytes | None) -> FeedEntry:
    """The entry for a reply of the scripts; an empty fragment is the entry that shows that there is a next page."""
    is_liked = None if liked_bit is None else liked_bit[:1] == b"1"
    is_saved = None if saved_bit is None else saved_bit[:1] == b"1"
    if not fragment:
        return FeedEntry(post_id, fragment, 0, 0, is_liked, is_saved)
    version, like_count, comment_count, author_id = _HEADER.unpack_from(fragment)
    body = fragment[_HEADER.size :]
    return FeedEntry(post_id, body, like_count, comment_count, is_liked, is_saved, author_id, version)


def _pack_counts(counts: PostCounts) -> bytes:
    return _COUNTS.pack(counts.version, counts.like_count, counts.comment_count)


def _run(script: Script, values: tuple[Value, ...], *keys: bytes) -> bool:
    try:
        script(*values)
    except StoreUnavailable:
        mark_stale(keys)
        return False
    return True
