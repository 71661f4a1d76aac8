"""Fragments of posts, and the viewers' likes and saves (docs/decisions/0017-cached-posts-carry-a-version.md).

`post:{id}` (5 min) is a packed header and a body, the JSON of the post without anything that depends on the viewer;
`liked:{viewer}` and `saved:{viewer}` (1 h) are hashes of post id to bit. Ids in keys are their 16 bytes. The newest
version of a post wins in whatever order writes arrive, so a slow reader never overwrites newer data.

The header has a digest of the body. A page brings headers only, 40 bytes a post: each process keeps the bodies that it
has read, by post and digest, and asks for those that it does not have.

Call each function after the commit of the change. It returns False without Valkey; then this process deletes the keys
that missed the change before its next call to Valkey.
"""

import hashlib
import itertools
import struct
from collections.abc import Iterable, Sequence
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
_HEADER: Final = struct.Struct(">QII16s8s")
_ID_BYTES: Final = 16
_DIGEST_BYTES: Final = 8
_NO_BODY: Final = bytes(_DIGEST_BYTES)
_NO_AUTHOR: Final = bytes(_ID_BYTES)
_MAX_BODIES: Final = 4096
"""Bodies that a process keeps: about 4 MB."""

_bodies: dict[tuple[bytes, bytes], bytes] = {}


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
    body = entry.body or b""
    digest = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() if body else _NO_BODY
    if body:
        _keep_body(entry.post_id, digest, body)
    return _HEADER.pack(entry.version, entry.like_count, entry.comment_count, entry.author_id, digest) + body


def unpack(
    ids: bytes, headers: bytes, liked: Iterable[bytes | None], saved: Iterable[bytes | None], *, limit: int
) -> Sequence[FeedEntry]:
    """The entries for a reply of `read_page`. Raises `StoreUnavailable`.

    Bodies that this process does not have are read in one more round trip. The entry after `limit` only shows that
    there is a next page: its body is empty.
    """
    entries = []
    post_ids = [ids[at : at + _ID_BYTES] for at in range(0, len(ids), _ID_BYTES)]
    rows = zip(post_ids, _HEADER.iter_unpack(headers), liked, saved, strict=True)
    for post_id, (version, like_count, comment_count, author_id, digest), liked_bit, saved_bit in rows:
        is_liked = None if liked_bit is None else liked_bit[:1] == b"1"
        is_saved = None if saved_bit is None else saved_bit[:1] == b"1"
        body = _bodies.get((post_id, digest))
        entries.append(FeedEntry(post_id, body, like_count, comment_count, is_liked, is_saved, author_id, version))
    for entry in entries[limit:]:
        if entry.author_id != _NO_AUTHOR:
            entry.body, entry.is_liked, entry.is_saved = b"", False, False
    if missing := [entry for entry in entries if entry.body is None and entry.author_id != _NO_AUTHOR]:
        _read_bodies(missing)
    return entries


def forget_bodies() -> None:
    """Forget the bodies that this process has read, as a new process."""
    _bodies.clear()


READ_FRAGMENTS: Final = Script("read_fragments")


def _read_bodies(entries: Sequence[FeedEntry]) -> None:
    """Fill the entries with the fragments as they are now; an entry whose fragment is gone keeps no body."""
    for entry, fragment in zip(entries, READ_FRAGMENTS(*(entry.post_id for entry in entries)), strict=True):
        if fragment and len(fragment) > _HEADER.size:
            version, like_count, comment_count, author_id, digest = _HEADER.unpack_from(fragment)
            entry.body = fragment[_HEADER.size :]
            entry.version, entry.author_id = version, author_id
            entry.like_count, entry.comment_count = like_count, comment_count
            _keep_body(entry.post_id, digest, entry.body)


def _keep_body(post_id: bytes, digest: bytes, body: bytes) -> None:
    """Keep a body in this process; when there are too many, the oldest quarter is forgotten."""
    if len(_bodies) >= _MAX_BODIES:
        for key in list(itertools.islice(_bodies, _MAX_BODIES // 4)):
            _bodies.pop(key, None)
    _bodies[post_id, digest] = body


def _pack_counts(counts: PostCounts) -> bytes:
    return _COUNTS.pack(counts.version, counts.like_count, counts.comment_count)


def _run(script: Script, values: tuple[Value, ...], *keys: bytes) -> bool:
    try:
        script(*values)
    except StoreUnavailable:
        mark_stale(keys)
        return False
    return True
