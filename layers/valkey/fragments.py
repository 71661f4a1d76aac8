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
_HEADER: Final = struct.Struct(">QII16s8s")
_RECORD: Final = struct.Struct(">16sQII16s8scc")
"""An id, a header, and whether the viewer likes and has saved the post."""

_AUTHOR: Final = slice(32, 48)
_BITS: Final[dict[bytes, bool | None]] = {b"1": True, b"0": False, b"-": None}
_ID_BYTES: Final = 16
_DIGEST_BYTES: Final = 8
_NO_BODY: Final = bytes(_DIGEST_BYTES)
NO_AUTHOR: Final = bytes(_ID_BYTES)
"""The author of a post that Valkey does not have."""

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


MARK_DELETED: Final = Script("order", "deadlines", "mark_deleted")


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


def split(records: bytes) -> list[bytes]:
    """Each record in a reply of `read_page`."""
    return [records[at : at + _RECORD.size] for at in range(0, len(records), _RECORD.size)]


def unpack(records: bytes) -> list[FeedEntry]:
    """The entries of records. A body that this process does not have is None; `add_bodies` reads it."""
    entries = []
    for post_id, version, like_count, comment_count, author_id, digest, liked, saved in _RECORD.iter_unpack(records):
        body = _bodies.get((post_id, digest))
        bits = _BITS[liked], _BITS[saved]
        entries.append(FeedEntry(post_id, body, like_count, comment_count, *bits, author_id, version))
    return entries


def add_bodies(entries: Sequence[FeedEntry]) -> None:
    """Read the bodies that are missing and that Valkey has, in one more round trip. Raises `StoreUnavailable`."""
    if missing := [entry for entry in entries if entry.body is None and entry.author_id != NO_AUTHOR]:
        _read_bodies(missing)


def post_id(record: bytes) -> bytes:
    """The id of the post of a record."""
    return record[:_ID_BYTES]


def is_known(record: bytes) -> bool:
    """Whether Valkey had the post when the page was read."""
    return record[_AUTHOR] != NO_AUTHOR


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
