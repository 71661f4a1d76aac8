"""Rows of posts with their author and pictures, which posts and feeds read."""

from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from layers.core.models import Filter, Media, Post, PostStatus, Time, links_of

type PictureColumns = tuple[str, Filter, int | None, int | None, int, PostStatus, str | None]
"""id, filter, width, height, order index, status, failure."""

_PICTURES: Final = msgspec.json.Decoder(list[PictureColumns])


class PostRow(msgspec.Struct, frozen=True):
    """The columns of `columns.POST`, in their order."""

    version: int
    id: UUID
    user_id: UUID
    username: str
    display_name: str
    profile_picture_url: str | None
    caption: str
    location: str | None
    tags: list[str]
    status: PostStatus
    like_count: int
    comment_count: int
    created_at: Time
    is_liked: bool
    is_saved: bool
    media: str

    @property
    def pictures(self) -> list[PictureColumns]:
        """The columns of the pictures, in order."""
        return _PICTURES.decode(self.media)

    def to_post(self) -> Post:
        """The post as answers show it."""
        return Post(
            id=self.id,
            user_id=self.user_id,
            username=self.username,
            display_name=self.display_name,
            profile_picture_url=self.profile_picture_url,
            caption=self.caption,
            location=self.location,
            tags=self.tags,
            status=self.status,
            like_count=self.like_count,
            comment_count=self.comment_count,
            created_at=self.created_at,
            is_liked=self.is_liked,
            is_saved=self.is_saved,
            media=[_media(self.id, picture) for picture in self.pictures],
        )


def _media(post_id: UUID, columns: PictureColumns) -> Media:
    media_id, filter_, width, height, order_index, status, failure = columns
    links = links_of(post_id, order_index) if status == "published" else None
    return Media(
        id=UUID(media_id),
        media_url=links.media_url if links else None,
        thumbnail_url=links.thumbnail_url if links else None,
        renditions=links.renditions if links else None,
        filter_applied=filter_,
        width=width,
        height=height,
        order_index=order_index,
        status=status,
        failure=UNSET if failure is None else failure,
    )
