"""Removing a deleted post from feeds and from the object store."""

from collections.abc import Sequence
from uuid import UUID

from layers.core import metrics
from layers.media import photos
from layers.postgres import posts
from layers.postgres.connection import autocommit
from layers.postgres.posts import DeletedPost
from layers.valkey import fragments


def hide_and_remove_files(post_id: UUID, deleted: DeletedPost) -> None:
    """Remove a deleted post from the feeds, and its files from the object store. Call it after the commit.

    A request that stores renditions of the post may still run, or the object store may be unavailable. Therefore the
    sweeper calls `remove_files_again` when all such requests must have ended.
    """
    fragments.mark_deleted(post_id)
    metrics.POSTS_DELETED.inc()
    photos.remove_files(post_id, deleted.original_keys)


def remove_files_again(post_id: UUID, original_keys: Sequence[str]) -> bool:
    """Remove all files of a deleted post for the last time; False if the object store is unavailable."""
    if not photos.remove_files(post_id, original_keys):
        return False
    with autocommit() as db:
        posts.mark_media_removed(db, post_id=post_id)
    return True
