"""Home timelines: which posts a viewer's feed shows. The port that core's home feed names `Timelines`.

`timeline:{viewer}` is a list of post ids, newest first and each once, that ends with a sentinel; `following:{viewer}`
is the set of authors whose posts it may show, the viewer included. Ids are their 16 bytes, in keys too. Both live for
an hour from the moment they were built, read or not: whatever a lost message or a missed write made of them heals
then, and nothing is pushed to people who are not there. Building them anew takes one statement.

A build races with pushes, so it marks the list first: a list with the mark receives pushes, and is merged with the
rows in the end. A follow or unfollow meanwhile removes the mark, and with it the build.

Posts of stars, authors with very many followers, are not pushed: `author:{id}` keeps their recent ones, and reads
merge them. Two hours of them are enough, as each timeline was built from the rows since.
"""

import secrets
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from layers.core.errors import StoreUnavailable
from layers.core.home_feed import Entry, Reading, Sources, State
from layers.valkey import fragments
from layers.valkey.connection import Script, Value, distrust

KEPT: Final = 500
_GATHERED: Final = KEPT + 50
"""A full list is cut only when it has grown by so many: cutting at every push costs three more commands."""

_SECONDS: Final = 60 * 60
_BUILD_SECONDS: Final = 12
"""Longer than any statement may take."""

_STAR_SECONDS: Final = 2 * _SECONDS
_STAR_KEPT: Final = 100
_TOKEN_BYTES: Final = 13
_AT_ONCE: Final = 1000

READ: Final = Script("order", "read_page")


def read(viewer_id: UUID, *, before: bytes | None, limit: int) -> Reading:
    """A page with what Valkey knows of its posts: one round trip.

    Where there is no timeline, this has begun to build it: `build` it, or it stays busy for some seconds.
    """
    token = secrets.token_bytes(_TOKEN_BYTES)
    return _reading(READ(viewer_id.bytes, before or b"", limit, token, _BUILD_SECONDS), token)


BUILD: Final = Script("order", "merge", "read_page")


def build(viewer_id: UUID, reading: Reading, sources: Sources, *, before: bytes | None, limit: int) -> Reading:
    """End the build that `reading` began, and read the page; busy if a follow or unfollow called it off."""
    page = (viewer_id.bytes, before or b"", limit, reading.token, _BUILD_SECONDS)
    rows = (sources.posts, sources.followed, int(sources.has_older), _SECONDS)
    return _reading(BUILD(*page, *rows), reading.token)


HEAL: Final = Script("order", "versions", "heal")


def heal(viewer_id: UUID, reading: Reading, *, found: Sequence[Entry], gone: Sequence[bytes]) -> None:
    """Keep what the rows said of posts that the page lacked; take those that are gone from the timeline."""
    values: list[Value] = [viewer_id.bytes, reading.token, fragments.SECONDS, fragments.BITS_SECONDS, len(found)]
    for entry in found:
        liked = f"{entry.is_liked or False:d}{entry.version}"
        values += (entry.post_id, fragments.packed(entry), liked, f"{entry.is_saved or False:d}")
    HEAL(*values, *gone)


def publish(post_id: UUID, author_id: UUID, audience: Iterable[Sequence[UUID]] | None) -> None:
    """Bring a published post to its author's and followers' timelines; harmless when repeated.

    `audience` gives the followers in batches; None is a star's. Raises `StoreUnavailable`.
    """
    push([author_id], post_id)
    if audience is None:
        push_star(author_id, post_id)
    else:
        for followers in audience:
            push(followers, post_id)


PUSH: Final = Script("order", "push")


def push(user_ids: Sequence[UUID], post_id: UUID) -> None:
    """Put a post at its place in those of the users' timelines that exist; at most some 1,000 users at a time."""
    PUSH(post_id.bytes, b"".join([user_id.bytes for user_id in user_ids]), KEPT, _GATHERED)


PUSH_STAR: Final = Script("push_star")


def push_star(author_id: UUID, post_id: UUID) -> None:
    """Keep a star's post for the reads of its followers."""
    PUSH_STAR(post_id.bytes, author_id.bytes, _STAR_KEPT, _STAR_SECONDS)


FOLLOWED: Final = Script("followed")


def followed(user_id: UUID, target_id: UUID) -> bool:
    """The next feed of the user holds the target's posts. Call after the commit; False when Valkey is away."""
    return followed_by_all([user_id], target_id)


def followed_by_all(user_ids: Sequence[UUID], target_id: UUID) -> bool:
    """The next feeds of these users hold the target's posts. Call after the commit; False when Valkey is away."""
    for start in range(0, len(user_ids), _AT_ONCE):
        some = user_ids[start : start + _AT_ONCE]
        try:
            FOLLOWED(target_id.bytes, *(user_id.bytes for user_id in some))
        except StoreUnavailable:
            distrust(key for user_id in user_ids[start:] for key in _keys(user_id))
            return False
    return True


UNFOLLOWED: Final = Script("order", "unfollowed")


def unfollowed(user_id: UUID, target_id: UUID) -> bool:
    """The next feed of the user lacks the target's posts. Call after the commit; False when Valkey is away."""
    try:
        UNFOLLOWED(user_id.bytes, target_id.bytes)
    except StoreUnavailable:
        distrust(_keys(user_id))
        return False
    return True


BANNED: Final = Script("banned")


def banned(author_id: UUID, *, is_banned: bool = True) -> None:
    """No feed shows the author's posts from now on, or feeds built from now on do again. Raises `StoreUnavailable`."""
    BANNED(author_id.bytes, int(is_banned), _STAR_SECONDS)


def _keys(user_id: UUID) -> tuple[bytes, bytes]:
    return b"timeline:" + user_id.bytes, b"following:" + user_id.bytes


def _reading(reply: Sequence[bytes | int | None], token: bytes) -> Reading:
    match reply:
        case [b"page", _, bytes(built_by), *values]:
            quads = zip(values[::4], values[1::4], values[2::4], values[3::4], strict=True)
            return Reading(State.PAGE, built_by, [fragments.unpacked(*quad) for quad in quads])  # type: ignore[arg-type]
        case [bytes(state)]:
            return Reading(State(state.decode()), token)
        case _:
            raise ValueError(reply)
