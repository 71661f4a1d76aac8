"""Queue photo-uploaded: an original arrived in MinIO; render its sizes and publish its post."""

from layers.core import live, trace
from layers.core.errors import BadPicture, PostNotFound, StoreUnavailable
from layers.core.queue import on_message
from layers.media import photos, renditions
from layers.postgres import outbox, posts
from layers.postgres.connection import autocommit, transaction
from layers.rabbitmq import publishing


def give_up(upload: photos.Uploaded, error: Exception) -> None:
    """The last try failed too: so has the post, unless a store was away. Then the sweeper goes on with it."""
    if isinstance(error, StoreUnavailable) and error.store != "images":
        return
    if isinstance(error, PostNotFound):
        _take_back(upload)  # the post was withdrawn: its rows were committed before its files came
    else:
        _fail(upload, "The picture could not be processed.")


@on_message(photos.Uploaded, given_up=give_up)
def handler(upload: photos.Uploaded) -> None:
    trace.trace_id.set(upload.trace_id)
    place = upload.place
    with autocommit() as db:
        state = posts.state(db, post_id=place.post_id)  # a message that outran the commit is tried again
    if state == "processing":
        try:
            photo = renditions.render_photo(_original(upload))
        except BadPicture as error:  # trying again cannot help
            _fail(upload, str(error))
            return
        photos.write_renditions(place.post_id, place.order_index, photo)
        with transaction() as db:
            note = posts.finish_picture(
                db, post_id=place.post_id, order_index=place.order_index, width=photo.width, height=photo.height
            )
            state = posts.state(db, post_id=place.post_id)
        if note and publishing.send(note):
            with autocommit() as db:
                outbox.remove(db, note_ids=[note.id])
    if state == "deleted":  # meanwhile, and what was stored after that is nobody's
        _take_back(upload)


def _original(upload: photos.Uploaded) -> bytes:
    data = photos.read_original(upload.original_key)
    if data is None:
        raise LookupError(upload.original_key)
    return data


def _take_back(upload: photos.Uploaded) -> None:
    photos.taken_back(upload.place.post_id, upload.place.order_index, upload.original_key)


def _fail(upload: photos.Uploaded, reason: str) -> None:
    place = upload.place
    with transaction() as db:
        author_id = posts.fail_picture(db, post_id=place.post_id, order_index=place.order_index, reason=reason)
    if author_id:
        live.tell([author_id], live.PostProcessed(post_id=place.post_id, status="failed"))
