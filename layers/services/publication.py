"""Publishing a post (R-M5, R-M6): its pictures are processed, the last one publishes it, and a bad one makes it fail.

The consumer of the queue `photo-uploaded` calls this for each original that was stored; the sweeper calls it for
pictures whose message was lost. Every step may be repeated.
"""

import contextlib
from typing import Final
from uuid import UUID

import msgspec

from layers.core.errors import BadPicture
from layers.media import photos, renditions
from layers.postgres import posts
from layers.postgres.connection import autocommit, transaction
from layers.services import live_events, relay, turns

FAILURE: Final = "The picture could not be processed."


class PostPicture(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of a post."""

    post_id: UUID
    order_index: int
    original_key: str


def process_picture(picture: PostPicture, *, takes_turns: bool = False) -> bool:
    """Render and store one picture, and publish its post if it was the last one; whether the post was `processing`.

    A picture that cannot be decoded makes its post fail. A post that is published, failed or deleted is not changed.
    Raises `PostNotFound` for a post whose rows do not exist, `LookupError` if the original is not stored,
    `StoreUnavailable`, and with `takes_turns` `Postponed` if the author's pictures have taken long.
    """
    with autocommit() as db:
        state = posts.read_state(db, post_id=picture.post_id)
    status = state.status
    is_processing = status == "processing"
    if is_processing:
        try:
            with turns.take(state.author_id) if takes_turns else contextlib.nullcontext():
                original = _read_original(picture)
                with photos.storing(picture.post_id, picture.order_index) as store:
                    photo = renditions.render_photo(original, store)
        except BadPicture as error:  # a retry cannot help
            fail_picture(picture, str(error))
            return True
        status = _finish_picture(picture, photo)
    if status == "deleted":  # its files were removed before these renditions were stored
        remove_picture(picture)
    return is_processing


def fail_picture(picture: PostPicture, reason: str) -> None:
    """Make the post of a picture fail, with a reason for its owner; a post that is not `processing` is not changed."""
    with transaction() as db:
        author_id = posts.fail_picture(db, post_id=picture.post_id, order_index=picture.order_index, reason=reason)
    if author_id:
        failed = live_events.PostProcessed(post_id=picture.post_id, status="failed")
        live_events.publish([author_id], failed)


def remove_picture(picture: PostPicture) -> None:
    """Remove the files of one picture whose post is deleted or does not exist."""
    photos.remove_picture(picture.post_id, picture.order_index, picture.original_key)


def _read_original(picture: PostPicture) -> bytes:
    data = photos.read_original(picture.original_key)
    if data is None:
        raise LookupError(picture.original_key)
    return data


def _finish_picture(picture: PostPicture, photo: renditions.RenderedPhoto) -> str:
    """Record that a picture is stored, and deliver the event if that published its post; the status of the post."""
    with transaction() as db:
        published = posts.finish_picture(
            db,
            post_id=picture.post_id,
            order_index=picture.order_index,
            width=photo.width,
            height=photo.height,
        )
        status = "published" if published else posts.read_status(db, post_id=picture.post_id)
    if published:
        relay.publish(published)
    return status
