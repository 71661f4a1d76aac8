"""The files of an account that is removed."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from layers.core import story_files
from layers.core.errors import StoreUnavailable
from layers.core.logging import logger
from layers.media import avatars, connection, photos, uploads


def keys_of_account(
    *, posts: Mapping[UUID, Sequence[str]], story_ids: Sequence[UUID], avatar_id: UUID | None
) -> list[str]:
    """The keys of all objects of an account, except uploads; `posts` has the keys of originals by post id."""
    of_posts = [key for post_id, original_keys in posts.items() for key in photos.all_keys(post_id, original_keys)]
    of_stories = [key for story_id in story_ids for key in story_files.keys(story_id)]
    return [*of_posts, *of_stories, *([avatars.key(avatar_id)] if avatar_id else [])]


def keys_of_uploads(upload_ids: Sequence[UUID]) -> list[str]:
    """The keys of the objects of these uploads."""
    return [uploads.key(upload_id) for upload_id in upload_ids]


def remove(keys: Sequence[str]) -> None:
    """Remove the objects that exist. Raises `StoreUnavailable`; then some may have been removed."""
    connection.remove(keys)


def try_remove(keys: Sequence[str]) -> bool:
    """Remove the objects; False if the store is unavailable, and then the sweeper removes them."""
    try:
        connection.remove(keys)
    except StoreUnavailable:
        logger().warning("files not removed yet", files=len(keys))
        return False
    return True
