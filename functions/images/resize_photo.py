"""Queue photo-uploaded: an original arrived in MinIO; render its sizes and publish its post."""

from layers.core import metrics, trace
from layers.core.errors import BadPicture, PostNotFound, StoreUnavailable
from layers.core.queue import on_message
from layers.media import photos
from layers.postgres import outbox, posts
from layers.postgres.connection import autocommit, transaction
from layers.rabbitmq import publishing


def give_up(upload: photos.Uploaded, error: Exception) -> None:
    """The last try failed too: the post has failed, unless it was a service that did; then the sweeper tries on."""
    if isinstance(error, PostNotFound):
        photos.removed(upload.post_id, [upload.key])  # rows are committed before files: this post was withdrawn
    elif not isinstance(error, StoreUnavailable):
        _fail(upload, photos.FAILED, type(error).__name__)


@on_message(photos.Uploaded, given_up=give_up)
def handler(upload: photos.Uploaded) -> None:
    trace.trace_id.set(upload.trace_id)
    with autocommit() as db:
        state = posts.state(db, post_id=upload.post_id)  # a message that outran the commit is tried again
    if state == "processing":
        try:
            size = photos.render(upload.post_id, upload.order_index, upload.key)
        except BadPicture as error:  # trying again cannot help
            _fail(upload, str(error), type(error).__name__)
            return
        with transaction() as db:
            note = posts.finish_picture(
                db, post_id=upload.post_id, order_index=upload.order_index, width=size.width, height=size.height
            )
            state = posts.state(db, post_id=upload.post_id)
        if note and publishing.send(note):
            with autocommit() as db:
                outbox.remove(db, note_ids=[note.id])
    if state == "deleted":  # meanwhile, and what was stored after that is nobody's
        photos.removed(upload.post_id, [upload.key])


def _fail(upload: photos.Uploaded, reason: str, error_type: str) -> None:
    metrics.IMAGE_ERRORS.labels(error_type).inc()
    metrics.PROCESSING_ERRORS.labels(error_type).inc()
    with transaction() as db:
        posts.fail_picture(db, post_id=upload.post_id, order_index=upload.order_index, reason=reason)
