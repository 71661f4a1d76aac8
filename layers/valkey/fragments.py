"""Posts as feeds show them, and who has liked or saved which.

`post:{id}` (5 min) is a packed header and the post's JSON without anything that depends on the viewer;
`liked:{viewer}` and `saved:{viewer}` (1 h) are hashes of post id to bit. Ids in keys are their 16 bytes. The newest
version wins whatever the order in which writes arrive, so that a slow fill never brings back what was.

Each function is called after the commit that it tells of, and gives False when Valkey is away; what it could not
tell is removed, by this process, before it asks Valkey anything else.
"""

import struct
from typing import Final
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.core.home_feed import Entry
from layers.valkey.connection import Script, Value, distrust

SECONDS: Final = 5 * 60
BITS_SECONDS: Final = 60 * 60

_COUNTS: Final = struct.Struct(">QII")
_HEADER: Final = struct.Struct(">QII16s")

COUNTED: Final = Script("order", "versions", "counted")


def counted(post_id: UUID, version: int, like_count: int, comment_count: int) -> bool:
    """A post's counts are these since `version`."""
    values = (post_id.bytes, _COUNTS.pack(version, like_count, comment_count), SECONDS)
    return _told(COUNTED, values, b"post:" + post_id.bytes)


LIKED: Final = Script("order", "versions", "liked")


def liked(
    viewer_id: UUID, post_id: UUID, *, is_liked: bool, version: int, like_count: int, comment_count: int
) -> bool:
    """A viewer gave or took back a like, and the post's counts are these since `version`."""
    counts = _COUNTS.pack(version, like_count, comment_count)
    values = (post_id.bytes, counts, SECONDS, viewer_id.bytes, f"{is_liked:d}{version}", BITS_SECONDS)
    return _told(LIKED, values, b"post:" + post_id.bytes, b"liked:" + viewer_id.bytes)


SAVED: Final = Script("saved")


def saved(viewer_id: UUID, post_id: UUID, *, is_saved: bool) -> bool:
    """A viewer saved a post, or does not any more."""
    values = (post_id.bytes, viewer_id.bytes, f"{is_saved:d}", BITS_SECONDS)
    return _told(SAVED, values, b"saved:" + viewer_id.bytes)


DELETED: Final = Script("order", "deleted")


def deleted(post_id: UUID, author_id: UUID) -> bool:
    """A post is gone: the very next feed lacks it."""
    values = (post_id.bytes, SECONDS, author_id.bytes)
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


def _told(script: Script, values: tuple[Value, ...], *keys: bytes) -> bool:
    try:
        script(*values)
    except StoreUnavailable:
        distrust(keys)
        return False
    return True
