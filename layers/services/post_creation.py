"""Creating a post: rows first, files second (docs/decisions/0010-rows-first-events-second.md).

So every stored file belongs to a row, and every acknowledged post is in PostgreSQL. When a file has been stored, the
notification of the object store starts its processing (`layers.services.publication`).
"""

import contextlib
from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec

from layers.core import metrics
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.models import Filter, Post, Viewer
from layers.media import photos
from layers.postgres import posts, uploads
from layers.postgres.connection import autocommit, transaction
from layers.postgres.posts import NewPicture


class PostDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A post that is about to be created."""

    id: UUID
    caption: str
    location: str | None
    tags: Sequence[str]
    filters: Sequence[Filter]
    original_keys: Sequence[str]
    """The keys of the original files of its pictures, in order."""
    upload_ids: Sequence[UUID] = ()
    """The uploads that become its pictures; none if the files were sent with the request."""
    store_originals: Callable[[], None]
    """Stores the original files under their keys; raises an error if that fails."""


def create(draft: PostDraft, viewer: Viewer) -> Post:
    """Create a post and store its files, which starts their processing; may be repeated with the same id.

    If the files cannot be stored, the post is removed again. Raises `StoreUnavailable`, or `Invalid` if an upload was
    used by another post.
    """
    pictures = [
        NewPicture(id=new_id(), original_key=key, filter=filter_)
        for key, filter_ in zip(draft.original_keys, draft.filters, strict=True)
    ]
    with transaction() as db:
        posts.create(
            db,
            post_id=draft.id,
            user_id=viewer.id,
            caption=draft.caption,
            location=draft.location,
            tags=draft.tags,
            pictures=pictures,
        )
        if draft.upload_ids:
            uploads.take(db, upload_ids=draft.upload_ids, user_id=viewer.id, post_id=draft.id)
        post = posts.read(db, post_id=draft.id, viewer=viewer)
    if post.status == "processing":  # otherwise an earlier request with the same id has stored the files
        _store_originals(draft)
    metrics.POSTS_CREATED.inc()
    return post


def _store_originals(draft: PostDraft) -> None:
    try:
        draft.store_originals()
    except BaseException:
        # If PostgreSQL is unavailable too, the sweeper fails the post, because its files never arrive.
        with contextlib.suppress(StoreUnavailable), autocommit() as db:
            posts.withdraw(db, post_id=draft.id, keys=photos.all_keys(draft.id, draft.original_keys))
        raise
