"""Posts of feeds, as PostgreSQL reads them, Valkey caches them and the home feed returns them.

Ids are 16 bytes; their order is the order in which the posts were created.
"""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from layers.core.models import Filter, PostStatus, Shape, Time


class FragmentPicture(Shape, frozen=True, kw_only=True):
    """A picture of a published post in a fragment."""

    id: str
    media_type: Literal["image"] = "image"
    filter_applied: Filter
    width: int | None
    height: int | None
    order_index: int
    status: PostStatus
    files: str
    """`media_links.POST_MARK` and the picture's index. Its URLs are made from these and the post's id while answering.
    """


class FragmentBody(Shape, frozen=True, kw_only=True):
    """The JSON of a fragment: the same for every viewer. Counts, `isLiked` and `isSaved` are added while answering."""

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
    media: list[FragmentPicture]

    def encode(self) -> bytes:
        """The JSON without its closing brace, so that more members can be appended."""
        return msgspec.json.encode(self)[:-1]


class FeedEntry(msgspec.Struct):
    """One post on a page of the feed; `is_liked` and `is_saved` are None if Valkey does not have them."""

    post_id: bytes
    body: bytes | None
    """A `FragmentBody`, encoded; None if Valkey does not have it."""
    like_count: int = 0
    comment_count: int = 0
    is_liked: bool | None = False
    is_saved: bool | None = False
    author_id: bytes = b""
    version: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing has to be read from PostgreSQL."""
        return self.body is not None and self.is_liked is not None and self.is_saved is not None


class FeedMark(msgspec.Struct, frozen=True):
    """Whether the viewer likes a post and has saved it, as its row was at this version."""

    post_id: bytes
    version: int
    is_liked: bool
    is_saved: bool


class FeedSources(msgspec.Struct, frozen=True):
    """What a timeline is built from."""

    followed: bytes
    """Ids of the followed accounts that are not banned, and of the viewer, concatenated."""
    posts: bytes
    """Ids of their newest posts, newest first, concatenated."""
    has_older: bool
    """Whether older posts exist that are not in `posts`."""
    marks: Sequence[FeedMark] = ()
    """The marks of the first of the posts, one page or fewer, in order."""
