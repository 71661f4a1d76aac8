"""Removing a deleted post from feeds and from the object store."""

import contextlib
from collections.abc import Sequence
from uuid import UUID

from layers.core import metrics
from layers.core.errors import StoreUnavailable
from layers.media import photos
from layers.postgres import posts
from layers.postgres.connection import autocommit
from layers.postgres.posts import DeletedPost
from layers.valkey import fragments


def hide_and_remove_files(post_id: UUID, deleted: DeletedPost) -> None:
    """Remove a deleted post from the feeds, and its files from the object store. Call it after the commit.

    Files that cannot be removed now are removed by the sweeper.
    """
    fragments.mark_deleted(post_id)
    metrics.POSTS_DELETED.inc()
    remove_files(post_id, deleted.original_keys)


def remove_files(post_id: UUID, original_keys: Sequence[str]) -> bool:
    """Remove all files of a deleted post; False if the object store is unavailable."""
    if not photos.remove_files(post_id, original_keys):
        return False
    # Without this mark the sweeper removes them again, which is harmless.
    with contextlib.suppress(StoreUnavailable), autocommit() as db:
        posts.mark_media_removed(db, post_id=post_id)
    return True
