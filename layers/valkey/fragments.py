"""Posts as feeds show them, and who has liked or saved which.

`post:{id}` (5 min) is a packed header and the post's JSON without anything that depends on the viewer;
`liked:{viewer}` and `saved:{viewer}` (1 h) are hashes of post id to bit. Ids in keys are their 16 bytes. The newest
version wins whatever the order in which writes arrive, so that a slow fill never brings back what was.

Each function is called after the commit that it tells of, and gives False when Valkey is away; what it could not
tell is removed, by this process, before it asks Valkey anything else.
"""

import itertools
import struct
from collections.abc import Mapping
from typing import Final, Protocol
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.core.home_feed import Entry
from layers.valkey.connection import Script, Value, distrust

SECONDS: Final = 5 * 60
BITS_SECONDS: Final = 60 * 60

_AT_ONCE: Final = 1000
_COUNTS: Final = struct.Struct(">QII")
_HEADER: Final = struct.Struct(">QII16s")


class Counts(Protocol):
    """What the rows say of a post after a change."""

    @property
    def version(self) -> int:
        """Greater than at any time before."""

    @property
    def like_count(self) -> int:
        """Likes."""

    @property
    def comment_count(self) -> int:
        """Comments, replies included."""


COUNTED: Final = Script("order", "versions", "counted")


def counted(post_id: UUID, *, counts: Counts) -> bool:
    """These are a post's counts since a comment came or went."""
    return all_counted({post_id: counts})


def all_counted(posts: Mapping[UUID, Counts]) -> bool:
    """These are the posts' counts since an account went, with all that it liked and said."""
    told = True
    for some in itertools.batched(posts.items(), _AT_ONCE, strict=False):
        values = (value for post_id, counts in some for value in (post_id.bytes, _packed(counts)))
        told &= _told(COUNTED, (SECONDS, *values), *(b"post:" + post_id.bytes for post_id, _ in some))
    return told


LIKED: Final = Script("order", "versions", "liked")


def liked(viewer_id: UUID, post_id: UUID, *, liked: bool, counts: Counts) -> bool:
    """A viewer gave or took back a like, and these are the post's counts since."""
    values = (post_id.bytes, _packed(counts), SECONDS, viewer_id.bytes, f"{liked:d}{counts.version}", BITS_SECONDS)
    return _told(LIKED, values, b"post:" + post_id.bytes, b"liked:" + viewer_id.bytes)


SAVED: Final = Script("saved")


def saved(viewer_id: UUID, post_id: UUID, *, saved: bool) -> bool:
    """A viewer saved a post, or does not any more."""
    values = (post_id.bytes, viewer_id.bytes, f"{saved:d}", BITS_SECONDS)
    return _told(SAVED, values, b"saved:" + viewer_id.bytes)


DELETED: Final = Script("order", "deleted")


def deleted(post_id: UUID) -> bool:
    """A post is gone: the very next feed lacks it."""
    values = (post_id.bytes, SECONDS)
    return _told(DELETED, values, b"post:" + post_id.bytes)


def packed(entry: Entry) -> bytes:
    """A fragment of what the rows said."""
    header = _HEADER.pack(entry.version, entry.like_count, entry.comment_count, entry.author_id)
    return header + (entry.body or b"")


def unpacked(post_id: bytes, fragment: bytes | None, liked_bit: bytes | None, saved_bit: bytes | None) -> Entry:
    """An entry of a page as the scripts give it; an empty fragment only shows that there is more."""
    is_liked = None if liked_bit is None else liked_bit[:1] == b"1"
    is_saved = None if saved_bit is None else saved_bit[:1] == b"1"
    if not fragment:
        return Entry(post_id, fragment, 0, 0, is_liked, is_saved)
    version, like_count, comment_count, author_id = _HEADER.unpack_from(fragment)
    body = fragment[_HEADER.size :]
    return Entry(post_id, body, like_count, comment_count, is_liked, is_saved, author_id, version)


def _packed(counts: Counts) -> bytes:
    return _COUNTS.pack(counts.version, counts.like_count, counts.comment_count)


def _told(script: Script, values: tuple[Value, ...], *keys: bytes) -> bool:
    try:
        script(*values)
    except StoreUnavailable:
        distrust(keys)
        return False
    return True
